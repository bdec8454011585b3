"""Forward authentication: a proxy asks here before it hands a request on; the proxy's own headers say which request.

nginx (`auth_request`), Caddy (`forward_auth`), Traefik (`forwardAuth`) and Envoy (`ext_authz` over HTTP) name the
request in four ways, and each has a path here. What is judged is the request target as the proxy received it. Where the
proxy does not say what is asked, the answer is no.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from heldtrue.capabilities.edge.doors.desk import Desk, RawHeaders, plain_answer, raw
from heldtrue.capabilities.edge.doors.hearing import Heard, hear
from heldtrue.capabilities.edge.forwarded import UntrustedPeerError
from heldtrue.capabilities.edge.model import EdgeCall, Verdict
from heldtrue.http.heads import Head
from heldtrue.http.problems import UnknownRouteError
from heldtrue.kernel.errors import DeniedError
from heldtrue.kernel.ids import RequestId

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Answer = tuple[int, RawHeaders, bytes]
ENVOY = b"/auth/envoy"


class DoorHeadersError(DeniedError):
    """The proxy did not say which request it asks about; use the configuration of `heldtrue edge config`."""

    code = "door-headers"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one proxy names the request that it asks about, and what it understands of the answer."""

    method: bytes
    target: bytes
    hosts: tuple[bytes, ...]
    """The first of these that came counts."""
    answers: Literal["status", "coarse", "verdict"] = "status"
    """`coarse`: nginx knows only 401 and 403 as refusals. `verdict`: the whole of it as JSON, for
    `RemoteDoor`, whose request id is kept."""


_FORWARDED = Dialect(b"x-forwarded-method", b"x-forwarded-uri", (b"x-forwarded-host",))
_NGINX_HOSTS = (b"x-original-host", b"x-forwarded-host", b"host")
DIALECTS: dict[bytes, Dialect] = {
    b"/auth/nginx": Dialect(b"x-original-method", b"x-original-uri", _NGINX_HOSTS, "coarse"),
    b"/auth/caddy": _FORWARDED,
    b"/auth/traefik": _FORWARDED,
    b"/auth/asgi": Dialect(b"x-original-method", b"x-original-uri", (b"x-original-host",), "verdict"),
}


class ForwardAuth:
    """What proxies ask: a function of a request's head, and an ASGI application around it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Answer one question; anything that fails is a refusal."""
        if scope["type"] != "http":
            raise ValueError(f"a scope of type {scope['type']} is not served")
        query: bytes = scope["query_string"]
        target = scope["raw_path"] + b"?" + query if query else scope["raw_path"]
        client = scope.get("client")  # no address at all is nobody we know
        head = Head(scope["method"], target, scope["headers"], 0, last=False)
        status, headers, body = await self.answer(head, client[0] if client else "?")
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def answer(self, head: Head, peer: str) -> Answer:
        """Return status, headers and body for the question *head*, asked from the address *peer*; "": a unix socket."""
        request = self._desk.begin()
        dialect = DIALECTS.get(head.target) or DIALECTS.get(head.target.partition(b"?")[0])
        try:
            if not self._desk.trusted.trust(peer):
                raise UntrustedPeerError
            call = self._call(head, dialect, request, peer)
        except Exception as error:  # noqa: BLE001 - whatever it was, the request is refused, and failures are logged
            verdict = self._desk.refuse(error, peer)
            return self._refused(verdict, dialect, request)
        request = call.request
        verdict = await self._desk.ask(call)
        if dialect is not None and dialect.answers == "verdict":
            return _told(verdict, request)
        if not verdict.allowed:
            return self._refused(verdict, dialect, request)
        headers = raw([*self._desk.identity(call, verdict), ("request-id", request), *verdict.headers])
        if dialect is None:
            return 200, [*headers, (b"content-length", b"0")], b""
        return 204, headers, b""

    def _call(self, head: Head, dialect: Dialect | None, request: str, peer: str) -> EdgeCall:
        heard = hear(head.headers)
        if dialect is None:
            method, target, host = _asked_of_envoy(head, heard)
        else:
            method, target, host = _asked_of(dialect, heard)
            if dialect.answers == "verdict" and (theirs := heard.one(b"request-id")):
                request = str(RequestId.parse(theirs))
        address = self._desk.trusted.client(peer, heard.forwarding())
        return EdgeCall(method, target, heard.authorization, heard.origin, address, host, request)

    def _refused(self, verdict: Verdict, dialect: Dialect | None, request: str) -> Answer:
        if dialect is not None and dialect.answers == "verdict":
            return _told(verdict, request)
        status, headers, body = plain_answer(self._desk, verdict, request)
        if dialect is None or dialect.answers == "status":
            return status, headers, body
        said = [(b"heldtrue-status", b"%d" % status), (b"heldtrue-problem", _ascii(body))]
        kept = [pair for pair in headers if not pair[0].startswith(b"content-")]
        return 401 if status == 401 else 403, [*kept, *said, (b"content-length", b"0")], b""


def _asked_of(dialect: Dialect, heard: Heard) -> tuple[str, bytes, str]:
    method, target = heard.one(dialect.method), heard.one(dialect.target)
    host = None
    for name in dialect.hosts:
        if host := heard.one(name):
            break
    if not method or not target or not host:
        names = ", ".join(name.decode("ascii") for name in (dialect.method, dialect.target, dialect.hosts[0]))
        raise DoorHeadersError(f"The proxy must send {names}.")
    return method, target.encode("latin-1"), host


def _asked_of_envoy(head: Head, heard: Heard) -> tuple[str, bytes, str]:
    """Return what Envoy asks about: its request is the original one, body left out, under a path prefix."""
    if not head.target.startswith(ENVOY + b"/"):
        raise UnknownRouteError
    host = heard.one(b"host")
    if not host:
        raise DoorHeadersError("Envoy must pass on the host.")
    return head.method, head.target[len(ENVOY) :], host


def _told(verdict: Verdict, request: str) -> Answer:
    """Return the whole verdict as JSON, for a door elsewhere."""
    body = msgspec.json.encode(verdict)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"request-id", request.encode("ascii")),
    ]
    return 200, headers, body


def _ascii(document: bytes) -> bytes:
    r"""Return JSON as one line of ASCII, letters beyond it as `\uXXXX`, as a header can carry it."""
    text = document.decode("utf-8")
    return text.encode("ascii") if text.isascii() else json.dumps(json.loads(text)).encode("ascii")

"""The generated configurations of nginx and Caddy, run for real in front of a real door, and attacked."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import ssl
import warnings
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import yaml
from edge_attacks import ATTACKS, CORPUS, Attack
from edge_stack import KINDS, Stack, parameters, refused, stacked
from instance import until
from proxies import Answer, Proxy, has_firewall, program, serving
from recording_upstream import nobody

from heldtrue.capabilities.edge.proxyconfig import Parameters, render
from heldtrue.capabilities.edge.proxyconfig.parameters import Caps, Place
from heldtrue_verify.identity import verify_identity

ABSENT = [name for name in KINDS if program(name) is None]
HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)

pytestmark = [
    pytest.mark.drill,
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)} (tools/test-deps)"),
]
needs_firewall = pytest.mark.skipif(
    not has_firewall(), reason="not installed: libnginx-mod-http-modsecurity, modsecurity-crs (tools/test-deps)"
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    with stacked(tmp_path_factory.mktemp("edge")) as made:
        yield made


@pytest.fixture(params=KINDS)
def proxy(request: pytest.FixtureRequest, stack: Stack) -> Proxy:
    stack.upstream.reached.clear()
    return stack.proxies[request.param]


# ---------------------------------------------------------------- what is right passes


def test_a_good_request_passes_as_whom_its_key_says(stack: Stack, proxy: Proxy) -> None:
    target = "/v1/caf%C3%A9/a%2Cb?a=1&b=%20"
    answer = proxy.ask("POST", target, stack.key, "Content-Type: application/json", body=b'{"a": 1}')
    assert answer.status == 200
    assert answer.one("RateLimit")
    assert answer.one("RateLimit-Policy")
    assert answer.one("Strict-Transport-Security") == "max-age=63072000; includeSubDomains"
    assert not answer.values("X-Powered-By")
    assert [one.body for one in stack.upstream.reached] == [b'{"a": 1}']
    assert stack.upstream.reached[0].target == target, "as it was judged"
    assert stack.upstream.reached[0].values("Request-Id") == answer.values("Request-Id")
    stack.settled(proxy)


def test_a_public_route_passes_as_nobody(stack: Stack, proxy: Proxy) -> None:
    assert proxy.ask("GET", "/public/terms").status == 200
    assert proxy.ask("GET", "/public/terms", "Heldtrue_Subject: bob").status in {200, 400}
    assert all(
        nobody(one) and not any("heldtrue" in name.lower() for name, _ in one.headers) for one in stack.upstream.reached
    )


def test_an_answer_streams_through(stack: Stack, proxy: Proxy) -> None:
    with contextlib.closing(proxy.connect()) as connection:
        connection.sendall((stack.facts(proxy).head("/v1/stream") + "\r\n").encode())
        got = b""
        while b"data: one" not in got:
            piece = connection.recv(4096)
            assert piece, got
            got += piece
        assert b"data: two" not in got
        stack.upstream.go_on()
        while b"data: two" not in got:
            got += connection.recv(4096)
    stack.settled(proxy)


def test_a_websocket_passes_and_echoes(stack: Stack, proxy: Proxy) -> None:
    with contextlib.closing(proxy.connect()) as connection:
        connection.sendall((stack.facts(proxy).head("/v1/ws", *HANDSHAKE) + "\r\n").encode())
        got = b""
        while b"\r\n\r\n" not in got:
            got += connection.recv(4096)
        assert got.startswith(b"HTTP/1.1 101")
        connection.sendall(b"\x81\x85\x00\x00\x00\x00hello")  # a masked text frame (RFC 6455, section 5.2)
        got = got.partition(b"\r\n\r\n")[2]
        while b"echo hello" not in got:
            got += connection.recv(4096)
        connection.sendall(b"\x88\x82\x00\x00\x00\x00\x03\xe8")
    stack.settled(proxy)


# ---------------------------------------------------------------- what is wrong does not


@pytest.mark.parametrize("kind", ATTACKS)
def test_no_attack_reaches_the_upstream_as_somebody_else(stack: Stack, proxy: Proxy, kind: str) -> None:
    def run(attack: Attack) -> tuple[str, Answer]:
        return attack.name, proxy.send(attack.make(stack.facts(proxy)).encode("latin-1"))

    with ThreadPoolExecutor(4) as pool:
        answers = dict(pool.map(run, ATTACKS[kind]))
    wrong = {a.name: answers[a.name] for a in ATTACKS[kind] if not harmless(a, answers[a.name])}
    assert not wrong
    assert "/v1/stolen" not in [one.target for one in stack.upstream.reached]
    stack.settled(proxy)
    passed = [a.name for a in ATTACKS[kind] if answers[a.name].status == 200 or a.late]
    assert len(stack.upstream.reached) <= len(passed) + 1, "those that were answered, and the marker"


def harmless(attack: Attack, answer: Answer) -> bool:
    """Return whether *attack* was answered as it must be: refused for what it is, or passed as Alice's."""
    if answer.status == 200:
        return attack.may_pass
    return (
        400 <= answer.status < 500
        or answer.status in {501, 505}
        or (attack.late and answer.status == 502)
        or (attack.mute and answer.status == 0)
    )


@needs_firewall
@pytest.mark.parametrize("sample", CORPUS)
def test_the_firewall_turns_known_attacks_away(stack: Stack, sample: str) -> None:
    proxy = stack.proxies["nginx"]
    stack.upstream.reached.clear()
    method, target, body = CORPUS[sample]
    refused(proxy.ask(method, target, stack.key, "Content-Type: application/json", body=body.encode()), 403)
    assert not stack.upstream.reached


def test_a_slow_client_is_cut_off(stack: Stack) -> None:
    def run(proxy: Proxy, how: str) -> tuple[str, int]:
        facts = stack.facts(proxy)
        text = {
            "head": facts.head(),
            "body": facts.head("/v1/orders", "Content-Length: 100", method="POST") + "\r\nonly this",
            "chunk": facts.head("/v1/orders", "Transfer-Encoding: chunked", method="POST") + "\r\n5\r\nonly",
        }[how]
        return f"{proxy.kind} {how}", proxy.send(text.encode(), patience=5).status

    stack.upstream.reached.clear()
    asked = list(product(stack.proxies.values(), ("head", "body", "chunk")))
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = dict(pool.map(lambda one: run(*one), asked))
    # Caddy 2.11 (not 2.6) waits for the rest of a silent body after it has let the API go, as net/http does.
    allowed = {name: {0, 400, 408, 499, 502} | ({-1} if name == "caddy body" else set()) for name in answers}
    assert all(status in allowed[name] for name, status in answers.items()), answers
    until(lambda: not stack.upstream.busy, 5, "the upstream is let go")
    stack.settled(stack.proxies["nginx"])


@pytest.mark.parametrize(
    "caps", [Caps(requests_per_second=1, burst=2), Caps(connections=2)], ids=["requests", "connections"]
)
def test_a_flood_from_one_address_is_capped_before_anybody_is_asked(stack: Stack, tmp_path: Path, caps: Caps) -> None:
    def make(port: int) -> Parameters:
        return replace(parameters(stack, Place(path=str(stack.link)), port), waf=False, caps=caps)

    with serving("nginx", tmp_path / "nginx", stack.tls, make) as proxy, contextlib.ExitStack() as held:
        assert proxy.ask("GET", "/v1/orders", stack.key).status == 200
        unfinished = stack.facts(proxy).head("/v1/orders", "Content-Length: 5", method="POST") + "\r\n"
        for _ in range(2):
            held.enter_context(contextlib.closing(proxy.connect())).sendall(unfinished.encode())
        until(lambda: proxy.ask("GET", "/v1/orders", stack.key).status == 429, 5, "the cap is reached", 0)
        refused(proxy.ask("GET", "/v1/orders", stack.key), 429)


def test_a_limit_reaches_the_client_as_429(stack: Stack, proxy: Proxy) -> None:
    answers = [proxy.ask("GET", "/v1/few", stack.key) for _ in range(2)]
    refused(answers[1], 429)
    assert int(answers[1].one("Retry-After")) >= 1
    assert json.loads(answers[1].body)["type"].endswith("/problems/rate-limited")
    assert answers[1].one("Strict-Transport-Security")
    assert answers[1].one("RateLimit")


def test_a_refusal_says_how_to_come_back(stack: Stack, proxy: Proxy) -> None:
    answer = proxy.ask("GET", "/v1/orders")
    refused(answer, 401)
    assert answer.one("WWW-Authenticate").startswith("Bearer")
    assert answer.one("Request-Id").startswith("req_")
    assert not answer.values("Heldtrue-Problem")


# ---------------------------------------------------------------- TLS


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3"])
def test_only_current_tls_is_spoken(proxy: Proxy, version: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(proxy.tls.ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the deprecated versions are what is tried
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    if version in {"TLSv1", "TLSv1_1"}:
        with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
            proxy.connect(context=context).close()
    else:
        with contextlib.closing(proxy.connect(context=context)) as connection:
            assert connection.version() == version.replace("_", ".")


def test_no_other_name_is_answered(proxy: Proxy) -> None:
    with pytest.raises(ssl.SSLError):
        proxy.connect(name="other.example.com").close()


# ---------------------------------------------------------------- without a door nothing passes


def test_a_door_that_is_gone_or_hangs_is_a_refusal(stack: Stack) -> None:
    def both(target: str, *headers: str) -> list[Answer]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda proxy: proxy.ask("GET", target, *headers), stack.proxies.values()))

    stack.upstream.reached.clear()
    before = stack.door.processes()
    assert before
    for process in before:
        process.send_signal(signal.SIGSTOP)
    try:
        refused_all(both("/v1/orders", stack.key))
    finally:
        for process in before:
            process.send_signal(signal.SIGCONT)
    stack.link.unlink()
    try:
        for process in before:
            process.kill()
        psutil.wait_procs(before, timeout=5)
        refused_all([*both("/v1/orders", stack.key), *both("/public/terms")])
    finally:
        stack.link.symlink_to(stack.door.path)
    assert not stack.upstream.reached
    until(lambda: {one.status for one in both("/v1/orders", stack.key)} == {200}, 15, "the door is back")


def refused_all(answers: list[Answer]) -> None:
    for answer in answers:
        refused(answer, 503)


# ---------------------------------------------------------------- the proxies that cannot be started here


@pytest.mark.parametrize("key", ["alice", None])
def test_the_door_speaks_traefik_as_its_configuration_asks(stack: Stack, key: str | None) -> None:
    """Play Traefik by its documentation: a GET to the address with `X-Forwarded-…`, the answer's headers taken over."""
    door = Place(host="127.0.0.1", port=8444)
    asked = yaml.safe_load(render("traefik", parameters(stack, door)))["http"]["middlewares"]["heldtrue-door"][
        "forwardAuth"
    ]
    headers = {
        "X-Forwarded-Method": "POST",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "localhost",
        "X-Forwarded-Uri": "/v1/orders?a=1",
        "X-Forwarded-For": "203.0.113.9",
    }
    answer = stack.door.ask(urlsplit(asked["address"]).path, {**headers, **stack.credential(key)})
    taken = {name: value for name, value in answer.headers if re.search(asked["authResponseHeadersRegex"], name)}
    if key is None:
        assert answer.status == 401
        assert not taken
        return
    assert answer.status == 204
    known = verify_identity(taken, "POST", "localhost", "/v1/orders?a=1", stack.upstream.keys)
    assert known.subject == stack.door.alice_id


@pytest.mark.parametrize("key", ["alice", None])
def test_the_door_speaks_envoy_as_its_configuration_asks(stack: Stack, key: str | None) -> None:
    """Play Envoy by its documentation: the request itself under a prefix, some headers only, and 200 to pass."""
    found = yaml.safe_load(render("envoy", parameters(stack, Place(path=str(stack.link)))))
    manager = found["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][-1]["typed_config"]
    asked = manager["http_filters"][1]["typed_config"]
    allowed = [pattern.get("exact") for pattern in asked["allowed_headers"]["patterns"]]
    sent = {"X-Forwarded-For": "203.0.113.9", "X-Other": "1", "Authorization": "", **stack.credential(key)}
    headers = {name: value for name, value in sent.items() if name.lower() in allowed and value}
    path = asked["http_service"]["path_prefix"] + "/v1/orders?a=1"
    answer = stack.door.ask(path, {"Host": "localhost", **headers}, method="POST")
    response = asked["http_service"]["authorization_response"]
    upward = {pattern["exact"] for pattern in response["allowed_upstream_headers"]["patterns"]}
    taken = {name: value for name, value in answer.headers if name.lower() in upward}
    if key is None:
        assert answer.status == 401
        assert answer.values("WWW-Authenticate")
        return
    assert answer.status == 200
    known = verify_identity(taken, "POST", "localhost", "/v1/orders?a=1", stack.upstream.keys)
    assert known.subject == stack.door.alice_id

"""The law of layers for calls: without the layers that stop it each attack succeeds, and any single one stops it."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from outside import VALUE, Names, Outside
from receiver import Receiver, answers

from heldtrue.capabilities.deliveries import connector
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.egress import grants
from heldtrue.capabilities.egress.broker import calling
from heldtrue.capabilities.egress.grants import Grant, GrantCredential, GrantRule
from heldtrue.capabilities.egress.masking import Mask

INSIDE = AllowList()
ELSEWHERE = AllowList.parse(["10.0.0.0/8"])
"""Something is listed, so that a name is asked for twice: which way leads there, and where to connect."""
Change = Callable[[pytest.MonkeyPatch], None]


def resolves_anything(patch: pytest.MonkeyPatch) -> None:
    async def resolve(self: Any, host: str, port: int = 0, family: Any = 0) -> Any:
        return await self._inner.resolve(host, port, family)

    patch.setattr(connector.JudgingResolver, "resolve", resolve)


def connects_anywhere(patch: pytest.MonkeyPatch) -> None:
    def make(self: Any, info: Any) -> Any:
        made = socket.socket(*info[:3])
        self._sockets.add(made)
        return made

    patch.setattr(connector.Judged, "socket", make)


def follows(patch: pytest.MonkeyPatch) -> None:
    genuine = aiohttp.ClientSession.request

    def request(self: Any, method: str, url: Any, **more: Any) -> Any:
        return genuine(self, method, url, **{**more, "allow_redirects": True})

    patch.setattr(aiohttp.ClientSession, "request", request)


def allows_every_host(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Grant, "rule", lambda self, host: GrantRule(str(host), self.rules[0].headers))


def sends_credentials_anywhere(patch: pytest.MonkeyPatch) -> None:
    def filled(rule: GrantRule, credentials: Any) -> Any:
        wide = {name: GrantCredential(one.value, (*one.hosts, rule.host)) for name, one in credentials.items()}
        return grants.filled(rule, wide)

    patch.setattr(calling, "filled", filled)


def masks_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Mask, "hide", lambda _self, text: text)


def reads_compressed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(calling, "plain", lambda _response: True)


LAYERS: dict[str, Change] = {
    "resolver": resolves_anything,
    "socket": connects_anywhere,
    "no-redirects": follows,
    "rule": allows_every_host,
    "credential-hosts": sends_credentials_anywhere,
    "mask": masks_nothing,
    "no-compression": reads_compressed,
}
"""Layer → how it is taken away."""


@dataclass(frozen=True)
class Probe:
    """An attack, and the layers of which any single one stops it."""

    name: str
    stops: frozenset[str]
    escapes: Callable[[Outside], bool]
    """Make the attack; return whether it succeeded."""

    def __str__(self) -> str:
        return self.name


def answered(said: tuple[dict[str, Any], bytes]) -> bool:
    return "status" in said[0]


def leads_inside(outside: Outside) -> bool:
    return answered(outside.but(allow=INSIDE, resolver=Names(["127.0.0.1"])).call())


def rebinds(outside: Outside) -> bool:
    """The name server answers with a public address when asked first, and with an inner one after that."""
    return answered(outside.but(allow=ELSEWHERE, resolver=Names(["192.0.2.1"], ["127.0.0.1"])).call())


def is_redirected(outside: Outside) -> bool:
    """A server sends the call to a host that no rule names."""
    elsewhere = outside.url("/secret").replace("localhost", "127.0.0.1")
    outside.receiver.behave["/away"] = answers(302, Location=elsewhere)
    head, _ = outside.call(outside.url("/away"))
    return head.get("status") == 200


def calls_another(outside: Outside) -> bool:
    return answered(outside.but(rules=(GrantRule("api.example.com"),)).call())


def takes_the_credential_elsewhere(outside: Outside) -> bool:
    """A rule names a host that the credential was never given for."""
    host = outside.host
    rules = (GrantRule(host, {"Authorization": "Bearer {{credential:books}}"}),)
    kept = {"books": GrantCredential(VALUE, ("api.example.com",))}
    outside.but(rules=rules, credentials=kept).call()
    return any(VALUE in str(one.headers) for one in outside.receiver.received)


def reads_the_echo(outside: Outside) -> bool:
    head, body = outside.call()
    return VALUE in str(head) or VALUE.encode() in body


def reads_the_compressed_echo(outside: Outside) -> bool:
    async def turned(_receiver: Receiver, request: web.Request) -> web.StreamResponse:
        held = request.headers.get("Authorization", "").encode()
        return web.Response(body=base64.b85encode(held), headers={"Content-Encoding": "x-b85"})

    outside.receiver.behave["/turned"] = turned
    _, body = outside.call(outside.url("/turned"))
    return bool(body) and VALUE.encode() in base64.b85decode(body)


PROBES = [
    Probe("a-name-that-leads-inside", frozenset({"resolver", "socket"}), leads_inside),
    Probe("rebinding", frozenset({"resolver", "socket"}), rebinds),
    Probe("redirect-to-a-host-without-a-rule", frozenset({"no-redirects"}), is_redirected),
    Probe("another-host", frozenset({"rule"}), calls_another),
    Probe("credential-for-another-host", frozenset({"credential-hosts"}), takes_the_credential_elsewhere),
    Probe("echo", frozenset({"mask"}), reads_the_echo),
    Probe("compressed-echo", frozenset({"no-compression"}), reads_the_compressed_echo),
]
CELLS = [
    *((probe, probe.stops, True) for probe in PROBES),
    *((probe, probe.stops - {one}, False) for probe in PROBES for one in sorted(probe.stops)),
]


@pytest.mark.parametrize(
    ("probe", "off", "escapes"), CELLS, ids=[f"{probe}-without-{'-'.join(sorted(off))}" for probe, off, _ in CELLS]
)  # fmt: skip
def test_any_single_layer_stops_the_probe_and_without_them_it_escapes(
    probe: Probe, off: frozenset[str], escapes: bool, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside.receiver.received.clear()
    if probe.name in {"a-name-that-leads-inside", "rebinding"} and escapes:
        monkeypatch.setattr(connector, "_context", lambda *_: outside.trusting())
    for layer in off:
        LAYERS[layer](monkeypatch)
    assert probe.escapes(outside) == escapes

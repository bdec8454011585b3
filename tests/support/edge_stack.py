"""An API, a real door, and real nginx and Caddy in front of both."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from edge_attacks import SENTINEL, Facts
from edge_instance import Door, door
from instance import until
from proxies import Answer, Proxy, has_firewall, serving
from recording_upstream import Upstream

from heldtrue.capabilities.edge.proxyconfig import Kind, Parameters
from heldtrue.capabilities.edge.proxyconfig.parameters import Caps, Place, Timeouts
from heldtrue.crypto.tls import TlsFiles, ensure_local_authority
from heldtrue_verify.identity import Identity

KINDS: list[Kind] = ["nginx", "caddy"]


@dataclass
class Stack:
    """An API, the door, and both proxies in front."""

    door: Door
    upstream: Upstream
    proxies: dict[str, Proxy]
    link: Path
    """The door's socket as the proxies know it."""
    tls: TlsFiles

    def credential(self, key: str | None) -> dict[str, str]:
        return {} if key is None else {"Authorization": f"Bearer {self.door.alice}"}

    @property
    def key(self) -> str:
        return f"Authorization: Bearer {self.door.alice}"

    def facts(self, proxy: Proxy) -> Facts:
        return Facts(f"localhost:{proxy.port}", self.door.alice, self.door.bob)

    def ready(self) -> bool:
        """Return whether Alice's key is known at the door, and the upstream's too, so that she is known behind it."""
        self.proxies["nginx"].ask("GET", "/v1/ready", self.key)
        return bool(self.upstream.reached) and isinstance(self.upstream.reached[-1].identity, Identity)

    def settled(self, proxy: Proxy) -> None:
        """Assert that all that reached the upstream was Alice's, whose credential was sent, and nothing forged."""
        assert proxy.ask("GET", "/v1/marker", self.key).status == 200
        for one in self.upstream.reached:
            assert isinstance(one.identity, Identity), (one, one.identity)
            assert one.identity.subject == self.door.alice_id, one
            assert not any(SENTINEL in value or value == "bob" for _, value in one.headers), one
            assert not one.values("Authorization"), one
            assert not any("_" in name for name, _ in one.headers), one
            assert one.values("X-Forwarded-For") == ["127.0.0.1"], one


def parameters(stack: Stack, place: Place, port: int = 443) -> Parameters:
    """Return what the configurations are made of: as an operator has them, but with short times and small sizes."""
    return Parameters(
        public_host="localhost",
        port=port,
        listen="127.0.0.1",
        upstream=Place(host="127.0.0.1", port=stack.upstream.port),
        door=place,
        cert=str(stack.tls.cert),
        key=str(stack.tls.key),
        waf=has_firewall(),
        caps=Caps(body_bytes=65_536, header_bytes=16_384, requests_per_second=2_000, burst=2_000),
        timeouts=Timeouts(header=2, body=2, idle=5, door=3, upstream=5),
    )


@contextlib.contextmanager
def stacked(root: Path) -> Generator[Stack]:
    """Start everything below *root*."""
    tls = ensure_local_authority(root / "tls", datetime.now(UTC))
    link = root / "door"
    with contextlib.ExitStack() as held:
        behind = held.enter_context(door(root))
        link.symlink_to(behind.path)
        made = Stack(behind, held.enter_context(Upstream((behind.upstream_key,))), {}, link, tls)
        for kind in KINDS:
            place = Place(path=str(link))
            made.proxies[kind] = held.enter_context(serving(kind, root / kind, tls, partial(parameters, made, place)))
        until(made.ready, 15, "the door knows the key, and stamps")
        yield made


def refused(answer: Answer, status: int) -> None:
    """Assert that *answer* is a problem document with *status*, which nobody keeps."""
    assert answer.status == status, answer
    assert answer.one("Content-Type") == "application/problem+json"
    assert answer.one("Cache-Control") == "no-store"
    assert json.loads(answer.body)["status"] == status
    assert answer.values("Retry-After") or status not in {429, 503}

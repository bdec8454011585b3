"""A small house to knock at: the application over a real database, with the real gate, keys and ledger."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from asgi import Caller

from heldtrue.capabilities.access.bootstrap import bootstrap_operator
from heldtrue.capabilities.access.routes import ROUTES as ACCESS
from heldtrue.capabilities.edge.gatekeeper import Gatekeeper
from heldtrue.capabilities.ledger import actions as ledger
from heldtrue.capabilities.tenants.routes import ROUTES as TENANTS
from heldtrue.crypto.keyring import KeyCache
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.tx import Database
from heldtrue.http.app import Application, build_app
from heldtrue.http.credential import Presented
from heldtrue.http.limits import Limits, Rate
from heldtrue.http.ports import Ports
from heldtrue.http.route import Route
from heldtrue.kernel import structs
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.ids import CryptoKeyId, Entropy, TenantId
from heldtrue.kernel.secret import Secret
from heldtrue.op import Actor

ISSUER = "https://log.example.test"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROUTES: list[Route] = [*TENANTS, *ACCESS]
_MANY = Rate(100_000, 100_000)
GENEROUS = Limits(organisation=_MANY, key=_MANY, anonymous=_MANY, forms=_MANY)


class HandClock:
    """A clock that goes on by a millisecond at each look, and by hand."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def behind(self) -> timedelta:
        """Return by how much the machine's clock is behind what was told: never."""
        return timedelta()


def seeded(seed: str) -> Entropy:
    """Return a repeatable source of bytes."""
    counter = itertools.count()

    def entropy(size: int) -> bytes:
        stream = b""
        while len(stream) < size:
            stream += hashlib.sha256(f"{seed}/{next(counter)}".encode()).digest()
        return stream[:size]

    return entropy


@dataclass
class House:
    """The application, what it stands on, and its operator."""

    database: Database
    ports: Ports
    clock: HandClock
    app: Application
    operator: Caller

    def caller(self, key: str | None = None) -> Caller:
        return Caller(self.app, key)

    def organisation(self, name: str = "Ledgerline", environment: str = "live", role: str = "admin") -> Caller:
        """Return a caller with a key of a new organisation."""
        made = self.operator.post("/v1/organisations", {"name": name, "environments": [environment]})
        assert made.status == 201, made.body
        return self.caller(self.issue(made.json()["id"], environment, role=role))

    def issue(self, organisation: str, environment: str = "live", **asked: Any) -> str:
        body = {"name": "first", "environment": environment, **asked}
        made = self.operator.post(f"/v1/organisations/{organisation}/keys", body)
        assert made.status == 201, made.body
        return made.json()["secret"]

    def entries(self, caller: Caller) -> list[dict[str, Any]]:
        """Return the ledger's documents of the caller's organisation and environment, oldest first."""
        return documents(self.ports, actor_of(self.ports, caller))

    def served(self, *more: Route, **ports: Any) -> House:
        """Return the same house with more routes, or with other ports."""
        changed = replace(self.ports, **ports)
        app = build_app([*ROUTES, *more], changed)
        return House(self.database, changed, self.clock, app, Caller(app, self.operator.key))


class PromptKeeper(Gatekeeper):
    """The product's own, asked to catch up before each look: in tests a change is seen at once, and nothing waits."""

    def authenticate(self, presented: Presented) -> Actor:
        self.feed.catch_up()
        return super().authenticate(presented)

    async def agreed(self) -> bool:
        self.feed.catch_up()
        return True


def keeper_over(database: Database, clock: Clock) -> PromptKeeper:
    """Return a keeper that is closed together with *database*."""
    keeper = PromptKeeper(database.dsns.edge, clock, ISSUER)
    close = database.close

    def close_both() -> None:
        keeper.feed.close()
        close()

    database.close = close_both  # type: ignore[method-assign]
    return keeper


def documents(ports: Ports, actor: Actor) -> list[dict[str, Any]]:
    """Return the opened ledger documents of *actor*'s organisation and environment, oldest first."""
    from heldtrue.capabilities.ledger.store import DocumentRow

    with ports.database.tenant(actor.tenant, actor.environment) as tx:
        rows = tx.many(
            DocumentRow,
            "SELECT leaf_id, kind, event, object_key_id, sealed, created_at FROM heldtrue.ledger_documents"
            " WHERE kind = 'audit' ORDER BY leaf_id",
        )
        keys = ports.keyring(tx, actor.tenant, actor.environment, ports.clock.now())
        return [ledger.open_document(keys, row)[0] for row in rows]


def ports_over(database: Database, clock: HandClock, entropy: Entropy, **others: Any) -> Ports:
    """Return ports over *database*, wired as the product wires them."""
    platform = PlatformKey(CryptoKeyId.new(NOON, entropy), Secret(entropy(32)))
    keeper = keeper_over(database, clock)
    given: dict[str, Any] = {
        "database": database,
        "clock": clock,
        "entropy": entropy,
        "platform": platform,
        "key_cache": KeyCache(),
        "authenticate": keeper.authenticate,
        "agreed": keeper.agreed,
        "record_audit": ledger.append_audit,
        "limits": GENEROUS,
        "workers": 4,
        **others,
    }
    return Ports(**given)


def build_house(database: Database, routes: Sequence[Route] = ROUTES, seed: str = "house", **others: Any) -> House:
    """Return a house over a fresh *database*, its operator bootstrapped."""
    structs.complete()  # as the product does before it has threads
    clock = HandClock()
    ports = ports_over(database, clock, seeded(seed), **others)
    app = build_app(routes, ports)
    secret = bootstrap_operator(ports)
    assert secret is not None
    return House(database, ports, clock, app, Caller(app, secret.reveal()))


def tenant_of(house: House, caller: Caller) -> TenantId:
    return actor_of(house.ports, caller).tenant


def actor_of(ports: Ports, caller: Caller) -> Actor:
    """Return who *caller* is."""
    return ports.authenticate(Presented(caller.key or "", None, caller.client))

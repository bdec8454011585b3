"""Keys in a snapshot, without a database: what the edge is given to judge."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from heldtrue.capabilities.edge.facts import KeyRow
from heldtrue.capabilities.edge.model import EdgeCall
from heldtrue.capabilities.edge.snapshot import Anchor, Snapshot, Tables
from heldtrue.crypto import tokens
from heldtrue.kernel.ids import TenantId

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class StillClock:
    """A clock that stands, and is moved by hand."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


class Boot:
    """Seconds since the machine started, moved by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


class Ring:
    """A snapshot that is right at this moment, and the keys in it."""

    def __init__(self) -> None:
        self.boot = Boot()
        self.clock = StillClock()
        self.snapshot = Snapshot()
        self.snapshot.agree(self.boot.at)
        self.tables: Tables = self.snapshot.tables
        self.tables.anchor = Anchor(1, NOON)
        self.tenant = self.organisation()

    def organisation(self, active: bool = True) -> TenantId:
        tenant = TenantId.new(NOON, secrets.token_bytes)
        self.tables.put_organisation(tenant.value.bytes, active=active)
        return tenant

    def key(self, **changed: Any) -> str:
        """Put a key into the snapshot, live and of the first organisation unless *changed*, and return its secret."""
        secret = tokens.mint(changed.get("type", "sk"), changed.get("environment", "live"), secrets.token_bytes)
        self.tables.put_key(self.row(secret.reveal(), **changed))
        return secret.reveal()

    def row(self, secret: str, **changed: Any) -> KeyRow:
        whole = KeyRow(
            tenant=self.tenant.value.bytes, id=secrets.token_bytes(16), digest=tokens.digest(secret),
            environment="live", type="sk", role="sender", scopes=None, grants=None, origins=None, addresses=None,
            active=True, ends=None,
        )  # fmt: skip
        return whole._replace(**changed)


def call(
    token: str | None,
    target: str = "/v1/orders/17?x=1",
    method: str = "GET",
    *,
    origin: str | None = None,
    address: str = "192.0.2.7",
) -> EdgeCall:
    """Return a request with a bearer token, or without."""
    values = () if token is None else (f"Bearer {token}".encode(),)
    return EdgeCall(method, target.encode(), values, origin, address, "api.example.com", "req_" + "0" * 32)

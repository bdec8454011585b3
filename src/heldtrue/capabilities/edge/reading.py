"""What the edge reads of the database, as the edge role: changes in the order of their commits, and their subjects.

A change is numbered at its commit, under a lock that is held until the commit is done (migration 0002). So whoever sees
number n sees all that has a lower one, and what a transaction reads of the subjects is at least as new as the newest
change that it sees.
"""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, LiteralString, cast
from uuid import UUID

import psycopg
from psycopg import IsolationLevel, Notify
from psycopg.conninfo import make_conninfo

from heldtrue.capabilities.edge.facts import KeyRow, SigningRow
from heldtrue.capabilities.edge.snapshot import Anchor, Batch, Tables
from heldtrue.db.tx import SystemTx
from heldtrue.kernel.secret import Secret

CHANNEL = "heldtrue_edge"
PATIENCE = 3.0
"""Seconds for a question and its answer; the server gives up by itself after as many."""
LOAD_PATIENCE = 60.0
"""Seconds for a part of the whole."""
PART = 5_000
FREEZE_EACH = 50_000
"""Keys after which all that was made is kept out of the garbage collector's way: it would stop the process for it."""
MOST_CHANGES = 20_000
"""Changes that are brought in one by one; for more, everything is read anew."""

_NEWEST = """SELECT generation, made_at FROM heldtrue.edge_changes ORDER BY generation DESC LIMIT 1"""
_COMPARE = """SELECT n.generation,
  EXISTS (SELECT FROM heldtrue.edge_changes a WHERE a.generation = %s AND a.made_at = %s)
FROM (SELECT max(generation) AS generation FROM heldtrue.edge_changes) n"""
_CHANGES = """SELECT DISTINCT kind, tenant_id, environment, subject FROM heldtrue.edge_changes WHERE generation > %s"""
_KEYS: LiteralString = """SELECT uuid_send(tenant_id), uuid_send(key_id), digest, environment, type, role, scopes,
  NULLIF(grants, '{}'), NULLIF(origins, '{}'), NULLIF(addresses, '{}'), state = 'active', expires_at
FROM heldtrue.api_keys"""
_ORGANISATIONS: LiteralString = "SELECT uuid_send(tenant_id), state = 'active' FROM heldtrue.organisations"
_SESSIONS: LiteralString = "SELECT uuid_send(tenant_id), environment, generation FROM heldtrue.session_generations"
_SIGNING: LiteralString = (
    "SELECT key_id, state, public, accept_until FROM keystore.signing_keys WHERE purpose = 'session'"
)


class Line(psycopg.Connection[tuple[Any, ...]]):
    """A connection on which no question waits for longer than `patience`: the server may hang, or be gone unnoticed."""

    patience: float = PATIENCE
    told: bool = False
    """Whether a notice came since this was last set to False; one may come together with an answer."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for one step of the protocol; raise `psycopg.OperationalError` when it takes too long."""
        return super().wait(gen, interval, self.patience if timeout is None else timeout)


def dial(dsn: Secret[str]) -> Line:
    """Return a connection of the edge role that hears of changes."""
    milliseconds = int(PATIENCE * 1000)
    line = Line.connect(
        make_conninfo(
            dsn.reveal(),
            connect_timeout=3,
            keepalives_idle=1,
            keepalives_interval=1,
            keepalives_count=3,
            tcp_user_timeout=milliseconds,
            application_name="heldtrue feed",
            options=f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} -c TimeZone=UTC"
            " -c idle_in_transaction_session_timeout=60000 -c default_transaction_read_only=on",
        ),
        autocommit=True,
    )
    line.isolation_level = IsolationLevel.REPEATABLE_READ
    line.add_notify_handler(partial(_tell, line))
    line.execute("LISTEN heldtrue_edge")
    return line


def _tell(line: Line, _notice: Notify) -> None:
    """Note that something changed; what it was, the table says better."""
    line.told = True


def compare(line: Line, known: Anchor | None) -> tuple[int, bool]:
    """Return the number of the newest change (0: none), and whether *known* is among those that are there."""
    generation, made_at = (0, None) if known is None else (known.generation, known.made_at)
    row = line.execute(_COMPARE, [generation, made_at]).fetchone()
    newest, there = row or (None, False)
    return newest or 0, bool(there) if known is not None else not newest


def read_batch(line: Line, known: Anchor) -> Batch | None:
    """Return what became of the subjects of all changes after *known*; None when they are too many."""
    with line.transaction():
        newest = _newest(line)
        changes = line.execute(_CHANGES, [known.generation]).fetchmany(MOST_CHANGES + 1)
        if newest is None or len(changes) > MOST_CHANGES:
            return None
        by_kind: dict[str, list[tuple[UUID, str, UUID]]] = {}
        for kind, tenant, environment, subject in changes:
            by_kind.setdefault(kind, []).append((tenant, environment, subject))
        return Batch(
            anchor=newest,
            organisations=_organisations(line, [subject for _, _, subject in by_kind.get("organisation", [])]),
            keys=_keys(line, [subject for _, _, subject in by_kind.get("key", [])]),
            sessions=_sessions(line, [(tenant, name) for tenant, name, _ in by_kind.get("session", [])]),
            signing=_signing(line) if "signing" in by_kind else None,
        )


def read_all(line: Line) -> Tables:
    """Return everything, as one transaction sees it."""
    tables = Tables()
    with line.transaction(), _patient(line):
        tables.anchor = _newest(line)
        for tenant, active in line.execute(_ORGANISATIONS, binary=True):
            tables.put_organisation(tenant, active=active)
        for tenant, environment, generation in line.execute(_SESSIONS, binary=True):
            tables.sessions[tenant, environment] = generation
        tables.put_signing(_signing(line))
        with line.cursor("keys") as cursor:
            cursor.itersize = PART
            cursor.execute(_KEYS, binary=True)
            for number, row in enumerate(cursor, 1):
                tables.put_key(_key_row(row))
                if number % FREEZE_EACH == 0:
                    gc.freeze()
    return tables


@contextmanager
def _patient(line: Line) -> Generator[None]:
    """Let each part of a long reading take its time, within the present transaction."""
    line.execute("SET LOCAL statement_timeout = '60s'")
    line.patience = LOAD_PATIENCE
    try:
        yield
    finally:
        line.patience = PATIENCE


def _newest(line: Line) -> Anchor | None:
    row = line.execute(_NEWEST).fetchone()
    return None if row is None else Anchor(cast("int", row[0]), cast("datetime", row[1]))


def _keys(line: Line, keys: list[UUID]) -> dict[bytes, KeyRow | None]:
    found: dict[bytes, KeyRow | None] = {key.bytes: None for key in keys}
    if keys:
        for row in line.execute(_KEYS + " WHERE key_id = ANY(%s)", [keys], binary=True):
            found[row[1]] = _key_row(row)
    return found


def _organisations(line: Line, tenants: list[UUID]) -> dict[bytes, bool]:
    found = {tenant.bytes: False for tenant in tenants}
    if tenants:
        found.update(line.execute(_ORGANISATIONS + " WHERE tenant_id = ANY(%s)", [tenants], binary=True).fetchall())
    return found


def _sessions(line: Line, places: list[tuple[UUID, str]]) -> dict[tuple[bytes, str], int]:
    found = {(tenant.bytes, environment): 0 for tenant, environment in places}
    if places:
        tenants = [tenant for tenant, _ in places]
        rows = line.execute(_SESSIONS + " WHERE tenant_id = ANY(%s)", [tenants], binary=True)
        found.update({(tenant, environment): generation for tenant, environment, generation in rows})
    return found


def _signing(line: Line) -> tuple[SigningRow, ...]:
    return tuple(SigningRow(*row) for row in line.execute(_SIGNING, binary=True))


def _key_row(row: Iterable[Any]) -> KeyRow:
    tenant, key, digest, environment, type_, role, scopes, grants, origins, addresses, active, ends = row
    return KeyRow(
        tenant, key, digest, environment, type_, role, scopes if scopes is None else tuple(scopes),
        grants if grants is None else tuple(grants), origins if origins is None else tuple(origins),
        addresses if addresses is None else tuple(addresses), active, ends,
    )  # fmt: skip


def prune(tx: SystemTx) -> int:
    """Forget the changes that are older than an hour, but for the newest, and return how many they were.

    A feed that was away for longer finds the one it knew missing, and reads everything anew.
    """
    return tx.execute(
        """DELETE FROM heldtrue.edge_changes WHERE made_at < clock_timestamp() - interval '1 hour'
           AND generation < (SELECT max(generation) FROM heldtrue.edge_changes)"""
    )

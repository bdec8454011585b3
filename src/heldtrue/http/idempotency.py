"""`Idempotency-Key`: a creation that is sent again gives the first answer, for 24 hours.

Scoped to (organisation, environment, credential, route). Everything happens in the operation's own transaction: the
lock that refuses a concurrent twin, the effect, and the row with the sealed answer. A crash leaves all or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from heldtrue.crypto.digest import sha256
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.db.columns import Insert
from heldtrue.db.tx import GroupTx, SystemTx, TenantTx
from heldtrue.http.exchange import MalformedRequestError
from heldtrue.kernel.errors import ConflictError

LIFETIME = timedelta(hours=24)
PURPOSE = "idempotency"


class MalformedIdempotencyKeyError(MalformedRequestError):
    """An `Idempotency-Key` is 1 to 255 visible ASCII characters; a random UUID is a good one."""

    code = "malformed-idempotency-key"


class IdempotencyKeyReusedError(ConflictError):
    """This `Idempotency-Key` was used with another request in the last 24 hours; use a fresh one."""

    code = "idempotency-key-reused"


class ConcurrentTwinError(ConflictError):
    """A request with this `Idempotency-Key` is being worked on now; ask again in a moment for its answer."""

    code = "concurrent-twin"


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """The first answer as it is kept, sealed."""

    status: int
    content: bytes
    headers: dict[str, str]
    subject: str | None


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request that may be sent again, and how to know it."""

    tenant: UUID
    environment: str
    credential: UUID
    route: str
    key_digest: bytes
    body_digest: bytes

    def scope(self) -> bytes:
        """Return the digest of everything that tells this request's key from others."""
        texts = (self.environment.encode(), self.route.encode())
        parts = (self.tenant.bytes, *texts, self.credential.bytes, self.key_digest)
        return sha256(b"".join(len(part).to_bytes(4) + part for part in parts))


@dataclass(frozen=True, slots=True)
class _Row:
    body_digest: bytes
    answer: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class _Named(_Row):
    credential: UUID
    route: str
    key_digest: bytes


@dataclass(frozen=True, slots=True)
class _Lock:
    ours: bool


def digest_key(header: str) -> bytes:
    """Return the digest that an `Idempotency-Key` is kept as; raise `MalformedIdempotencyKeyError`."""
    if not 1 <= len(header) <= 255 or not all("!" <= letter <= "~" for letter in header):
        raise MalformedIdempotencyKeyError
    return sha256(header.encode("ascii"))


def digest_request(target: str, content_type: str, body: bytes) -> bytes:
    """Return what makes two requests the same: their path and query, content type and body."""
    return sha256(b"".join(len(part).to_bytes(8) + part for part in (target.encode(), content_type.encode(), body)))


def begin(tx: TenantTx | SystemTx, keys: TenantKeyring, one: Repeatable, now: datetime) -> Stored | None:
    """Return the first answer to a repeated request, None for a first one, whose key stays locked until *tx* ends.

    Raise `ConcurrentTwinError` while another transaction holds the key, `IdempotencyKeyReusedError` for another body.
    """
    if not tx.value("SELECT pg_try_advisory_xact_lock(%s)", [_lock(one.scope())]):
        raise ConcurrentTwinError
    row = tx.one(
        _Row,
        "SELECT body_digest, answer, created_at FROM heldtrue.idempotency WHERE tenant_id = %s AND environment = %s"
        " AND credential = %s AND route = %s AND key_digest = %s",
        _key(one),
    )
    return _judge(tx, keys, one, now, row)


def _judge(
    tx: TenantTx | SystemTx, keys: TenantKeyring, one: Repeatable, now: datetime, row: _Row | None
) -> Stored | None:
    if row is None:
        return None
    if row.created_at <= now - LIFETIME:
        tx.later(
            "DELETE FROM heldtrue.idempotency WHERE tenant_id = %s AND environment = %s AND credential = %s"
            " AND route = %s AND key_digest = %s",
            _key(one),
        )
        return None
    if row.body_digest != one.body_digest:
        raise IdempotencyKeyReusedError
    opened = keys.open(PURPOSE, "idempotency", "answer", one.scope().hex(), row.answer)
    return msgspec.json.decode(opened, type=Stored)


def _lock(scope: bytes) -> int:
    return int.from_bytes(scope[:8], signed=True)


LOCKS: LiteralString = "SELECT pg_try_advisory_xact_lock(l.lock) AS ours FROM unnest(%b::bigint[]) AS l (lock)"
ANSWERS: LiteralString = """SELECT i.credential, i.route, i.key_digest, i.body_digest, i.answer, i.created_at
    FROM unnest(%b::uuid[], %b::text[], %b::bytea[]) AS k (credential, route, key_digest)
    JOIN heldtrue.idempotency i USING (credential, route, key_digest) WHERE i.tenant_id = %s AND i.environment = %s"""


class Asked:
    """The same for a group: locks and first answers are asked for before any member is worked on."""

    def __init__(self, tx: GroupTx, many: Sequence[Repeatable]) -> None:
        self._tx = tx
        self._many = many
        self._scopes = list(dict.fromkeys(one.scope() for one in many))
        self._ours: set[bytes] = set()
        self._known: dict[tuple[UUID, str, bytes], _Row] = {}

    def questions(self) -> list[tuple[type[Any], LiteralString, Sequence[object]]]:
        """Return what is to be asked: the answers by a statement of their own, which sees what the locks waited for."""
        if not self._many:
            return []
        names = [[one.credential for one in self._many], [one.route for one in self._many]]
        digests = [one.key_digest for one in self._many]
        first = self._many[0]
        return [
            (_Lock, LOCKS, [[_lock(scope) for scope in self._scopes]]),
            (_Named, ANSWERS, [*names, digests, first.tenant, first.environment]),
        ]

    def told(self, locks: Sequence[_Lock], rows: Sequence[_Named]) -> None:
        """Take the answers."""
        self._ours = {scope for scope, lock in zip(self._scopes, locks, strict=True) if lock.ours}
        self._known = {(row.credential, row.route, row.key_digest): row for row in rows}

    def begin(self, keys: TenantKeyring, one: Repeatable, now: datetime) -> Stored | None:
        """Return and raise what the function `begin` does; of twins in one group the first is worked on."""
        if one.scope() not in self._ours:
            raise ConcurrentTwinError
        self._ours.remove(one.scope())
        return _judge(self._tx, keys, one, now, self._known.get((one.credential, one.route, one.key_digest)))


KEPT = Insert(
    """INSERT INTO heldtrue.idempotency (tenant_id, environment, credential, route, key_digest, body_digest, status,
       answer, created_at)
       SELECT * FROM unnest(%b::uuid[], %b::text[], %b::uuid[], %b::text[], %b::bytea[], %b::bytea[], %b::int[],
       %b::bytea[], %b::timestamptz[])""",
    ("uuid", "text", "uuid", "text", "bytea", "bytea", "int", "bytea", "timestamptz"),
)


def keep(tx: TenantTx | SystemTx, keys: TenantKeyring, one: Repeatable, now: datetime, answer: Stored) -> None:
    """Keep the first answer, sealed."""
    sealed = keys.seal(PURPOSE, "idempotency", "answer", one.scope().hex(), msgspec.json.encode(answer))
    tx.insert(
        KEPT,
        [(*_key(one), one.body_digest, answer.status, sealed, now)],
    )


def _key(one: Repeatable) -> list[object]:
    return [one.tenant, one.environment, one.credential, one.route, one.key_digest]

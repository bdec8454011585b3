"""Keys that an upstream shares with the doors in front of it: made, rolled, listed and destroyed by the operator.

While a key is rolled both stamp, so an upstream may learn the new one at any moment of the overlap.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec

from heldtrue.capabilities.edge import upstream_store as store
from heldtrue.capabilities.edge.identity import UpstreamKey
from heldtrue.capabilities.edge.upstream_store import UpstreamKeyRow
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.states import KeyState, advance
from heldtrue.crypto.wrapping import KEY_SIZE
from heldtrue.db.tx import Database, SystemTx
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, PageQuery, listing
from heldtrue.http.route import Realm, Route
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.errors import ConflictError, NotFoundError
from heldtrue.kernel.ids import CryptoKeyId
from heldtrue.kernel.secret import Secret
from heldtrue.op import SystemOperation
from heldtrue.policy.permissions import Permission

LONGEST_OVERLAP = timedelta(days=7)
UpstreamName = Annotated[
    str, msgspec.Meta(pattern="^[a-z0-9-]{1,40}$(?!\\n)", description="Which upstream, as in `edge.upstream_name`.")
]


class UpstreamKeyNotFoundError(NotFoundError):
    """There is no such upstream key; `GET /v1/upstream-keys` lists those there are."""

    code = "upstream-key-not-found"


class UpstreamRollUnderWayError(ConflictError):
    """Two keys of this upstream are accepted already; destroy the older one, or wait until its overlap is over."""

    code = "upstream-roll-under-way"


class MakeUpstreamKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a key of an upstream: its first, or the successor of the one that is active."""

    upstream: UpstreamName
    overlap_seconds: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=int(LONGEST_OVERLAP.total_seconds()), description="For how long the key before still stamps."
        ),
    ] = 86_400


class NamedUpstreamKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name an upstream key."""

    upstream_key_id: str


class ListUpstreamKeys(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a page of the upstream keys."""


class UpstreamKeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream key, without its secret."""

    id: str
    upstream: str
    state: str
    """`active`, `deactivated` (followed by another, still stamps until `accept_until`) or `destroyed`."""
    created_at: datetime
    accept_until: datetime | None


class MadeUpstreamKey(UpstreamKeyRecord, frozen=True, kw_only=True):
    """An upstream key with its secret, which is shown this once."""

    secret: Secret[str] | None
    """`htuk_…`, for `heldtrue_verify.identity`. Null when the request was repeated: then make another."""


def make(op: SystemOperation, asked: MakeUpstreamKey, platform: PlatformKey) -> Answer:
    """Make a key for an upstream; the one before goes on beside it for the overlap."""
    store.lock(op.tx)
    store.destroy_ended(op.tx, op.now)
    before = store.live(op.tx, asked.upstream, op.now)
    if len(before) > 1:
        raise UpstreamRollUnderWayError
    for row in before:
        _retire(op.tx, row, op.now + timedelta(seconds=asked.overlap_seconds), op.now)
    key = UpstreamKey(CryptoKeyId.new(op.now, op.entropy), Secret(op.entropy(KEY_SIZE)))
    wrapped = platform.wrap(key.material.reveal())
    row = UpstreamKeyRow(key.id.value, asked.upstream, KeyState.ACTIVE.value, wrapped, op.now, None)
    store.insert(op.tx, row)
    detail = {"upstream": asked.upstream, "rolled": str(bool(before)).lower()}
    return Answer(body=MadeUpstreamKey(**_fields(row), secret=key.text()), subject=str(key.id), detail=detail)


def list_keys(op: SystemOperation, asked: ListUpstreamKeys) -> Listing[UpstreamKeyRecord]:
    """List the upstream keys, the newest first."""
    rows = store.page(op.tx, asked.after(), asked.limit + 1)
    return listing(rows, asked, lambda row: UpstreamKeyRecord(**_fields(row)), lambda row: row.key_id)


def destroy(op: SystemOperation, asked: NamedUpstreamKey) -> Answer:
    """Destroy an upstream key, at once and for good; nothing is stamped with it any more within seconds."""
    store.lock(op.tx)
    row = store.get(op.tx, CryptoKeyId.parse(asked.upstream_key_id).value)
    if row is None:
        raise UpstreamKeyNotFoundError
    if row.wrapped is not None:
        advance(KeyState(row.state), KeyState.DESTROYED)
        store.destroy(op.tx, row.key_id)
    gone = replace(row, state=KeyState.DESTROYED.value, wrapped=None)
    detail = {"upstream": row.upstream}
    return Answer(body=UpstreamKeyRecord(**_fields(gone)), subject=str(CryptoKeyId(row.key_id)), detail=detail)


def load(tx: SystemTx, platform: PlatformKey, upstream: str, now: datetime) -> tuple[UpstreamKey, ...]:
    """Return the keys that identities for *upstream* are stamped with at *now*, the active one first."""
    return tuple(
        UpstreamKey(CryptoKeyId(row.key_id), Secret(platform.unwrap(row.wrapped)))
        for row in store.live(tx, upstream, now)
        if row.wrapped is not None
    )


class StampKeys:
    """The keys of one upstream as a door's process knows them; `refresh` looks again."""

    def __init__(self, database: Database, platform: PlatformKey, upstream: str, clock: Clock) -> None:
        self._load: Callable[[], tuple[UpstreamKey, ...]] = lambda: self._read(database, platform, upstream, clock)
        self._lock = threading.Lock()
        self._keys: Sequence[UpstreamKey] = ()

    def __call__(self) -> Sequence[UpstreamKey]:
        """Return the keys as last seen."""
        return self._keys

    def refresh(self) -> None:
        """Read the keys anew; raise where the database is away, and keep those known."""
        with self._lock:
            self._keys = self._load()

    @staticmethod
    def _read(database: Database, platform: PlatformKey, upstream: str, clock: Clock) -> tuple[UpstreamKey, ...]:
        with database.system() as tx:
            return load(tx, platform, upstream, clock.now())


def routes(platform: PlatformKey) -> list[Route]:
    """Return the operator's routes of upstream keys."""

    def make_key(op: SystemOperation, asked: MakeUpstreamKey) -> Answer:
        return make(op, asked, platform)

    return [
        Route(
            at="POST /v1/upstream-keys",
            action=make_key,
            summary="Make or roll the key of an upstream; its secret is shown once",
            takes=MakeUpstreamKey,
            gives=MadeUpstreamKey,
            needs=Permission.UPSTREAM_KEY_MANAGE,
            audits="upstream.key.made",
            realm=Realm.OPERATOR,
            status=201,
            creates=True,
            bears_secret=True,
        ),
        Route(
            at="GET /v1/upstream-keys",
            action=list_keys,
            summary="List the upstream keys",
            takes=ListUpstreamKeys,
            gives=Listing[UpstreamKeyRecord],
            needs=Permission.UPSTREAM_KEY_MANAGE,
            audits="upstream.key.listed",
            realm=Realm.OPERATOR,
        ),
        Route(
            at="DELETE /v1/upstream-keys/{upstream_key_id}",
            action=destroy,
            summary="Destroy an upstream key",
            takes=NamedUpstreamKey,
            gives=UpstreamKeyRecord,
            needs=Permission.UPSTREAM_KEY_MANAGE,
            audits="upstream.key.destroyed",
            realm=Realm.OPERATOR,
        ),
    ]


def _retire(tx: SystemTx, row: UpstreamKeyRow, until: datetime, now: datetime) -> None:
    advance(KeyState(row.state), KeyState.DEACTIVATED)
    store.deactivate(tx, row.key_id, until)
    if until <= now:
        store.destroy(tx, row.key_id)


def _fields(row: UpstreamKeyRow) -> dict[str, Any]:
    return {
        "id": str(CryptoKeyId(row.key_id)),
        "upstream": row.upstream,
        "state": row.state,
        "created_at": row.created_at,
        "accept_until": row.accept_until,
    }

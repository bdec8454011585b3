"""Where the log's witnesses stand, for everybody: `/log/witnesses`, and the newest checkpoint that each cosigned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from heldtrue.capabilities.ledger import cosignatures, generations, model, store
from heldtrue.capabilities.ledger.cosignatures import StandingRow
from heldtrue.capabilities.ledger.witness import Witness
from heldtrue.db.tx import Database, SystemTx
from heldtrue.http.exchange import Page
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.errors import NotFoundError

LATE = timedelta(minutes=5)
"""A witness whose newest cosignature is older lags; readers refuse what is older than ten minutes."""


class NothingCosignedError(NotFoundError):
    """No witness of this key id has cosigned this log; `/log/witnesses` lists those that do."""

    code = "nothing-cosigned"


class WitnessPath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A witness, by the eight hexadecimal digits in its verifier key."""

    witness: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}$(?!\\n)")]


class WitnessView(msgspec.Struct, frozen=True, kw_only=True):
    """A witness that is asked to cosign every checkpoint, and how far it has come."""

    name: str
    vkey: str
    """To be pinned; take it from the witness itself, not from here."""
    size: int | None
    """Entries under its newest cosignature; null before the first."""
    cosigned_at: str | None
    """When, by the witness's own clock."""
    behind: int
    """Entries under the log's newest checkpoint that it has not cosigned yet."""
    age_s: int | None
    """Seconds since its newest cosignature."""
    late: bool
    """Whether that is longer ago than it should be."""
    trouble: str
    """What is wrong with its latest answer; empty when nothing is."""
    checkpoint: str
    """Where the newest checkpoint that it cosigned is served."""


class WitnessList(msgspec.Struct, frozen=True, kw_only=True):
    """The witnesses of the log."""

    origin: str
    size: int
    """Entries under the log's newest checkpoint."""
    late_after_s: int
    witnesses: list[WitnessView]


def views(tx: SystemTx, watched: Sequence[Witness], now: datetime) -> WitnessList:
    """Return where each configured witness stands."""
    origin = generations.current(tx)
    newest = store.newest_checkpoints(tx, origin.generation, 1)
    size = newest[0].size if newest else 0
    rows = cosignatures.standings(tx, origin.generation)
    return WitnessList(
        origin=origin.origin,
        size=size,
        late_after_s=int(LATE.total_seconds()),
        witnesses=[_view(each, rows.get(each.vkey), size, now) for each in watched],
    )


def routes(database: Database, clock: Clock, watched: Sequence[Witness]) -> list[Route]:
    """Return the routes of the witnesses."""

    def show_witnesses() -> WitnessList:
        with database.system() as tx:
            return views(tx, watched, clock.now())

    def show_cosigned(asked: WitnessPath) -> Page:
        with database.system() as tx:
            for row in cosignatures.standings(tx, generations.current(tx).generation).values():
                if f"+{asked.witness}+" in row.vkey and (note := cosignatures.newest_note(tx, row)) is not None:
                    return Page(content=note.encode(), content_type="text/plain; charset=utf-8")
        raise NothingCosignedError

    return [
        Route(
            at="GET /log/witnesses", action=show_witnesses, gives=WitnessList, realm=Realm.PUBLIC,
            cache=CacheClass.PAGE, summary="Who cosigns the log, and how far each has come.", tags=("log",),
        ),
        Route(
            at="GET /log/witnesses/{witness}", action=show_cosigned, takes=WitnessPath, realm=Realm.PUBLIC,
            cache=CacheClass.PAGE, produces="text/plain; charset=utf-8",
            summary="The newest checkpoint that a witness cosigned (C2SP tlog-checkpoint, tlog-cosignature).",
            tags=("log",),
        ),
    ]  # fmt: skip


def _view(watched: Witness, row: StandingRow | None, size: int, now: datetime) -> WitnessView:
    at = row.cosigned_at if row else None
    age = None if at is None else max(timedelta(), now - at)
    return WitnessView(
        name=watched.key.name,
        vkey=watched.vkey,
        size=row.size if row else None,
        cosigned_at=None if at is None else model.instant(at),
        behind=size - ((row.size if row else None) or 0),
        age_s=None if age is None else int(age.total_seconds()),
        late=age is None or age > LATE,
        trouble=row.trouble if row else "it was not asked yet",
        checkpoint=f"/log/witnesses/{watched.key.id.hex()}",
    )

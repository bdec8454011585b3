"""What is asked and told of replays of many deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.errors import NotFoundError

ReplayOf = Literal["failed", "held", "delivered"]


class NoSuchReplayError(NotFoundError):
    """There is no such replay in this organisation and environment; check the id."""

    code = "no-such-replay"


class ReplayMany(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks to send many deliveries again; first, by default, only how many that would be."""

    dry_run: bool = True
    state: ReplayOf = "failed"
    endpoint_id: str | None = None
    payload_id: str | None = None
    event_type: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    """Before this moment; never later than the request itself."""


class ReplayView(msgspec.Struct, frozen=True, kw_only=True):
    """A replay and how far it is."""

    id: str | None
    """None for a dry run: nothing was begun."""
    dry_run: bool
    matched: int
    """Deliveries that it is about, as counted when it was asked for."""
    done: int
    """Deliveries that are on their way again."""
    skipped: int
    """Deliveries that are not: their endpoint is disabled or deleted, or they are being attempted at this moment."""
    state: ReplayOf
    endpoint_id: str | None
    payload_id: str | None
    event_type: str | None
    created_from: datetime | None
    created_to: datetime
    created_at: datetime
    finished_at: datetime | None


class TheReplay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a replay."""

    replay_id: str


class ListReplays(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for replays, newest first."""

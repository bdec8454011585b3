"""Registers that are lists and nothing more: what is kept how long, whom to reach, where things run. Pure."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec

from heldtrue.capabilities.registers.fields import Country, Host, Line, Link, Mail


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long one kind of data is kept, why, and how it is destroyed."""

    data: Line
    kept_days: Annotated[int, msgspec.Meta(ge=0, le=36500)]
    """Days; 0: not kept at all."""
    begins: Line
    """The event from which the days count: one event, as `the payload is accepted`."""
    reason: Line
    destroyed_by: Line
    """How: `the key is destroyed`, `rows are deleted`."""
    backups_days: Annotated[int, msgspec.Meta(ge=0, le=3650)]
    """Days after which it is gone from backups too."""
    owner: Line
    review_by: date


class Contact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whom to reach about what; readable without a script."""

    about: Line
    role: Line
    mail: Mail
    phone: Annotated[str, msgspec.Meta(pattern=r"^\+[0-9 ()-]{6,30}$")] | None = None
    link: Link | None = None
    hours: Line | None = None


class Location(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the operator itself processes data, and which hosts are its own."""

    name: Line
    country: Country
    purpose: Line
    operated_by: Line
    hosts: Annotated[list[Host], msgspec.Meta(max_length=200)] = []
    """Hosts that this instance calls there, which are the operator's own and no sub-processor's."""

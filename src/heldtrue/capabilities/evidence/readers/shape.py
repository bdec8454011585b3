"""From parsed JSON to a struct, or a refusal that names the place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from heldtrue.capabilities.evidence.model import MOST_FINDINGS, Found, UnreadableEvidenceError

T = TypeVar("T")


def shaped(value: object, kind: type[T], name: str) -> T:
    """Return *value* as a *kind*; raise `UnreadableEvidenceError` naming what does not fit."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise UnreadableEvidenceError(f"This is no {name}: {error}") from error


def bounded(found: list[Found]) -> tuple[Found, ...]:
    """Return *found*, each once; raise `UnreadableEvidenceError` for more than are taken."""
    once = tuple(dict.fromkeys(found))
    if len(once) > MOST_FINDINGS:
        raise UnreadableEvidenceError(f"{len(once)} findings are more than the {MOST_FINDINGS} that are taken at once.")
    return once


def moment(text: str | None) -> datetime | None:
    """Return an RFC 3339 time in UTC; None where there is none; raise `UnreadableEvidenceError` for another text."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise UnreadableEvidenceError(f"{text[:40]!r} is no time of RFC 3339.") from error
    if at.tzinfo is None:
        raise UnreadableEvidenceError(f"{text[:40]!r} has no time zone.")
    return at.astimezone(UTC)

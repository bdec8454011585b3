"""Documents behind attested claims, as the log has them: dated when they were filed, in force, and not withdrawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from heldtrue_verify.canonical import JsonObject, instant_in, text_in
from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError

ZONES = timedelta(hours=14)
"""A date may be that of the operator's own zone, which is at most so far ahead of UTC."""


@dataclass(frozen=True, slots=True)
class Paper:
    """One `attestation` entry: what a claim is said to rest on from then on."""

    claim: str
    index: int
    title: str
    sha256: str
    dated: date
    expires: date
    at: datetime
    withdrawn: bool

    @classmethod
    def read(cls, index: int, entry: JsonObject) -> Paper:
        """Read an `attestation` entry; refuse a date that had not come when it was logged."""
        dated, expires = (_day(entry, name) for name in ("dated", "expires"))
        claim, title, sha256 = (text_in(entry, name) for name in ("claim", "title", "sha256"))
        withdrawn, at = entry.get("withdrawn") is True, instant_in(entry, "at")
        paper = cls(claim, index, title, sha256, dated, expires, at, withdrawn)
        if paper.postdated(at):
            raise DoesNotHoldError(
                f"the document of {claim} is dated {dated}, and was logged on {at.date()}: it is postdated."
            )
        return paper

    def in_force(self, at: datetime) -> str:
        """Say why the document does not count at *at*; empty where it does."""
        if self.withdrawn:
            return "its document was withdrawn"
        if at >= datetime.combine(self.expires, time(), UTC):
            return f"its document expired on {self.expires}"
        return ""

    def postdated(self, at: datetime) -> bool:
        """Tell whether it is dated later than *at*, when it was in the log already."""
        return self.dated > (at + ZONES).astimezone(UTC).date()


def _day(entry: JsonObject, name: str) -> date:
    text = text_in(entry, name)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise MalformedError(f'The member "{name}" is not a date: {text}.') from error

"""Settings of disclosure: `[disclosure]`. Who the company is stands in `[company]`."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from heldtrue.kernel.errors import SettingsError

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class Disclosure(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How reports of vulnerabilities are taken."""

    calendar: str | None = None
    """A part of the company's country with holidays of its own, as `GB-ENG` or `DE-BY`; the country when not set."""
    languages: tuple[str, ...] = ("en",)
    """Languages that reports are read in, the preferred one first (RFC 5646)."""
    scope_in: tuple[Line, ...] = ()
    """What may be looked at; this instance when nothing is named."""
    scope_out: tuple[Line, ...] = ()
    """What must be left alone."""
    hiring: str | None = None
    """A URL of security positions that are open."""

    def __post_init__(self) -> None:
        if self.calendar is not None and not re.fullmatch(r"[A-Z]{2}-[A-Z0-9]{1,3}", self.calendar):
            raise SettingsError(
                f"disclosure.calendar = {self.calendar!r} is no part of a country", advice='Write it as "GB-ENG".'
            )
        for language in self.languages:
            if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", language):
                raise SettingsError(
                    f"disclosure.languages: {language[:40]!r} is no language", advice='Write ["en", "de"].'
                )
        if not self.languages:
            raise SettingsError("disclosure.languages is empty", advice='Write ["en"].')
        if self.hiring is not None and not self.hiring.startswith("https://"):
            raise SettingsError(f"disclosure.hiring = {self.hiring[:80]!r} is no https URL", advice="Write https://….")

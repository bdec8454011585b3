"""Settings of the company: `[company]`."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from heldtrue.capabilities.registers.company import UNNAMED, Company
from heldtrue.kernel.errors import SettingsError

_MAIL = re.compile(r"[^@\s<>\"]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_MAILS = ("security_mail", "privacy_mail", "legal_mail", "support_mail")


class CompanySettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Who runs this instance, as its pages and documents say it."""

    name: str = UNNAMED
    legal_name: str | None = None
    """The name in the commercial register; `name` when not set."""
    address: str = ""
    country: str = "US"
    timezone: str = "UTC"
    website: str = ""
    security_mail: str = ""
    privacy_mail: str = ""
    legal_mail: str = ""
    support_mail: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise SettingsError("company.name is empty", advice="Write the company's name, or leave it out.")
        if not re.fullmatch(r"[A-Z]{2}", self.country):
            raise SettingsError(
                f"company.country = {self.country!r} is no country code", advice='Write two letters, as "DE" or "US".'
            )
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise SettingsError(
                f"company.timezone = {self.timezone!r} is no time zone", advice='Write it as "Europe/Berlin".'
            ) from error
        if self.website and not self.website.startswith("https://"):
            raise SettingsError(f"company.website = {self.website!r} is not an https URL", advice="Write https://….")
        for name in _MAILS:
            value = getattr(self, name)
            if value and not _MAIL.fullmatch(value):
                raise SettingsError(
                    f"company.{name} = {value!r} is no mail address", advice='Write it as "security@example.com".'
                )


def company(settings: CompanySettings) -> Company:
    """Return the company of *settings*."""
    return Company(
        name=settings.name, legal_name=settings.legal_name or settings.name, address=settings.address,
        country=settings.country, timezone=settings.timezone, website=settings.website,
        security_mail=settings.security_mail, privacy_mail=settings.privacy_mail, legal_mail=settings.legal_mail,
        support_mail=settings.support_mail,
    )  # fmt: skip

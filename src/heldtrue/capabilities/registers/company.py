"""Who runs this instance: what pages, mail and documents say of the company."""

from __future__ import annotations

from dataclasses import dataclass

UNNAMED = "Your company (set [company] in the settings)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """The company that makes the promises."""

    name: str = UNNAMED
    legal_name: str = UNNAMED
    address: str = ""
    country: str = "US"
    """ISO 3166-1 alpha-2; its public holidays are no business days."""
    timezone: str = "UTC"
    """A name of the time zone database."""
    website: str = ""
    security_mail: str = ""
    privacy_mail: str = ""
    legal_mail: str = ""
    support_mail: str = ""

    @property
    def named(self) -> bool:
        """Whether the operator has said who it is."""
        return self.name != UNNAMED

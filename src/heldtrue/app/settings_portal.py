"""Settings of the customers' page."""

from __future__ import annotations

import re

import msgspec

from heldtrue.kernel.errors import SettingsError

_ORIGIN = re.compile(
    r"https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?|http://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?"
)


class Portal(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Who may show the customers' page inside a page of their own."""

    embed_origins: tuple[str, ...] = ()
    """Web origins, as `https://app.example.com`; without an entry no page may frame it."""

    def __post_init__(self) -> None:
        for origin in self.embed_origins:
            if not _ORIGIN.fullmatch(origin):
                raise SettingsError(
                    f"portal.embed_origins: {origin[:80]!r} is not a web origin",
                    advice='Write scheme and host, and nothing behind them: "https://app.example.com".',
                )

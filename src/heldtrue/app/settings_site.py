"""Settings of the public pages: `[site]`."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import msgspec

from heldtrue.kernel.errors import SettingsError
from heldtrue.trust.site import Theme
from heldtrue.trust.theme import logo_of, theme

_URL = re.compile(r"https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?/?")


class SiteSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How the trust centre looks, and where readers find it; its name is `company.name`."""

    logo: str | None = None
    """A PNG, WebP or plain SVG file of at most 100 KiB; shown 28 pixels high."""
    accent: str | None = None
    """A colour as `#0b6b50`; made darker or lighter where it could not be read."""
    url: str | None = None
    """The pages' own address, as `https://trust.example.com`, when it is not `base_url`."""

    def __post_init__(self) -> None:
        if self.accent is not None:
            theme(self.accent, None)
        if self.url is not None and not _URL.fullmatch(self.url):
            raise SettingsError(
                f"site.url = {self.url!r} is not an https address without a path",
                advice='Write it as "https://trust.example.com".',
            )


@functools.lru_cache(maxsize=8)
def theme_of(settings: SiteSettings) -> Theme:
    """Return the look of *settings*; the logo is read once a process, before it gives up what it may read."""
    if settings.logo is None:
        return theme(settings.accent, None)
    path = Path(settings.logo).expanduser()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"site.logo = {settings.logo!r} cannot be read: {error.strerror}", advice="Check the path and its rights."
        ) from error
    return theme(settings.accent, logo_of(content, settings.logo))

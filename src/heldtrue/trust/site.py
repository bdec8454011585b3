"""Who publishes the pages and how they look: what every page is rendered with."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """The company's own look: a logo and an accent, each optional."""

    logo: tuple[bytes, str] | None = None
    """Content and media type; served at `/assets/logo`."""
    css: str = ""
    """Appended to the style sheet; made by `heldtrue.trust.theme` from the accent colour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything that a page says of its publisher."""

    name: str
    """The company's name, as readers know it."""
    origin: str
    """The name of the log."""
    url: str
    """Where readers find the pages, without a trailing slash: the company's own domain, or the instance's address."""
    theme: Theme = field(default_factory=Theme)

    @property
    def local(self) -> bool:
        """Whether the certificate is of the instance's own authority, so that a verifier must be told of it."""
        return "//localhost" in self.url or "//127.0.0.1" in self.url

"""The section `[scan]`: whether bodies are shown to a virus scanner before they are accepted."""

from __future__ import annotations

import msgspec

from heldtrue.capabilities.intake.scanning import Place, Scanner, WhenAway


class Scan(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Virus scanning by a clamd on this machine."""

    clamd: str | None = None
    """`unix:/path/to/clamd.ctl` or `tcp:127.0.0.1:3310`; without it nothing is scanned."""
    when_away: WhenAway = "refuse"
    """`refuse`: without a verdict nothing is accepted; `flag`: it is accepted, and marked as not scanned."""

    def __post_init__(self) -> None:
        if self.clamd is not None:
            Place.parse(self.clamd)


def scanner(scan: Scan) -> Scanner | None:
    """Return the configured scanner, or None where there is none."""
    return None if scan.clamd is None else Scanner(place=Place.parse(scan.clamd), when_away=scan.when_away)

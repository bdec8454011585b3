"""Settings of evidence from outside: `[evidence]`. What the gate lets through is a register, `gate`."""

from __future__ import annotations

import msgspec


class EvidenceSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What evidence is matched against."""

    advisories: str | None = None
    """A JSON file, or a directory of them, of advisories in OSV format that the service user may read; the newest bill
    of materials is matched against them each hour. Keeping them new is the operator's."""

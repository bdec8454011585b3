"""Threat models as data: what could go wrong in each capability, and the claims that answer it. Pure.

The model that ships is of this product, dated; the operator adds its own threats, or says more of one by recording an
item of the same name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum
from importlib.resources import files
from types import MappingProxyType
from typing import Annotated, Any

import msgspec

from heldtrue.capabilities.registers.fields import Line
from heldtrue.capabilities.registers.model import Change, Entry
from heldtrue.kernel.errors import BadInputError

_ClaimName = Annotated[str, msgspec.Meta(pattern=r"^[a-z]+\.[a-z_]+$")]


class ThreatRefusedError(BadInputError):
    """The threat cannot be recorded as it is; the message says what is missing."""

    code = "threat-refused"


class Class(StrEnum):
    """What a threat does, by the STRIDE mnemonic."""

    SPOOFING = "spoofing"
    TAMPERING = "tampering"
    REPUDIATION = "repudiation"
    DISCLOSURE = "information-disclosure"
    DENIAL = "denial-of-service"
    ELEVATION = "elevation-of-privilege"


class Threat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that could go wrong, and what answers it; a threat that no claim answers cannot be recorded."""

    capability: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z-]{0,39}$")]
    asset: Line
    actor: Line
    kind: Class
    threat: Line
    answer: Line
    """The mechanism that stands against it."""
    claims: Annotated[list[_ClaimName], msgspec.Meta(min_length=1, max_length=20)]
    """The published claims that would fail if it came true."""
    residual: Line
    """What is left, said plainly."""
    dated: date
    """When somebody last thought it through."""
    review_by: date


def judge(change: Change[Threat]) -> None:
    """Return when a threat's dates make sense; raise `ThreatRefusedError` otherwise."""
    found = change.document
    if found is None:
        return
    if found.dated > change.now.date():
        raise ThreatRefusedError("dated lies ahead: nobody has thought it through yet.")
    if found.review_by <= found.dated:
        raise ThreatRefusedError("review_by must be after dated.")


def model(recorded: Iterable[Entry[Threat]]) -> dict[str, Threat]:
    """Return every threat by name: what ships, and over it what the operator recorded."""
    return {**STARTERS, **{entry.item: entry.document for entry in recorded}}


def faults(threats: Mapping[str, Threat], claims: frozenset[str], now: datetime) -> list[str]:
    """Return what is wrong with a threat model at *now*, one sentence each; *claims*: every id of the catalogue."""
    found: list[str] = []
    for name, threat in sorted(threats.items()):
        unknown = sorted(set(threat.claims) - claims)
        if unknown or not threat.claims:
            found.append(f"The threat {name} is answered by no claim of the catalogue.")
        if now.date() > threat.review_by:
            found.append(f"The threat {name} was to be thought through again by {threat.review_by}.")
    return found


def _shipped() -> dict[str, Threat]:
    written = files(__package__ or "heldtrue.capabilities.registers").joinpath("threats.toml").read_text("utf-8")
    raw: dict[str, Any] = tomllib.loads(written)
    common = raw.pop("model")
    return {
        f"{capability}.{name}": msgspec.convert({"capability": capability, **common, **threat}, Threat)
        for capability, threats in raw.items()
        for name, threat in threats.items()
    }


STARTERS: Mapping[str, Threat] = MappingProxyType(_shipped())
"""The threat model of this product, by name."""

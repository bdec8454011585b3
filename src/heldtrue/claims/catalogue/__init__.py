"""The sentences that are published, as data: one file a group, read and checked when the process starts.

Every row of the index has at least one claim. What is built and what is not are separate claims, so that neither hides
the other; a claim without attacks and without a document is only promised, and the page says so.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.resources import files
from types import MappingProxyType

import msgspec

from heldtrue.claims.model import Claim, Document, EvidenceClass
from heldtrue.kernel.errors import SettingsError

ROWS: tuple[str, ...] = tuple(
    f"{letter}{number}"
    for letter, count in (
        ("A", 8),
        ("B", 9),
        ("C", 4),
        ("D", 10),
        ("E", 2),
        ("F", 5),
        ("G", 2),
        ("H", 3),
        ("J", 4),
        ("K", 21),
    )
    for number in range(1, count + 1)
)
"""The rows of the index, in order."""

NOT_HERE = "It speaks of a part that this instance does not have."
_SPAN = re.compile(r"([1-9][0-9]*)([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_ID = re.compile(r"[a-z]+\.[a-z][a-z0-9_]*")


class CatalogueError(SettingsError):
    """The catalogue of claims contradicts itself; the message names the claim."""

    code = "catalogue"


class _Claim(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    sentence: str
    scope: str
    rows: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()
    cadence: str = ""
    max_age: str = ""
    evidence: EvidenceClass | None = None
    frameworks: tuple[str, ...] = ()


class _Group(msgspec.Struct, forbid_unknown_fields=True):
    group: str
    about: str
    claim: list[_Claim]
    evidence: EvidenceClass = EvidenceClass.MACHINE


@dataclass(frozen=True, slots=True)
class More:
    """What is said of a claim beside its sentence."""

    controls: tuple[str, ...] = ()
    promised: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A heading of the page and what stands under it."""

    name: str
    about: str
    own: bool = False
    """The operator's own, beside those that ship."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All claims, in the order of the page."""

    groups: tuple[Group, ...]
    claims: tuple[Claim, ...]

    def get(self, claim_id: str) -> Claim | None:
        """Return the claim of that id, or None."""
        return next((claim for claim in self.claims if claim.id == claim_id), None)

    def with_documents(self, documents: Mapping[str, Document]) -> Catalogue:
        """Return the catalogue with attested claims resting on *documents*, by claim id."""
        return replace(
            self, claims=tuple(replace(c, document=documents[c.id]) if c.id in documents else c for c in self.claims)
        )

    def without(self, claim_ids: Iterable[str]) -> Catalogue:
        """Return the catalogue with these claims only promised: they do not apply to this instance."""
        off = frozenset(claim_ids)
        return replace(
            self,
            claims=tuple(
                replace(c, attacks=(), cadence=timedelta(), max_age=timedelta(), promised=NOT_HERE)
                if c.id in off
                else c
                for c in self.claims
            ),
        )


def span(text: str) -> timedelta:
    """Return the length of time written as `10m`, `8h` or `7d`."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise CatalogueError(f"{text!r} is not a length of time: write minutes, hours or days, as 10m, 8h or 7d")
    return int(match[1]) * _UNITS[match[2]]


def load(texts: Iterable[str], more: Mapping[str, More] = MappingProxyType({})) -> Catalogue:
    """Return the catalogue written in *texts*, a TOML document a group; raise `CatalogueError` when it is unsound.

    *more*: by claim, control identifiers beside those of the texts, and why a claim is only promised.
    """
    found = [read(text) for text in texts]
    claims = [_add(claim, more.get(claim.id)) for _, read_claims in found for claim in read_claims]
    unknown = more.keys() - {claim.id for claim in claims}
    if unknown:
        raise CatalogueError(f"{', '.join(sorted(unknown))}: identifiers or reasons of claims that there are not")
    _check(claims)
    return Catalogue(tuple(group for group, _ in found), tuple(claims))


def read(text: str) -> tuple[Group, list[Claim]]:
    """Return the group and claims of one TOML document; each claim is sound, whatever the others are."""
    try:
        group = msgspec.convert(tomllib.loads(text), _Group)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CatalogueError(f"the catalogue cannot be read: {error}") from error
    claims = [_claim(group, raw) for raw in group.claim]
    _check_ids(claims)
    return Group(group.group, group.about), claims


def _add(claim: Claim, more: More | None) -> Claim:
    if more is None:
        return claim
    frameworks = tuple(dict.fromkeys((*claim.frameworks, *more.controls)))
    return replace(claim, frameworks=frameworks, promised="" if claim.attacks else more.promised)


def _claim(group: _Group, raw: _Claim) -> Claim:
    attacked = bool(raw.attacks)
    if attacked != bool(raw.cadence) or attacked != bool(raw.max_age):
        raise CatalogueError(f"claim {raw.id}: attacks, cadence and max_age come together or not at all")
    cadence, max_age = (span(raw.cadence), span(raw.max_age)) if attacked else (timedelta(), timedelta())
    if attacked and max_age < 2 * cadence:
        raise CatalogueError(f"claim {raw.id}: a maximum age under twice the cadence is stale by its own schedule")
    return Claim(
        id=raw.id,
        rows=raw.rows,
        group=group.group,
        sentence=raw.sentence,
        scope=raw.scope,
        attacks=raw.attacks,
        cadence=cadence,
        max_age=max_age,
        evidence=raw.evidence or group.evidence,
        frameworks=raw.frameworks,
    )


def _check_ids(claims: list[Claim]) -> None:
    seen: set[str] = set()
    for claim in claims:
        if not _ID.fullmatch(claim.id) or claim.id in seen:
            raise CatalogueError(f"claim {claim.id!r}: ids are unique, as `group.what`")
        seen.add(claim.id)
        if not claim.sentence.endswith(".") or not claim.scope.endswith("."):
            raise CatalogueError(f"claim {claim.id}: sentence and scope are whole sentences")


def _check(claims: list[Claim]) -> None:
    _check_ids(claims)
    for claim in claims:
        if not claim.rows or not set(claim.rows) <= set(ROWS):
            raise CatalogueError(f"claim {claim.id}: rows {claim.rows} are not rows of the index")
    missing = set(ROWS) - {row for claim in claims for row in claim.rows}
    if missing:
        raise CatalogueError(f"no claim answers {', '.join(sorted(missing))}")


def _texts() -> list[str]:
    here = files(__name__)
    return [
        item.read_text("utf-8")
        for item in sorted(here.iterdir(), key=lambda i: i.name)
        if item.name.endswith(".toml") and "_" in item.name
    ]


def _more() -> dict[str, More]:
    """Return what stands beside the groups: identifiers by claim, and reasons of what is only promised."""
    here = files(__name__)
    controls = msgspec.convert(tomllib.loads(here.joinpath("controls.toml").read_text("utf-8")), dict[str, list[str]])
    reasons = msgspec.convert(tomllib.loads(here.joinpath("promised.toml").read_text("utf-8")), dict[str, str])
    return {
        claim: More(tuple(controls.get(claim, ())), reasons.get(claim, ""))
        for claim in dict.fromkeys((*controls, *reasons))
    }


CATALOGUE = load(_texts(), _more())
"""The catalogue that ships."""

BY_ID = MappingProxyType({claim.id: claim for claim in CATALOGUE.claims})

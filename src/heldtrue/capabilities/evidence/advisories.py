"""Components matched against published advisories in OSV format (schema 1.7), from a local file or directory. Pure.

A version that cannot be compared counts as affected: what is not known to be safe is looked at by somebody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec

from heldtrue.capabilities.disclosure.scoring import NoVectorError, Severity, score
from heldtrue.capabilities.evidence.model import Found, Kind, Reading, counted, severity_named
from heldtrue.capabilities.evidence.readers.cyclonedx import Component
from heldtrue.capabilities.evidence.readers.shape import bounded, shaped
from heldtrue.crypto.canonical import parse_strict

ECOSYSTEMS = {"pypi": "PyPI", "npm": "npm", "golang": "Go", "maven": "Maven", "cargo": "crates.io", "gem": "RubyGems",
              "nuget": "NuGet", "deb": "Debian"}  # fmt: skip
"""Types of package URL to ecosystems of OSV."""
_PURL = re.compile(r"pkg:(?P<type>[a-z.+-]+)/(?P<name>[^@?#]+)(@(?P<version>[^?#]+))?")
_EARLY = re.compile(r"-[0-9A-Za-z.-]+|[._]?(alpha|beta|a|b|c|rc|pre|dev)[0-9]+([.+-].*)?")
"""What marks a version before its release (semantic versioning, section 9; PEP 440)."""
_NUMBERS = re.compile(r"v?(?P<release>[0-9]+(\.[0-9]+)*)(?P<rest>.*)")


class _Package(msgspec.Struct):
    ecosystem: str
    name: str


class _Range(msgspec.Struct):
    type: str
    events: list[dict[str, str]]


class _Affected(msgspec.Struct):
    package: _Package | None = None
    ranges: list[_Range] = []
    versions: list[str] = []


class _Score(msgspec.Struct):
    type: str
    score: str


class Osv(msgspec.Struct):
    """An advisory, as far as matching needs it."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    modified: str = ""
    withdrawn: str | None = None
    summary: str = ""
    aliases: list[str] = []
    severity: list[_Score] = []
    affected: list[_Affected] = []
    database_specific: dict[str, Any] = {}


def load(path: Path) -> list[Osv]:
    """Return the advisories of a JSON file (one, or a list) or of every `*.json` in a directory."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    found: list[Osv] = []
    for file in files:
        value = parse_strict(file.read_bytes())
        listed = value if isinstance(value, list) else [value]
        found += shaped(listed, list[Osv], f"list of OSV advisories ({file.name})")
    return found


def match(components: Sequence[Component], advisories: Iterable[Osv], excused: frozenset[str]) -> Reading:
    """Return which *components* the *advisories* affect; those that are withdrawn or *excused* affect nothing."""
    by_package: dict[tuple[str, str], list[tuple[Component, str]]] = {}
    for one in components:
        parsed = _PURL.match(one.purl)
        if parsed is not None:
            name = unquote(parsed["name"]).lower().replace("_", "-")
            version = unquote(parsed["version"] or one.version)
            by_package.setdefault((ECOSYSTEMS.get(parsed["type"], parsed["type"]), name), []).append((one, version))
    found: list[Found] = []
    live = 0
    for advisory in advisories:
        if advisory.withdrawn is not None or {advisory.id, *advisory.aliases} & excused:
            continue
        live += 1
        for affected in advisory.affected:
            if affected.package is None:
                continue
            key = (affected.package.ecosystem.split(":")[0], affected.package.name.lower().replace("_", "-"))
            found += [
                Found(advisory.id, _severity(advisory), (advisory.summary or advisory.id)[:300], component.purl[:500])
                for component, version in by_package.get(key, [])
                if affects(affected.versions, [(one.type, one.events) for one in affected.ranges], version)
            ]
    once = bounded(found)
    summary: dict[str, int | str] = {"components": len(components), "advisories": live, **counted(once)}
    return Reading(Kind.ADVISORIES, summary, once)


def affects(versions: Sequence[str], ranges: Sequence[tuple[str, Sequence[dict[str, str]]]], version: str) -> bool:
    """Return whether *version* is listed or lies in a range (OSV, evaluation); one that cannot be compared does."""
    if version in versions:
        return True
    judged = [one for one in ranges if one[0] in {"SEMVER", "ECOSYSTEM"}]
    if not judged:
        return not versions
    return any(_within(events, version) for _, events in judged)


def _within(events: Sequence[dict[str, str]], version: str) -> bool:
    at = _key(version)
    inside = False
    for event in events:
        for name, text in event.items():
            edge = _key("0" if text == "0" else text)
            if at is None or edge is None:
                return True
            if at == edge and at[1] < 0 and version != text:
                return True  # two pre-releases of one release: which is the later cannot be told here
            if name == "introduced" and at >= edge:
                inside = True
            elif (name == "fixed" and at >= edge) or (name == "last_affected" and at > edge):
                inside = False
    return inside


def _key(version: str) -> tuple[tuple[int, ...], int] | None:
    """Return what *version* sorts by: its numbers, and pre-releases before the release; None for other forms."""
    found = _NUMBERS.fullmatch(version.strip())
    if found is None:
        return None
    rest = found["rest"]
    numbers = tuple(int(part) for part in found["release"].split("."))
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers = numbers[:-1]
    if not rest or rest.startswith("+"):
        return numbers, 0
    if re.match(r"\.?post[0-9]", rest):
        return numbers, 1
    return (numbers, -1) if _EARLY.fullmatch(rest) else None


def _severity(one: Osv) -> Severity:
    for found in one.severity:
        try:
            return score(found.score).severity
        except NoVectorError:
            continue
    return severity_named(one.database_specific.get("severity", "critical"))

"""Values of parameters: a's, b's, and ones that name nothing; and routes filled in with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any, cast
from urllib.parse import quote

from heldtrue.capabilities.probe.file import ProbeFile
from heldtrue.capabilities.probe.inventory import ApiRoute
from heldtrue.capabilities.probe.model import Check

_PARAMETER = re.compile(r"\{([^{}/]+)\}")
_LETTERS = re.compile(r"[A-Za-z]")


@unique
class Owner(StrEnum):
    """Whose things a request names."""

    A = "a"
    B = "b"
    MIXED = "mixed"
    """The last id is a's, those before are b's."""
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Value:
    """A parameter's values; None where there is none."""

    a: str | None
    b: str | None
    absent: str | None = None

    @property
    def distinct(self) -> bool:
        """Whether it tells the organisations apart."""
        return self.a is not None and self.b is not None and self.a != self.b


@dataclass(slots=True)
class Values:
    """Every parameter's values, by name."""

    known: dict[str, Value] = field(default_factory=dict[str, Value])

    @classmethod
    def of(cls, file: ProbeFile, found: Mapping[str, Value]) -> Values:
        """Return the file's values, completed by what was *found* by asking the target."""
        known: dict[str, Value] = {}
        for name, given in file.parameters.items():
            there = found.get(name, Value(None, None))
            known[name] = Value(given.a or there.a, given.b or there.b, given.absent)
        return cls(known)

    def of_route(self, route: ApiRoute) -> dict[str, Value]:
        """Return the values of the route's parameters; where the file has none, the document's examples."""
        documented = {**dict(route.examples), **{name: text for name, text in route.query if text}}
        return {
            name: self.known.get(name) or Value(documented.get(name), documented.get(name)) for name in route.parameters
        }

    def of_a(self) -> frozenset[str]:
        """Return the values that are a's and not b's."""
        return frozenset(value.a for value in self.known.values() if value.a is not None and value.distinct)


def target(route: ApiRoute, values: Mapping[str, Value], owner: Owner, variant: Check | None = None) -> str:
    """Return path and query of *route* with the *owner*'s values; *variant* says how the path is bent."""
    chosen = {name: quote(text, safe="") for name, text in choose(values, owner).items()}
    template, _, asked = route.path.partition("?")
    path = _bend(template, chosen, variant)
    parts = [_PARAMETER.sub(lambda found: chosen[found[1]], asked)] if asked else []
    parts += [f"{quote(name, safe='')}={chosen[name]}" for name, _ in route.query]
    return f"{path}?{'&'.join(parts)}" if parts else path


def choose(values: Mapping[str, Value], owner: Owner) -> dict[str, str]:
    """Return one value for each parameter."""
    last = next((name for name in reversed(list(values)) if values[name].distinct), None)
    found: dict[str, str] = {}
    for name, value in values.items():
        mine, other = value.a or "", value.b or value.a or ""
        if owner is Owner.ABSENT:
            found[name] = (value.absent or absent(mine)) if value.distinct else mine
        else:
            found[name] = mine if owner is Owner.A or (owner is Owner.MIXED and name == last) else other
    return found


def absent(value: str) -> str:
    """Return a value of the same form that names nothing."""
    if value.isdigit():
        return "9" * max(len(value), 9)
    cut = len(value) - min(8, len(value) // 2 or 1)
    return value[:cut] + "".join(_other(letter) for letter in value[cut:])


def _other(letter: str) -> str:
    """Return another letter of the same class; of hexadecimal digits, too."""
    if letter.isdigit():
        return "0" if letter != "0" else "9"
    if not letter.isalpha():
        return letter
    return ("f" if letter != "f" else "e") if letter.islower() else ("F" if letter != "F" else "E")


def _bend(template: str, chosen: Mapping[str, str], variant: Check | None) -> str:
    if variant is Check.CASE:
        template = "".join(
            part if part.startswith("{") else part.upper() for part in re.split(r"(\{[^{}]*\})", template)
        )
    elif variant is Check.ENCODED:
        template = _encode_one(template)
    path = _PARAMETER.sub(lambda found: chosen[found[1]], template)
    match variant:
        case Check.SLASH:
            return path[:-1] if path.endswith("/") and len(path) > 1 else f"{path}/"
        case Check.DOUBLE:
            return f"/{path}"
        case Check.SEMICOLON:
            return f"{path};a=b"
        case Check.SUFFIX:
            return f"{path}.json"
        case _:
            return path


def _encode_one(template: str) -> str:
    """Percent-encode the first letter of the last segment that is no parameter."""
    segments = template.split("/")
    for place in range(len(segments) - 1, -1, -1):
        found = None if "{" in segments[place] else _LETTERS.search(segments[place])
        if found is not None:
            text = segments[place]
            segments[place] = f"{text[: found.start()]}%{ord(found[0]):02X}{text[found.end() :]}"
            break
    return "/".join(segments)


def point(document: Any, pointer: str) -> str | None:
    """Return what a JSON pointer (RFC 6901) leads to, as text; None where it leads nowhere or to no simple value."""
    found = document
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = cast("dict[str, Any]", found).get(name)
        elif isinstance(found, list) and name.isdigit() and int(name) < len(cast("list[Any]", found)):
            found = cast("list[Any]", found)[int(name)]
        else:
            return None
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else None

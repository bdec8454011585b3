"""Checks that a posture file can declare: each looks at one thing, and says what is wrong with what it saw.

Looking and judging are apart, so that a violation can be put before the judgement without a look at anything.
"""

from __future__ import annotations

import re
import ssl
import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from heldtrue.attack import AttackHinderedError
from heldtrue.claims.catalogue import CatalogueError, span
from heldtrue.claims.posture.way import LARGEST, Answer, Way

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
_PLACE = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::([0-9]{1,5}))?")


def observe(check: Check, way: Way) -> Any:
    """Return what a check sees; in scratch this is what gets replaced, so that each is seen to find a violation."""
    return check.look(way)


def _require_https(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.fragment:
        raise CatalogueError(f"{url!r} is not an https URL without credentials")


class Header(msgspec.Struct, frozen=True, tag="header", tag_field="kind", forbid_unknown_fields=True):
    """A header that an answer has, or has not."""

    url: Text
    name: Text
    present: bool = True
    contains: str = ""

    def __post_init__(self) -> None:
        _require_https(self.url)

    def tries(self) -> str:
        """Say what is tried."""
        return f"Ask for {self.url} and look for the header {self.name}."

    def says(self) -> str:
        """Say what held."""
        return f"{self.url} {'has' if self.present else 'has not'} the header {self.name}."

    def look(self, way: Way) -> Answer:
        """Ask for the page."""
        return way.get(self.url)

    def fault(self, seen: Answer) -> str | None:
        """Return what is wrong with an answer."""
        value = seen.headers.get(self.name.lower())
        if (value is not None) is not self.present:
            return f"{self.url} {'has no' if self.present else 'has the'} header {self.name}."
        if value is not None and self.contains.lower() not in value.lower():
            return f"The header {self.name} of {self.url} does not say {self.contains!r}."
        return None

    def violation(self) -> Answer:
        """Return an answer that breaks the promise."""
        return Answer(200, {} if self.present else {self.name.lower(): "there"}, b"")


class Tls(msgspec.Struct, frozen=True, tag="tls", tag_field="kind", forbid_unknown_fields=True):
    """The least version of TLS that a listener takes."""

    at: Text
    minimum: str

    def __post_init__(self) -> None:
        match = _PLACE.fullmatch(self.at)
        if match is None or not 0 < int(match[2] or 443) < 65536:
            raise CatalogueError(f"{self.at!r} is not a host with a port, as www.example.com:443")
        if self.minimum not in {"1.2", "1.3"}:
            raise CatalogueError(f"minimum = {self.minimum!r}: write 1.2 or 1.3")

    def tries(self) -> str:
        """Say what is tried."""
        return f"Shake hands with {self.at} in every version of TLS from 1.0 to 1.3."

    def says(self) -> str:
        """Say what held."""
        return f"{self.at} takes TLS {self.minimum} and nothing older."

    def look(self, way: Way) -> tuple[str, ...]:
        """Try every version."""
        host, _, port = self.at.rpartition(":") if re.search(r":[0-9]+$", self.at) else (self.at, "", "443")
        return tuple(name for name, version in _VERSIONS.items() if way.speaks(host.strip("[]"), int(port), version))

    def fault(self, seen: tuple[str, ...]) -> str | None:
        """Return what is wrong with the versions that were taken."""
        old = [name for name in seen if name < self.minimum]
        if old:
            return f"{self.at} takes TLS {old[0]}."
        return None if seen else f"{self.at} takes no TLS from {self.minimum} on."

    def violation(self) -> tuple[str, ...]:
        """Return versions that break the promise."""
        return ("1.0", self.minimum)


class Json(msgspec.Struct, frozen=True, tag="json", tag_field="kind", forbid_unknown_fields=True):
    """A value in a JSON document, named by a pointer (RFC 6901)."""

    url: Text
    pointer: str
    equals: str | int | bool

    def __post_init__(self) -> None:
        _require_https(self.url)
        if self.pointer and not self.pointer.startswith("/"):
            raise CatalogueError(f"pointer = {self.pointer!r}: write a JSON pointer, as /status/state")

    def tries(self) -> str:
        """Say what is tried."""
        return f"Ask for {self.url} and read the value at {self.pointer or 'its root'}."

    def says(self) -> str:
        """Say what held."""
        return f"{self.url} has the promised value at {self.pointer or 'its root'}."

    def look(self, way: Way) -> bytes:
        """Ask for the document."""
        answer = way.get(self.url)
        if answer.status != 200 or len(answer.body) > LARGEST:
            raise AttackHinderedError(f"{self.url} answered {answer.status}, or too much")
        return answer.body

    def fault(self, seen: bytes) -> str | None:
        """Return what is wrong with a document."""
        try:
            value: Any = msgspec.json.decode(seen)
            for part in self.pointer.split("/")[1:]:
                name = part.replace("~1", "/").replace("~0", "~")
                value = value[int(name)] if isinstance(value, list) else value[name]
        except (msgspec.DecodeError, LookupError, TypeError, ValueError):
            return f"{self.url} has no value at {self.pointer}."
        same = value == self.equals and isinstance(value, bool) is isinstance(self.equals, bool)
        return None if same else f"{self.url} has another value at {self.pointer} than {self.equals!r}."

    def violation(self) -> bytes:
        """Return a document that breaks the promise."""
        return b"null"


class FileAge(msgspec.Struct, frozen=True, tag="file-age", tag_field="kind", forbid_unknown_fields=True):
    """How old a file on this machine may be; its content is not read."""

    path: Text
    max_age: str

    def __post_init__(self) -> None:
        span(self.max_age)
        if not Path(self.path).is_absolute():
            raise CatalogueError(f"path = {self.path!r}: write the whole path")

    def tries(self) -> str:
        """Say what is tried."""
        return f"Look when {self.path} was last written."

    def says(self) -> str:
        """Say what held."""
        return f"{self.path} was written in the last {self.max_age}."

    def look(self, way: Way) -> float | None:
        """Return its age in seconds, None where there is no such file."""
        del way
        try:
            return max(0.0, time.time() - Path(self.path).stat().st_mtime)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AttackHinderedError(f"{self.path} cannot be looked at: {error.strerror}") from error

    def fault(self, seen: float | None) -> str | None:
        """Return what is wrong with an age."""
        if seen is None:
            return f"{self.path} is not there."
        return f"{self.path} is older than {self.max_age}." if seen > span(self.max_age).total_seconds() else None

    def violation(self) -> float | None:
        """Return an age that breaks the promise."""
        return span(self.max_age).total_seconds() + 1


Check = Header | Tls | Json | FileAge

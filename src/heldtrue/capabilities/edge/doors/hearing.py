"""What a request's headers say, read once; whatever could be understood in two ways is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from heldtrue.capabilities.edge.forwarded import Forwarding
from heldtrue.http.exchange import MalformedRequestError

Headers = Iterable[tuple[bytes, bytes]]
OURS = b"heldtrue-"
"""Names that begin so are said by a door and by nobody else."""
_HEARD = frozenset(
    {
        b"authorization",
        b"host",
        b"origin",
        b"x-forwarded-for",
        b"forwarded",
        b"x-real-ip",
        b"x-original-method",
        b"x-original-uri",
        b"x-original-host",
        b"x-forwarded-method",
        b"x-forwarded-uri",
        b"x-forwarded-host",
        b"request-id",
    }
)
MOST_REMEMBERED = 4096
_known: dict[bytes, bytes] = {}


class ForgedIdentityError(MalformedRequestError):
    """The request bears headers that only the edge may set (`Heldtrue-…`); send it without them."""

    code = "forged-identity"


class RepeatedHeaderError(MalformedRequestError):
    """A header that must come once came twice, or is no text; send it once."""

    code = "repeated-header"


def bare(name: bytes) -> bytes:
    """Return a header's name as the most careless upstream would read it: CGI makes one of `-` and `_`."""
    return name.lower().replace(b"_", b"-")


class Heard(NamedTuple):
    """The headers that a decision depends on; every value, in the order it came in."""

    values: Mapping[bytes, list[bytes]]

    @property
    def authorization(self) -> tuple[bytes, ...]:
        """Every `Authorization`."""
        return tuple(self.values.get(b"authorization", ()))

    @property
    def origin(self) -> str | None:
        """The `Origin`, None where none came."""
        return self.one(b"origin")

    def one(self, name: bytes) -> str | None:
        """Return the only value of *name*, None where it did not come; raise `RepeatedHeaderError` for more."""
        values = self.values.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise RepeatedHeaderError(f"The header {name.decode('ascii')} came more than once.")
        return values[0].decode("latin-1")

    def forwarding(self) -> Forwarding:
        """Return the forwarding headers, unbelieved."""
        return Forwarding(self._texts(b"x-forwarded-for"), self._texts(b"forwarded"), self._texts(b"x-real-ip"))

    def _texts(self, name: bytes) -> Sequence[str]:
        values = self.values.get(name)
        return () if values is None else [value.decode("latin-1") for value in values]


def hear(headers: Headers) -> Heard:
    """Return what *headers* say; raise `ForgedIdentityError` for any that only a door may set.

    A name with an underscore is never heard: it is another header to us and may be the same one to what is behind.
    """
    values: dict[bytes, list[bytes]] = {}
    for raw, value in headers:
        name = _known.get(raw)
        if name is None:
            name = _learned(raw)
        if not name:
            continue
        if name in values:
            values[name].append(value)
        else:
            values[name] = [value]
    return Heard(values)


def _learned(raw: bytes) -> bytes:
    """Return the header as which *raw* is heard, b"" for none; each spelling is looked at once."""
    name = raw.lower()
    if name not in _HEARD:
        if name.startswith(b"heldtrue") and bare(name).startswith(OURS):
            raise ForgedIdentityError
        name = b""
    if len(_known) >= MOST_REMEMBERED:
        _known.clear()
    _known[raw] = name
    return name

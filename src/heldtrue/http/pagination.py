"""Lists in pages: an opaque cursor names the last item seen; the newest come first."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar
from uuid import UUID

import msgspec

from heldtrue.kernel.errors import BadInputError

Row = TypeVar("Row")
Item = TypeVar("Item")
_VERSION = b"\x01"


class MalformedCursorError(BadInputError):
    """The cursor is not one that a list of ours gave; begin again without a cursor."""

    code = "malformed-cursor"


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of a list is asked for. Lists with filters of their own derive from it."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200, description="How many items at most.")] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=64, description="`next_cursor` of the page before.")] | None = None

    def after(self) -> UUID | None:
        """Return the id that the page begins behind; raise `MalformedCursorError`."""
        return None if self.cursor is None else decode(self.cursor)


class Listing(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """One page of a list."""

    data: list[Item]
    next_cursor: str | None = None
    """Send it as `cursor` for the next page; null on the last one."""


def encode(last: UUID) -> str:
    """Return the cursor behind the item of id *last*."""
    return base64.urlsafe_b64encode(_VERSION + last.bytes).rstrip(b"=").decode("ascii")


def decode(cursor: str) -> UUID:
    """Return the id that *cursor* names; raise `MalformedCursorError` for anything `encode` did not make."""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise MalformedCursorError from error
    if len(raw) != 17 or raw[:1] != _VERSION or encode(UUID(bytes=raw[1:])) != cursor:
        raise MalformedCursorError
    return UUID(bytes=raw[1:])


def listing(
    rows: Sequence[Row], query: PageQuery, item: Callable[[Row], Item], id_of: Callable[[Row], UUID]
) -> Listing[Item]:
    """Return the page made of *rows*, of which the caller fetched one more than `query.limit`."""
    shown = rows[: query.limit]
    more = len(rows) > query.limit
    return Listing(data=[item(row) for row in shown], next_cursor=encode(id_of(shown[-1])) if more else None)

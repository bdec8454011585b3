"""Input fits its type exactly or is refused by name; answers are written one way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

import msgspec
import pytest

from heldtrue.crypto.canonical import MalformedJsonError
from heldtrue.http import wire
from heldtrue.http.exchange import MalformedRequestError
from heldtrue.http.problems import UnsupportedMediaTypeError
from heldtrue.http.route import Route
from heldtrue.http.wire import Binder, InvalidValueError, UnknownMemberError
from heldtrue.kernel.secret import Secret


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    item_id: str
    count: Annotated[int, msgspec.Meta(ge=1)]
    note: str | None = None


class Bearing(msgspec.Struct, kw_only=True):
    id: str
    at: datetime
    secret: Secret[str] | None
    nested: list[datetime] = []


POST = Binder(Route(at="POST /v1/items/{item_id}", action=print, summary="", takes=Ask))
GET = Binder(Route(at="GET /v1/items/{item_id}", action=print, summary="", takes=Ask))
PATH = {"item_id": "item_1"}


def post(body: bytes, content_type: str | None = "application/json", query: list[tuple[str, str]] | None = None) -> Any:
    return POST.bind(PATH, query or [], body, content_type)


def test_path_and_body_make_the_input() -> None:
    assert post(b'{"count": 3}') == Ask(item_id="item_1", count=3)


def test_path_and_query_make_the_input_of_a_read() -> None:
    assert GET.bind(PATH, [("count", "3"), ("note", "x")], b"", None) == Ask(item_id="item_1", count=3, note="x")


@pytest.mark.parametrize(
    ("body", "error", "named"),
    [
        (b'{"count": 3, "size": 1}', UnknownMemberError, "size"),
        (b'{"count": 3, "item_id": "item_2"}', UnknownMemberError, "item_id"),
        (b'{"count": 3, "count": 4}', MalformedJsonError, "."),
        (b'{"count": "3"}', InvalidValueError, "count"),
        (b'{"count": 0}', InvalidValueError, "count"),
        (b'{"count": 1.5}', InvalidValueError, "count"),
        (b"{}", InvalidValueError, "count"),
        (b"", InvalidValueError, "count"),
        (b"[]", InvalidValueError, "object"),
        (b'{"count": 3', MalformedJsonError, "."),
        (b'{"count": NaN}', MalformedJsonError, "."),
        (b'{"count": 9007199254740993}', MalformedJsonError, "."),
        (b'\xef\xbb\xbf{"count": 3}', MalformedJsonError, "."),
        (b'{"count": 3, "note": "\xff"}', MalformedJsonError, "."),
        (b"[" * 500 + b"]" * 500, MalformedJsonError, "."),
    ],
)
def test_what_does_not_fit_is_refused_by_name(body: bytes, error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        post(body)


@pytest.mark.parametrize("media", [None, "text/plain", "application/jsonp", "application/json; charset=latin-1"])
def test_another_content_type_is_refused(media: str | None) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        post(b'{"count": 3}', media)


def test_a_charset_of_utf8_is_taken() -> None:
    assert post(b'{"count": 3}', 'application/json; charset="UTF-8"').count == 3


def test_a_query_is_judged_too() -> None:
    with pytest.raises(UnknownMemberError, match="cuont"):
        GET.bind(PATH, [("cuont", "3")], b"", None)
    with pytest.raises(InvalidValueError, match="twice"):
        GET.bind(PATH, [("count", "3"), ("count", "4")], b"", None)
    with pytest.raises(MalformedRequestError):
        GET.bind(PATH, [("count", "3")], b'{"count": 3}', "application/json")


def test_moments_are_utc_with_milliseconds() -> None:
    east = datetime(2026, 11, 20, 14, 0, 0, 123999, tzinfo=timezone(timedelta(hours=2)))
    written = wire.encode(Bearing(id="x", at=east, secret=None, nested=[datetime(2026, 1, 1, tzinfo=UTC)]))
    assert b'"at":"2026-11-20T12:00:00.123Z"' in written
    assert b'["2026-01-01T00:00:00.000Z"]' in written


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        wire.moment(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


def test_a_secret_leaves_only_where_it_may() -> None:
    body = Bearing(id="x", at=datetime(2026, 1, 1, tzinfo=UTC), secret=Secret("s3cret"))
    assert b"s3cret" in wire.encode(body, reveal=True)
    with pytest.raises(TypeError):
        wire.encode(body)
    kept, secrets = wire.encode_without_secrets(body)
    assert b"s3cret" not in kept
    assert b'"secret":null' in kept
    assert secrets == 1

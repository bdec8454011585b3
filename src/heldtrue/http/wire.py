"""Between bytes and wire types: input from path, query and body; answers as JSON.

Ids are `str` in wire types. Moments are `datetime`, written as RFC 3339 in UTC with milliseconds. Secrets are
`Secret[str]`, and only a route that `bears_secret` lets them through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec

from heldtrue.crypto.canonical import parse_strict
from heldtrue.http.exchange import MalformedRequestError
from heldtrue.http.problems import UnsupportedMediaTypeError
from heldtrue.http.route import Route
from heldtrue.kernel.errors import BadInputError
from heldtrue.kernel.secret import Secret

FORM = "application/x-www-form-urlencoded"
ROLL_ADVICE = "The secret was shown once, in the first answer. If it was lost, roll it for another."


class UnknownMemberError(BadInputError):
    """The request has a member or parameter that this operation does not know; leave it out."""

    code = "unknown-member"


class InvalidValueError(BadInputError):
    """A value is missing, of the wrong type or out of range; the detail names it."""

    code = "invalid-value"


class Binder:
    """How one route's input is made: path parameters first, then query or body by method."""

    def __init__(self, route: Route) -> None:
        self._takes = route.takes
        self._form = route.form
        fields = msgspec.structs.fields(route.takes) if route.takes is not None and not route.signed else ()
        self._fields = {field.encode_name: field for field in fields}
        in_path = {part.split("}")[0].removesuffix(":path") for part in route.path.split("{")[1:]}
        self.in_path = in_path & set(self._fields)
        self.in_body = set(self._fields) - self.in_path if route.method in {"POST", "PUT", "PATCH"} else set[str]()
        self.in_query = set(self._fields) - self.in_path - self.in_body

    def bind(
        self, path: Mapping[str, str], query: Sequence[tuple[str, str]], body: bytes, content_type: str | None
    ) -> Any:
        """Return the input; raise what is a `BadInputError` for anything that does not fit it exactly."""
        values: dict[str, Any] = {}
        for name in self.in_path:
            values[name] = self._convert(name, path[name], strict=False)
        for name, value in query:
            if name not in self.in_query:
                raise UnknownMemberError(f"There is no query parameter {_shown(name)} here.")
            if name in values:
                raise InvalidValueError(f"The query parameter {name} is there twice.")
            values[name] = self._convert(name, value, strict=False)
        form = self._form and _media(content_type) == FORM
        for name, value in (_fields(body) if form else self._members(body, content_type)).items():
            if name not in self.in_body:
                raise UnknownMemberError(f"There is no member {_shown(name)} here.")
            values[name] = self._convert(name, value, strict=not form)
        if self._takes is None:
            return None
        missing = [name for name, field in self._fields.items() if field.required and name not in values]
        if missing:
            raise InvalidValueError(f"{', '.join(missing)}: required, but not there.")
        try:
            return self._takes(**{self._fields[name].name: value for name, value in values.items()})
        except ValueError as error:
            raise InvalidValueError(str(error)) from error

    def _members(self, body: bytes, content_type: str | None) -> Mapping[str, Any]:
        if not body:
            return {}
        if not self.in_body:
            raise MalformedRequestError("This operation takes no body.")
        if not _is_json(content_type):
            others = f", or {FORM}," if self._form else ""
            raise UnsupportedMediaTypeError(f"The body must be application/json{others} in UTF-8.")
        parsed = parse_strict(body)
        if not isinstance(parsed, dict):
            raise InvalidValueError("The body must be a JSON object.")
        return cast("Mapping[str, Any]", parsed)

    def _convert(self, name: str, value: object, *, strict: bool) -> object:
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)  # JSON has one kind of number: 60.0 is 60 (RFC 8259, section 6)
        try:
            converted = msgspec.convert(value, self._fields[name].type, strict=strict)
        except msgspec.ValidationError as error:
            raise InvalidValueError(f"{name}: {error}") from error
        if converted is None and not strict:  # the text `null`, which would quietly take a filter away
            raise InvalidValueError(f"{name}: a path or query has no null; leave it out.")
        return converted


def _fields(body: bytes) -> dict[str, str]:
    """Return the fields of a form that are filled in (WHATWG URL, section 5.1); one that is there twice is refused."""
    try:
        pairs = parse_qsl(body.decode("ascii"), strict_parsing=bool(body), errors="strict", max_num_fields=64)
    except ValueError as error:
        raise MalformedRequestError("The form cannot be read.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidValueError("A field of the form is there twice.")
    return fields


def _media(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def _is_json(content_type: str | None) -> bool:
    media, *parameters = (part.strip().lower() for part in (content_type or "").split(";"))
    return media == "application/json" and all(part in {"", "charset=utf-8", 'charset="utf-8"'} for part in parameters)


def _shown(name: str) -> str:
    return repr(name[:80])


def moment(value: datetime) -> str:
    """Return *value* as RFC 3339 in UTC with milliseconds."""
    if value.tzinfo is None:
        raise ValueError("a moment without a time zone is no moment")
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"


def encode(body: msgspec.Struct, *, reveal: bool = False) -> bytes:
    """Return *body* as JSON; a secret in it is an error unless *reveal*."""

    def hook(value: object) -> object:
        if isinstance(value, Secret) and reveal:
            return cast("Secret[str]", value).reveal()
        raise TypeError(f"{type(value).__name__} has no place in this answer")

    return msgspec.json.encode(_with_moments(msgspec.to_builtins(body, builtin_types=(datetime,), enc_hook=hook)))


def encode_without_secrets(body: msgspec.Struct) -> tuple[bytes, int]:
    """Return *body* as JSON with every secret null and the advice to roll, and how many secrets there were."""
    found = 0

    def hook(value: object) -> object:
        nonlocal found
        if not isinstance(value, Secret):
            raise TypeError(f"{type(value).__name__} has no place in this answer")
        found += 1

    members = _with_moments(msgspec.to_builtins(body, builtin_types=(datetime,), enc_hook=hook))
    return msgspec.json.encode({**members, "advice": ROLL_ADVICE}), found


def _with_moments(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, dict):
        return {name: _with_moments(one) for name, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_with_moments(one) for one in cast("list[Any]", value)]
    return value

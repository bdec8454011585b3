"""JSON read strictly, and written canonically by RFC 8785 (JCS)."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from typing import TypeAlias, cast

from heldtrue_verify.verdicts import MalformedError

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, JsonValue]

LARGEST = 2**53 - 1
DEEPEST = 128
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")


def parse_strict(data: bytes) -> JsonValue:
    """Read one JSON text (RFC 8259, I-JSON), refusing whatever two readers could understand differently."""
    try:
        value = cast(
            JsonValue,
            json.loads(
                data.decode("utf-8"),
                object_pairs_hook=_members,
                parse_int=_integer,
                parse_float=_float,
                parse_constant=_constant,
            ),
        )
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise MalformedError(f"This is not JSON in UTF-8: {error}.") from error
    except RecursionError as error:
        raise MalformedError("The JSON is nested too deeply.") from error
    canonicalize(value)
    return value


def parse_object(data: bytes) -> JsonObject:
    """Read one JSON object strictly."""
    value = parse_strict(data)
    if not isinstance(value, dict):
        raise MalformedError("The JSON is not an object.")
    return value


def canonicalize(value: JsonValue) -> bytes:
    """Write *value* by RFC 8785."""
    try:
        return _write(value, 0).encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedError("A text contains half of a surrogate pair (RFC 8785 section 3.2.2.2).") from error


def _write(value: JsonValue, depth: int) -> str:
    if depth > DEEPEST:
        raise MalformedError(f"The JSON is nested more than {DEEPEST} deep.")
    if isinstance(value, dict):  # 3.2.3: members sorted by UTF-16 code units
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_quote(name)}:{_write(value[name], depth + 1)}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_write(item, depth + 1) for item in value) + "]"
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise MalformedError(f"The integer {value} is beyond what every reader holds exactly (2^53 - 1).")
        return str(value)
    return _write_float(value)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # exactly the escapes of 3.2.2.2


def _write_float(value: float) -> str:
    """Write a number as ECMAScript does (RFC 8785 section 3.2.2.3)."""
    if not math.isfinite(value):
        raise MalformedError("NaN and Infinity are not JSON.")
    if value == 0:
        return "0"
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + ("" if fraction == "0" else fraction)
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.lstrip("0").rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        text = digits + "0" * (point - count)
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        text = digits[0] + (f".{digits[1:]}" if count > 1 else "") + f"e{point - 1:+d}"
    return "-" + text if value < 0 else text


def _members(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    found: JsonObject = {}
    for name, value in pairs:
        if name in found:
            raise MalformedError(f"The member {json.dumps(name)} appears twice in one object.")
        found[name] = value
    return found


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > LARGEST:
        raise MalformedError("An integer is beyond what every reader holds exactly (2^53 - 1).")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise MalformedError("A number is too large.")
    return value


def _constant(text: str) -> float:
    raise MalformedError(f"{text} is not JSON.")


def text_in(document: JsonObject, name: str) -> str:
    """Give the member *name*, which must be text."""
    value = document.get(name)
    if not isinstance(value, str):
        raise MalformedError(f'The member "{name}" is missing or not text.')
    return value


def integer_in(document: JsonObject, name: str) -> int:
    """Give the member *name*, which must be an integer."""
    value = document.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise MalformedError(f'The member "{name}" is missing or not an integer.')
    return value


def object_in(document: JsonObject, name: str) -> JsonObject:
    """Give the member *name*, which must be an object."""
    value = document.get(name)
    if not isinstance(value, dict):
        raise MalformedError(f'The member "{name}" is missing or not an object.')
    return value


def texts_in(document: JsonObject, name: str) -> list[str]:
    """Give the member *name*, which must be a list of texts."""
    value = document.get(name)
    texts = [item for item in value if isinstance(item, str)] if isinstance(value, list) else None
    if texts is None or not isinstance(value, list) or len(texts) != len(value):
        raise MalformedError(f'The member "{name}" is missing or not a list of texts.')
    return texts


def instant_in(document: JsonObject, name: str) -> datetime:
    """Give the member *name*, which must be a time of RFC 3339 in UTC, written with `Z`."""
    text = text_in(document, name)
    try:
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedError(f'The member "{name}" is not a time: {text}.') from error
    raise MalformedError(f'The member "{name}" is not a time in UTC as RFC 3339 writes it: {text}.')

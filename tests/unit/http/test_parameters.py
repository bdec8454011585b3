"""The reference says of parameters what is true of them: whatever we give out matches, and what we refuse does not."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from heldtrue.http.pagination import MalformedCursorError, decode, encode
from heldtrue.http.parameters import SEGMENT, in_path, in_query
from heldtrue.kernel.ids import KeyId, uuid7

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TEXT = {"type": "string"}


def matches(schema: dict[str, object], value: str) -> bool:
    return re.search(str(schema["pattern"]), value) is not None


@pytest.mark.parametrize("seed", range(0, 256, 17))
def test_what_we_give_out_matches(seed: int) -> None:
    random = bytes([seed]) * 10
    key = KeyId.new(NOON, lambda size: random[:size])
    assert matches(in_path("key_id", TEXT), str(key))
    assert matches(in_query("cursor", TEXT), encode(uuid7(NOON, lambda size: random[:size])))


@pytest.mark.parametrize("text", ["", "null", "key_1", "org_" + "0" * 32, "key_" + "0" * 31, "key_" + "A" * 32, "key"])
def test_what_is_no_key_id_does_not_match(text: str) -> None:
    assert not matches(in_path("key_id", TEXT), text)


@pytest.mark.parametrize("text", ["", "A" * 23, "AQ" + "A" * 22, "AQ" + "A" * 20 + "B", "AA" + "A" * 21])
def test_what_is_no_cursor_does_not_match(text: str) -> None:
    assert not matches(in_query("cursor", TEXT), text)
    with pytest.raises(MalformedCursorError):
        decode(text)


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "a;b", "a\\b", "%2e", "a\0"])
def test_a_part_of_a_path_is_one_part_to_every_reader(text: str) -> None:
    assert in_path("claim_id", None) == {"type": "string", "pattern": SEGMENT}
    assert not matches(in_path("claim_id", TEXT), text)


def test_a_query_has_no_null() -> None:
    nullable = {"anyOf": [TEXT, {"type": "null"}], "default": None, "description": "x"}
    assert in_query("event", nullable) == {"type": "string", "description": "x"}
    assert "anyOf" not in in_query("payload_id", nullable)


def test_what_is_said_of_a_parameter_already_stays() -> None:
    for schema in ({"type": "integer", "minimum": 1}, {"type": "string", "enum": ["a"]}, {**TEXT, "pattern": "^x$"}):
        assert in_path("key_id", schema) == schema

"""Entries and commitments, without a database."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.capabilities.ledger import model
from heldtrue.capabilities.ledger.model import EntryRefusedError, Kind
from heldtrue.crypto.canonical import canonicalize
from heldtrue.kernel.errors import HeldtrueError, IntegrityError

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEY = model.key_document(
    event="activated", id="ck_1", purpose="receipt", public="z6Mk", not_before=NOON, sign_until=NOON, accept_until=None,
    at=NOON,
)  # fmt: skip


def test_an_instant_is_utc_with_milliseconds() -> None:
    local = NOON.astimezone(timezone(timedelta(hours=2))) + timedelta(microseconds=1999)
    assert model.instant(local) == "2026-11-22T12:00:00.001Z"


def test_a_keys_entry_is_canonical_and_complete() -> None:
    assert model.clear_entry("key", KEY) == (
        b'{"accept_until":null,"at":"2026-11-22T12:00:00.000Z","event":"activated","id":"ck_1","kind":"key",'
        b'"not_before":"2026-11-22T12:00:00.000Z","public":"z6Mk","purpose":"receipt",'
        b'"sign_until":"2026-11-22T12:00:00.000Z","v":1}'
    )


def test_the_entry_of_an_organisation_is_its_commitment_and_nothing_else() -> None:
    assert model.tenant_entry(bytes(32)) == b'{"c":"' + b"A" * 43 + b'=","kind":"tenant","v":1}'


def test_the_commitment_is_the_one_of_the_specification() -> None:
    salt, document = bytes(range(32)), b'{"a":1}'
    expected = hmac.new(salt, b"heldtrue/commit/v1\0" + document, "sha256").digest()
    assert model.commitment(salt, document) == expected
    assert model.commitment(bytes(32), document) != expected
    with pytest.raises(ValueError, match="32 bytes"):
        model.commitment(b"short", document)


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("tenant", {"c": "x"}),
        ("other", {}),
        ("intent", {"kind": "evidence"}),
        ("intent", {"v": 2}),
        ("key", {}),
        ("key", {**KEY, "more": 1}),
        ("succession", {"old_origin": "x"}),
        ("evidence", {"text": "x" * 65_535}),
    ],
)
def test_what_is_no_entry_is_refused(kind: str, document: dict[str, Any]) -> None:
    with pytest.raises(EntryRefusedError):
        model.clear_entry(kind, document)


@pytest.mark.parametrize("document", [{"size": 0.5}, {"größe": 1}, {"n": 2**53}, {"x": "\ud800"}, {"when": NOON}])
def test_an_entry_outside_the_profile_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(HeldtrueError):
        model.clear_entry("evidence", document)


def test_the_largest_entry_fits() -> None:
    room = model.ENTRY_LIMIT - len(model.clear_entry("evidence", {"text": ""}))
    assert len(model.clear_entry("evidence", {"text": "x" * room})) == model.ENTRY_LIMIT
    with pytest.raises(EntryRefusedError):
        model.clear_entry("evidence", {"text": "x" * (room + 1)})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), json_values, max_size=5))
def test_the_fast_path_never_changes_a_documents_canonical_form(document: dict[str, Any]) -> None:
    try:
        expected = canonicalize(document)
    except HeldtrueError as error:
        with pytest.raises(type(error)):
            model.canonical(document)
        return
    assert model.canonical(document) == expected


@given(st.binary(max_size=255), st.binary(max_size=64))
def test_salt_and_document_are_unpacked_as_packed(salt: bytes, document: bytes) -> None:
    assert model.unpack(model.pack(salt, document)) == (salt, document)


@pytest.mark.parametrize("packed", [b"", b"\x20", b"\x20" + bytes(31)])
def test_what_is_cut_off_is_not_unpacked(packed: bytes) -> None:
    with pytest.raises(IntegrityError):
        model.unpack(packed)


def test_the_kinds_in_clear_are_those_of_the_published_list() -> None:
    assert set(Kind) == {
        "key", "schedule", "intent", "evidence", "succession", "anonymous", "probe", "tenant", "register",
        "attestation", "annotation", "summary", "pushed",
    }  # fmt: skip

"""Ed25519 keys and their text."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.crypto import base58
from heldtrue.crypto.signing import (
    MalformedMultikeyError,
    SigningKey,
    base58btc,
    multikey,
    parse_base58btc,
    parse_multikey,
    verify,
)
from heldtrue.kernel.errors import BadInputError

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
KEY = SigningKey.generate(lambda count: bytes(range(count)), NOW)


@given(st.binary(max_size=80))
def test_base58_round_trips_with_its_leading_zeros(data: bytes) -> None:
    assert base58.decode(base58.encode(data)) == data
    assert parse_base58btc(base58btc(data)) == data


@given(st.text(base58.ALPHABET, max_size=60))
def test_every_base58_text_is_the_text_of_its_bytes(text: str) -> None:
    assert base58.encode(base58.decode(text)) == text


@pytest.mark.parametrize(  # draft-msporny-base58, section 5
    ("data", "text"),
    [
        (b"Hello World!", "2NEpo7TZRRrLZSi2U"),
        (
            b"The quick brown fox jumps over the lazy dog.",
            "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z",
        ),
        (bytes.fromhex("0000287fb4cd"), "11233QC4"),
        (b"", ""),
    ],
)
def test_base58_of_the_draft(data: bytes, text: str) -> None:
    assert base58.encode(data) == text
    assert base58.decode(text) == data


@pytest.mark.parametrize("letter", "0OIl +é")
def test_letters_that_are_taken_for_others_are_refused(letter: str) -> None:
    with pytest.raises(base58.NotBase58Error):
        base58.decode("11" + letter)


def test_a_signature_holds_for_its_message_and_key_only() -> None:
    signature = KEY.sign(b"message")
    assert verify(KEY.public, signature, b"message")
    assert not verify(KEY.public, signature, b"massage")
    assert not verify(SigningKey.generate(secrets.token_bytes, NOW).public, signature, b"message")
    for broken in (b"", signature[:-1], signature + b"\0", bytes(64)):
        assert not verify(KEY.public, broken, b"message")
    for public in (b"", KEY.public[:-1], KEY.public + b"\0"):
        assert not verify(public, signature, b"message")


def test_a_multikey_round_trips_and_says_what_it_is() -> None:
    assert multikey(KEY.public).startswith("z6Mk")
    assert parse_multikey(multikey(KEY.public)) == KEY.public


@pytest.mark.parametrize(
    "text",
    [
        "",
        "z",
        "m6Mk",
        "z0",
        base58btc(KEY.public),
        base58btc(b"\xec\x01" + KEY.public),
        base58btc(b"\xed\x01" + KEY.public[:-1]),
        base58btc(b"\xed\x01" + KEY.public + b"\0"),
    ],
)
def test_what_is_no_ed25519_multikey_is_refused(text: str) -> None:
    with pytest.raises(MalformedMultikeyError):
        parse_multikey(text)


def test_only_32_bytes_are_written_as_a_multikey() -> None:
    with pytest.raises(BadInputError):
        multikey(KEY.public + b"\0")

"""API keys: one shape, and a checksum that catches a slip of the finger before any look-up."""

from __future__ import annotations

import secrets
import string
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.crypto import base62
from heldtrue.crypto.tokens import MalformedTokenError, checksum, digest, last4, link_token, mint, parse
from heldtrue.kernel.errors import BadInputError
from heldtrue.kernel.secret import Secret

ENVIRONMENTS = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=16)
TYPES = st.sampled_from(["sk", "pk"])


@given(TYPES, ENVIRONMENTS, st.binary(min_size=32, max_size=32))
def test_a_minted_key_parses_to_what_it_was_minted_for(type_: str, environment: str, random: bytes) -> None:
    text = mint(type_, environment, lambda n: random[:n]).reveal()  # type: ignore[arg-type]
    parsed = parse(text)
    assert (parsed.type, parsed.environment) == (type_, environment)
    assert base62.decode(text[-49:-6]).to_bytes(32) == random
    assert last4(text) == text[-4:]


@pytest.mark.parametrize("type_", ["sk", "pk"])
def test_every_change_of_one_character_is_refused(type_: str) -> None:
    text = mint(type_, "prod", secrets.token_bytes).reveal()  # type: ignore[arg-type]
    tried = 0
    for at in range(len(text)):
        for letter in string.printable:
            if letter != text[at]:
                tried += 1
                with pytest.raises(MalformedTokenError):
                    parse(text[:at] + letter + text[at + 1 :])
    assert tried == len(text) * (len(string.printable) - 1)


@given(TYPES, ENVIRONMENTS, st.binary(min_size=32, max_size=32), st.data())
def test_a_dropped_doubled_or_swapped_character_is_refused(
    type_: str, environment: str, random: bytes, data: st.DataObject
) -> None:
    text = mint(type_, environment, lambda n: random[:n]).reveal()  # type: ignore[arg-type]
    at = data.draw(st.integers(0, len(text) - 2))
    swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    for changed in (text[:at] + text[at + 1 :], text[:at] + text[at] + text[at:], swapped):
        if changed != text:
            with pytest.raises(MalformedTokenError):
                parse(changed)


@pytest.mark.parametrize("around", ["{} ", " {}", "{}\n", "{}\0", "Bearer {}"])
def test_nothing_may_stand_around_a_key(around: str) -> None:
    with pytest.raises(MalformedTokenError):
        parse(around.format(mint("sk", "prod", secrets.token_bytes).reveal()))


def test_a_number_too_great_for_32_bytes_is_refused_even_with_a_right_checksum() -> None:
    body = "ht_sk_prod_" + "z" * 43
    with pytest.raises(MalformedTokenError):
        parse(body + checksum(body))
    greatest = "ht_sk_prod_" + base62.encode(2**256 - 1, 43)
    assert parse(greatest + checksum(greatest)).environment == "prod"


@pytest.mark.parametrize("environment", ["", "Prod", "pro-d", "a" * 17, "a_b", "é", "prod\n"])
def test_an_environment_that_is_none_gets_no_key(environment: str) -> None:
    with pytest.raises(BadInputError):
        mint("sk", environment, secrets.token_bytes)


def test_the_checksum_is_the_common_crc32() -> None:
    assert zlib.crc32(b"123456789") == 0xCBF43926
    assert base62.decode(checksum("123456789")) == 0xCBF43926


def test_the_stored_digest_is_of_the_whole_string() -> None:
    text = mint("sk", "prod", secrets.token_bytes).reveal()
    assert len(digest(text)) == 32
    assert digest(text) != digest(text[:-1])


@given(st.integers(0, 62**6 - 1))
def test_base62_round_trips_at_its_width(number: int) -> None:
    assert base62.decode(base62.encode(number, 6)) == number
    assert len(base62.encode(number, 6)) == 6


def test_base62_refuses_what_does_not_fit() -> None:
    with pytest.raises(OverflowError):
        base62.encode(62**6, 6)


def test_links_differ_by_key_and_subject_and_stay_the_same() -> None:
    key = Secret(secrets.token_bytes(32))
    link = link_token(key, b"rec_1")
    assert len(link) == 43
    assert link.isalnum()
    assert link == link_token(key, b"rec_1")
    assert len({link, link_token(key, b"rec_2"), link_token(Secret(secrets.token_bytes(32)), b"rec_1")}) == 3

"""Secrets of an endpoint, and their rotation."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from heldtrue.capabilities.deliveries.signatures import MAX_RETIRING, Ready, Secrets, TooManySecretsError

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_both_secrets_sign_until_the_overlap_ends() -> None:
    old = Secrets.generate(secrets.token_bytes)
    new = old.rolled(secrets.token_bytes, NOON, HOUR)
    assert [pair.secret for pair in new.valid(NOON + HOUR - timedelta(microseconds=1))] == [new.shown, old.shown]
    assert [pair.secret for pair in new.valid(NOON + HOUR)] == [new.shown]
    assert len(new.headers("del_1", NOON, b"{}")["webhook-signature"].split(" ")) == 4
    assert len(new.headers("del_1", NOON + HOUR, b"{}")["webhook-signature"].split(" ")) == 2


def test_without_overlap_the_old_secret_dies_at_once() -> None:
    old = Secrets.generate(secrets.token_bytes)
    assert [pair.secret for pair in old.rolled(secrets.token_bytes, NOON, timedelta()).valid(NOON)] != [old.shown]
    assert len(old.rolled(secrets.token_bytes, NOON, timedelta()).pairs) == 1


def test_a_second_roll_does_not_prolong_the_first() -> None:
    first = Secrets.generate(secrets.token_bytes)
    second = first.rolled(secrets.token_bytes, NOON, HOUR)
    third = second.rolled(secrets.token_bytes, NOON + HOUR / 2, 10 * HOUR)
    assert third.pairs[2].until == NOON + HOUR
    assert third.pairs[1].until == NOON + HOUR / 2 + 10 * HOUR


def test_too_many_at_once_are_refused() -> None:
    rolled = Secrets.generate(secrets.token_bytes)
    for _ in range(MAX_RETIRING):
        rolled = rolled.rolled(secrets.token_bytes, NOON, HOUR)
    with pytest.raises(TooManySecretsError):
        rolled.rolled(secrets.token_bytes, NOON, HOUR)


def test_what_is_stored_comes_back_and_shows_nothing() -> None:
    kept = Secrets.generate(secrets.token_bytes).rolled(secrets.token_bytes, NOON, HOUR)
    again = Secrets.decode(kept.encode())
    assert [pair.secret for pair in again.pairs] == [pair.secret for pair in kept.pairs]
    assert again.public_key == kept.public_key
    assert again.public_key.startswith("whpk_")
    assert kept.shown.reveal() not in repr(kept) + str(kept)


def test_what_is_read_once_signs_the_same_during_an_overlap_and_after_it() -> None:
    old = Secrets.generate(secrets.token_bytes)
    both = old.rolled(secrets.token_bytes, NOON, timedelta(hours=1))
    ready = Ready(both)
    for now in (NOON, NOON + timedelta(minutes=59), NOON + timedelta(hours=1)):
        assert ready.headers("del_1", now, b"{}") == both.headers("del_1", now, b"{}")
    kinds = [one.partition(",")[0] for one in ready.headers("del_1", NOON, b"{}")["webhook-signature"].split()]
    assert kinds == ["v1", "v1", "v1a", "v1a"]

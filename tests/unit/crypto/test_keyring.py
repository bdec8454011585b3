"""The keyring: each organisation and purpose has its own key, and what is destroyed stays so."""

from __future__ import annotations

import dataclasses
import secrets
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.crypto.records import MemoryRecords

from heldtrue.crypto.keyring import (
    ALLOWED,
    KeyCache,
    KeyDestroyedError,
    KeyState,
    KeyTransitionError,
    ObjectKeyRow,
    TenantKeyring,
    advance,
)
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.sealing import DataKey, SealBrokenError, Sealer, key_id_of
from heldtrue.crypto.wrapping import UnwrapError, wrap
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import CryptoKeyId, TenantId
from heldtrue.kernel.secret import Secret

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ACME, OTHER = TenantId.new(NOW, secrets.token_bytes), TenantId.new(NOW, secrets.token_bytes)


def a_platform() -> PlatformKey:
    return PlatformKey(CryptoKeyId.new(NOW, secrets.token_bytes), Secret(secrets.token_bytes(32)))


class House:
    """One instance: a platform key, its records and its cache."""

    def __init__(self) -> None:
        self.platform = a_platform()
        self.records = MemoryRecords()
        self.cache = KeyCache()

    def keys(self, tenant: TenantId = ACME, environment: str = "prod", now: datetime = NOW) -> TenantKeyring:
        return TenantKeyring(self.platform, self.records, self.cache, tenant, environment, secrets.token_bytes, now)

    def restarted(self) -> House:
        """The same stored records in a new process."""
        house = House()
        house.platform, house.records = self.platform, self.records
        return house


@pytest.fixture
def house() -> House:
    return House()


def test_what_is_sealed_opens_in_a_later_process(house: House) -> None:
    sealed = house.keys().seal("names", "endpoints", "config", "row", b"content")
    assert house.restarted().keys().open("names", "endpoints", "config", "row", sealed) == b"content"


def test_a_purpose_has_one_key_and_each_purpose_another(house: House) -> None:
    ids = [key_id_of(house.keys().seal(purpose, "t", "c", "r", b"")) for purpose in ("a", "a", "b")]
    assert ids[0] == ids[1] != ids[2]
    assert len(house.records.tenant_keys) == 2


@pytest.mark.parametrize("warm", [True, False])
def test_another_organisation_purpose_place_or_version_does_not_open_it(house: House, warm: bool) -> None:
    sealed = house.keys().seal("a", "t", "c", "r", b"content")
    house.keys().seal("b", "t", "c", "r", b"")
    house.keys(OTHER).seal("a", "t", "c", "r", b"")
    if not warm:
        house = house.restarted()
    for keys, place in [
        (house.keys(OTHER), ("a", "t", "c", "r")),
        (house.keys(environment="test"), ("a", "t", "c", "r")),
        (house.keys(), ("b", "t", "c", "r")),
        (house.keys(), ("a", "u", "c", "r")),
        (house.keys(), ("a", "t", "d", "r")),
        (house.keys(), ("a", "t", "c", "s")),
    ]:
        with pytest.raises(SealBrokenError):
            keys.open(*place, sealed)
    with pytest.raises(SealBrokenError):
        house.keys().open("a", "t", "c", "r", sealed, version=2)
    assert house.keys().open("a", "t", "c", "r", sealed) == b"content"


def test_a_key_row_copied_to_another_organisation_opens_nothing_there(house: House) -> None:
    sealed = house.keys().seal("a", "t", "c", "r", b"content")
    row = next(iter(house.records.tenant_keys.values()))
    house.records.tenant_keys[OTHER.value, row.key_id] = dataclasses.replace(row, tenant_id=OTHER.value)
    with pytest.raises(SealBrokenError):
        house.keys(OTHER).open("a", "t", "c", "r", sealed)


def test_a_twin_that_was_first_wins_and_its_key_seals(house: House) -> None:
    theirs = house.keys().seal("a", "t", "c", "r", b"theirs")
    late = House()
    late.platform = house.platform
    late.records.twin = next(iter(house.records.tenant_keys.values()))
    sealed = late.keys().seal("a", "t", "c", "r", b"ours")
    assert key_id_of(sealed) == key_id_of(theirs)
    assert len(late.records.tenant_keys) == 1


def test_without_the_platform_key_the_records_give_nothing(house: House) -> None:
    sealed = house.keys().seal("a", "t", "c", "r", b"content")
    thief = house.restarted()
    thief.platform = a_platform()
    with pytest.raises(UnwrapError):
        thief.keys().open("a", "t", "c", "r", sealed)


def test_nothing_in_the_records_is_a_key_in_clear(house: House) -> None:
    key = house.keys().new_object_key()
    stored = [row.wrapped for row in (*house.records.tenant_keys.values(), *house.records.object_keys.values())]
    assert all(wrapped is not None and len(wrapped) == 40 for wrapped in stored)
    assert all(key.material.reveal() not in (wrapped or b"") for wrapped in stored)


def test_a_destroyed_objects_content_is_gone_at_once_and_for_good(house: House) -> None:
    keys = house.keys()
    key = keys.new_object_key()
    sealed = keys.seal_object(key, "payloads", "body", "row", b"content")
    assert house.keys().open_object(house.keys().object_key(key.id), "payloads", "body", "row", sealed) == b"content"
    house.keys().destroy(key.id)
    with pytest.raises(KeyDestroyedError):
        house.keys().object_key(key.id)
    house.keys().destroy(key.id)
    assert house.records.object_keys[ACME.value, key.id.value].destroyed_at == NOW


def test_one_object_goes_and_the_others_stay(house: House) -> None:
    one, two = house.keys().new_object_key(), house.keys().new_object_key()
    sealed = house.keys().seal_object(two, "t", "c", "r", b"content")
    house.keys().destroy(one.id)
    assert house.keys().open_object(house.keys().object_key(two.id), "t", "c", "r", sealed) == b"content"


def test_an_object_key_of_another_organisation_is_not_found(house: House) -> None:
    key = house.keys().new_object_key()
    for act in (house.keys(OTHER).object_key, house.keys(OTHER).destroy):
        with pytest.raises(NotFoundError) as caught:
            act(key.id)
        assert not isinstance(caught.value, KeyDestroyedError)


@pytest.mark.parametrize("warm", [True, False])
def test_an_object_key_wrapped_under_a_key_of_another_purpose_is_refused(house: House, warm: bool) -> None:
    key = house.keys().new_object_key()
    house.keys().seal("a", "t", "c", "r", b"")
    wrong = house.records.tenant_key(ACME.value, "a")
    assert wrong is not None
    assert wrong.wrapped is not None
    rewrapped = wrap(house.platform.unwrap(wrong.wrapped), key.material.reveal())
    row = house.records.object_keys[ACME.value, key.id.value]
    house.records.object_keys[ACME.value, key.id.value] = dataclasses.replace(
        row, tenant_key_id=wrong.key_id, wrapped=rewrapped
    )
    with pytest.raises(SealBrokenError, match="another purpose"):
        (house if warm else house.restarted()).keys().object_key(key.id)


def test_a_key_made_before_the_transaction_is_adopted_by_it(house: House) -> None:
    key = DataKey.generate(secrets.token_bytes, NOW)
    context = house.keys().context_for("payloads", "body", "row", "object")
    sealer = Sealer(key, context)
    sealed = sealer.start() + sealer.update(b"content") + sealer.finish()
    house.keys().adopt(key)
    assert house.keys().open_object(house.keys().object_key(key.id), "payloads", "body", "row", sealed) == b"content"


@pytest.mark.parametrize("state", list(KeyState))
def test_a_key_opens_what_its_state_allows(house: House, state: KeyState) -> None:
    sealed = house.keys().seal("a", "t", "c", "r", b"content")
    ((place, row),) = house.records.tenant_keys.items()
    wrapped = None if state is KeyState.DESTROYED else row.wrapped
    house.records.tenant_keys[place] = dataclasses.replace(row, state=state, wrapped=wrapped)
    keys = house.restarted().keys()
    if state.processes:
        assert keys.open("a", "t", "c", "r", sealed) == b"content"
    else:
        with pytest.raises(KeyDestroyedError):
            keys.open("a", "t", "c", "r", sealed)
    fresh = key_id_of(house.restarted().keys().seal("a", "t", "c", "r", b"")).value
    assert (fresh == row.key_id) == state.protects


def test_a_destroyed_tenant_key_is_forgotten_within_a_minute(house: House) -> None:
    sealed = house.keys().seal("a", "t", "c", "r", b"content")
    ((place, row),) = house.records.tenant_keys.items()
    house.records.tenant_keys[place] = dataclasses.replace(row, state=KeyState.DESTROYED, wrapped=None)
    with pytest.raises(KeyDestroyedError):
        house.keys(now=NOW + timedelta(minutes=1)).open("a", "t", "c", "r", sealed)


def test_a_clock_that_jumps_back_does_not_keep_a_key_alive() -> None:
    cache = KeyCache()
    key = DataKey.generate(secrets.token_bytes, NOW)
    cache.put(ACME.value, "a", key, NOW)
    assert cache.get(ACME.value, key.id.value, "a", NOW - timedelta(seconds=1)) is None


def test_the_cache_is_bounded_and_drops_what_was_unused_longest() -> None:
    cache = KeyCache(size=2)
    one, two, three = (DataKey.generate(secrets.token_bytes, NOW) for _ in range(3))
    cache.put(ACME.value, "a", one, NOW)
    cache.put(ACME.value, "a", two, NOW)
    assert cache.get(ACME.value, one.id.value, "a", NOW) is one
    cache.put(ACME.value, "a", three, NOW)
    assert cache.get(ACME.value, two.id.value, "a", NOW) is None
    assert cache.get(ACME.value, one.id.value, "a", NOW) is one
    assert cache.get(OTHER.value, one.id.value, "a", NOW) is None
    assert cache.get(ACME.value, one.id.value, "b", NOW) is None
    cache.forget(ACME.value)
    assert cache.get(ACME.value, one.id.value, "a", NOW) is None


def test_the_cache_is_safe_among_threads() -> None:
    cache = KeyCache(size=8)
    keys = [DataKey.generate(secrets.token_bytes, NOW) for _ in range(32)]
    wrong: list[object] = []

    def work(offset: int) -> None:
        for turn in range(2000):
            key = keys[(turn * 7 + offset) % len(keys)]
            cache.put(ACME.value, "a", key, NOW)
            found = cache.get(ACME.value, key.id.value, "a", NOW)
            if found not in (None, key):
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_secret_is_the_same_each_time_and_differs_by_purpose_environment_and_organisation(house: House) -> None:
    link = house.keys().secret_for("link")
    assert link == house.restarted().keys().secret_for("link")
    others = [
        house.keys().secret_for("cursor"),
        house.keys(environment="test").secret_for("link"),
        house.keys(OTHER).secret_for("link"),
    ]
    assert len({secret.reveal() for secret in (link, *others)}) == 4
    row = house.records.tenant_key(ACME.value, "link")
    assert row is not None
    assert row.wrapped is not None
    assert house.platform.unwrap(row.wrapped) != link.reveal()


# ---------------------------------------------------------------- states: NIST SP 800-57 part 1, section 7


@given(st.lists(st.sampled_from(KeyState), max_size=12))
def test_a_key_walks_only_the_allowed_ways_and_never_lives_again(steps: list[KeyState]) -> None:
    state, was_destroyed, was_compromised = KeyState.PRE_ACTIVATION, False, False
    for to in steps:
        if to in ALLOWED[state]:
            state = advance(state, to)
        else:
            with pytest.raises(KeyTransitionError):
                advance(state, to)
        was_destroyed |= state is KeyState.DESTROYED
        was_compromised |= state is KeyState.COMPROMISED
        if was_destroyed:
            assert not state.processes
        if was_compromised or state is KeyState.DEACTIVATED:
            assert not state.protects


def test_every_state_is_reachable_and_destruction_from_each() -> None:
    assert {to for ways in ALLOWED.values() for to in ways} | {KeyState.PRE_ACTIVATION} == set(KeyState)
    assert all(KeyState.DESTROYED in ALLOWED[state] for state in KeyState if state is not KeyState.DESTROYED)
    assert not any(state in ways for state, ways in ALLOWED.items())
    assert all(not ALLOWED[KeyState.COMPROMISED] & {to} for to in (KeyState.ACTIVE, KeyState.DEACTIVATED))


def test_the_states_are_the_words_of_the_table() -> None:
    assert list(KeyState) == [
        "pre-activation",
        "active",
        "suspended",
        "deactivated",
        "compromised",
        "destroyed",
    ]


def test_many_objects_keys_come_together_without_the_destroyed_and_unknown_ones(house: House) -> None:
    keys = house.keys()
    kept, gone = keys.new_object_key(), keys.new_object_key()
    sealed = keys.seal_object(kept, "t", "c", "r", b"content")
    keys.destroy(gone.id)
    stranger = house.keys(OTHER).new_object_key()
    found = keys.object_keys([kept.id, gone.id, stranger.id])
    assert set(found) == {kept.id}
    assert keys.open_object(found[kept.id], "t", "c", "r", sealed) == b"content"


def test_an_operation_asks_for_each_objects_key_once_and_forgets_the_one_it_destroys(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = house.keys().new_object_key().id, house.keys().new_object_key().id
    asked: list[set[UUID]] = []
    find = house.records.find_object_keys

    def noting(tenant: UUID, key_ids: Sequence[UUID]) -> list[ObjectKeyRow]:
        asked.append(set(key_ids))
        return find(tenant, key_ids)

    monkeypatch.setattr(house.records, "find_object_keys", noting)
    keys = house.keys()
    assert set(keys.object_keys([one])) == {one}
    assert set(keys.object_keys([one, two])) == {one, two}
    assert set(keys.object_keys([one, two])) == {one, two}
    assert asked == [{one.value}, {two.value}]
    keys.destroy(one)
    assert set(keys.object_keys([one, two])) == {two}
    assert set(house.keys().object_keys([one, two])) == {two}

"""Signing keys: made once, logged in the same transaction, rotated, given up."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from heldtrue.capabilities.keystore import actions, routes, store
from heldtrue.capabilities.keystore.actions import LogKeyFixedError, Signers
from heldtrue.capabilities.keystore.model import (
    RECEIPT_GRACE,
    RECEIPT_TERM,
    SESSION_GRACE,
    NoSigningKeyError,
    Purpose,
)
from heldtrue.capabilities.keystore.succession import succeed
from heldtrue.capabilities.ledger import actions as ledger
from heldtrue.capabilities.ledger import generations, proofs
from heldtrue.capabilities.ledger import store as ledger_store
from heldtrue.capabilities.ledger.generations import OriginFixedError
from heldtrue.capabilities.ledger.model import instant, parse_entry
from heldtrue.capabilities.ledger.note import VerifierKey
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.signing import SigningKey, multikey, verify
from heldtrue.crypto.states import KeyTransitionError
from heldtrue.crypto.wrapping import UnwrapError
from heldtrue.db.tx import Database
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.errors import NotFoundError, SettingsError
from heldtrue.kernel.ids import CryptoKeyId, LeafId, TenantId
from heldtrue.kernel.secret import Secret

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ORIGIN = "heldtrue.example/log"
TICK = timedelta(milliseconds=1)
GRACES = {Purpose.RECEIPT: RECEIPT_GRACE, Purpose.SESSION: SESSION_GRACE}


def a_platform_key() -> PlatformKey:
    return PlatformKey(CryptoKeyId.new(NOON, secrets.token_bytes), Secret(secrets.token_bytes(32)))


PLATFORM = a_platform_key()


@pytest.fixture
def opened(database: Database) -> Database:
    with database.system() as tx:
        actions.ensure_signing_keys(tx, PLATFORM, ORIGIN, NOON, secrets.token_bytes)
    return database


def logged(database: Database) -> list[dict[str, Any]]:
    with database.system() as tx:
        return [parse_entry(row.entry) for row in ledger_store.pending(tx, 100)]


def test_first_start_makes_a_key_for_each_purpose_and_logs_it(opened: Database) -> None:
    with opened.system() as tx:
        keys = {purpose: store.active(tx, purpose) for purpose in Purpose}
        origin = generations.current(tx)
    assert origin.key_id == keys[Purpose.LOG].key_id
    entries = {each["purpose"]: each for each in logged(opened)}
    for purpose, key in keys.items():
        assert key is not None
        assert entries[purpose] == {
            "v": 1, "kind": "key", "event": "activated", "id": str(key.id), "purpose": purpose,
            "public": multikey(key.public), "at": instant(NOON), "not_before": instant(NOON),
            "sign_until": instant(NOON + RECEIPT_TERM) if purpose in GRACES else None,
            "accept_until": instant(NOON + RECEIPT_TERM + GRACES[purpose]) if purpose in GRACES else None,
        }  # fmt: skip


def test_a_later_start_changes_nothing(opened: Database) -> None:
    with opened.system() as tx:
        before = [store.all_of(tx, purpose) for purpose in Purpose]
        actions.ensure_signing_keys(tx, PLATFORM, ORIGIN, NOON + timedelta(days=1), secrets.token_bytes)
        assert [store.all_of(tx, purpose) for purpose in Purpose] == before
    assert len(logged(opened)) == len(Purpose)


def test_the_origin_never_changes(opened: Database) -> None:
    with pytest.raises(OriginFixedError), opened.system() as tx:
        actions.ensure_signing_keys(tx, PLATFORM, "other.example/log", NOON, secrets.token_bytes)


@pytest.mark.parametrize(
    "origin", ["", "https://heldtrue.example/log", "two words", "a+b", "/log", "log/", "cosignature/v1"]
)
def test_what_cannot_name_a_log_is_refused(database: Database, origin: str) -> None:
    with pytest.raises(SettingsError), database.system() as tx:
        actions.ensure_signing_keys(tx, PLATFORM, origin, NOON, secrets.token_bytes)


def test_a_signing_key_is_stored_wrapped_and_opens_under_its_platform_key_alone(opened: Database) -> None:
    with opened.system() as tx:
        row = store.active(tx, "receipt")
        assert row is not None
        key = Signers(PLATFORM).active(tx, "receipt", NOON)
        assert key.public == row.public
        assert row.wrapped is not None
        assert key.seed.reveal() not in row.wrapped
        assert verify(row.public, key.sign(b"text"), b"text")
        with pytest.raises(UnwrapError):
            Signers(a_platform_key()).active(tx, "receipt", NOON)


def test_a_tenant_transaction_may_sign_with_the_receipt_key(
    opened: Database, make_tenant: Callable[..., TenantId]
) -> None:
    tenant = make_tenant(opened)
    with opened.tenant(tenant, "live") as tx:
        assert isinstance(actions.active_signing_key(tx, PLATFORM, "receipt", NOON), SigningKey)


def test_a_receipt_key_signs_for_a_quarter_to_the_instant(opened: Database) -> None:
    signers = Signers(PLATFORM)
    with opened.system() as tx:
        signers.active(tx, "receipt", NOON + RECEIPT_TERM - TICK)
        for outside in (NOON + RECEIPT_TERM, NOON - TICK):
            with pytest.raises(NoSigningKeyError):
                signers.active(tx, "receipt", outside)
        signers.active(tx, "evidence", NOON + timedelta(days=4000))


def test_rotation_retires_the_old_key_and_logs_both(opened: Database) -> None:
    later = NOON + timedelta(days=30)
    signers = Signers(PLATFORM)
    with opened.system() as tx:
        before = signers.active(tx, "receipt", NOON)
        made = actions.rotate(tx, PLATFORM, "receipt", later, secrets.token_bytes)
        assert signers.active(tx, "receipt", later).id == made.id != before.id
        old = store.by_id(tx, before.id.value)
    assert old is not None
    assert (old.state, old.sign_until, old.accept_until) == ("deactivated", later, later + RECEIPT_GRACE)
    assert made.sign_until == later + RECEIPT_TERM
    events = {(each["event"], each["id"]): each for each in logged(opened) if each["purpose"] == "receipt"}
    assert events["deactivated", str(before.id)]["accept_until"] == instant(later + RECEIPT_GRACE)
    assert ("activated", str(made.id)) in events


def test_a_key_is_rotated_a_day_before_its_term_and_not_earlier(opened: Database) -> None:
    due = NOON + RECEIPT_TERM - timedelta(days=1)
    with opened.system() as tx:
        assert actions.rotate_due(tx, PLATFORM, due - TICK, secrets.token_bytes) == []
        made = {one.purpose: one for one in actions.rotate_due(tx, PLATFORM, due, secrets.token_bytes)}
        assert {purpose: one.state for purpose, one in made.items()} == {
            "receipt": "active",
            "session": "pre-activation",
        }
        assert actions.rotate_due(tx, PLATFORM, due, secrets.token_bytes) == []


def test_a_rotation_that_fails_leaves_the_old_key_signing(opened: Database) -> None:
    def rotate_and_crash() -> None:
        with opened.system() as tx:
            actions.rotate(tx, PLATFORM, "receipt", NOON, secrets.token_bytes)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rotate_and_crash()
    with opened.system() as tx:
        Signers(PLATFORM).active(tx, "receipt", NOON)
        assert len(store.all_of(tx, "receipt")) == 1
    assert len(logged(opened)) == len(Purpose)


def test_a_compromised_key_is_replaced_and_its_instant_logged(opened: Database) -> None:
    later = NOON + timedelta(hours=1)
    with opened.system() as tx:
        before = Signers(PLATFORM).active(tx, "receipt", NOON)
        actions.compromise(tx, PLATFORM, before.id, later, secrets.token_bytes)
        old = store.by_id(tx, before.id.value)
        assert Signers(PLATFORM).active(tx, "receipt", later).id != before.id
        with pytest.raises(KeyTransitionError):
            actions.compromise(tx, PLATFORM, before.id, later, secrets.token_bytes)
        with pytest.raises(NotFoundError):
            actions.compromise(tx, PLATFORM, CryptoKeyId.new(NOON, secrets.token_bytes), later, secrets.token_bytes)
    assert old is not None
    assert (old.state, old.compromised_at) == ("compromised", later)
    [told] = [each for each in logged(opened) if each["event"] == "compromised"]
    assert (told["id"], told["at"]) == (str(before.id), instant(later))


def test_the_logs_own_key_is_neither_rotated_nor_given_up_while_it_signs(opened: Database) -> None:
    with opened.system() as tx:
        key = Signers(PLATFORM).of_log(tx)
        with pytest.raises(LogKeyFixedError, match="succeed"):
            actions.rotate(tx, PLATFORM, "log", NOON, secrets.token_bytes)
        with pytest.raises(LogKeyFixedError):
            actions.compromise(tx, PLATFORM, key.id, NOON, secrets.token_bytes)


def test_the_edge_cannot_read_the_private_half_of_signing_keys(opened: Database) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), opened.edge() as tx:
        tx.value("SELECT count(wrapped) FROM keystore.signing_keys")


def test_what_is_published_is_public(opened: Database) -> None:
    with opened.system() as tx:
        actions.rotate(tx, PLATFORM, "receipt", NOON + timedelta(days=1), secrets.token_bytes)
        shown = routes.published(tx)
        key_set = routes.jwks(tx, NOON)
        [session] = store.all_of(tx, Purpose.SESSION)
        origin = generations.current(tx)
    assert shown.origin == ORIGIN
    assert VerifierKey.parse(shown.log_key).public == origin.public
    assert [each.state for each in shown.receipt_keys] == ["active", "deactivated"]
    assert shown.witnesses == []
    assert [each.kid for each in key_set.keys] == [str(session.id)]


def test_a_keys_entry_is_found_in_the_generation_of_what_it_signed(opened: Database, tmp_path: Path) -> None:
    def append(database: Database) -> LeafId:
        with database.system() as tx:
            return ledger.append_clear(tx, "intent", {"number": 1}, datetime.now(UTC), secrets.token_bytes)

    clock = SystemClock()
    first = append(opened)
    actions.sequencer(opened, tmp_path, PLATFORM, clock).step()
    succeed(opened, tmp_path, PLATFORM, clock.now(), secrets.token_bytes)
    second = append(opened)
    actions.sequencer(opened, tmp_path, PLATFORM, clock).step()
    with opened.system() as tx:
        key = Signers(PLATFORM).active(tx, "receipt", NOON)
        for leaf in (first, second):
            entry, entry_leaf = actions.key_entry(tx, key.id, leaf)
            assert entry["public"] == multikey(key.public)
            assert proofs.generation_of(tx, entry_leaf) == proofs.generation_of(tx, leaf)
        assert proofs.generation_of(tx, second) == 2
        with pytest.raises(NotFoundError):
            actions.key_entry(tx, CryptoKeyId.new(NOON, secrets.token_bytes), first)

"""Session keys: made at an instance's next start, published before they sign, accepted a little after they stop."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from heldtrue.capabilities.keystore import actions, routes, store
from heldtrue.capabilities.keystore.actions import Signers
from heldtrue.capabilities.keystore.model import (
    ANNOUNCED,
    SESSION_GRACE,
    SESSION_TERM,
    NoSigningKeyError,
    Purpose,
    StoredKey,
    accepts,
)
from heldtrue.capabilities.ledger import generations
from heldtrue.capabilities.ledger import store as ledger
from heldtrue.capabilities.ledger.actions import append_clear
from heldtrue.capabilities.ledger.model import parse_entry
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.migrate import migrate, shipped
from heldtrue.db.roles import admit
from heldtrue.db.tx import Database, SystemTx
from heldtrue.kernel.ids import CryptoKeyId, LeafId
from heldtrue.kernel.secret import Secret

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ORIGIN = "heldtrue.example/log"
TICK = timedelta(milliseconds=1)
PLATFORM = PlatformKey(CryptoKeyId.new(NOON, secrets.token_bytes), Secret(secrets.token_bytes(32)))


@pytest.fixture
def opened(database: Database) -> Database:
    with database.system() as tx:
        actions.ensure_signing_keys(tx, PLATFORM, ORIGIN, NOON, secrets.token_bytes)
    return database


def published(tx: SystemTx, now: datetime) -> list[str]:
    return [key.kid for key in routes.jwks(tx, now).keys]


def rotated(tx: SystemTx, now: datetime) -> Sequence[StoredKey]:
    made = actions.rotate_due(tx, PLATFORM, now, secrets.token_bytes)
    return [key for key in made if key.purpose == Purpose.SESSION]


@pytest.fixture
def of_the_first_schema(server: Any) -> Generator[tuple[Secret[str], Database]]:
    """A database as the first migration left it, with the keys that were made then."""
    name = server.create("template0")
    admin = server.admin_of(name)
    admit(admin)
    migrate(admin, shipped()[:1])
    database = server.open(name)

    def log(tx: SystemTx) -> Callable[[str, Mapping[str, Any]], LeafId]:
        return lambda kind, document: append_clear(tx, kind, document, NOON, secrets.token_bytes)

    with database.system() as tx:
        made = [
            actions.make(tx, PLATFORM, purpose, NOON, secrets.token_bytes, log(tx))
            for purpose in (Purpose.LOG, Purpose.RECEIPT, Purpose.EVIDENCE)
        ]
        generations.open_first(tx, ORIGIN, made[0].id, NOON)
    yield admin, database
    database.close()
    server.drop(name)


def test_an_instance_from_before_gets_its_session_key_at_its_next_start(
    of_the_first_schema: tuple[Secret[str], Database],
) -> None:
    admin, database = of_the_first_schema
    later = NOON + timedelta(days=40)
    migrate(admin)
    with database.system() as tx:
        before = {purpose: store.active(tx, purpose) for purpose in Purpose}
        assert before[Purpose.SESSION] is None
        with pytest.raises(NoSigningKeyError):
            Signers(PLATFORM).active(tx, Purpose.SESSION, later)
        actions.ensure_signing_keys(tx, PLATFORM, ORIGIN, later, secrets.token_bytes)
        after = {purpose: store.active(tx, purpose) for purpose in Purpose}
        made = after[Purpose.SESSION]
        assert made is not None
        assert made.not_before == later
        assert after == {**before, Purpose.SESSION: made}
        assert Signers(PLATFORM).active(tx, Purpose.SESSION, later).public == made.public
        assert published(tx, later) == [str(made.id)]


def test_the_next_key_is_published_before_it_signs_and_the_old_one_after(opened: Database) -> None:
    due = NOON + SESSION_TERM - timedelta(days=1)
    with opened.system() as tx:
        [first] = store.all_of(tx, Purpose.SESSION)
        assert rotated(tx, due - TICK) == []
        [second] = rotated(tx, due)
        assert second.state == "pre-activation"
        assert rotated(tx, due) == []
        assert actions.announce_session(tx, PLATFORM, due, secrets.token_bytes) == second
        assert published(tx, due) == [str(second.id), str(first.id)]
        assert Signers(PLATFORM).active(tx, Purpose.SESSION, due).id == first.id
        start = due + ANNOUNCED
        assert rotated(tx, start - TICK) == []
        [signing] = rotated(tx, start)
        assert (signing.id, signing.state) == (second.id, "active")
        assert Signers(PLATFORM).active(tx, Purpose.SESSION, start).id == second.id
        assert published(tx, start + SESSION_GRACE - TICK) == [str(second.id), str(first.id)]
        assert published(tx, start + SESSION_GRACE) == [str(second.id)]
        events = [parse_entry(row.entry) for row in ledger.pending(tx, 100)]
    told = [(each["event"], each["id"]) for each in events if each["purpose"] == "session"]
    assert told[0] == ("activated", str(first.id))  # the other two are of one instant
    assert sorted(told[1:]) == [("activated", str(second.id)), ("deactivated", str(first.id))]


def test_a_key_given_up_is_neither_published_nor_accepted_from_that_instant(opened: Database) -> None:
    with opened.system() as tx:
        [first] = store.all_of(tx, Purpose.SESSION)
        actions.compromise(tx, PLATFORM, first.id, NOON, secrets.token_bytes)
        [kid] = published(tx, NOON)
        assert kid != str(first.id)
        row = store.by_id(tx, first.key_id)
    assert row is not None
    assert not accepts(row.state, row.accept_until, NOON)


def test_a_rotation_at_once_keeps_the_old_key_for_the_longest_token(opened: Database) -> None:
    with opened.system() as tx:
        [first] = store.all_of(tx, Purpose.SESSION)
        made = actions.rotate(tx, PLATFORM, Purpose.SESSION, NOON, secrets.token_bytes)
        row = store.by_id(tx, first.key_id)
        assert row is not None
        assert row.accept_until == NOON + SESSION_GRACE
        assert set(published(tx, NOON)) == {str(first.id), str(made.id)}


def test_the_margin_covers_the_longest_life_of_a_token() -> None:
    from heldtrue.capabilities.access.sessions import CLOCK_LEEWAY, LONGEST_LIFE

    assert SESSION_GRACE > LONGEST_LIFE + CLOCK_LEEWAY


def test_the_key_set_holds_no_key_of_another_purpose(opened: Database) -> None:
    with opened.system() as tx:
        others = {
            str(key.id) for purpose in Purpose if purpose is not Purpose.SESSION for key in store.all_of(tx, purpose)
        }
        assert others
        assert not others & set(published(tx, NOON))

"""The change feed over a real PostgreSQL: in the order of commits, through cuts, prunings and a restored database."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from edgekeys import Boot
from psycopg.conninfo import make_conninfo

from heldtrue.capabilities.access import store
from heldtrue.capabilities.access.model import ApiKey, KeyRevokedError, OrganisationClosedError, UnknownKeyError, mint
from heldtrue.capabilities.edge import feed as feeds
from heldtrue.capabilities.edge import reading
from heldtrue.capabilities.edge.agreement import Agreement
from heldtrue.capabilities.edge.decision import Decider
from heldtrue.capabilities.edge.feed import Feed
from heldtrue.capabilities.edge.model import STALE_AFTER, StaleFeedError
from heldtrue.capabilities.edge.snapshot import Snapshot
from heldtrue.db.tx import Database
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.errors import UnauthenticatedError, UnavailableError
from heldtrue.kernel.ids import TenantId
from heldtrue.kernel.secret import Secret
from heldtrue.policy.permissions import Role

PATIENCE = 15.0


@dataclass
class Desk:
    """Keys in a database, and a decider that is told of them by a feed."""

    database: Database
    tenant: TenantId
    boot: Boot

    def __post_init__(self) -> None:
        self.snapshot = Snapshot()
        self.feed = Feed(self.database.dsns.edge, self.snapshot, boot=self.boot)
        self.decider = Decider(self.snapshot, SystemClock(), boot=self.boot)

    def issue(self, **given: Any) -> tuple[str, ApiKey]:
        secret, key = mint(self.tenant, "live", datetime.now(UTC), secrets.token_bytes, role=Role.SENDER, **given)
        with self.database.system() as tx:
            store.insert(tx, key, b"sealed")
        return secret.reveal(), key

    def revoke(self, key: ApiKey) -> None:
        with self.database.tenant(self.tenant, "live") as tx:
            store.update(tx, key.revoked(datetime.now(UTC)))

    def verdict(self, secret: str) -> str:
        try:
            self.decider.identify(secret)
        except (UnauthenticatedError, UnavailableError) as error:
            return error.code
        return "admitted"

    @contextlib.contextmanager
    def running(self) -> Generator[None]:
        """Run the feed's thread meanwhile, by the machine's own clock."""
        boot = feeds.boottime
        self.feed = Feed(self.database.dsns.edge, self.snapshot)
        self.decider = Decider(self.snapshot, SystemClock(), boot=boot)
        with self.feed:
            assert self.feed.start()
            yield


def until(look: Callable[[], object], what: str) -> float:
    """Wait until *look* is true, and return the seconds that it took."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < PATIENCE, f"{what} did not come"
        time.sleep(0.005)
    return time.monotonic() - began


@pytest.fixture
def desk(database: Database, make_tenant: Any) -> Generator[Desk]:
    made = Desk(database, make_tenant(database), Boot())
    yield made
    made.feed.close()


def backend_of(feed: Feed) -> int:
    assert feed._line is not None
    return feed._line.info.backend_pid


# ---------------------------------------------------------------- what is brought in


def test_a_key_is_known_after_its_commit_and_revoked_after_that(desk: Desk) -> None:
    secret, key = desk.issue()
    desk.feed.catch_up()
    assert desk.verdict(secret) == "admitted"
    desk.revoke(key)
    assert desk.verdict(secret) == "admitted"
    desk.feed.catch_up()
    assert desk.verdict(secret) == "key-revoked"


def test_changes_are_brought_in_in_the_order_of_their_commits(desk: Desk) -> None:
    (first, one), (second, two) = desk.issue(), desk.issue()
    desk.feed.catch_up()
    now = datetime.now(UTC)
    with desk.database.tenant(desk.tenant, "live") as tx:
        store.update(tx, one.revoked(now))  # begun before the other, committed after it
        desk.revoke(two)
        desk.feed.catch_up()
        assert (desk.verdict(first), desk.verdict(second)) == ("admitted", "key-revoked")
        between = desk.snapshot.tables.generation
    desk.feed.catch_up()
    assert desk.verdict(first) == "key-revoked"
    assert desk.snapshot.tables.generation > between


def test_what_was_rolled_back_never_happened(desk: Desk) -> None:
    secret, key = desk.issue()
    desk.feed.catch_up()
    before = desk.snapshot.tables.generation
    with contextlib.suppress(KeyboardInterrupt), desk.database.tenant(desk.tenant, "live") as tx:
        store.update(tx, key.revoked(datetime.now(UTC)))
        raise KeyboardInterrupt
    desk.feed.catch_up()
    assert desk.verdict(secret) == "admitted"
    assert desk.snapshot.tables.generation == before


def test_everything_about_a_key_is_brought_in(desk: Desk, superuser: psycopg.Connection) -> None:
    secret, key = desk.issue()
    superuser.execute(
        "UPDATE heldtrue.api_keys SET grants = '{orders.read,x}', origins = '{https://a.example}',"
        " addresses = '{192.0.2.0/24,2001:db8::/32}', scopes = '{payload.send}' WHERE key_id = %s",
        [key.id.value],
    )
    for fresh in (True, False):
        if not fresh:  # the same by a change as by reading everything
            superuser.execute("UPDATE heldtrue.api_keys SET last4 = 'abcd'")
        desk.feed.catch_up()
        caller = desk.decider.identify(secret, origin="https://a.example", address="2001:db8::7")
        assert caller.grants == {"orders.read", "x"}
        assert [permission.value for permission in caller.permissions] == ["payload.send"]
        assert caller.key == key.id
        assert caller.tenant == desk.tenant
        assert desk.verdict(secret) == "origin-refused"


def test_organisations_session_generations_and_session_keys_are_brought_in(
    desk: Desk, superuser: psycopg.Connection
) -> None:
    secret, _ = desk.issue()
    desk.feed.catch_up()
    place, now = (desk.tenant.value.bytes, "live"), datetime.now(UTC)
    superuser.execute("INSERT INTO heldtrue.session_generations VALUES (%s, 'live', 7, %s)", [desk.tenant.value, now])
    superuser.execute("UPDATE heldtrue.organisations SET state = 'closed' WHERE tenant_id = %s", [desk.tenant.value])
    for purpose in ("session", "receipt"):
        superuser.execute(
            "INSERT INTO keystore.signing_keys (key_id, purpose, state, public, wrapped, not_before)"
            " VALUES (gen_random_uuid(), %s, 'active', %s, 'w', %s)",
            [purpose, bytes(32), now],
        )
    desk.feed.catch_up()
    assert desk.verdict(secret) == OrganisationClosedError.code
    assert desk.snapshot.tables.sessions[place] == 7
    (kid,) = desk.snapshot.tables.signing
    assert desk.snapshot.public_key(kid, now) == bytes(32)
    superuser.execute("UPDATE keystore.signing_keys SET state = 'compromised' WHERE purpose = 'session'")
    desk.feed.catch_up()
    assert desk.snapshot.public_key(kid, now) is None


def test_a_key_whose_row_is_gone_is_unknown(desk: Desk, superuser: psycopg.Connection) -> None:
    secret, _ = desk.issue()
    desk.feed.catch_up()
    superuser.execute("DELETE FROM heldtrue.api_keys")
    desk.feed.catch_up()
    assert desk.verdict(secret) == UnknownKeyError.code


def test_more_changes_than_are_worth_it_are_read_as_a_whole(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.feed.catch_up()
    before = desk.snapshot.tables
    monkeypatch.setattr(reading, "MOST_CHANGES", 3)
    keys = [desk.issue()[0] for _ in range(5)]
    desk.feed.catch_up()
    assert desk.snapshot.tables is not before
    assert {desk.verdict(key) for key in keys} == {"admitted"}


def test_writers_at_once_leave_the_same_in_memory_as_in_the_database(desk: Desk) -> None:
    made: list[tuple[str, bool]] = []

    def write(revoking: bool) -> None:
        for _ in range(15):
            secret, key = desk.issue()
            if revoking:
                desk.revoke(key)
            made.append((secret, revoking))

    with desk.running():
        writers = [threading.Thread(target=write, args=[number % 2 == 0]) for number in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        desk.feed.catch_up()
        assert len(made) == 60
        for secret, revoked in made:
            assert desk.verdict(secret) == ("key-revoked" if revoked else "admitted")


# ---------------------------------------------------------------- how soon


def test_a_revocation_is_known_within_a_second_by_notice_and_by_heartbeat_alone(desk: Desk) -> None:
    keys = [desk.issue() for _ in range(2)]
    with desk.running():
        desk.revoke(keys[0][1])
        assert until(lambda: desk.verdict(keys[0][0]) == "key-revoked", "the revocation") < 1.0
        with desk.feed._asking:
            assert desk.feed._line is not None
            desk.feed._line.execute("UNLISTEN *")
        desk.revoke(keys[1][1])
        assert until(lambda: desk.verdict(keys[1][0]) == "key-revoked", "the revocation") < feeds.HEARTBEAT + 1.0


def test_a_cut_connection_is_opened_again_and_nothing_is_missed(desk: Desk, superuser: psycopg.Connection) -> None:
    secret, key = desk.issue()
    with desk.running():
        before = backend_of(desk.feed)
        tables = desk.snapshot.tables
        superuser.execute("SELECT pg_terminate_backend(%s)", [before])
        desk.revoke(key)
        assert until(lambda: desk.verdict(secret) == "key-revoked", "the revocation") < 3.0
        until(lambda: desk.feed._line is not None and backend_of(desk.feed) != before, "the connection")
        assert desk.snapshot.tables is tables, "everything was read anew, where going on would have done"


def test_whoever_waits_for_an_agreement_has_all_that_was_committed_before(desk: Desk) -> None:
    async def issue_and_wait(agreement: Agreement) -> str:
        secret, _ = await asyncio.to_thread(desk.issue)
        assert await agreement.reached()
        return desk.verdict(secret)

    async def many() -> list[str]:
        agreement = Agreement(desk.feed)
        return await asyncio.gather(*(issue_and_wait(agreement) for _ in range(8)))

    with desk.running():
        assert asyncio.run(many()) == ["admitted"] * 8


def test_whoever_waits_in_vain_is_told(desk: Desk, superuser: psycopg.Connection) -> None:
    async def wait() -> bool:
        return await Agreement(desk.feed).reached(0.2)

    with desk.running():
        with superuser.transaction():
            superuser.execute("LOCK heldtrue.edge_changes IN ACCESS EXCLUSIVE MODE")
            assert asyncio.run(wait()) is False
        assert asyncio.run(wait()) is True


# ---------------------------------------------------------------- when the database is away


def test_nobody_is_admitted_five_seconds_after_the_last_agreement(desk: Desk, superuser: psycopg.Connection) -> None:
    secret, _ = desk.issue()
    desk.feed.catch_up()
    superuser.execute("ALTER ROLE heldtrue_edge NOLOGIN")
    try:
        superuser.execute("SELECT pg_terminate_backend(%s)", [backend_of(desk.feed)])
        with pytest.raises(UnavailableError):
            desk.feed.catch_up()
        desk.boot.at += STALE_AFTER
        assert desk.verdict(secret) == "admitted"
        desk.boot.at += 0.001
        assert desk.verdict(secret) == StaleFeedError.code
        with pytest.raises(UnavailableError):
            desk.feed.catch_up()
    finally:
        superuser.execute("ALTER ROLE heldtrue_edge LOGIN")
    desk.feed.catch_up()
    assert desk.verdict(secret) == "admitted"


def test_an_answer_is_as_old_as_its_question(desk: Desk, superuser: psycopg.Connection) -> None:
    secret, _ = desk.issue()
    desk.feed.catch_up()
    locked, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with superuser.transaction():
            superuser.execute("LOCK heldtrue.edge_changes IN ACCESS EXCLUSIVE MODE")
            locked.set()
            ended.wait(PATIENCE)

    asked = desk.boot.at = desk.boot.at + 3.0
    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(PATIENCE)
    asking = threading.Thread(target=desk.feed.catch_up)
    asking.start()
    until(lambda: waits(desk), "the question")
    desk.boot.at += 4.0
    assert desk.verdict(secret) == StaleFeedError.code  # the decision did not wait for the question under way
    ended.set()
    holder.join()
    asking.join()
    assert desk.snapshot.agreed_at == asked
    assert desk.verdict(secret) == "admitted"
    desk.boot.at = asked + STALE_AFTER + 0.001
    assert desk.verdict(secret) == StaleFeedError.code


def waits(desk: Desk) -> bool:
    with desk.database.system() as tx:
        return bool(tx.value("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation')"))


def test_a_server_that_does_not_answer_is_given_up(desk: Desk, superuser: psycopg.Connection) -> None:
    desk.feed.catch_up()
    assert desk.feed._line is not None
    desk.feed._line.patience = 0.3
    with superuser.transaction():
        superuser.execute("LOCK heldtrue.edge_changes IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        with pytest.raises(UnavailableError):
            desk.feed.catch_up()
        assert time.monotonic() - began < reading.PATIENCE
    desk.feed.catch_up()


def test_a_start_without_a_database_does_not_wait_for_it(desk: Desk) -> None:
    nowhere = Secret(make_conninfo(desk.database.dsns.edge.reveal(), host="127.0.0.1", port=1))
    with Feed(nowhere, desk.snapshot) as feed:
        began = time.monotonic()
        assert not feed.start()
        assert time.monotonic() - began < 5.0
        assert desk.verdict("nonsense") == StaleFeedError.code


def test_a_feed_that_waits_for_its_answer_can_be_closed(desk: Desk, superuser: psycopg.Connection) -> None:
    with superuser.transaction(), desk.running():
        superuser.execute("LOCK heldtrue.edge_changes IN ACCESS EXCLUSIVE MODE")
        desk.feed.nudge()
        until(lambda: waits(desk), "the question")
        began = time.monotonic()
        desk.feed.close()
        assert time.monotonic() - began < 2.0


# ---------------------------------------------------------------- when the changes are not those that were known


def test_a_feed_that_was_away_for_longer_than_changes_are_kept_reads_everything(
    desk: Desk, superuser: psycopg.Connection
) -> None:
    secret, key = desk.issue()
    desk.feed.catch_up()
    desk.feed.close()
    desk.revoke(key)
    other, _ = desk.issue()
    superuser.execute("UPDATE heldtrue.edge_changes SET made_at = made_at - interval '2 hours'")
    with desk.database.system() as tx:
        assert reading.prune(tx) >= 2
        assert tx.value("SELECT count(*) FROM heldtrue.edge_changes") == 1
    desk.feed.catch_up()
    assert desk.verdict(secret) == KeyRevokedError.code
    assert desk.verdict(other) == "admitted"


def test_pruning_keeps_the_last_hour_and_the_newest(desk: Desk, superuser: psycopg.Connection) -> None:
    for _ in range(3):
        desk.issue()
    with desk.database.system() as tx:
        assert reading.prune(tx) == 0
    superuser.execute(
        "UPDATE heldtrue.edge_changes SET made_at = made_at - interval '61 minutes'"
        " WHERE generation < (SELECT max(generation) FROM heldtrue.edge_changes)"
    )
    kept = superuser.execute("SELECT max(generation) FROM heldtrue.edge_changes").fetchone()
    with desk.database.system() as tx:
        assert reading.prune(tx) >= 2
    superuser.execute("UPDATE heldtrue.edge_changes SET made_at = made_at - interval '61 minutes'")
    with desk.database.system() as tx:
        assert reading.prune(tx) == 0
    assert superuser.execute("SELECT max(generation) FROM heldtrue.edge_changes").fetchone() == kept


@pytest.mark.parametrize("further", [0, 1, 3])
def test_a_restored_database_is_read_anew_also_when_its_numbers_have_caught_up(
    desk: Desk, superuser: psycopg.Connection, further: int
) -> None:
    secret, key = desk.issue()
    desk.feed.catch_up()
    restored_to = desk.snapshot.tables.generation
    desk.revoke(key)
    lost, _ = desk.issue()
    desk.feed.catch_up()
    assert (desk.verdict(secret), desk.verdict(lost)) == ("key-revoked", "admitted")
    superuser.execute("SET session_replication_role = replica")  # the database as it was before both
    superuser.execute("DELETE FROM heldtrue.api_keys WHERE key_id <> %s", [key.id.value])
    superuser.execute("UPDATE heldtrue.api_keys SET state = 'active', revoked_at = NULL")
    superuser.execute("DELETE FROM heldtrue.edge_changes WHERE generation > %s", [restored_to])
    superuser.execute("SELECT setval('heldtrue.edge_generation', %s)", [restored_to])
    superuser.execute("SET session_replication_role = origin")
    since = [desk.issue()[0] for _ in range(further)]
    desk.feed.catch_up()
    assert (desk.verdict(secret), desk.verdict(lost)) == ("admitted", "unknown-key")
    assert {desk.verdict(one) for one in since} <= {"admitted"}

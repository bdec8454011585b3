"""PostgreSQL and Valkey share limits out alike: exactly, over many processes, and not at all when they are away."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from valkey_server import Valkey

from heldtrue.capabilities.edge.leases import Ask, Grant
from heldtrue.capabilities.edge.lessors import PgLessor, ValkeyLessor, forget_full
from heldtrue.capabilities.edge.limits import Allowance, Lessor, Limiter, LimiterUnavailableError, by_class
from heldtrue.db.tx import Database
from heldtrue.kernel.errors import SettingsError
from heldtrue.kernel.ids import KeyId, TenantId
from heldtrue.kernel.secret import Secret

Build = Callable[[], Lessor]
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Generator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["postgresql", "valkey"])
def build(request: pytest.FixtureRequest, module_database: Database, valkey: Valkey) -> Build:
    if request.param == "valkey":
        return lambda: ValkeyLessor(valkey.url)
    return lambda: PgLessor(module_database.dsns.system)


@pytest.fixture
def lessor(build: Build) -> Generator[Lessor]:
    one = build()
    yield one
    one.close()


def bucket() -> bytes:
    return secrets.token_bytes(16)


def somebody() -> tuple[TenantId, KeyId]:
    return TenantId.new(NOW, secrets.token_bytes), KeyId.new(NOW, secrets.token_bytes)


def test_a_bucket_gives_its_burst_and_not_one_more(lessor: Lessor) -> None:
    name = bucket()
    assert [grant.granted for grant in lessor.lease([Ask(name, 7, 1000.0, 10)])] == [7]
    (second,) = lessor.lease([Ask(name, 7, 1000.0, 10)])
    assert second.granted == 3
    assert second.level == pytest.approx(10_000, abs=2)
    (third,) = lessor.lease([Ask(name, 1, 1000.0, 10)])
    assert third.granted == 0
    assert third.level - 9 * 1000.0 == pytest.approx(1000, abs=2)


def test_what_was_taken_comes_back_at_the_rate(lessor: Lessor) -> None:
    name = bucket()
    (first,) = lessor.lease([Ask(name, 5, 0.02, 5)])
    assert first.granted == 5
    begun = last = time.monotonic()
    got, due = 0, 0.0
    while last < begun + 0.4:
        got += lessor.lease([Ask(name, 5, 0.02, 5)])[0].granted
        now = time.monotonic()
        due, last = due + min((now - last) / 0.02, 5), now  # more than the burst is lost when we come late
    assert due * 0.6 - 1 <= got <= (last - begun) / 0.02 + 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=20), st.integers(1, 12))
def test_many_buckets_in_one_round_trip_are_answered_in_order_and_apart(
    lessor: Lessor, wishes: list[tuple[int, int]], burst: int
) -> None:
    names, left = [bucket() for _ in range(5)], [burst] * 5
    wants = dict(wishes)
    grants = lessor.lease([Ask(names[which], want, 3600.0, burst) for which, want in wants.items()])
    for which, grant in zip(wants, grants, strict=True):
        assert grant.granted == min(wants[which], left[which])
        assert grant.level == pytest.approx(grant.granted * 3600.0, abs=1)


def test_two_that_want_the_same_buckets_in_other_orders_do_not_lock_each_other(build: Build) -> None:
    names = [bucket() for _ in range(40)]

    def ask(order: int) -> int:
        lessor = build()
        try:
            return sum(
                grant.granted
                for _ in range(40)
                for grant in lessor.lease([Ask(name, 1, 3600.0, 50) for name in names[::order]])
            )
        finally:
            lessor.close()

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(ask, (1, -1))) == 40 * 50


def flood(build: Build, who: tuple[TenantId, KeyId], allowance: Allowance, seconds: float) -> tuple[int, int]:
    """Call as fast as possible from one event loop; return admitted and refused."""

    async def work() -> tuple[int, int]:
        with closing(Limiter(by_class(allowance, allowance), build())) as limiter:
            admitted = refused = 0
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                found = await limiter.take(*who, "default")
                if found.admitted:
                    admitted += 1
                else:
                    refused += 1
                    await asyncio.sleep(0.001)  # lets the loop turn, as a server does between two requests
        return admitted, refused

    return asyncio.run(work())


def _flooding(build: Build, who: tuple[TenantId, KeyId], allowance: Allowance, told: Connection) -> None:
    told.send((time.monotonic(), flood(build, who, allowance, 1.0), time.monotonic()))


def test_four_processes_flood_one_bucket_and_get_what_one_would(build: Build) -> None:
    who, allowance = somebody(), Allowance(burst=60, per_second=40)
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe(duplex=False) for _ in range(4)]
    children = [context.Process(target=_flooding, args=(build, who, allowance, told)) for _, told in pipes]
    for child in children:
        child.start()
    answers = [ours.recv() for ours, _ in pipes]
    for child in children:
        child.join(20)
    spent = max(end for _, _, end in answers) - min(begun for begun, _, _ in answers)
    admitted = sum(found for _, (found, _), _ in answers)
    assert admitted <= 60 + 40 * spent
    assert admitted >= 60
    assert all(refused > 0 for _, (_, refused), _ in answers)


def test_burst_and_sustained_hold_together(build: Build) -> None:
    allowance = Allowance(burst=20, per_second=1000, per_hour=30)

    async def work() -> int:
        with closing(Limiter(by_class(Allowance(1000, 1000), allowance), build())) as limiter:
            who, admitted = somebody(), 0
            for _ in range(100):
                found = await limiter.take(*who, "default")
                admitted += found.admitted
                await asyncio.sleep(0.001)  # so that the burst comes back, and the hour does not
            assert [one.name for one in found.standings if not one.admitted] == ["key-hour"]
            assert found.retry_after > 60
            assert int(dict(found.headers())["retry-after"]) > 60
        return admitted

    assert asyncio.run(work()) == 30


def test_nothing_is_taken_of_one_limit_where_another_refuses(build: Build) -> None:
    async def work() -> None:
        with closing(Limiter(by_class(Allowance(50, 0.001), Allowance(5, 0.001)), build())) as limiter:
            tenant, first = somebody()
            second = somebody()[1]
            assert [(await limiter.take(tenant, first, "default")).admitted for _ in range(30)] == [True] * 5 + [
                False
            ] * 25
            found = await limiter.take(tenant, second, "default")
            assert found.admitted
            assert {one.name: one.remaining for one in found.standings} == {"organisation": 44, "key": 4}

    asyncio.run(work())


def test_a_flood_of_one_organisation_does_not_touch_another(build: Build) -> None:
    async def work() -> None:
        with closing(Limiter(by_class(Allowance(20, 10), Allowance(20, 10)), build())) as limiter:
            loud, quiet, over = somebody(), somebody(), False
            admitted, refused = 0, 0

            async def flooding() -> None:
                nonlocal admitted, refused
                while not over:
                    for _ in range(20):
                        if (await limiter.take(*loud, "default")).admitted:
                            admitted += 1
                        else:
                            refused += 1
                    await asyncio.sleep(0.002)  # ten thousand a second at most: a thousand times the limit

            begun = time.monotonic()
            flood = asyncio.create_task(flooding())
            for _ in range(15):
                assert (await limiter.take(*quiet, "default")).admitted
                await asyncio.sleep(0.02)
            over = True
            await flood
            assert refused > 100
            assert admitted <= 20 + 10 * (time.monotonic() - begun)

    asyncio.run(work())


def test_a_class_of_routes_has_its_own_limit_which_the_organisation_shares(build: Build) -> None:
    async def work() -> None:
        limits = by_class(Allowance(50, 0.001), Allowance(50, 0.001), {"export": Allowance(2, 0.001)})
        with closing(Limiter(limits, build())) as limiter:
            tenant, first = somebody()
            second = somebody()[1]
            got = [(await limiter.take(tenant, key, "export")).admitted for key in (first, second, first)]
            assert got == [True, True, False]
            assert (await limiter.take(tenant, first, "default")).admitted

    asyncio.run(work())


def test_calls_of_one_tick_share_a_round_trip(module_database: Database) -> None:
    class Counting(PgLessor):
        round_trips = 0

        def lease(self, asks: Sequence[Ask]) -> list[Grant]:
            self.round_trips += 1
            return super().lease(asks)

    async def work() -> None:
        lessor = Counting(module_database.dsns.system)
        with closing(Limiter(by_class(Allowance(1000, 100), Allowance(1000, 100)), lessor)) as limiter:
            found = await asyncio.gather(*(limiter.take(*somebody(), "default") for _ in range(100)))
            assert all(one.admitted for one in found)
            assert lessor.round_trips == 1

    asyncio.run(work())


def test_full_buckets_are_forgotten_and_others_kept_while_requests_go_on(database: Database) -> None:
    lessor = PgLessor(database.dsns.system)
    lasting, name = bucket(), bucket()
    lessor.lease([Ask(lasting, 5, 3600.0, 5)])
    lessor.lease([Ask(bucket(), 1, 1e-6, 5) for _ in range(20)])
    assert forget_full(database) == 0
    assert forget_full(database, idle=0.0) == 20
    assert lessor.lease([Ask(lasting, 5, 3600.0, 5)])[0].granted == 0

    def sweep() -> None:
        for _ in range(100):
            with database.system() as tx:
                tx.execute("DELETE FROM heldtrue.rate_buckets WHERE bucket = %s AND arrival < %s", [name, time.time()])

    with ThreadPoolExecutor(1) as pool:
        swept = pool.submit(sweep)
        begun, got = time.time(), 0
        while not swept.done():
            got += lessor.lease([Ask(name, 3, 0.001, 3)])[0].granted
        assert got <= 3 + (time.time() - begun) / 0.001
    lessor.close()


# ---------------------------------------------------------------- nobody answers


async def _denied(limiter: Limiter, within: float) -> None:
    begun = time.monotonic()
    with pytest.raises(LimiterUnavailableError):
        await limiter.take(*somebody(), "default")
    assert time.monotonic() - begun < within


async def _admitted_again(limiter: Limiter) -> None:
    """Ask until what was away is back: how soon a new connection stands is the machine's affair."""
    deadline = time.monotonic() + 10
    while True:
        try:
            assert (await limiter.take(*somebody(), "default")).admitted
        except LimiterUnavailableError:
            assert time.monotonic() < deadline
        else:
            return


def test_a_frozen_valkey_means_no_within_half_a_second_and_yes_again_when_it_thaws(valkey: Valkey) -> None:
    async def work() -> None:
        with closing(Limiter(by_class(Allowance(10, 1), Allowance(10, 1)), ValkeyLessor(valkey.url))) as limiter:
            assert (await limiter.take(*somebody(), "default")).admitted
            valkey.freeze()
            try:
                for _ in range(3):
                    await _denied(limiter, 0.6)
            finally:
                valkey.thaw()
            await _admitted_again(limiter)

    asyncio.run(work())


def test_a_stopped_valkey_means_no(tmp_path: Path) -> None:
    server = Valkey(tmp_path)
    server.start()

    async def work() -> None:
        with closing(Limiter(by_class(Allowance(10, 1), Allowance(10, 1)), ValkeyLessor(server.url))) as limiter:
            assert (await limiter.take(*somebody(), "default")).admitted
            server.stop()
            await _denied(limiter, 0.6)
            server.start()
            await _admitted_again(limiter)

    try:
        asyncio.run(work())
    finally:
        server.stop()


def test_a_database_that_is_stuck_means_no_within_half_a_second(
    database: Database, superuser: psycopg.Connection
) -> None:
    async def work() -> None:
        with closing(Limiter(by_class(Allowance(10, 1), Allowance(10, 1)), PgLessor(database.dsns.system))) as limiter:
            assert (await limiter.take(*somebody(), "default")).admitted
            with superuser.transaction():
                superuser.execute("LOCK TABLE heldtrue.rate_buckets IN ACCESS EXCLUSIVE MODE")
                await _denied(limiter, 0.6)
            await _admitted_again(limiter)
            (backend,) = superuser.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'heldtrue limits'"
            ).fetchone() or (0,)
            os.kill(backend, signal.SIGSTOP)
            try:
                await _denied(limiter, 0.6)
                await _admitted_again(limiter)  # over another connection
            finally:
                os.kill(backend, signal.SIGCONT)
            superuser.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'heldtrue limits'"
            )
            await _denied(limiter, 0.6)
            await _admitted_again(limiter)

    asyncio.run(work())


def test_a_server_that_accepts_and_says_nothing_means_no() -> None:
    async def work(port: int) -> None:
        limits = by_class(Allowance(10, 1), Allowance(10, 1))
        for lessor in (
            ValkeyLessor(Secret(f"redis://127.0.0.1:{port}/0")),
            PgLessor(Secret(f"host=127.0.0.1 port={port} user=nobody dbname=nothing sslmode=disable")),
        ):
            limiter = Limiter(limits, lessor)
            await _denied(limiter, 0.6)
            await asyncio.to_thread(limiter.close)

    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel connects, and nobody reads
        asyncio.run(work(silent.getsockname()[1]))


def test_a_url_of_something_else_is_refused() -> None:
    with pytest.raises(SettingsError):
        ValkeyLessor(Secret("http://127.0.0.1:6379"))

"""A limiter takes one of every limit or of none, tells how they stand, and forgets callers rather than growing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime

import http_sf
import pytest
from authority import Authority, Hand

from heldtrue.capabilities.edge import limits
from heldtrue.capabilities.edge.leases import Ask, Grant
from heldtrue.capabilities.edge.limits import Allowance, Limiter, LimiterUnavailableError, by_class
from heldtrue.kernel.ids import KeyId, TenantId

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TENANT = TenantId.new(NOW, secrets.token_bytes)
GENEROUS = Allowance(1000, 100)


def key() -> KeyId:
    return KeyId.new(NOW, secrets.token_bytes)


def run(work: Coroutine[object, object, None]) -> None:
    asyncio.run(work)


def test_a_refused_call_gives_back_what_it_took_of_the_other_limits() -> None:
    async def work() -> None:
        clock = Hand()
        limiter = Limiter(by_class(GENEROUS, Allowance(400, 0.001)), Authority(clock), monotonic=clock)
        busy = key()
        for _ in range(405):  # until its own limit is used up; the organisation's lease is ahead by then
            clock.at += 0.002
            found = await limiter.take(TENANT, busy, "default")
        assert not found.admitted
        before = found.standings[0].remaining
        organisation = next(lease for lease in limiter._leases.values() if lease.name == "organisation")
        assert organisation.left > 0
        for _ in range(50):
            again = limiter.admit(TENANT, busy, "default")
            assert again is not None
            assert not again.admitted
        assert again.standings[0].remaining == before
        limiter.close()

    run(work())


def test_the_headers_say_what_the_standings_say() -> None:
    async def work() -> None:
        clock = Hand()
        limiter = Limiter(by_class(Allowance(10, 1), Allowance(2, 1, per_hour=100)), Authority(clock), monotonic=clock)
        one = key()
        for _ in range(2):
            found = await limiter.take(TENANT, one, "default")
            assert found.admitted
        told = dict(found.headers())
        assert told["ratelimit-policy"] == '"organisation";q=10;w=10, "key";q=2;w=2, "key-hour";q=100;w=3600'
        assert told["ratelimit"] == '"organisation";r=8;t=2, "key";r=0;t=2, "key-hour";r=98;t=72'
        assert http_sf.parse(told["ratelimit"].encode(), tltype="list")
        refused = await limiter.take(TENANT, one, "default")
        assert not refused.admitted
        assert dict(refused.headers())["retry-after"] == "1"
        assert str(refused.refusal()) == "the limit of key is used up"
        assert [standing.admitted for standing in refused.standings] == [True, False, True]
        limiter.close()

    run(work())


def test_a_class_without_limits_of_its_own_has_the_default_ones() -> None:
    async def work() -> None:
        limiter = Limiter(by_class(GENEROUS, Allowance(1, 0.001)), Authority(Hand()))
        one = key()
        assert (await limiter.take(TENANT, one, "default")).admitted
        assert not (await limiter.take(TENANT, one, "unheard-of")).admitted
        limiter.close()

    run(work())


def test_limits_that_changed_hold_from_the_next_call_on() -> None:
    async def work() -> None:
        plan = Allowance(1, 0.001)
        limiter = Limiter(lambda _tenant, _class: by_class(GENEROUS, plan)["default"], Authority(Hand()))
        one = key()
        assert [(await limiter.take(TENANT, one, "default")).admitted for _ in range(2)] == [True, False]
        plan = Allowance(3, 0.001)
        limiter.forget()
        assert (await limiter.take(TENANT, one, "default")).admitted
        limiter.close()

    run(work())


def test_callers_beyond_what_is_remembered_are_forgotten_and_still_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REMEMBERED", 10)

    async def work() -> None:
        clock = Hand()
        limiter = Limiter(by_class(GENEROUS, Allowance(1, 0.001)), Authority(clock), monotonic=clock)
        many = [key() for _ in range(30)]
        for one in many:
            assert (await limiter.take(TENANT, one, "default")).admitted
        assert len(limiter._callers) == 10
        assert len(limiter._leases) == 11
        for one in many:
            assert not (await limiter.take(TENANT, one, "default")).admitted
        limiter.close()

    run(work())


@pytest.mark.parametrize("fault", [OSError("gone"), LimiterUnavailableError("away"), ValueError("nonsense")], ids=repr)
def test_whatever_goes_wrong_at_the_lessor_means_no(fault: Exception) -> None:
    class Broken(Authority):
        def lease(self, asks: object) -> list[Grant]:
            raise fault

    async def work() -> None:
        limiter = Limiter(by_class(GENEROUS, GENEROUS), Broken(Hand()))
        with pytest.raises(LimiterUnavailableError):
            await limiter.take(TENANT, key(), "default")
        limiter.close()

    run(work())


def test_a_lessor_that_answers_for_fewer_than_were_asked_means_no() -> None:
    class Short(Authority):
        def lease(self, asks: Sequence[Ask]) -> list[Grant]:
            return super().lease(asks)[:1]

    async def work() -> None:
        limiter = Limiter(by_class(GENEROUS, GENEROUS), Short(Hand()))
        with pytest.raises(LimiterUnavailableError):
            await limiter.take(TENANT, key(), "default")
        limiter.close()

    run(work())


def test_closing_denies_whoever_waits() -> None:
    async def work() -> None:
        limiter = Limiter(by_class(GENEROUS, GENEROUS), Authority(Hand()))
        waits = asyncio.create_task(limiter.lease(TENANT, key(), "default"))
        await asyncio.sleep(0)
        limiter.close()
        with pytest.raises(LimiterUnavailableError):
            await waits

    run(work())

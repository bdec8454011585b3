"""The runtime fails closed: what is not decided, not limited or not on record is refused."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from edgekeys import NOON, Ring, call

from heldtrue.capabilities.edge.decision import Decider
from heldtrue.capabilities.edge.journal import JournalUnavailableError
from heldtrue.capabilities.edge.limits import LimiterUnavailableError
from heldtrue.capabilities.edge.model import EdgePolicy, RouteRule, Verdict
from heldtrue.capabilities.edge.runtime import EdgeRuntime
from heldtrue.capabilities.edge.served import Served
from heldtrue.crypto import tokens
from heldtrue.http.refusals import RefusedSummary
from heldtrue.kernel.errors import LimitedError
from heldtrue.kernel.ids import KeyId, TenantId

READ = RouteRule(frozenset(), "/v1/orders/*", scope="orders.read", route_class="read")
PUBLIC = RouteRule(frozenset(), "/v1/status", public=True)


class Memory:
    """A record that is a list, and can be full."""

    def __init__(self) -> None:
        self.served: list[Served] = []
        self.fails: Exception | None = None

    async def append(self, served: Served) -> None:
        if self.fails is not None:
            raise self.fails
        self.served.append(served)


class Answer:
    """How a call stands with its limits."""

    retry_after = 2.0

    def __init__(self, admitted: bool) -> None:
        self.admitted = admitted

    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("ratelimit", '"key";r=1;t=1'), *((("retry-after", "2"),) if not self.admitted else ()))

    def refusal(self) -> LimitedError:
        return LimitedError("used up", retry_after=self.retry_after)


class Cells:
    """So many calls, of which the first few are at hand; the rest has to be asked for."""

    def __init__(self, at_hand: int, asked_for: int) -> None:
        self.at_hand, self.asked_for = at_hand, asked_for
        self.classes: list[str] = []
        self.fails: Exception | None = None

    def admit(self, _tenant: TenantId, _key: KeyId, route_class: str) -> Any:
        self.classes.append(route_class)
        if self.at_hand:
            self.at_hand -= 1
            return Answer(True)
        return None

    async def take(self, _tenant: TenantId, _key: KeyId, _class: str) -> Any:
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        self.asked_for -= 1
        return Answer(self.asked_for >= 0)


class Keeper:
    """A gatekeeper over a snapshot that the test fills; a key may arrive while somebody waits."""

    def __init__(self, decider: Decider) -> None:
        self.decider = decider
        self.answers = True
        self.arrives: Any = None

    async def agreed(self) -> bool:
        if self.arrives is not None:
            self.arrives()
        return self.answers


class Edge:
    def __init__(self, cells: Cells | None = None, **policy: Any) -> None:
        self.ring, self.memory = Ring(), Memory()
        self.summaries: list[RefusedSummary] = []
        decider = Decider(
            self.ring.snapshot, self.ring.clock, EdgePolicy(**policy), limiter=cast("Any", cells), boot=self.ring.boot
        )
        self.keeper = Keeper(decider)
        self.runtime = EdgeRuntime(
            cast("Any", self.keeper), cast("Any", cells), self.memory, None, self.ring.clock, self.summaries.append
        )

    def judge(self, *given: Any, **more: Any) -> Verdict:
        return asyncio.run(self.runtime.judge(call(*given, **more)))

    def strangers(self) -> dict[str, int]:
        asyncio.run(self.runtime.record_rest())
        return {reason: count for one in self.summaries for reason, count in one.reasons.items()}


def test_an_allowed_call_is_on_record_before_its_verdict() -> None:
    edge = Edge(rules=(READ,))
    verdict = edge.judge(edge.ring.key(grants=("orders.read",)), method="DELETE")
    assert (verdict.allowed, verdict.status, verdict.code, verdict.rule) == (True, 200, "", READ)
    assert verdict.caller is not None
    (served,) = edge.memory.served
    assert (served.outcome, served.method, served.path, served.rule) == (
        "allowed",
        "DELETE",
        "/v1/orders/17",
        READ.pattern,
    )
    assert (served.tenant, served.key, served.at, served.door) == (edge.ring.tenant, verdict.caller.key, NOON, "edge")


def test_what_is_not_on_record_is_refused() -> None:
    for failure in (JournalUnavailableError(), RuntimeError("disk"), KeyError("x")):
        edge = Edge()
        edge.memory.fails = failure
        verdict = edge.judge(edge.ring.key())
        assert (verdict.allowed, verdict.status, verdict.caller) == (False, 503, None)
        assert "disk" not in verdict.detail


def test_a_known_callers_refusals_are_on_record_and_strangers_are_counted() -> None:
    edge = Edge(rules=(READ,))
    refused = edge.judge(edge.ring.key())
    assert (refused.status, refused.code) == (403, "missing-scope")
    assert [served.outcome for served in edge.memory.served] == ["missing-scope"]
    assert edge.judge(edge.ring.key(active=False)).status == 401
    assert edge.judge("nonsense").status == 401
    missing = edge.judge(None)
    assert (missing.status, missing.code) == (401, "missing-credential")
    assert ("www-authenticate", 'Bearer realm="heldtrue"') in missing.headers
    ambiguous = edge.judge(edge.ring.key(), "/v1/..")
    assert (ambiguous.status, ambiguous.code) == (400, "ambiguous-target")
    assert len(edge.memory.served) == 1
    assert edge.strangers() == {
        "key-revoked": 1, "malformed-token": 1, "missing-credential": 1, "ambiguous-target": 1,
    }  # fmt: skip


def test_a_stranger_on_a_public_route_leaves_nothing_on_record() -> None:
    edge = Edge(rules=(PUBLIC,))
    verdict = edge.judge(None, "/v1/status")
    assert (verdict.allowed, verdict.caller, verdict.rule) == (True, None, PUBLIC)
    assert edge.memory.served == []


def test_limits_are_counted_for_whom_they_refuse_too_and_told() -> None:
    edge = Edge(Cells(1, 1), rules=(READ,))
    secret = edge.ring.key(grants=("orders.read",))
    assert edge.judge(secret).headers == (("ratelimit", '"key";r=1;t=1'),)
    assert edge.judge(secret).allowed
    over = edge.judge(secret)
    assert (over.status, over.code) == (429, "rate-limited")
    assert over.headers.count(("retry-after", "2")) == 1
    assert [served.outcome for served in edge.memory.served] == ["allowed", "allowed", "rate-limited"]
    assert edge.judge(edge.ring.key()).status == 429, "a call without the scope is limited like any other"


def test_the_class_of_the_route_is_what_counts() -> None:
    cells = Cells(5, 0)
    edge = Edge(cells, rules=(READ,))
    edge.judge(edge.ring.key(grants=("orders.read",)))
    assert cells.classes == ["read"]


def test_a_limiter_that_cannot_tell_refuses_and_that_is_on_record() -> None:
    cells = Cells(0, 0)
    cells.fails = LimiterUnavailableError()
    edge = Edge(cells)
    verdict = edge.judge(edge.ring.key())
    assert (verdict.allowed, verdict.status, verdict.code) == (False, 503, "limiter-unavailable")
    assert [served.outcome for served in edge.memory.served] == ["limiter-unavailable"]
    cells.fails = ZeroDivisionError()
    assert (edge.judge(edge.ring.key()).status, len(edge.memory.served)) == (503, 1)


def test_a_key_that_was_issued_a_moment_ago_is_known() -> None:
    edge = Edge()
    secret = tokens.mint("sk", "live", bytes).reveal()
    edge.keeper.arrives = lambda: edge.ring.tables.put_key(edge.ring.row(secret))
    assert edge.judge(secret).allowed


def test_a_key_of_which_nothing_can_be_known_is_refused_as_such() -> None:
    edge = Edge()
    secret = tokens.mint("sk", "live", bytes).reveal()
    assert edge.judge(secret).code == "unknown-key"
    edge.keeper.answers = False
    assert (edge.judge(secret).status, edge.judge(secret).code) == (503, "feed-stale")


def test_a_stale_snapshot_refuses_everybody() -> None:
    edge = Edge()
    secret = edge.ring.key()
    edge.ring.boot.at += 5.001
    verdict = edge.judge(secret)
    assert (verdict.status, verdict.code) == (503, "feed-stale")
    assert any(name == "retry-after" for name, _ in verdict.headers)
    assert edge.strangers() == {}


def test_a_failure_of_the_decision_itself_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    edge = Edge()
    secret = edge.ring.key()
    monkeypatch.setattr(edge.keeper.decider, "decide", lambda _call: {}["decision"])
    verdict = edge.judge(secret)
    assert (verdict.allowed, verdict.status, verdict.code) == (False, 503, "edge-failed")


def test_refusals_that_could_not_be_recorded_are_kept() -> None:
    edge = Edge()
    kept: list[RefusedSummary] = []

    def fail(_summary: RefusedSummary) -> None:
        raise OSError("away")

    edge.runtime._record_refusals = fail
    edge.judge(None)
    asyncio.run(edge.runtime.record_rest())
    edge.runtime._record_refusals = kept.append
    asyncio.run(edge.runtime.record_rest())
    assert [one.count for one in kept] == [1]


def test_the_door_is_on_record() -> None:
    edge = Edge()
    asyncio.run(edge.runtime.behind("nginx")(call(edge.ring.key())))
    assert edge.memory.served[0].door == "nginx"

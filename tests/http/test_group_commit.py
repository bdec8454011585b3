"""Small payloads are committed in groups, and each is treated as if it had been alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from asgi import Got
from house import House, actor_of
from payload_house import PayloadHouse, build_payload_house, found_house

from heldtrue.capabilities.intake.store import PAYLOADS
from heldtrue.crypto.sealing import DataKey
from heldtrue.db.groups import GroupLimits
from heldtrue.db.tx import Database, OutcomeUnknownError
from heldtrue.http.exchange import Answer
from heldtrue.http.group import BusyError, GroupCommits, Member
from heldtrue.kernel.errors import ConflictError
from heldtrue.kernel.ids import PayloadId, RequestId
from heldtrue.op import Operation

JSON = "application/json"


@pytest.fixture(scope="module")
def plain(module_database: Database) -> Generator[House]:
    house = found_house(module_database)
    yield house
    house.app.close()


@pytest.fixture
def place(plain: House, tmp_path: Path) -> Generator[PayloadHouse]:
    built = build_payload_house(plain, tmp_path)
    yield built
    built.house.app.close()


@pytest.fixture
def other(plain: House, tmp_path: Path, place: PayloadHouse) -> PayloadHouse:
    """Another organisation of the same house."""
    return PayloadHouse(
        place.house, place.objects, tmp_path, place.log_directory, place.services, place.outgoing,
        place.house.organisation("Another"),
    )  # fmt: skip


def sending(place: PayloadHouse, body: bytes, **headers: str) -> Awaitable[Got]:
    return place.admin.acall(
        "POST", "/v1/payloads", body=body, headers={"content-type": JSON, "content-length": str(len(body)), **headers}
    )


def together(*calls: Callable[[], Awaitable[Any]]) -> list[Any]:
    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(call() for call in calls), return_exceptions=True)

    return asyncio.run(all_of_them())


def transactions(superuser: psycopg.Connection, place: PayloadHouse) -> int:
    row = superuser.execute(
        "SELECT count(DISTINCT xmin::text) FROM heldtrue.payloads WHERE tenant_id = %s", [place.tenant.value]
    ).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture
def watcher(server: Any, module_database: Database) -> Generator[psycopg.Connection]:
    """A superuser's connection to the module's database."""
    with module_database.system() as tx:
        name = tx.value("SELECT current_database()")
    with psycopg.connect(server.admin_of(name).reveal(), autocommit=True) as conn:
        yield conn


def test_a_crowd_shares_few_commits_and_each_payload_is_whole(place: PayloadHouse, watcher: psycopg.Connection) -> None:
    sent = together(*[lambda n=n: sending(place, b'{"n": %d}' % n) for n in range(60)])
    assert [got.status for got in sent] == [202] * 60
    assert transactions(watcher, place) <= 5
    ids = {got.json()["id"] for got in sent}
    assert len(ids) == 60
    entries = [entry for entry in place.house.entries(place.admin) if entry["event"] == "payload.accepted"]
    assert {entry["subject"] for entry in entries} == ids
    assert {entry["request"] for entry in entries} == {got.headers["request-id"] for got in sent}
    for n, got in enumerate(sent):
        read = place.admin.get(f"/v1/payloads/{got.json()['id']}/content")
        assert read.body == b'{"n": %d}' % n
    erased = place.admin.delete(f"/v1/payloads/{sent[7].json()['id']}")
    assert erased.status == 200
    assert place.admin.get(f"/v1/payloads/{sent[8].json()['id']}/content").status == 200


def test_twins_in_one_group_become_one_payload(place: PayloadHouse) -> None:
    calls = [lambda body=body: sending(place, body, idempotency_key="k1") for body in (b"[1]", b"[1]", b"[2]")]
    sent = together(*calls, lambda: sending(place, b"[3]", idempotency_key="k2"), lambda: sending(place, b"[4]"))
    assert sorted(got.status for got in sent[:3]) == [202, 409, 409]
    assert {got.code for got in sent[:3] if got.status == 409} == {"concurrent-twin"}
    assert [got.status for got in sent[3:]] == [202, 202]
    assert len(place.admin.get("/v1/payloads").json()["data"]) == 3


def test_a_repeated_request_gets_its_first_answer_within_a_group_of_fresh_ones(place: PayloadHouse) -> None:
    [first] = together(lambda: sending(place, b"[1]", idempotency_key="k1"))
    again, reused, fresh = together(
        lambda: sending(place, b"[1]", idempotency_key="k1"),
        lambda: sending(place, b"[2]", idempotency_key="k1"),
        lambda: sending(place, b"[1]", idempotency_key="k2"),
    )
    assert {again.status, reused.status} == {202, 409}
    if again.status == 202:  # whoever came first had the key; the other was its concurrent twin
        assert (again.body, again.headers["idempotency-replayed"]) == (first.body, "true")
        assert reused.code == "concurrent-twin"
    assert fresh.status == 202
    assert fresh.json()["id"] != first.json()["id"]
    [later] = together(lambda: sending(place, b"[2]", idempotency_key="k1"))
    assert (later.status, later.code) == (409, "idempotency-key-reused")
    events = [entry["event"] for entry in place.house.entries(place.admin)]
    assert events.count("request.replayed") == 1


def test_a_key_is_forgotten_after_a_day_in_a_group_too(place: PayloadHouse) -> None:
    [first] = together(lambda: sending(place, b"[1]", idempotency_key="k1"))
    place.house.clock.at += timedelta(hours=24)
    [anew] = together(lambda: sending(place, b"[1]", idempotency_key="k1"))
    assert anew.status == 202
    assert anew.json()["id"] != first.json()["id"]


def test_organisations_that_send_at_once_see_their_own_only(place: PayloadHouse, other: PayloadHouse) -> None:
    sent = together(*[lambda n=n: sending((place, other)[n % 2], b"[%d]" % n) for n in range(20)])
    for own, rest in ((place, other), (other, place)):
        listed = {one["id"] for one in own.admin.get("/v1/payloads?limit=100").json()["data"]}
        assert listed == {sent[n].json()["id"] for n in range(own is other, 20, 2)}
        foreign = next(iter(listed))
        assert rest.admin.get(f"/v1/payloads/{foreign}").status == 404


class Bench:
    """The group commit of a house, and members made by hand."""

    def __init__(self, place: PayloadHouse, limits: GroupLimits | None = None) -> None:
        self.place = place
        self.ports = place.house.ports
        self.actor = actor_of(self.ports, place.admin)
        self.route = next(route for route in place.house.app.table if route.at == "POST /v1/payloads")
        self.commits = GroupCommits(self.ports, limits) if limits else GroupCommits(self.ports)

    def member(self, payload: PayloadId | None = None, tenant: Any = None) -> Callable[[], Awaitable[Answer]]:
        payload = payload or PayloadId.new(self.ports.clock.now(), self.ports.entropy)

        def act(op: Operation) -> Answer:
            key = DataKey.generate(op.entropy, op.now)
            op.keys.adopt(key)
            owner = op.tenant.value if tenant is None else tenant
            op.tx.insert(
                PAYLOADS,
                [(owner, op.environment, payload.value, key.id.value, "http", "accepted", 1, b"m", b"b", None, op.now)],
            )
            return Answer(content=b"{}", subject=str(payload))

        request = RequestId.new(self.ports.clock.now(), self.ports.entropy)
        return lambda: self.commits.perform(Member(self.route, self.actor, request, act, None))

    def refused(self) -> Callable[[], Awaitable[Answer]]:
        def act(_op: Operation) -> Answer:
            raise ConflictError("no")

        request = RequestId.new(self.ports.clock.now(), self.ports.entropy)
        return lambda: self.commits.perform(Member(self.route, self.actor, request, act, None))


@pytest.fixture
def bench(place: PayloadHouse) -> Generator[Bench]:
    built = Bench(place)
    yield built
    built.commits.close()


def kinds(ends: Sequence[Any]) -> list[str]:
    return [type(end).__name__ for end in ends]


def test_a_row_that_the_database_refuses_refuses_its_own_member_alone(
    bench: Bench, watcher: psycopg.Connection
) -> None:
    same = PayloadId.new(bench.ports.clock.now(), bench.ports.entropy)
    ends = together(bench.member(), bench.member(same), bench.member(same), bench.refused(), bench.member())
    assert kinds(ends) == ["Answer", "Answer", "UniqueViolation", "ConflictError", "Answer"]
    assert transactions(watcher, bench.place) == 3
    assert len(bench.place.house.entries(bench.place.admin)) >= 3


def test_a_group_is_held_to_its_organisation_by_the_database_too(
    bench: Bench, other: PayloadHouse, watcher: psycopg.Connection
) -> None:
    ends = together(bench.member(tenant=other.tenant.value), bench.member())
    assert kinds(ends) == ["InsufficientPrivilege", "Answer"]
    assert transactions(watcher, other) == 0


def test_a_database_that_is_held_up_means_bounded_waiting(place: PayloadHouse, watcher: psycopg.Connection) -> None:
    bench = Bench(place, GroupLimits(group=1, waiting=3, within=0.5))

    async def work() -> list[Any]:
        with watcher.transaction():
            watcher.execute("LOCK TABLE heldtrue.payloads IN ACCESS EXCLUSIVE MODE")
            held = [asyncio.ensure_future(bench.member()()) for _ in range(4)]
            return await asyncio.gather(*held, return_exceptions=True)

    under_way, behind, third, too_many = asyncio.run(work())
    assert isinstance(under_way, OutcomeUnknownError)
    assert [type(end) for end in (behind, third, too_many)] == [BusyError] * 3
    bench.commits.close()


def test_a_full_queue_answers_503_and_says_when_to_come_back(place: PayloadHouse) -> None:
    place.house.app._pipeline._groups = GroupCommits(place.house.ports, GroupLimits(group=1, waiting=0, within=1.0))
    got = place.send(b"[1]", content_length="3")
    assert (got.status, got.code, got.headers["retry-after"]) == (503, "busy", "2")


def test_a_client_that_goes_away_takes_nobody_with_it(place: PayloadHouse) -> None:
    async def work() -> list[Any]:
        calls = [asyncio.ensure_future(sending(place, b"[%d]" % n)) for n in range(5)]
        for _ in range(3):
            await asyncio.sleep(0)
        calls[2].cancel()
        return await asyncio.gather(*calls, return_exceptions=True)

    ends = asyncio.run(work())
    assert kinds(ends) == ["Got", "Got", "CancelledError", "Got", "Got"]
    assert [got.status for got in ends if isinstance(got, Got)] == [202] * 4


@pytest.mark.parametrize("length", [1, 16 * 1024, 16 * 1024 + 1, 200_000])
def test_a_body_of_any_length_is_the_same_by_either_way(place: PayloadHouse, length: int) -> None:
    body = b"x" * length
    told, untold = place.send(body, "text/plain", content_length=str(length)), place.send(body, "text/plain")
    assert (told.status, untold.status) == (202, 202)
    assert told.json()["sha256"] == untold.json()["sha256"]
    for got in (told, untold):
        assert place.admin.get(f"/v1/payloads/{got.json()['id']}/content").body == body


def test_what_is_wrong_with_a_small_body_is_said_as_for_any_other(place: PayloadHouse) -> None:
    assert place.send(b'{"a":1,"a":2}', content_length="13").code == "duplicate-member"
    assert place.send(b"[1]", content_length="4").code == "truncated-body"
    assert place.send(b"[1]", content_length="2").code in {"truncated-body", "too-large"}
    assert place.send(b"[1]", "nonsense", content_length="3").status == 422

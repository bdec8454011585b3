"""The delivery ledger over a real database: each way a delivery can end is counted as the guide defines it."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from house import House
from payload_house import PayloadHouse, build_payload_house, found_house
from receiver import Receiver, answers, well

from heldtrue.capabilities.deliveries.schedule import DELAYS
from heldtrue.capabilities.promises.routes import ROUTES as PROMISES
from heldtrue.db.migrate import migrate, shipped
from heldtrue.db.tx import Database

COUNTS = ("promised", "delivered", "failed", "held", "pending", "withdrawn")
GONE_FAR = timedelta(hours=30)


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Generator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("receiver")) as one:
        yield one


@pytest.fixture(scope="module")
def plain(module_database: Database) -> Generator[House]:
    house = found_house(module_database)
    yield house
    house.app.close()


@pytest.fixture
def place(plain: House, tmp_path: Path, receiver: Receiver) -> Generator[PayloadHouse]:
    receiver.behave.clear()
    built = build_payload_house(plain, tmp_path, ca_file=receiver.ca_file, more=PROMISES)
    yield built
    built.close()


def ledger(place: PayloadHouse, query: str = "") -> dict[str, Any]:
    got = place.admin.get(f"/v1/deliveries/ledger{query}")
    assert got.status == 200, got.body
    months = got.json()["data"]
    return months[-1] if months else {}


def counts(place: PayloadHouse) -> dict[str, int]:
    return {name: ledger(place)[name] for name in COUNTS if ledger(place)[name]}


def exhaust(place: PayloadHouse) -> None:
    """Let every scheduled attempt happen."""
    for _ in DELAYS:
        place.deliver()
        place.house.clock.at += GONE_FAR


def only(place: PayloadHouse) -> str:
    [one] = place.deliveries()
    return one["id"]


def test_before_anything_there_is_nothing(place: PayloadHouse) -> None:
    place.send()
    place.deliver()
    assert ledger(place) == {}, "without an endpoint nothing is promised"


def test_what_arrives_at_once_and_what_arrives_later(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/in"))
    place.send()
    place.deliver()
    receiver.behave["/in"] = answers(500)
    place.send()
    place.send()
    place.deliver()
    assert counts(place) == {"promised": 3, "delivered": 1, "pending": 2}
    assert ledger(place)["ratio"] == 1.0
    receiver.behave["/in"] = well
    place.house.clock.at += timedelta(minutes=1)
    place.deliver()
    month = ledger(place)
    assert (month["delivered"], month["delivered_first_try"], month["delivered_within_24h"]) == (3, 1, 3)


def test_what_arrives_within_the_schedule_but_after_a_day(place: PayloadHouse, receiver: Receiver) -> None:
    receiver.behave["/in"] = answers(500)
    place.register(receiver.url("/in"))
    place.send()
    for _ in DELAYS[:-1]:
        place.deliver()
        place.house.clock.at += GONE_FAR
    receiver.behave["/in"] = well
    place.deliver()
    months = place.admin.get("/v1/deliveries/ledger").json()["data"]
    assert [(one["delivered"], one["delivered_within_24h"], one["failed"]) for one in months] == [(1, 0, 0)]


def test_what_failed_stays_failed_and_what_arrived_stays_arrived(place: PayloadHouse, receiver: Receiver) -> None:
    receiver.behave["/in"] = answers(500)
    place.register(receiver.url("/in"))
    place.send()
    exhaust(place)
    failed = only(place)
    assert (ledger(place)["failed"], ledger(place)["ratio"]) == (1, 0.0)
    receiver.behave["/in"] = well
    place.admin.post(f"/v1/deliveries/{failed}/replay")
    assert counts(place) == {"promised": 1, "failed": 1}, "a replay under way does not undo the failure"
    place.deliver()
    month = ledger(place)
    assert (month["failed"], month["recovered"], month["delivered"], month["ratio"]) == (1, 1, 0, 0.0)
    receiver.behave["/in"] = answers(500)
    place.send()
    receiver.behave["/in"] = well
    place.deliver()
    arrived = next(one["id"] for one in place.deliveries() if one["id"] != failed)
    receiver.behave["/in"] = answers(500)
    place.admin.post(f"/v1/deliveries/{arrived}/replay")
    exhaust(place)
    assert place.delivery(arrived)["state"] == "failed"
    assert sum(one["delivered"] for one in place.admin.get("/v1/deliveries/ledger").json()["data"]) == 1


def test_what_the_customer_ends_is_withdrawn_but_what_had_failed_is_not(
    place: PayloadHouse, receiver: Receiver
) -> None:
    receiver.behave["/in"] = answers(500)
    endpoint = place.register(receiver.url("/in"))["id"]
    lost = place.send().json()["id"]
    exhaust(place)
    erased = place.send().json()["id"]
    place.deliver()
    place.admin.delete(f"/v1/payloads/{erased}")
    place.send()
    place.deliver()
    place.admin.delete(f"/v1/endpoints/{endpoint}")
    place.admin.delete(f"/v1/payloads/{lost}")
    told = place.admin.get("/v1/deliveries/ledger").json()["data"]
    whole = {name: sum(month[name] for month in told) for name in COUNTS}
    assert whole == {"promised": 1, "delivered": 0, "failed": 1, "held": 0, "pending": 0, "withdrawn": 2}


def test_counts_outlive_a_second_arrival_and_an_erasure(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/in"))
    payload = place.send().json()["id"]
    place.deliver()
    before = ledger(place)
    place.house.clock.at += GONE_FAR
    place.admin.post(f"/v1/deliveries/{only(place)}/replay")
    place.deliver()
    assert place.delivery(only(place))["attempts"] == 2
    assert ledger(place) == before
    place.admin.delete(f"/v1/payloads/{payload}")
    assert ledger(place) == before
    assert before["delivered"] == 1


def test_who_disabled_decides_what_is_held(place: PayloadHouse, receiver: Receiver) -> None:
    own = place.register(receiver.url("/own"))["id"]
    receiver.behave["/gone"] = answers(410)
    place.register(receiver.url("/gone"))
    place.admin.post(f"/v1/endpoints/{own}/disable")
    place.send()
    place.deliver()
    assert counts(place) == {"promised": 2, "held": 2}
    place.send()
    place.deliver()
    assert counts(place) == {"promised": 4, "held": 4}
    with place.database.tenant(place.tenant, "live") as tx:  # as the engine does for one that fails for days
        tx.execute("UPDATE heldtrue.endpoints SET state = 'enabled', disabled_for = NULL WHERE state = 'disabled'")
        tx.execute("UPDATE heldtrue.deliveries SET state = 'pending'")
        tx.execute("UPDATE heldtrue.endpoints SET state = 'disabled', disabled_for = 'failing'")
        tx.execute("UPDATE heldtrue.deliveries SET state = 'held'")
    assert counts(place) == {"promised": 4, "failed": 4}
    place.admin.post(f"/v1/endpoints/{own}/enable", {"replay_held": True})
    place.deliver()
    assert counts(place) == {"promised": 4, "failed": 2, "delivered": 2}


def test_what_was_settled_before_the_ledger_is_counted_too(server: Any) -> None:
    name = server.create("template1")
    try:
        admin = server.admin_of(name)
        migrate(admin, shipped()[:5])
        with psycopg.connect(admin.reveal(), autocommit=True) as conn:
            conn.execute("SET session_replication_role = replica")  # the rows around them do not matter here
            conn.execute(
                """INSERT INTO heldtrue.endpoints (tenant_id, environment, endpoint_id, state, disabled_for,
                     config_sealed, secrets_sealed, created_at)
                   VALUES (%(t)s, 'live', %(t)s, 'disabled', 'gone', '', '', now())""",
                {"t": UUID(int=1)},
            )
            for number, (state, tries) in enumerate([("delivered", 2), ("failed", 10), ("failed", 1), ("held", 0)]):
                conn.execute(
                    """INSERT INTO heldtrue.deliveries (tenant_id, environment, delivery_id, receipt_id, payload_id,
                         endpoint_id, state, attempts, tries, created_at, settled_at)
                       VALUES (%(t)s, 'live', %(d)s, %(d)s, %(d)s, %(t)s, %(s)s, %(n)s, %(n)s, now(), now())""",
                    {"t": UUID(int=1), "d": UUID(int=number + 1), "s": state, "n": tries},
                )
            conn.execute(
                """INSERT INTO heldtrue.attempts (tenant_id, environment, attempt_id, delivery_id, number, started_at,
                     latency_ms, status) SELECT %(t)s, 'live', gen_random_uuid(), %(t)s, n, now(), 5, 100 * (7 - 2 * n)
                   FROM generate_series(1, 2) n WHERE n IN (1, 2)""",
                {"t": UUID(int=1)},
            )
            conn.execute("UPDATE heldtrue.attempts SET status = 200 WHERE number = 2")
        migrate(admin)
        with psycopg.connect(admin.reveal()) as conn:
            rows = conn.execute(
                """SELECT arrived_by, given_up_at IS NOT NULL, withdrawn_at IS NOT NULL, held_for
                   FROM heldtrue.deliveries ORDER BY delivery_id"""
            ).fetchall()
    finally:
        server.drop(name)
    assert rows == [(2, False, False, None), (None, True, False, None), (None, False, True, None),
                    (None, False, False, "gone")]  # fmt: skip


def test_one_organisation_is_not_told_of_another(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/in"))
    place.send()
    place.deliver()
    other = place.house.organisation("Other")
    assert other.get("/v1/deliveries/ledger").json() == {"data": []}
    endpoint = place.admin.get("/v1/endpoints").json()["data"][0]["id"]
    assert other.get(f"/v1/endpoints/{endpoint}/statistics").status == 404


def test_the_operator_sees_plans_and_no_organisation(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/in"))
    place.send()
    place.deliver()
    told = place.house.operator.get("/v1/deliveries/ledger/plans").json()["data"]
    assert {one["plan"] for one in told} == {"default"}
    assert told[-1]["delivered"] >= 1
    assert told[-1]["organisations"] >= 1
    before = sum(one["promised"] for one in told)
    with place.database.system() as tx:
        tx.execute("UPDATE heldtrue.organisations SET state = state")
    assert str(place.tenant) not in place.house.operator.get("/v1/deliveries/ledger/plans").body.decode()
    assert before == sum(
        one["promised"] for one in place.house.operator.get("/v1/deliveries/ledger/plans").json()["data"]
    )
    assert place.admin.get("/v1/deliveries/ledger/plans").status == 403
    assert place.admin.get("/v1/deliveries/ledger?from=2026-13").status in {400, 422}
    assert place.admin.get("/v1/deliveries/ledger?from=2026-12&to=2026-11").code == "month-range"


def test_statistics_count_attempts_by_hour_and_word(place: PayloadHouse, receiver: Receiver) -> None:
    endpoint = place.register(receiver.url("/in"))["id"]
    receiver.behave["/in"] = answers(503)
    place.send()
    place.send()
    place.deliver()
    receiver.behave["/in"] = well
    place.house.clock.at += timedelta(hours=2)
    place.deliver()
    told = place.admin.get(f"/v1/endpoints/{endpoint}/statistics?days=1").json()
    assert (told["attempts"], told["delivered"], told["complete"]) == (4, 2, True)
    assert [(one["attempts"], one["delivered"], one["failures"]) for one in told["hours"]] == [
        (2, 0, {"http-5xx": 2}),
        (2, 2, {}),
    ]
    assert 0 <= told["p50_ms"] <= told["p95_ms"]
    place.house.clock.at += timedelta(days=2)
    later = place.admin.get(f"/v1/endpoints/{endpoint}/statistics?days=1").json()
    assert (later["attempts"], later["hours"], later["p50_ms"]) == (0, [], None)
    assert place.admin.get(f"/v1/endpoints/{endpoint}/statistics?days=31").status == 422

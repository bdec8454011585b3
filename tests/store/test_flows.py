"""Flows over a real database and a real receiver: what runs, what comes out, what is retried, what a crash leaves."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Generator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flow_house import SANDBOX, Desk, FlowHouse, result
from house import House
from payload_house import build_payload_house, found_house, webhook
from receiver import Receiver

from heldtrue.capabilities.transforms import steps
from heldtrue.capabilities.transforms.schedule import LIKELY_LASTING, LIKELY_PASSING
from heldtrue.db.tx import Database
from heldtrue.kernel.errors import UnavailableError
from heldtrue.sandbox.jobs import Job, OutputFile, RunResult


@pytest.fixture(scope="module")
def plain(module_database: Database) -> Generator[House]:
    house = found_house(module_database)
    yield house
    house.app.close()


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Generator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("receiver")) as one:
        yield one


@pytest.fixture
def house(plain: House, tmp_path: Path, receiver: Receiver) -> Generator[FlowHouse]:
    receiver.received.clear()
    one = FlowHouse(build_payload_house(plain, tmp_path, ca_file=receiver.ca_file))
    yield one
    leave_nothing(one)


def leave_nothing(house: FlowHouse) -> None:
    """End every run: the database is shared, and the next test counts what is due in all of it."""
    admin = house.place.admin
    for flow in admin.get("/v1/flows").json()["data"]:
        assert admin.delete(f"/v1/flows/{flow['id']}").status == 200
    house.place.close()


def later(house: FlowHouse, wait: timedelta) -> None:
    house.place.house.clock.at += wait


# ---------------------------------------------------------------- what comes out


def test_an_output_arrives_with_a_receipt_that_says_what_made_it(house: FlowHouse, receiver: Receiver) -> None:
    house.place.register(receiver.url("/in"))
    transform = house.transform(code="first")
    flow = house.flow(transform, event_type="invoice.read")
    payload = house.payload(b'{"total":7}')
    assert house.step() == 1
    assert house.only()["state"] == "done"
    assert house.payload_state(payload) == "forwarded"
    assert house.place.deliver() == 1
    [got] = receiver.received
    said = webhook(got.body)
    body = b'{"seen": "{\\"total\\":7}"}'
    assert said["type"] == "invoice.read"
    assert base64.b64decode(said["data"]["output"]["content"]) == body
    assert said["data"]["payload"] == {**said["data"]["payload"], "id": payload, "source": "http"}
    assert "content" not in said["data"]["payload"]
    output = said["data"]["receipt"]["output"]
    digest = "sha256:" + hashlib.sha256(b"python\0first").hexdigest()
    made = {"id": transform, "version": 1, "digest": digest}
    assert (output["transform"], output["sandbox"], output["flow"]) == (made, SANDBOX, flow)
    assert output["steps"] == [{**made, "sandbox": SANDBOX}]
    assert (output["sha256"], output["ordinal"]) == (hashlib.sha256(body).hexdigest(), 1)
    assert said["data"]["receipt"]["payload"]["sha256"] == hashlib.sha256(b'{"total":7}').hexdigest()


def test_without_a_flow_that_takes_it_a_payload_is_forwarded_unchanged(house: FlowHouse, receiver: Receiver) -> None:
    house.place.register(receiver.url("/in"))
    house.flow(house.transform(), filters={"content_type": "text/*"})
    house.flow(house.transform(), enabled=False)
    payload = house.payload()
    assert house.step() == 0
    [receipt] = house.receipts(payload)
    assert receipt["output"] == {"ordinal": 0, "transform": None, "sandbox": None}
    assert house.payload_state(payload) == "forwarded"


def test_steps_hand_on_one_several_or_nothing(house: FlowHouse) -> None:
    first, second, third = (house.transform(code=str(n)) for n in range(3))

    def answer(job: Job) -> RunResult:
        number = int(job.code)
        if number == 0:
            return result(1, 2, 3)
        seen = json.loads(job.payload.data)
        return result() if seen == 2 else result(seen * 10)

    house.desk.answer = answer
    house.flow(first, second, third)
    payload = house.payload()
    assert house.step() == 1
    assert [job.payload.data for job in house.desk.asked] == [b'{"a":1}', b"1", b"2", b"3", b"10", b"30"]
    assert [one["content"] for one in house.outputs(payload)] == ["100", "300"]
    run = house.only()
    assert [(one["inputs"], one["outputs"]) for one in run["attempted"]] == [(1, 3), (3, 2), (2, 2)]
    assert [one["ordinal"] for one in house.outputs(payload)] == [1, 2]


def test_nothing_from_a_step_ends_the_run_without_outputs(house: FlowHouse) -> None:
    house.desk.answer = lambda _: result()
    house.flow(house.transform(), house.transform())
    payload = house.payload()
    assert house.step() == 1
    run = house.only()
    assert (run["state"], run["outputs"], len(run["attempted"])) == ("done", 0, 1)
    assert house.payload_state(payload) == "forwarded"


def test_each_flow_that_takes_a_payload_has_its_own_run_configuration_and_places(house: FlowHouse) -> None:
    transform = house.transform()
    house.desk.answer = lambda job: result(job.context["customer"])
    for customer in ("a", "b"):
        house.flow(steps=[{"transform_id": transform, "config": {"customer": customer}}])
    payload = house.payload()
    assert house.step() == 2
    outputs = house.outputs(payload)
    assert sorted(one["content"] for one in outputs) == ['"a"', '"b"']
    assert [one["ordinal"] for one in outputs] == [1, 2]


def test_an_output_goes_to_the_endpoints_that_the_flow_names(house: FlowHouse, receiver: Receiver) -> None:
    here = house.place.register(receiver.url("/here"))
    house.place.register(receiver.url("/there"))
    house.flow(house.transform(), endpoint_ids=[here["id"]])
    house.payload()
    house.step()
    assert [one["endpoint_id"] for one in house.place.deliveries()] == [here["id"]]


def test_a_large_output_is_fetched_by_its_link_and_erased_with_its_payload(
    house: FlowHouse, receiver: Receiver
) -> None:
    house.place.register(receiver.url("/in"))
    text = "x" * 400_000
    house.desk.answer = lambda _: result(text)
    house.flow(house.transform())
    payload = house.payload()
    house.step()
    house.place.deliver()
    assert len(house.place.stored_files()) == 1
    output = webhook(receiver.received[0].body)["data"]["output"]
    assert output["content"] is None
    path = output["content_url"].removeprefix("https://heldtrue.example.test")
    stranger = house.place.house.caller()
    assert stranger.get(path).body == json.dumps(text).encode()
    assert stranger.get(path.replace("contents", "bundles")).status == 404
    assert house.place.admin.delete(f"/v1/payloads/{payload}").status == 200
    assert house.place.stored_files() == []
    assert stranger.get(path).status in {404, 409}
    [one] = house.outputs(payload)
    assert (one["erased"], one["content"], one["sha256"]) == (True, None, None)
    run = house.only()
    assert run["attempted"][0]["logs"] == []


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="payload"\r\nContent-Type: application/json\r\n\r\n{}\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="kept.txt"\r\nContent-Type: text/plain\r\n\r\nkept\r\n'
    b'--b\r\nContent-Disposition: form-data; name="g"; filename="dropped.txt"\r\n\r\ndropped\r\n--b--\r\n'
)
MADE = OutputFile(name="sums.csv", content_type="text/csv", data=b"a,b\n1,2\n")


@pytest.mark.parametrize("by_value", [200_000, 0], ids=["by-value", "by-link"])
def test_an_output_brings_the_attachments_that_its_code_kept_and_made_and_no_other(
    house: FlowHouse, receiver: Receiver, by_value: int
) -> None:
    house.place.register(receiver.url("/in"), by_value_up_to=by_value)
    house.desk.answer = lambda _: result({"n": 1}, {"n": 2}, files=((MADE, OutputFile(of=1)), ()))
    house.flow(house.transform())
    payload = house.payload(FORM, "multipart/form-data; boundary=b")
    house.step()
    assert house.place.deliver() == 2
    said = sorted((webhook(one.body)["data"] for one in receiver.received), key=lambda one: one["output"]["ordinal"])
    told = [one["receipt"]["output"]["attachments"] for one in said]
    assert told[1] == []
    assert [(one["ordinal"], one["of"], one["name"], one["content_type"], one["size"]) for one in told[0]] == [
        (1, None, "sums.csv", "text/csv", 8),
        (2, 1, "kept.txt", "text/plain", 4),
    ]
    stranger = house.place.house.caller()

    def fetched(output: dict[str, Any], what: dict[str, Any]) -> bytes:
        assert (what["content"] is None) == (by_value == 0)
        assert (what["content_url"] is None) == (by_value > 0)
        if what["content"] is not None:
            return base64.b64decode(what["content"])
        got = stranger.get(what["content_url"].removeprefix("https://heldtrue.example.test"))
        assert (got.status, got.headers["content-disposition"]) == (200, "attachment")
        return got.body

    output = said[0]["output"]
    assert json.loads(fetched(output, output)) == {"n": 1}
    assert [fetched(output, one) for one in output["attachments"]] == [MADE.data, b"kept"]
    assert [hashlib.sha256(fetched(output, one)).hexdigest() for one in output["attachments"]] == [
        one["sha256"] for one in told[0]
    ]
    assert [[one["of"] for one in each["attachments"]] for each in house.outputs(payload)] == [[None, 1], []]
    assert [one["size"] for one in house.outputs(payload)] == [8, 8]
    if by_value == 0:
        links = [one["output"]["content_url"].removeprefix("https://heldtrue.example.test") for one in said]
        beyond = [stranger.get(f"{links[0]}/attachments/3"), stranger.get(f"{links[1]}/attachments/1")]
        assert [one.status for one in beyond] == [404, 404]
        assert house.place.admin.delete(f"/v1/payloads/{payload}").status == 200
        assert stranger.get(f"{links[0]}/attachments/1").status in {404, 409}


def test_what_a_step_attaches_is_what_the_next_one_is_given_and_the_rest_is_gone(
    house: FlowHouse, receiver: Receiver
) -> None:
    house.place.register(receiver.url("/in"))

    def answer(job: Job) -> RunResult:
        if job.code == b"keeps":  # the second output keeps nothing
            return result(1, 2, files=((MADE, OutputFile(of=2)), ()))
        files = tuple(OutputFile(of=n) for n in range(1, len(job.attachments) + 1))
        return result(json.loads(job.payload.data), files=(files,))

    house.desk.answer = answer
    house.flow(house.transform(code="keeps"), house.transform(code="all"), house.transform(code="all, again"))
    payload = house.payload(FORM, "multipart/form-data; boundary=b")
    house.step()
    given = [[(one.name, one.data) for one in job.attachments] for job in house.desk.asked]
    kept = [("sums.csv", MADE.data), ("dropped.txt", b"dropped")]
    assert given == [[("kept.txt", b"kept"), ("dropped.txt", b"dropped")], kept, [], kept, []]
    assert [[one["of"] for one in each["attachments"]] for each in house.outputs(payload)] == [[None, 2], []]
    house.place.deliver()
    outputs = sorted((webhook(one.body)["data"]["output"] for one in receiver.received), key=lambda one: one["ordinal"])
    brought = [[base64.b64decode(one["content"]) for one in each["attachments"]] for each in outputs]
    assert brought == [[MADE.data, b"dropped"], []]


def test_an_attachment_that_steps_hand_on_is_stored_once_however_large(house: FlowHouse) -> None:
    large = b"x" * (9 << 20)  # more than a step may give
    house.desk.answer = lambda _: result(1, 2, files=((OutputFile(of=1),),) * 2)
    house.flow(house.transform(), house.transform())
    payload = house.payload(FORM.replace(b"kept\r\n", large + b"\r\n"), "multipart/form-data; boundary=b")
    house.step()
    assert house.only()["state"] == "done"
    assert [job.attachments[0].data == large for job in house.desk.asked] == [True, True, True]
    assert [[one["of"] for one in each["attachments"]] for each in house.outputs(payload)] == [[1]] * 4
    assert len(house.place.stored_files()) == 1


def test_a_run_that_an_earlier_version_began_goes_on(house: FlowHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """It kept documents alone, and gave each step all attachments of the payload."""
    monkeypatch.setattr(steps, "packed", lambda outputs, _files: b"[" + b",".join(outputs) + b"]")
    house.desk.answer = lambda job: result("made" if json.loads(job.payload.data) == {} else "kept")
    house.flow(house.transform(), house.transform())
    payload = house.payload(FORM, "multipart/form-data; boundary=b")
    house.step()
    assert house.only()["state"] == "done"
    first, second = house.desk.asked
    assert json.loads(second.payload.data) == "made"
    assert [one.data for one in second.attachments] == [one.data for one in first.attachments] != []
    assert len(house.outputs(payload)) == 1


def test_files_that_steps_made_count_each_time_they_are_kept(house: FlowHouse) -> None:
    made = OutputFile(name="x", content_type="text/plain", data=bytes(5 << 20))
    house.desk.answer = lambda job: (
        result(1, 2, files=((OutputFile(of=1),),) * 2) if job.attachments else result(1, files=((made,),))
    )
    house.flow(house.transform(), house.transform())
    house.payload()
    house.step()
    run = house.only()
    assert (run["outcome"], run["step"]) == ("output", 1)


def test_files_count_against_what_a_step_may_give(house: FlowHouse) -> None:
    huge = OutputFile(name="x", content_type="text/plain", data=bytes(5 << 20))
    house.desk.answer = lambda _: result(1, 2, files=((huge,), (huge,)))
    house.flow(house.transform())
    house.payload()
    house.step()
    assert house.only()["outcome"] == "output"


# ---------------------------------------------------------------- versions


def test_a_step_runs_the_current_version_or_the_one_it_names(house: FlowHouse) -> None:
    transform = house.transform(code="one")
    admin = house.place.admin
    assert admin.post(f"/v1/transforms/{transform}/versions", {"language": "python", "code": "two"}).status == 201
    house.desk.answer = lambda job: result(job.code.decode())
    pinned = house.flow(steps=[{"transform_id": transform, "version": 1}])
    current = house.flow(transform)

    def seen() -> dict[str, str]:
        payload = house.payload()
        house.step()
        runs = {run["id"]: run["flow_id"] for run in house.runs(f"?payload_id={payload}")}
        return {runs[one["run_id"]]: one["content"] for one in house.outputs(payload)}

    assert seen() == {pinned: '"one"', current: '"two"'}
    assert admin.post(f"/v1/transforms/{transform}/rollback", {"number": 1}).json()["current"] is True
    assert seen() == {pinned: '"one"', current: '"one"'}


def test_a_version_never_changes_and_the_same_code_adds_none(house: FlowHouse) -> None:
    transform = house.transform(code="one")
    again = house.place.admin.post(f"/v1/transforms/{transform}/versions", {"language": "python", "code": "one"})
    assert again.json()["number"] == 1
    from psycopg.errors import InsufficientPrivilege

    for change in ("code_sealed = 'x'", "digest = digest", "number = 2"):
        with pytest.raises(InsufficientPrivilege), house.place.database.tenant(house.place.tenant, "live") as tx:
            tx.execute("UPDATE heldtrue.transform_versions SET " + change)  # type: ignore[arg-type]


def test_a_transform_in_use_is_kept_and_an_unused_one_forgotten(house: FlowHouse) -> None:
    transform = house.transform(code="secret sauce")
    flow = house.flow(transform)
    admin = house.place.admin
    assert admin.delete(f"/v1/transforms/{transform}").code == "transform-in-use"
    assert admin.delete(f"/v1/flows/{flow}").status == 200
    assert admin.delete(f"/v1/transforms/{transform}").status == 200
    assert admin.get(f"/v1/transforms/{transform}").code == "no-such-transform"
    assert admin.get(f"/v1/transforms/{transform}/versions/1").status == 404


# ---------------------------------------------------------------- failures


def test_code_that_fails_is_tried_by_the_schedule_then_the_failure_is_told(
    house: FlowHouse, receiver: Receiver
) -> None:
    books = house.place.register(receiver.url("/in"))
    alarm = house.place.register(receiver.url("/alarm"))
    house.desk.answer = lambda _: result(outcome="error", error="ValueError: line 3", logs=("begun",))
    house.flow(house.transform(), endpoint_ids=[books["id"]], alert_endpoint_ids=[alarm["id"]])
    payload = house.payload()
    for number, wait in enumerate([*LIKELY_LASTING, None], start=1):
        assert house.step() == 1
        run = house.only()
        assert (run["tries"], run["outcome"]) == (number, "error")
        if wait is None:
            break
        due = datetime.fromisoformat(run["due_at"]) - house.place.house.clock.at
        assert wait - timedelta(seconds=1) < due < wait * 1.2
        assert house.step() == 0
        later(house, wait * 1.2)
    assert (run["state"], run["due_at"]) == ("failed", None)
    assert (run["attempted"][0]["error"], run["attempted"][0]["logs"]) == ("ValueError: line 3", ["begun"])
    assert house.payload_state(payload) == "processing"
    house.place.deliver()
    [got] = receiver.received
    said = webhook(got.body)
    notice = json.loads(base64.b64decode(said["data"]["output"]["content"]))
    assert (got.path, said["type"], notice["error"], notice["tries"]) == (
        "/alarm",
        "flow.failed",
        "ValueError: line 3",
        3,
    )
    assert [one["event"] for one in house.place.house.entries(house.place.admin)].count("flow.failed") == 1


def test_a_fixed_version_and_a_retry_go_on_from_the_step_that_failed(house: FlowHouse) -> None:
    good, bad = house.transform(code="good"), house.transform(code="bad")

    def answer(job: Job) -> RunResult:
        return result(outcome="error", error="no") if job.code == b"bad" else result(job.code.decode())

    house.desk.answer = answer
    house.flow(good, bad)
    payload = house.payload()
    for wait in (*LIKELY_LASTING, timedelta()):
        house.step()
        later(house, wait * 1.2)
    run = house.only()
    assert (run["state"], run["step"]) == ("failed", 1)
    house.place.admin.post(f"/v1/transforms/{bad}/versions", {"language": "python", "code": "fixed"})
    house.desk.asked.clear()
    assert house.place.admin.post(f"/v1/runs/{run['id']}/retry").status == 200
    assert house.step() == 1
    assert [job.code for job in house.desk.asked] == [b"fixed"]
    [output] = house.outputs(payload)
    assert output["version"] == 2
    assert house.place.admin.post(f"/v1/runs/{run['id']}/retry").code == "run-settled"


def test_crashes_are_tried_more_often_than_errors_and_a_missing_runner_burns_no_try(house: FlowHouse) -> None:
    async def nobody(_: Job) -> RunResult:
        raise UnavailableError("the runner is away")

    house.flow(house.transform())
    house.payload()
    for _ in range(3):
        assert house.step(nobody) == 1
        run = house.only()
        assert (run["state"], run["tries"], run["outcome"]) == ("queued", 0, "unavailable")
        later(house, timedelta(seconds=6))
    house.desk.answer = lambda _: result(outcome="crashed")
    for number in range(1, len(LIKELY_PASSING) + 2):
        assert house.step() == 1
        assert house.only()["tries"] == number
        later(house, timedelta(hours=3))
    assert house.only()["state"] == "failed"
    assert house.step() == 0


def test_what_cannot_be_sent_as_json_fails_the_step_and_says_why(house: FlowHouse) -> None:
    house.desk.answer = lambda _: result(b'{"a":1,"a":2}')
    house.flow(house.transform())
    house.payload()
    house.step()
    run = house.only()
    assert run["outcome"] == "output"
    assert "JSON" in run["attempted"][0]["error"]


def test_a_cancelled_run_drops_what_comes_late(house: FlowHouse) -> None:
    house.flow(house.transform())
    payload = house.payload()

    async def late(job: Job) -> RunResult:
        [run] = house.runs()
        got = await house.place.admin.acall("POST", f"/v1/runs/{run['id']}/cancel")
        assert got.status == 200
        return result("late")

    run_sync = house.runs
    house.place.engine().step_forward()
    [before] = run_sync()
    house.runs = lambda query="": [before]  # type: ignore[method-assign] - inside a loop the caller cannot ask
    house.step(late)
    house.runs = run_sync  # type: ignore[method-assign]
    assert house.only()["state"] == "cancelled"
    assert house.outputs(payload) == []
    assert house.payload_state(payload) == "forwarded"


def test_a_run_begins_anew_when_its_steps_changed(house: FlowHouse) -> None:
    one, two = house.transform(code="one"), house.transform(code="two")

    def answer(job: Job) -> RunResult:
        return result(outcome="crashed") if job.code == b"two" else result("from one")

    house.desk.answer = answer
    flow = house.flow(one, two)
    payload = house.payload()
    house.step()
    assert house.only()["step"] == 1
    assert house.place.admin.call(
        "PATCH", f"/v1/flows/{flow}", body=json.dumps({"steps": [{"transform_id": one}]}).encode(),
        headers={"content-type": "application/json"},
    ).status == 200  # fmt: skip
    house.step()
    run = house.only()
    assert (run["state"], run["steps"]) == ("done", 1)
    assert [one["content"] for one in house.outputs(payload)] == ['"from one"']


# ---------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("filters", "taken"),
    [
        ({"source": "http"}, True),
        ({"source": "smtp"}, False),
        ({"content_type": "application/json"}, True),
        ({"content_type": "application/*"}, True),
        ({"content_type": "text/plain"}, False),
        ({"recipient": "a@example.test"}, False),
        ({"field": {"pointer": "/kind/0", "equals": "invoice"}}, True),
        ({"field": {"pointer": "/kind/0", "equals": "order"}}, False),
        ({"field": {"pointer": "/n", "equals": True}}, False),
        ({"field": {"pointer": "/n", "equals": 1}}, True),
        ({"field": {"pointer": "/none", "equals": None}}, False),
        ({"source": "http", "field": {"pointer": "/a~1b", "equals": "x"}}, True),
    ],
    ids=str,
)
def test_filters_choose(house: FlowHouse, filters: dict[str, object], taken: bool) -> None:
    house.flow(house.transform(), filters=filters)
    house.payload(b'{"kind":["invoice"],"n":1,"a/b":"x"}', "application/json; charset=utf-8")
    assert house.step() == int(taken)


# ---------------------------------------------------------------- schedules


def test_a_schedule_stores_a_payload_once_for_each_time_and_runs_the_latest_of_those_missed(house: FlowHouse) -> None:
    clock = house.place.house.clock
    clock.at = (clock.at + timedelta(hours=1)).replace(minute=30, second=0, microsecond=0)
    house.flow(house.transform(), trigger="schedule", schedule={"cron": "0 * * * *", "time_zone": "Europe/Berlin"})
    due = clock.at.replace(minute=0, microsecond=0) + timedelta(hours=1)
    one, two = house.worker(), house.worker()
    assert one.fire_due() + two.fire_due() == 0
    later(house, timedelta(minutes=31))
    assert one.fire_due() + two.fire_due() == 1
    assert house.step() == 1
    first = json.loads(json.loads(house.outputs(house.only()["payload_id"])[0]["content"])["seen"])
    assert (datetime.fromisoformat(first["scheduled_for"]), first["missed"]) == (due, 0)
    later(house, timedelta(hours=3))
    assert one.fire_due() + two.fire_due() == 1
    house.step()
    payload = house.runs()[0]["payload_id"]
    again = json.loads(json.loads(house.outputs(payload)[0]["content"])["seen"])
    assert (datetime.fromisoformat(again["scheduled_for"]), again["missed"]) == (due + timedelta(hours=3), 2)
    assert house.place.admin.get(f"/v1/payloads/{payload}").json()["source"] == "schedule"


@pytest.mark.parametrize(
    "asked",
    [
        {"trigger": "schedule"},
        {"schedule": {"cron": "0 * * * *"}},
        {"trigger": "schedule", "schedule": {"cron": "61 * * * *"}},
        {"trigger": "schedule", "schedule": {"cron": "0 0 30 2 *"}},
        {"trigger": "schedule", "schedule": {"cron": "* * * * * *"}},
        {"trigger": "schedule", "schedule": {"cron": "0 * * * *", "time_zone": "Mars/Olympus"}},
        {"trigger": "schedule", "schedule": {"cron": "0 * * * *", "time_zone": "../etc/passwd"}},
        {"trigger": "schedule", "schedule": {"cron": "0 * * * *"}, "filters": {"source": "http"}},
        {"steps": []},
    ],
    ids=str,
)
def test_a_flow_that_cannot_work_is_refused(house: FlowHouse, asked: dict[str, object]) -> None:
    body = {"name": "f", "steps": [{"transform_id": house.transform()}], **asked}
    assert house.place.admin.post("/v1/flows", body).code == "flow-shape"


def test_one_busy_organisation_does_not_keep_the_others_back(plain: House, house: FlowHouse, tmp_path: Path) -> None:
    other = FlowHouse(build_payload_house(plain, tmp_path / "other"), Desk())
    for one, count in ((house, 6), (other, 1)):
        one.flow(one.transform())
        for _ in range(count):
            one.payload()
    house.place.engine().step_forward()
    claims = house.worker(each=2).claim(4)
    leave_nothing(other)
    tenants = [claim.tenant_id for claim in claims]
    assert sorted(map(tenants.count, {house.place.tenant.value, other.place.tenant.value})) == [1, 2]

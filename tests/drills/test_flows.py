"""Flows in a whole instance: code runs in the runner, which has nothing to give away and comes back by itself."""

from __future__ import annotations

import json
import os
import pwd
import stat
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web
from flow_instance import flow, key_material, level, memory_of, program, settled, transform
from instance import HELDTRUE, Instance, until
from receiver import Receiver

from heldtrue.app.broker import GRANTS
from heldtrue.app.runner import CALLS, SOCKET

pytestmark = pytest.mark.drill
CODE = """
import os
def transform(payload, context):
    print("seen by", context["customer"])
    return {"total": payload["json"]["a"] * 2, "environment": dict(os.environ), "who": os.getpid()}
"""
SCRIPT = "function transform(payload, context) { return many([payload.json.total + 1, context.customer]); }"
SCRIPT_TRIED = "function transform(payload, context) { log('tried'); return payload.json.a + context.n; }"
SLOW = "import time\ndef transform(payload, context):\n    time.sleep(context['seconds'])\n    return 'done'\n"


VALUE = "s3cr3t-" + "k9" * 12
CALLS_OUT = """
from heldtrue_guest import FetchError, fetch
def transform(payload, context):
    said = fetch("POST", context["url"] + "/echo", {"content-type": "application/json"}, '{"a": 1}')
    try:
        fetch("GET", "https://elsewhere.example/")
        other = "it answered"
    except FetchError as error:
        other = error.code
    return {"status": said.status, "said": said.json(), "other": other, "seen": said.headers["x-seen"]}
"""
SCRIPT_CALLS_OUT = """
function transform(payload, context) {
  const said = fetch("GET", context.url + "/echo", { accept: "text/plain" });
  let other = "it answered";
  try { fetch("GET", "https://elsewhere.example/"); } catch (error) { other = error.code; }
  return { status: said.status, ok: said.ok, said: said.json(), other };
}
"""


async def echoes(_receiver: Receiver, request: web.Request) -> web.StreamResponse:
    """Answer with everything that came, as a server that is asked to."""
    held = request.headers.get("authorization", "none")
    return web.json_response(
        {"held": held, "body": (await request.read()).decode()}, headers={"x-seen": f"you sent {held}"}
    )


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Generator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("outside"), {"/echo": echoes}) as one:
        yield one


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Generator[Instance]:
    root = tmp_path_factory.mktemp("flows")
    (root / "heldtrue.toml").write_text(
        f'claims = false\n[destinations]\nallow = ["127.0.0.1/32"]\nca_file = "{receiver.ca_file}"\n'
    )
    one = Instance(root, flags=("--config", str(root / "heldtrue.toml")))
    one.start()
    try:
        until(lambda: level(one) not in {"", "off"}, 90, "the runner answers")
        yield one
    finally:
        assert one.stop() == 0, one.output()


@pytest.fixture(scope="module")
def key(instance: Instance) -> str:
    return instance.organisation("Flows")


def runner(instance: Instance) -> psutil.Process:
    """Return the process that serves jobs."""
    return program(instance, "runner_main.py")


def broker(instance: Instance) -> psutil.Process:
    """Return the process that calls out."""
    return program(instance, "broker_main.py")


def test_code_in_two_languages_makes_outputs_that_arrive_nowhere_else(instance: Instance, key: str) -> None:
    steps = [
        {"transform_id": transform(instance, key, CODE), "config": {"customer": "books"}},
        {"transform_id": transform(instance, key, SCRIPT, "javascript"), "config": {"customer": "sea"}},
    ]
    flow(instance, key, "double", *steps)
    payload = instance.done("POST", "/v1/payloads", {"kind": "double", "a": 21}, key)["id"]
    run = settled(instance, key, payload)
    assert run["state"] == "done", run
    assert run["attempted"][0]["logs"] == ["seen by books"]
    outputs = instance.done("GET", f"/v1/payloads/{payload}/outputs?content=true", None, key)["data"]
    assert sorted(one["content"] for one in outputs) == ['"sea"', "43"]
    assert {one["sandbox"] for one in outputs} == {run["attempted"][1]["sandbox"]}


def test_the_runner_holds_no_secret_and_no_way_to_one(instance: Instance) -> None:
    process = runner(instance)
    assert process.environ() == {}
    assert "heldtrue-runner" in process.name() or process.name().startswith("ld-linux")
    platform_key = (instance.keys / "platform.key").read_bytes().split(b"\n")[0]
    sockets = [one.laddr for one in process.net_connections("all") if one.laddr]
    assert not [one for one in sockets if "PGSQL" in str(one)]
    if os.geteuid() == 0:
        expected = pwd.getpwnam("heldtrue-runner").pw_uid
        assert set(process.uids()) == {expected}
        assert stat.S_IMODE((instance.data / "run" / SOCKET).stat().st_mode) == 0o600
        assert (instance.data / "run" / SOCKET).stat().st_uid == pwd.getpwnam("heldtrue").pw_uid
    held = memory_of(process.pid)
    assert b"runner_main" in held
    assert platform_key not in held
    assert bytes.fromhex(key_material(platform_key)) not in held


def test_a_killed_runner_comes_back_alone_and_the_run_is_taken_up_again(instance: Instance, key: str) -> None:
    flow(instance, key, "slow", {"transform_id": transform(instance, key, SLOW), "config": {"seconds": 1.5}})
    below = runner(instance).children(recursive=True)
    before = {one.pid for one in instance.tree()} - {one.pid for one in (runner(instance), *below)}
    payload = instance.done("POST", "/v1/payloads", {"kind": "slow"}, key)["id"]
    until(
        lambda: instance.done("GET", f"/v1/runs?payload_id={payload}&state=running", None, key)["data"], 60, "it runs"
    )
    old = runner(instance)
    old.kill()
    run = settled(instance, key, payload)
    assert run["state"] == "done"
    assert runner(instance).pid != old.pid
    main = {one.pid for one in instance.tree()}
    assert instance.process is not None
    assert instance.process.pid in before & main
    assert [one["content"] for one in instance.done(
        "GET", f"/v1/payloads/{payload}/outputs?content=true", None, key)["data"]] == ['"done"']  # fmt: skip


def test_what_an_instance_has_is_tried_out_there_and_calls_nobody(instance: Instance, key: str) -> None:
    made = transform(
        instance, key, CALLS_OUT.replace('fetch("POST", context["url"] + "/echo"', 'fetch("POST", "https://a.example/"')
    )
    path = f"/v1/transforms/{made}/test"
    said = instance.call("POST", path, b"{}", key, {"Content-Type": "application/json"}).json()
    assert (said["outcome"], said["version"], said["outputs"]) == ("error", 1, [])
    assert "not-allowed" in said["error"]
    made = transform(instance, key, SCRIPT_TRIED, "javascript")
    said = instance.call(
        "POST",
        f"/v1/transforms/{made}/test?config=%7B%22n%22:2%7D",
        b'{"a": 3}',
        key,
        {"Content-Type": "application/json"},
    ).json()
    assert (said["outcome"], said["outputs"], said["logs"]) == ("ok", [5], ["tried"])
    assert said["level"] == level(instance)
    path = f"/v1/transforms/{transform(instance, key, 'def transform(payload, context): return payload')}/test"
    first, second = (instance.call("POST", path, b"[1]", key, {"Content-Type": "application/json"}) for _ in range(2))
    assert first.json()["outputs"] == second.json()["outputs"]
    assert first.json()["outputs"][0]["json"] == [1]
    assert instance.call("POST", f"{path}?confi=1", b"{}", key, {"Content-Type": "application/json"}).status == 422


def test_doctor_tells_the_level_and_that_the_broker_answers(instance: Instance) -> None:
    import subprocess

    said = subprocess.run(
        [HELDTRUE, "doctor", "--data-dir", instance.data, "--json"], capture_output=True, text=True, check=False
    )
    [found] = [one for one in json.loads(said.stdout) if one["subject"] == "sandbox"]
    assert f"level {level(instance)}" in found["found"]
    [found] = [one for one in json.loads(said.stdout) if one["subject"] == "egress broker"]
    assert (found["level"], found["found"].split(",")[0]) == ("ok", "takes grants")


def test_code_is_tried_out_without_an_instance(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "t.js").write_text(
        "function transform(payload, context) { log('n', context.n); return payload.json.a; }"
    )
    (tmp_path / "s.json").write_text('{"a": [1, 2]}')
    line = ["transforms", "test", tmp_path / "t.js", "--payload", tmp_path / "s.json", "--config", '{"n": 1}', "--json"]
    trials = [subprocess.run([HELDTRUE, *line], capture_output=True, text=True, check=False) for _ in range(2)]
    assert [one.returncode for one in trials] == [0, 0], trials[0].stderr
    assert trials[0].stdout == trials[1].stdout
    assert json.loads(trials[0].stdout)["outputs"] == [[1, 2]]


# ---------------------------------------------------------------- calls to the outside


@pytest.fixture(scope="module")
def host(instance: Instance, receiver: Receiver, key: str) -> str:
    """Keep a credential for the receiver, and return the receiver's host."""
    host = f"localhost:{receiver.port}"
    asked = {"name": "books", "value": VALUE, "hosts": [host]}
    made = instance.done("POST", "/v1/credentials", asked, key)
    assert VALUE not in json.dumps(made)
    return host


def reaching(instance: Instance, key: str, code: str, language: str, kind: str, host: str) -> dict[str, Any]:
    """Run *code* with leave to call *host*; return its run and its output."""
    made = transform(instance, key, code, language)
    rules = [{"host": host, "headers": {"Authorization": "Bearer {{credential:books}}"}}]
    instance.done("PUT", f"/v1/transforms/{made}/egress", {"rules": rules}, key)
    flow(instance, key, kind, {"transform_id": made, "config": {"url": f"https://{host}"}})
    payload = instance.done("POST", "/v1/payloads", {"kind": kind}, key)["id"]
    run = settled(instance, key, payload, patient=False)
    assert run["state"] == "done", json.dumps(run)
    [output] = instance.done("GET", f"/v1/payloads/{payload}/outputs?content=true", None, key)["data"]
    return {"run": run, "output": json.loads(output["content"]), "payload": payload}


def events(instance: Instance, key: str) -> Generator[str]:
    """Yield the events of the organisation's audit trail, however long it has become."""
    cursor: str | None = ""
    while cursor is not None:
        page = instance.done("GET", f"/v1/audit?limit=100{cursor}", None, key)
        yield from (one["event"] for one in page["data"])
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None


def test_python_calls_an_allowed_host_with_a_credential_that_it_never_sees(
    instance: Instance, receiver: Receiver, key: str, host: str
) -> None:
    done = reaching(instance, key, CALLS_OUT, "python", "python", host)
    assert done["output"] == {
        "status": 200,
        "said": {"held": "Bearer {{credential:books}}", "body": '{"a": 1}'},
        "other": "host-not-allowed",
        "seen": "you sent Bearer {{credential:books}}",
    }
    assert receiver.received[-1].headers["authorization"] == f"Bearer {VALUE}"
    [session] = done["run"]["egress"]
    called, refused = session["calls"]
    assert session["outcome"] == "closed"
    assert (called["host"], called["method"], called["status"], called["sent"]) == (host, "POST", 200, 8)
    assert called["credentials"] == ["books"]
    assert called["received"] > 0
    assert (refused["host"], refused["refused"]) == ("elsewhere.example", "host-not-allowed")
    assert {"egress.opened", "egress.closed", "egress.changed", "credential.created"} <= set(events(instance, key))


def test_javascript_calls_the_same_way(instance: Instance, key: str, host: str) -> None:
    done = reaching(instance, key, SCRIPT_CALLS_OUT, "javascript", "script", host)
    assert done["output"] == {
        "status": 200,
        "ok": True,
        "said": {"held": "Bearer {{credential:books}}", "body": ""},
        "other": "host-not-allowed",
    }


def test_the_broker_holds_no_key_and_no_way_to_the_database(instance: Instance) -> None:
    process = broker(instance)
    assert process.environ() == {}
    platform_key = (instance.keys / "platform.key").read_bytes().split(b"\n")[0]
    held = memory_of(process.pid)
    assert b"broker_main" in held
    assert platform_key not in held
    assert bytes.fromhex(key_material(platform_key)) not in held
    sockets = [str(one.laddr) for one in process.net_connections("all") if one.laddr]
    assert not [one for one in sockets if "PGSQL" in one]
    if os.geteuid() == 0:
        assert set(process.uids()) == {pwd.getpwnam("heldtrue-broker").pw_uid}
        grants, calls = instance.data / "run" / GRANTS, instance.data / "sandbox" / CALLS
        assert [stat.S_IMODE(one.stat().st_mode) for one in (grants, calls)] == [0o600, 0o600]
        assert grants.stat().st_uid == pwd.getpwnam("heldtrue").pw_uid
        assert calls.stat().st_uid == pwd.getpwnam("heldtrue-runner").pw_uid


def test_a_killed_broker_comes_back_and_calls_go_on(instance: Instance, key: str, host: str) -> None:
    old = broker(instance)
    old.kill()
    until(lambda: broker(instance).pid != old.pid, 60, "another broker")
    assert reaching(instance, key, SCRIPT_CALLS_OUT, "javascript", "again", host)["output"]["status"] == 200

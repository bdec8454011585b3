"""Flows in a whole instance: code runs in the runner, which has nothing to give away and comes back by itself."""

from __future__ import annotations

import json
import os
import pwd
import stat
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest
from flow_instance import flow, key_material, level, memory_of, settled, transform
from instance import HELDTRUE, Instance, until

from heldtrue.app.runner import SOCKET

pytestmark = pytest.mark.drill
CODE = """
import os
def transform(payload, context):
    print("seen by", context["customer"])
    return {"total": payload["json"]["a"] * 2, "environment": dict(os.environ), "who": os.getpid()}
"""
SCRIPT = "function transform(payload, context) { return many([payload.json.total + 1, context.customer]); }"
SLOW = "import time\ndef transform(payload, context):\n    time.sleep(context['seconds'])\n    return 'done'\n"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Generator[Instance]:
    root = tmp_path_factory.mktemp("flows")
    (root / "heldtrue.toml").write_text("claims = false\n")
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
    """Return the process that serves jobs: the supervisor's own child that was exec'd."""
    assert instance.process is not None
    [found] = [
        one for one in psutil.Process(instance.process.pid).children()
        if any(part.endswith("runner_main.py") for part in one.cmdline())
    ]  # fmt: skip
    return found


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
    before = {one.pid for one in instance.tree() if one.username() != runner(instance).username()}
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


def test_doctor_tells_the_level(instance: Instance) -> None:
    import subprocess

    said = subprocess.run(
        [HELDTRUE, "doctor", "--data-dir", instance.data, "--json"], capture_output=True, text=True, check=False
    )
    [found] = [one for one in json.loads(said.stdout) if one["subject"] == "sandbox"]
    assert f"level {level(instance)}" in found["found"]


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

"""Heldtrue's own API under its own probe: nothing is found, the coverage is counted, and the result is in the log."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from instance import HELDTRUE, Instance, until
from samples import Recorder

pytestmark = [pytest.mark.drill, pytest.mark.timeout(300)]
LEFT = ("DELETE /v1/keys", "DELETE /v1/payloads", "DELETE /v1/endpoints", "DELETE /v1/sessions")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Generator[Instance]:
    started = Instance(tmp_path_factory.mktemp("probe"), ("--demo", "--no-claims"))
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def file(instance: Instance, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two organisations with one of everything, and the probe's file that names it."""
    folder = tmp_path_factory.mktemp("file")
    credentials, values = {"admin": instance.operator_key()}, {}
    for name in "ab":
        credentials[name] = key = instance.organisation(f"mark-of-{name}")
        values[name] = belongings(instance, key, name)
    credentials["lower"] = values["a"].pop("lower")
    values["b"].pop("lower")
    credentials |= spent(instance, credentials["a"])
    for name, secret in credentials.items():
        path = folder / f"{name}.key"
        path.touch(0o600)
        path.write_text(secret)
    lines = [f'base_url = "{instance.url}"', f'ca_file = "{instance.ca_file}"', 'skip = ["GET /metrics"]']
    document = instance.done("GET", "/openapi.json")
    operators = [
        f"{method.upper()} {at}"
        for at, item in document["paths"].items()
        for method, operation in item.items()
        if operation["x-heldtrue-realm"] == "operator"
    ]
    lines += [f"admin = {json.dumps(operators)}"]
    lines += ["[send]", 'query = ["access_token"]']
    for name in "ab":
        lines += [f"[organisations.{name}]", f'credential = "file:{name}.key"', f'marks = ["mark-of-{name}"]']
    lines += ["[credentials]", *(f'{name} = "file:{name}.key"' for name in ("admin", "lower", "revoked", "expired"))]
    for name in values["a"]:
        lines += [f"[parameters.{name}]", f'a = "{values["a"][name]}"', f'b = "{values["b"][name]}"']
    lines += ["[parameters.leaf_id]", 'discover = { route = "GET /v1/audit?limit=200", pointer = "/data/5/leaf_id" }']
    (folder / "probe.toml").write_text("\n".join(lines))
    (folder / "openapi.json").write_text(json.dumps(document))
    return folder / "probe.toml"


def belongings(instance: Instance, key: str, name: str) -> dict[str, str]:
    mark = f"mark-of-{name}"
    endpoint = instance.done("POST", "/v1/endpoints", {"url": "https://127.0.0.1:9/in", "description": mark}, key)
    spare = instance.done("POST", "/v1/keys", {"name": mark, "role": "reader"}, key)
    parts = [
        f'--x\r\ncontent-disposition: form-data; name="{n}"; filename="{n}"\r\n\r\n{mark}\r\n' for n in ("payload", "a")
    ]
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    payload = instance.call("POST", "/v1/payloads", ("".join(parts) + "--x--\r\n").encode(), key, headers).json()
    found = until(lambda: instance.done("GET", "/v1/deliveries", None, key)["data"], 30, "a delivery")[0]
    code = {"name": mark, "language": "builtin", "code": "message"}
    transform = instance.done("POST", "/v1/transforms", code, key)["id"]
    steps = {"name": mark, "steps": [{"transform_id": transform}], "filters": {"content_type": "text/x-flow"}}
    flow = instance.done("POST", "/v1/flows", steps, key)["id"]
    instance.call("POST", "/v1/payloads", mark.encode(), key, {"Content-Type": "text/x-flow"})
    run = until(lambda: instance.done("GET", "/v1/runs", None, key)["data"], 30, "a run")[0]
    asked = {"dry_run": False, "endpoint_id": endpoint["id"], "state": "held"}
    replay = instance.done("POST", "/v1/deliveries/replays", asked, key)
    kept = {"name": "probed", "value": mark, "hosts": ["api.invalid"]}
    credential = instance.done("POST", "/v1/credentials", kept, key)
    return {
        "credential_id": credential["id"],
        "transform_id": transform, "flow_id": flow, "run_id": run["id"], "number": "1", "replay_id": replay["id"],
        "endpoint_id": endpoint["id"], "key_id": spare["id"], "payload_id": payload["id"], "ordinal": "1",
        "delivery_id": found["id"], "receipt_id": found["receipt_id"], "lower": spare["secret"],
    }  # fmt: skip


def spent(instance: Instance, key: str) -> dict[str, str]:
    """Return a revoked and an expired key of the organisation."""
    over = datetime.now(UTC) + timedelta(seconds=1)
    soon = over.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    expired = instance.done("POST", "/v1/keys", {"name": "e", "role": "admin", "expires_at": soon}, key)
    revoked = instance.done("POST", "/v1/keys", {"name": "r", "role": "admin"}, key)
    instance.done("DELETE", f"/v1/keys/{revoked['id']}", None, key)
    until(lambda: instance.call("GET", "/v1/self", None, expired["secret"]).status == 401, 20, "the key's end")
    return {"revoked": revoked["secret"], "expired": expired["secret"]}


def probe(*arguments: str | Path, status: int) -> Any:
    command = [HELDTRUE, "probe", *arguments, "--rate", "400", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == status, done.stdout[-3000:] + done.stderr
    return json.loads(done.stdout)


def test_nothing_is_found_in_our_own_api_and_the_log_says_so(instance: Instance, file: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    here = ("--data-dir", instance.data, "--record", "--proof", proof)
    said = probe(file.parent / "openapi.json", "--file", file, *here, status=0)
    assert said["findings"] == []
    document = json.loads((file.parent / "openapi.json").read_text())
    known = {"leaf_id", *tomllib.loads(file.read_text())["parameters"]}
    asked = {
        f"GET {at}"
        for at, item in document["paths"].items()
        if item.get("get", {}).get("security")
        and (item["get"]["x-heldtrue-realm"] != "operator" or set(re.findall(r"{(\w+)}", at)) <= known)
    }  # of the operator's own things the route laws make one each; here are those of organisations
    asked.remove("GET /v1/disclosure/key")  # there is none here
    judged = {route["route"] for route in said["routes"] if route["judged"]}
    assert judged == asked
    assert said["coverage"]["judged"] == len(asked) >= 18
    assert {word for route in said["routes"] if route["judged"] for word in route["checks_not_made"]} <= {"list-leak"}
    entry = json.loads(proof.read_text())["entry"]
    assert entry["kind"] == "probe"
    assert entry["outcome"] == "held"
    assert entry["coverage"] == said["coverage"]
    assert entry["target"] is None
    assert "127.0.0.1" not in json.dumps(entry)
    verify = [HELDTRUE, "verify", "proof", proof, "--pin", f"@{instance.data / 'log.pin'}"]
    assert subprocess.run(verify, capture_output=True, check=False).returncode == 0
    listed = instance.done("GET", "/v1/probes", None, instance.operator_key())["data"]
    assert entry["report_sha256"] in [one["entry"]["report_sha256"] for one in listed]
    page = [HELDTRUE, "verify", "page", instance.url, "--pin", f"@{instance.data / 'log.pin'}", "--ca-file"]
    state = ("--state-dir", tmp_path / "state", "--json")
    seen = subprocess.run([*page, instance.ca_file, *state], capture_output=True, text=True, check=False).stdout
    assert "probe" not in " ".join(
        str(step["found"]) for step in json.loads(seen)["steps"] if step["outcome"] == "fails"
    )


def test_a_run_that_said_too_little_is_never_recorded_as_held(instance: Instance, tmp_path: Path) -> None:
    (tmp_path / "routes.txt").write_text("GET /v1/things\n")
    with Recorder(503).served() as recorder:
        target = recorder.file(tmp_path)
        here = ("--data-dir", instance.data, "--record")
        said = probe(tmp_path / "routes.txt", "--file", target, *here, status=1)
    assert said["recorded"]["outcome"] == "incomplete"


def test_a_record_that_contradicts_itself_is_refused(instance: Instance) -> None:
    from heldtrue.attack.sound import SOUND

    sound = json.loads(SOUND["POST /v1/probes"][0] or b"")
    operator = instance.operator_key()
    wrong = [
        {"coverage": {**sound["coverage"], "routes": 3, "judged": 3}},
        {"finished_at": "2025-12-31T00:00:00.000Z"},
        {"findings": {"made-up": 1}},
        {"target": "other.example.com"},
        {"outcome": "held"},
    ]
    for change in wrong:
        said = instance.call("POST", "/v1/probes", {**sound, **change}, operator)
        assert said.status == 422, (change, said.body)
    key = instance.organisation("Stranger")
    assert instance.call("POST", "/v1/probes", sound, key).status == 403

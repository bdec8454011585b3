"""The commands against a running instance: the demo twice, a backup that comes back, a credential that is renewed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
from instance import HELDTRUE, Instance

pytestmark = [pytest.mark.drill, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Generator[Instance]:
    started = Instance(tmp_path_factory.mktemp("commands"), ("--demo", "--no-claims"))
    try:
        started.start()
        yield started
    finally:
        started.stop()


def run(*arguments: str | Path, status: int = 0) -> str:
    done = subprocess.run([HELDTRUE, *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def asked(*arguments: str | Path) -> object:
    return json.loads(run(*arguments, "--json"))


def test_the_demo_ends_with_a_verified_receipt_each_time(instance: Instance, tmp_path: Path) -> None:
    said = run("demo", "--data-dir", instance.data, "--keep", tmp_path / "one")
    assert said.splitlines()[-1].startswith("Verified receipt rec_")
    again = asked("demo", "--data-dir", instance.data, "--keep", tmp_path / "two")
    assert again["receipt"]["verified"] is True  # type: ignore[index,call-overload]
    companies = [one for one in asked("orgs", "list", "--data-dir", instance.data) if "sample" in one["name"]]  # type: ignore[attr-defined]
    assert len(companies) == 1
    receipts = sorted((tmp_path / "two").glob("rec_*.json"))
    assert len(receipts) == 6  # the last is of what was read from a mail, in the sandbox
    for receipt in receipts:
        run("verify", "receipt", receipt, "--pin", f"@{instance.data / 'log.pin'}", "--state-dir", tmp_path / "state")
    run("verify", "receipt", receipts[0], "--state-dir", tmp_path / "state", status=1)


def test_the_demo_says_what_is_missing_where_loopback_is_closed(instance: Instance, tmp_path: Path) -> None:
    closed = tmp_path / "data"
    closed.mkdir()
    note = json.loads((instance.data / "serving.json").read_text())
    (closed / "serving.json").write_text(json.dumps({**note, "demo": False}))
    assert "--demo" in run("demo", "--data-dir", closed, status=2)


def test_keys_and_payloads_by_command(instance: Instance, tmp_path: Path) -> None:
    here = ("--data-dir", instance.data)
    made = asked("orgs", "create", "Command Ltd", "--environment", "live", "--environment", "test", *here)
    key = tmp_path / "key"
    issued = asked("keys", "issue", "all", "--org", made["id"], "--role", "admin", "--save", key, *here)  # type: ignore[index,call-overload]
    assert issued["secret"] is None  # type: ignore[index,call-overload]
    assert key.stat().st_mode & 0o777 == 0o600
    as_them = (*here, "--credential-file", key)
    (tmp_path / "note.txt").write_text("hello")
    sent = asked("payloads", "send", tmp_path / "note.txt", "--attach", tmp_path / "note.txt", *as_them)
    shown = asked("payloads", "show", sent["id"], *as_them)  # type: ignore[index,call-overload]
    assert len(shown["attachments"]) == 1  # type: ignore[index,call-overload]
    assert run("payloads", "content", sent["id"], *as_them) == "hello"  # type: ignore[index,call-overload]
    run("payloads", "erase", sent["id"], *as_them)  # type: ignore[index,call-overload]
    run("payloads", "content", sent["id"], *as_them, status=1)  # type: ignore[index,call-overload]
    second = tmp_path / "second"
    run("keys", "roll", issued["id"], "--overlap", "0", "--save", second, *as_them)  # type: ignore[index,call-overload]
    assert "heldtrue:" in run("payloads", "list", *as_them, status=1)
    asked("payloads", "list", *here, "--credential-file", second)
    key.chmod(0o644)
    assert "others may read it" in run("payloads", "list", *as_them, status=2)
    rolled = asked("keys", "roll-sessions", *here)
    assert rolled["state"] == "pre-activation"  # type: ignore[index,call-overload]
    assert asked("keys", "roll-sessions", *here) == rolled


def test_the_log_by_command(instance: Instance) -> None:
    here = ("--data-dir", instance.data)
    assert run("log", "pin", *here).strip() == instance.pin()
    size = asked("log", "checkpoint", *here)["size"]  # type: ignore[index,call-overload]
    entries = asked("log", "show", "--most", "500", *here)
    assert {"key", "tenant"} <= {entry["kind"] for entry in entries}  # type: ignore[attr-defined]
    assert len(entries) >= min(size, 500)  # type: ignore[arg-type]
    assert "already" in run("log", "check", *here, status=2) or "another copy" in run("log", "check", *here, status=2)


def test_the_index_has_every_row(instance: Instance) -> None:
    lines = asked("claims", "index", "--data-dir", instance.data)
    assert {line["row"][0] for line in lines} == set("ABCDEFGHJK")  # type: ignore[attr-defined]


def test_a_backup_of_a_running_instance_comes_back(instance: Instance, tmp_path: Path) -> None:
    key = instance.organisation("saved")
    taken = instance.done("POST", "/v1/payloads", {"saved": True}, key)
    made = asked("backup", tmp_path / "backup", "--data-dir", instance.data)
    assert made["rows"] > 0  # type: ignore[index,call-overload]
    platform = f"file:{instance.keys / 'platform.key'}"
    back = Instance(tmp_path, ("--no-claims",))
    back.keys.mkdir(mode=0o700)
    (back.keys / "platform.key").write_bytes((instance.keys / "platform.key").read_bytes())
    (back.keys / "platform.key").chmod(0o600)
    run("restore", tmp_path / "backup", "--data-dir", back.data, "--platform-key", platform)
    (back.data / "places.json").write_text(json.dumps({"platform_key": platform, "database": "embedded"}))
    run("log", "succeed", "--data-dir", back.data)
    try:
        back.start()
        assert back.call("GET", f"/v1/payloads/{taken['id']}/content", key=key).json() == {"saved": True}
        assert back.pin() != instance.pin()
    finally:
        back.stop()


def test_a_lost_operators_credential_is_replaced_and_the_old_one_dies(tmp_path: Path) -> None:
    instance = Instance(tmp_path, ("--no-claims",))
    try:
        instance.start()
        old = instance.operator_key()
        assert instance.stop() == 0
        run("renew-operator", "--save", tmp_path / "new", "--data-dir", instance.data)
        instance.start()
        assert instance.call("GET", "/v1/organisations", key=old).status == 401
        assert instance.call("GET", "/v1/organisations", key=(tmp_path / "new").read_text().strip()).status == 200
    finally:
        instance.stop()


def test_a_stopped_log_is_checked(tmp_path: Path) -> None:
    instance = Instance(tmp_path, ("--no-claims",))
    try:
        instance.start()
        instance.organisation("checked")
    finally:
        assert instance.stop() == 0
    (report,) = asked("log", "check", "--data-dir", instance.data)  # type: ignore[misc]
    assert report["published"] == report["size"] > 0
    newest = f"{report['size']}"
    tile = next(path for path in (instance.data / "log/tile/0").rglob(newest) if path.is_file())
    tile.write_bytes(bytes(len(tile.read_bytes())))
    assert "heldtrue:" in run("log", "check", "--data-dir", instance.data, status=1)

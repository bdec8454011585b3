"""What the doctor sees."""

from __future__ import annotations

import json
import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from heldtrue.app import clockmark, doctor, instance
from heldtrue.app.doctor import Finding, Level
from heldtrue.crypto import platform
from heldtrue.crypto.tls import ensure_local_authority


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    """A data directory as a start leaves it, its key beside it."""
    data = instance.prepare(tmp_path / "data", None)
    now = datetime.now(UTC)
    identity = instance.draft(None, now, secrets.token_bytes)
    instance.keep(data, identity)
    uri = f"file:{tmp_path / 'keys/platform.key'}"
    platform.create(uri, identity.uuid, data.root, secrets.token_bytes, now)
    data.places.write_text(json.dumps({"platform_key": uri, "database": "embedded"}))
    ensure_local_authority(data.tls, now)
    data.config.write_text('listen = "127.0.0.1:47113"\n')
    return data.root


def found(path: Path, subject: str) -> Finding:
    return next(finding for finding in doctor.examine(path, None) if finding.subject == subject)


def test_a_healthy_instance_has_nothing_wrong(healthy: Path) -> None:
    assert [finding for finding in doctor.examine(healthy, None) if finding.level is Level.WRONG] == []


def test_what_was_never_started_is_told(tmp_path: Path) -> None:
    assert "never been started" in found(tmp_path, "instance").found


def test_a_setting_that_is_none_ends_the_examination(healthy: Path) -> None:
    (healthy / "heldtrue.toml").write_text("lisen = 3\n")
    (finding,) = doctor.examine(healthy, None)
    assert (finding.level, finding.advice) == (Level.WRONG, "Did you mean listen?")


@pytest.mark.parametrize(
    ("settings", "subject", "level"),
    [
        ('listen = "0.0.0.0:47113"', "certificate", Level.WRONG),
        ('listen = "0.0.0.0:47113"', "base_url", Level.WRONG),
        ('[destinations]\nallow = ["10.0.0.0/8"]', "destinations", Level.ADVICE),
    ],
)
def test_settings_that_are_not_safe(healthy: Path, settings: str, subject: str, level: Level) -> None:
    (healthy / "heldtrue.toml").write_text(settings)
    assert found(healthy, subject).level is level


def test_a_key_that_others_may_read(healthy: Path) -> None:
    (healthy.parent / "keys/platform.key").chmod(0o644)
    assert found(healthy, "platform key").level is Level.WRONG


def test_a_data_directory_that_others_may_list(healthy: Path) -> None:
    healthy.chmod(0o755)
    assert found(healthy, "data directory").level is Level.WRONG


def test_an_operators_credential_that_stays_where_it_was_made(healthy: Path) -> None:
    path = healthy.parent / "keys/platform.operator"
    path.write_text("x")
    path.chmod(0o600)
    assert found(healthy, "operator credential").level is Level.OK
    old = datetime.now(UTC).timestamp() - 8 * 86400
    os.utime(path, (old, old))
    assert found(healthy, "operator credential").level is Level.ADVICE
    path.chmod(0o644)
    assert found(healthy, "operator credential").level is Level.WRONG


def test_a_clock_that_is_behind(healthy: Path) -> None:
    clockmark.mark(instance.DataDir(healthy), datetime.now(UTC) + timedelta(hours=1))
    assert found(healthy, "clock").level is Level.WRONG


def test_a_certificate_near_its_end(healthy: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (healthy / "tls" / name).unlink()
    ensure_local_authority(healthy / "tls", datetime.now(UTC) - timedelta(days=350))
    assert found(healthy, "certificate").level is Level.WRONG


def test_who_runs_is_told(healthy: Path) -> None:
    lock = instance.Lock(instance.DataDir(healthy))
    assert str(os.getpid()) in found(healthy, "process").found
    lock.release()
    assert "nothing runs" in found(healthy, "port").found

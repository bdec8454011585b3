"""What monitoring is told."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from heldtrue.app import health
from heldtrue.app.health import Health
from heldtrue.app.metrics import WebMetrics, WorkerMetrics
from heldtrue.app.pulse import Pulse
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.errors import UnavailableError


class Base:
    """A database that answers or does not."""

    away = False

    def ping(self) -> None:
        if self.away:
            raise UnavailableError("the database does not answer")


def fresh() -> float:
    return 0.2


def failing(checks: Health) -> set[str]:
    return {check.name for check in checks.checks() if not check.ok}


def test_ready_means_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, pulse = Base(), Pulse()
    checks = Health(cast("Any", base), pulse, SystemClock(), tmp_path, fresh)
    assert failing(checks) == {"deliveries", "log"}
    pulse.beat("deliveries")
    pulse.beat("log")
    assert failing(checks) == set()
    pulse.beat("log", health.REFUSED)
    assert failing(checks) == {"log"}
    pulse.beat("log")
    base.away = True
    assert failing(checks) == {"database"}
    base.away = False
    monkeypatch.setattr(health, "SILENT", -1.0)
    assert failing(checks) == {"deliveries", "log"}
    monkeypatch.setattr(health, "SILENT", 15.0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=health.LEAST_FREE - 1))
    assert failing(checks) == {"disk"}


def test_a_clock_that_went_back_is_told(tmp_path: Path) -> None:
    pulse = Pulse()
    pulse.beat("deliveries")
    pulse.beat("log")
    clock = SystemClock(datetime.now(UTC) + timedelta(minutes=1))
    assert failing(Health(cast("Any", Base()), pulse, clock, tmp_path, fresh)) == {"clock"}


def test_keys_that_may_be_out_of_date_are_told(tmp_path: Path) -> None:
    pulse = Pulse()
    pulse.beat("deliveries")
    pulse.beat("log")

    def notes(age: float) -> list[str]:
        checks = Health(cast("Any", Base()), pulse, SystemClock(), tmp_path, lambda: age).checks()
        return [check.note for check in checks if not check.ok]

    assert notes(5.0) == []
    assert notes(6.4) == ["what is known of keys is 6 s old, so nobody is let in"]
    assert notes(float("inf")) == ["what is known of keys has not come yet, so nobody is let in"]


def test_the_web_process_shows_its_own_counts_the_workers_and_the_instances(tmp_path: Path) -> None:
    worker = WorkerMetrics(tmp_path / "worker.prom")
    web = WebMetrics(tmp_path / "worker.prom", lambda: {"log_size": ("Entries.", 7)}, fresh)
    assert b"worker" not in web.text()
    worker.rounds.labels("log").inc()
    worker.write()
    web.observe("GET /v1/self", 200, 0.01)
    text = web.text().decode()
    assert 'heldtrue_requests_total{route="GET /v1/self",status="200"} 1.0' in text
    assert 'heldtrue_worker_rounds_total{part="log"} 1.0' in text
    assert "heldtrue_log_size 7.0" in text
    assert "heldtrue_feed_age_seconds 0.2" in text
    assert text.count("# TYPE heldtrue_worker_rounds_total") == 1


def test_gauges_are_missing_while_the_database_is_away(tmp_path: Path) -> None:
    def away() -> dict[str, tuple[str, float]]:
        raise UnavailableError("away")

    assert WebMetrics(tmp_path / "worker.prom", away, fresh).text() is not None

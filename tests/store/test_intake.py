"""Intake over a real database: all or nothing, whatever goes away."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from house import House
from payload_house import PayloadHouse, build_payload_house, found_house

from heldtrue.capabilities.intake import actions
from heldtrue.capabilities.intake.model import Limits
from heldtrue.capabilities.intake.objects import LocalObjects
from heldtrue.db.tx import Database, OutcomeUnknownError
from heldtrue.kernel.errors import UnavailableError

BIG = b"canary-19c4-" * 100_000


@pytest.fixture(scope="module")
def plain(module_database: Database) -> Generator[House]:
    house = found_house(module_database)
    yield house
    house.app.close()


@pytest.fixture
def place(plain: House, tmp_path: Path) -> Generator[PayloadHouse]:
    built = build_payload_house(plain, tmp_path)
    yield built
    built.close()


def fail_at(place: PayloadHouse, monkeypatch: pytest.MonkeyPatch, error: Exception, *, after: bool) -> None:
    """Let T1 fail in its last moment, before or *after* the commit."""
    database = place.database
    tenant = type(database).tenant

    class Failing:
        def __init__(self, *asked: Any) -> None:
            self._context = tenant(database, *asked)

        def __enter__(self) -> Any:
            return self._context.__enter__()

        def __exit__(self, kind: Any, value: Any, trace: Any) -> Any:
            if kind is None and after:
                self._context.__exit__(None, None, None)
                raise error
            if kind is None:
                self._context.__exit__(type(error), error, None)
                raise error
            return self._context.__exit__(kind, value, trace)

    monkeypatch.setattr(database, "tenant", Failing)


def test_a_database_that_goes_away_before_the_commit_leaves_nothing(
    place: PayloadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_at(place, patch, UnavailableError(), after=False)
        refused = place.send(BIG, "application/pdf")
    assert (refused.status, refused.code) == (503, "unavailable")
    assert place.admin.get("/v1/payloads").json()["data"] == []
    assert place.stored_files() == []


def test_a_commit_of_unknown_outcome_keeps_the_object_that_a_row_may_name(
    place: PayloadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_at(place, patch, OutcomeUnknownError(), after=True)
        refused = place.send(BIG, "application/pdf")
    assert (refused.status, refused.code) == (503, "outcome-unknown")
    [row] = place.admin.get("/v1/payloads").json()["data"]
    assert place.admin.get(f"/v1/payloads/{row['id']}/content").body == BIG


def test_the_sweep_removes_orphans_after_a_day_and_nothing_else(place: PayloadHouse) -> None:
    kept = place.send(BIG, "application/pdf").json()["id"]
    orphan = place.objects.create(place.services.entropy)
    orphan.write(b"sealed")
    orphan.commit()
    now = datetime.now(UTC)
    assert actions.sweep(place.database, place.objects, now) == 0
    assert actions.sweep(place.database, place.objects, now + timedelta(hours=25)) == 1
    assert place.admin.get(f"/v1/payloads/{kept}/content").body == BIG
    place.admin.delete(f"/v1/payloads/{kept}")
    assert place.stored_files() == []


def test_a_crash_between_an_erasure_and_its_files_is_swept(
    place: PayloadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload = place.send(BIG, "application/pdf").json()["id"]
    with monkeypatch.context() as patch:
        patch.setattr(LocalObjects, "delete", lambda self, name: None)
        assert place.admin.delete(f"/v1/payloads/{payload}").status == 200
    assert len(place.stored_files()) == 1
    assert place.admin.get(f"/v1/payloads/{payload}/content").status == 409
    assert actions.sweep(place.database, place.objects, datetime.now(UTC) + timedelta(hours=25)) == 1
    assert place.stored_files() == []


def test_an_altered_object_is_not_served_as_whole(place: PayloadHouse) -> None:
    from heldtrue.crypto.sealing import SealBrokenError

    payload = place.send(BIG, "application/pdf").json()["id"]
    [path] = place.stored_files()
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SealBrokenError):
        place.admin.get(f"/v1/payloads/{payload}/content")


def test_an_object_of_another_payload_does_not_open(place: PayloadHouse) -> None:
    from heldtrue.crypto.sealing import SealBrokenError

    one, two = (place.send(BIG + end, "application/pdf").json()["id"] for end in (b"1", b"2"))
    paths = place.stored_files()
    first, second = (path.read_bytes() for path in paths)
    paths[0].write_bytes(second)
    paths[1].write_bytes(first)
    for payload in (one, two):
        with pytest.raises(SealBrokenError):
            place.admin.get(f"/v1/payloads/{payload}/content")


def test_nothing_of_a_payload_is_in_clear_in_rows_or_objects(place: PayloadHouse) -> None:
    place.send(BIG, "application/x-canary-19c4-")
    place.send(b'{"note":"canary-19c4-"}')
    with place.database.tenant(place.tenant, "live") as tx:
        text = str(tx.value("SELECT array_agg(to_jsonb(p)) FROM heldtrue.payloads p"))
    assert "canary-19c4-" not in text
    assert b"canary-19c4-".hex() not in text
    assert all(b"canary-19c4-" not in path.read_bytes() for path in place.stored_files())


def test_a_full_disk_refuses_with_507_and_leaves_nothing(plain: House, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(disk)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("a small file system needs the right to mount")
    try:
        place = build_payload_house(plain, tmp_path, objects=LocalObjects(disk / "objects"))
        refused = place.send(BIG, "application/pdf")
        assert (refused.status, refused.code) == (507, "storage-full")
        assert [path for path in disk.rglob("*") if path.is_file()] == []
        assert place.admin.get("/v1/payloads").json()["data"] == []
        assert place.send(b"small", "text/plain").status == 202
        place.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_the_default_limit_is_25_mebibytes(plain: House, tmp_path: Path) -> None:
    place = build_payload_house(plain, tmp_path)
    limit = Limits().body
    assert limit == 25 * 1024 * 1024
    piece = bytes(1024 * 1024)
    assert place.send([piece] * 25, "application/pdf").status == 202
    assert place.send([piece] * 25 + [b"x"], "application/pdf").status == 413
    place.close()

"""The probe is safe by default: what it must not send, where it must not go, and when it must stop."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
from pathlib import Path

import pytest
from instance import HELDTRUE, until
from samples import Recorder, run

from heldtrue.capabilities.probe.model import Ended, Outcome, ProbeInputError, Unmade
from heldtrue.capabilities.probe.sender import IN_A_ROW, Pace

ROUTES = "GET /v1/things\nGET /v1/things/{id}\nPOST /v1/things\nPUT /v1/things/{id}\nDELETE /v1/things/{id}\n"
VALUES = '[parameters.id]\na = "thing-of-a"\nb = "thing-of-b"\n'


@pytest.fixture
def routes(tmp_path: Path) -> str:
    (tmp_path / "routes.txt").write_text(ROUTES)
    return str(tmp_path / "routes.txt")


def with_values(recorder: Recorder, folder: Path, more: str = "") -> Path:
    file = recorder.file(folder, more)
    file.write_text(file.read_text() + VALUES)
    return file


def test_a_dry_run_sends_nothing(routes: str, tmp_path: Path) -> None:
    with Recorder().served() as recorder:
        file = with_values(recorder, tmp_path)
        done = subprocess.run(
            [HELDTRUE, "probe", routes, "--file", file, "--dry-run", "--allow-method", "DELETE"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "/v1/things/thing-of-a" in done.stdout
    assert "Nothing was sent." in done.stdout
    assert recorder.seen == []


def test_methods_that_change_things_are_not_sent_unless_allowed(routes: str, tmp_path: Path) -> None:
    with Recorder().served() as recorder:
        file = with_values(recorder, tmp_path)
        report = run(routes, file)
        assert {method.upper() for method, _, _ in recorder.seen} == {"GET", "HEAD", "OPTIONS"}
        left = [one.route for one in report.results if one.not_judged is Unmade.METHOD]
        assert left == ["POST /v1/things", "PUT /v1/things/{id}", "DELETE /v1/things/{id}"]
        run(routes, file, "PUT")
        assert {method for method, _, _ in recorder.seen} >= {"PUT"}
        assert not {method for method, _, _ in recorder.seen} & {"POST", "DELETE"}


def test_only_the_base_urls_host_is_contacted(routes: str, tmp_path: Path) -> None:
    with Recorder().served() as elsewhere, Recorder(302).served() as recorder:
        recorder.headers = (("Location", f"http://127.0.0.1:{elsewhere.port}/"),)
        file = with_values(recorder, tmp_path)
        report = run(routes, file)
        assert report.judged == 0
        assert recorder.seen
        assert all(headers["user-agent"].startswith("heldtrue-probe/") for _, _, headers in recorder.seen)
        with pytest.raises(ProbeInputError, match="not the target's host"):
            run(f"http://127.0.0.1:{elsewhere.port}/openapi.json", file)
    assert elsewhere.seen == []


def test_no_cookie_of_a_good_answer_helps_a_bad_request(routes: str, tmp_path: Path) -> None:
    with Recorder(headers=(("Set-Cookie", "session=good; Path=/"),)).served() as recorder:
        run(routes, with_values(recorder, tmp_path))
    assert len(recorder.seen) > 20
    assert all("cookie" not in headers for _, _, headers in recorder.seen)


def test_a_target_in_trouble_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "routes.txt").write_text("".join(f"GET /v1/things/{number}\n" for number in range(30)))
    with Recorder(503).served() as recorder:
        report = run(str(tmp_path / "routes.txt"), recorder.file(tmp_path))
    assert IN_A_ROW <= len(recorder.seen) < IN_A_ROW + 4  # what was under way at that moment comes to its end
    assert report.ended is Ended.TROUBLE
    assert report.outcome is Outcome.INCOMPLETE
    assert report.judged == 0


def test_nothing_is_sent_beyond_the_budget(routes: str, tmp_path: Path) -> None:
    with Recorder().served() as recorder:
        report = run(routes, with_values(recorder, tmp_path), most=7)
    assert len(recorder.seen) == 7
    assert report.ended is Ended.BUDGET
    assert report.outcome is not Outcome.HELD


def test_a_limit_of_the_targets_is_honoured_and_reported(tmp_path: Path) -> None:
    (tmp_path / "routes.txt").write_text("GET /v1/things\n")
    with Recorder(429, headers=(("Retry-After", "0"),)).served() as recorder:
        report = run(str(tmp_path / "routes.txt"), recorder.file(tmp_path))
    assert report.results[0].not_judged is Unmade.LIMITED
    assert len(recorder.seen) == 3


def test_no_two_requests_start_closer_together_than_the_rate_allows() -> None:
    clock, starts = [100.0], []

    async def sleep(seconds: float) -> None:
        clock[0] += seconds

    async def go() -> None:
        pace = Pace(5.0, lambda: clock[0], sleep)
        for number in range(40):
            await pace.turn()
            starts.append(clock[0])
            clock[0] += 0.5 if number == 20 else 0.01  # a slow answer earns nothing for later
        await pace.wait(3.0)
        await pace.turn()
        starts.append(clock[0])

    asyncio.run(go())
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    assert min(gaps) >= 0.2 - 1e-9
    assert gaps[-1] >= 3.0


def test_the_pace_holds_for_many_at_once() -> None:
    starts: list[float] = []

    async def go() -> None:
        pace = Pace(5.0, lambda: 0.0, lambda seconds: _keep(starts, seconds))
        await asyncio.gather(*(pace.turn() for _ in range(20)))

    asyncio.run(go())
    assert sorted(starts) == pytest.approx([0.2 * number for number in range(1, 20)])


def test_a_wait_that_the_target_asks_for_holds_everybody_back() -> None:
    asked: list[float] = []

    async def go() -> None:
        pace = Pace(5.0, lambda: 0.0, lambda seconds: _keep(asked, seconds))
        await pace.wait(3.0)
        await pace.turn()

    asyncio.run(go())
    assert asked == [3.0, 3.0]


async def _keep(starts: list[float], seconds: float) -> None:
    starts.append(seconds)


def test_a_killed_probe_leaves_nothing_behind(routes: str, tmp_path: Path) -> None:
    with Recorder().served() as recorder:
        file = with_values(recorder, tmp_path)
        report = tmp_path / "report.json"
        command = [HELDTRUE, "probe", routes, "--file", file, "--rate", "20", "--report", report]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            until(lambda: len(recorder.seen) >= 3, 20, "the probe has begun")
        finally:
            os.kill(process.pid, signal.SIGKILL)
            said, _ = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL
    assert not report.exists()
    assert b"held" not in said


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('colour = "red"', "colour"),
        ('[credentials]\nexpired = "ht_sk_in_clear"', "no secret URI"),
        ('public = ["everything"]', "no route"),
        ('base_url = "http://api.example.com"', "not https"),
    ],
    ids=["unknown", "clear", "route", "http"],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, more: str, says: str) -> None:
    file = Recorder(port=9).file(tmp_path, "" if more.startswith("base_url") else more)
    if more.startswith("base_url"):
        file.write_text(file.read_text().replace('base_url = "http://127.0.0.1:9"', more))
    with pytest.raises(ProbeInputError, match=says):
        run("GET", file)

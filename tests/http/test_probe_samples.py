"""The probe finds every fault that is planted in the vulnerable sample, and nothing in the sound one."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Generator
from pathlib import Path

import pytest
from instance import HELDTRUE
from samples import CHANGING, EXAMPLES, Sample, run, sample

from heldtrue.capabilities.probe.model import MEANING, Check, Outcome, Unmade
from heldtrue.capabilities.probe.report import Report

KEY = [
    (one["route"], one["kind"])
    for one in tomllib.loads((EXAMPLES / "vulnerable_api.answers.toml").read_text())["fault"]
]


@pytest.fixture(scope="module")
def vulnerable(tmp_path_factory: pytest.TempPathFactory) -> Generator[Report]:
    with sample("vulnerable_api", tmp_path_factory.mktemp("vulnerable")) as served:
        yield run(served.document, served.file, *CHANGING)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Generator[Sample]:
    with sample("sound_api", tmp_path_factory.mktemp("sound")) as served:
        yield served


@pytest.mark.parametrize(("route", "kind"), KEY, ids=[f"{kind}-{route}" for route, kind in KEY])
def test_a_planted_fault_is_found(vulnerable: Report, route: str, kind: str) -> None:
    found = [finding for finding in vulnerable.findings if (finding.route, str(finding.check)) == (route, kind)]
    assert len(found) == 1
    assert found[0].curl.startswith("curl -i --path-as-is")
    assert MEANING[found[0].check].advice


def test_nothing_is_found_that_was_not_planted(vulnerable: Report) -> None:
    assert {(finding.route, str(finding.check)) for finding in vulnerable.findings} == set(KEY)
    assert vulnerable.outcome is Outcome.BROKEN


def test_the_answer_key_has_every_kind_of_finding() -> None:
    assert {kind for _, kind in KEY} == {str(check) for check in Check}


def test_nothing_is_found_in_the_sound_one(tmp_path: Path) -> None:
    with sample("sound_api", tmp_path) as served:
        report = run(served.document, served.file, *CHANGING)
    assert report.findings == []
    assert report.outcome is Outcome.HELD
    assert [(one.route, one.not_judged) for one in report.results if not one.judged] == [
        ("GET /v1/health", Unmade.PUBLIC)
    ]
    assert report.coverage()["checks_made"] > 500


def test_no_credential_is_in_a_report(vulnerable: Report) -> None:
    text = json.dumps(vulnerable.to_json())
    assert "eyJ" not in text  # the beginning of every JSON Web Token
    assert "$KEY" in text


def test_what_could_not_be_tried_is_never_counted_as_passed(sound: Sample, tmp_path: Path) -> None:
    file = tmp_path / "probe.toml"
    text = sound.file.read_text().replace('"file:', f'"file:{sound.file.parent}/')
    lines = [line for line in text.splitlines() if not line.startswith(("expired", "revoked", "lower"))]
    file.write_text("\n".join(lines))
    report = run(sound.document, file)
    assert not {check for one in report.results for check in one.made} & {Check.EXPIRED, Check.REVOKED, Check.ROLE}
    by_name = {one.route: one for one in report.results}
    assert by_name["GET /v1/usage"].unmade[Check.EXPIRED] is Unmade.NO_CREDENTIAL
    assert by_name["GET /v1/usage"].unmade[Check.REVOKED] is Unmade.NO_CREDENTIAL
    assert by_name["GET /v1/admin/users"].unmade[Check.ROLE] is Unmade.NO_CREDENTIAL
    assert by_name["DELETE /v1/orders/{order_id}"].not_judged is Unmade.METHOD
    assert "nothing is said of the other 10 routes" in report.statement()


def test_a_route_whose_good_credential_fails_is_not_judged(sound: Sample, tmp_path: Path) -> None:
    routes = tmp_path / "routes.txt"
    routes.write_text("GET /v1/usage\nGET /v1/nowhere\n")
    report = run(str(routes), sound.file)
    assert {one.route: one.judged for one in report.results} == {"GET /v1/usage": True, "GET /v1/nowhere": False}
    assert "404" in next(one.why for one in report.results if not one.judged)


def test_the_command_says_it_with_its_status(sound: Sample, tmp_path: Path) -> None:
    routes = tmp_path / "routes.txt"
    routes.write_text("GET /v1/usage\nDELETE /v1/orders/{order_id}\n")

    def probe(*more: str | Path, file: Path = sound.file) -> subprocess.CompletedProcess[str]:
        command = [HELDTRUE, "probe", routes, "--file", file, "--rate", "1000", "--json", *more]
        return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    done = probe("--report", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "held"
    assert json.loads((tmp_path / "report.json").read_text())["coverage"]["judged"] == 1
    assert (tmp_path / "report.json").stat().st_mode & 0o777 == 0o600
    assert probe("--max-requests", "3").returncode == 1  # too little was judged
    assert probe("--allow-method", "DELETE").returncode == 2  # nobody was there to confirm, and --yes was not said
    assert probe(file=tmp_path / "none.toml").returncode == 2

"""The operator caught: each lie that can be told with the database, the log's key and the web server in hand.

Each has an honest twin: the same instance, the same events, and nothing hidden; it passes.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from caught import ATTACKS, DAY, HALF_DAY, ORIGIN, SENTENCES, House, Past, catalogue, copy, make_past
from tests.unit.verify.conftest import Run, certificate, site
from tests.unit.verify.simulator import Signer

from heldtrue.attack import broken
from heldtrue.capabilities.attestations.model import Document, attested
from heldtrue.capabilities.keystore.succession import succeed
from heldtrue.claims import documents
from heldtrue.claims.model import Against
from heldtrue.trust import words
from heldtrue_verify import visit as visiting
from heldtrue_verify.cli import main

__all__ = ["certificate", "site"]
Visit = Callable[..., Run]


@pytest.fixture(scope="module")
def past(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Past:
    return make_past(server, tmp_path_factory.mktemp("past"))


@pytest.fixture
def house(server: Any, past: Past, tmp_path: Path) -> Iterator[House]:
    made, name = copy(server, past, tmp_path / "house")
    made.publish()
    yield made
    made.database.close()
    server.drop(name)


@pytest.fixture
def visit(site: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Visit:
    """Serve an instance and verify its page, with the pin and the witness that the reader got elsewhere."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(visiting, "TRIES", 1)  # what the witness has not seen by now it will not see

    def visit(house: House, *more: str, witness: bool = True, pin: str | None = None) -> Run:
        site.files = house
        pins = ["--pin", pin or house.pin(), *(["--witness", house.witness_key()] if witness else [])]
        capsys.readouterr()
        words = ["page", site.url, *pins, "--ca-file", site.ca_file, *more, "--json"]
        status = main([str(word) for word in words])
        text = capsys.readouterr().out
        return Run(status, json.loads(text), text)

    return visit


def shown(page: dict[str, Any], claim: str) -> dict[str, Any]:
    return next(each for each in page["claims"] if each["id"] == claim)


def said(run: Run) -> str:
    """What the failed steps say."""
    return " ".join(" ".join(step["found"]) for step in run.report["steps"] if step["outcome"] == "fails")


# ------------------------------------------------------------------ the honest instance
def test_an_honest_instance_holds_and_the_reader_learns_what_since_when(house: House, visit: Visit) -> None:
    run = visit(house)
    assert run.exit == 0, run.text
    claims = {claim["id"]: claim for claim in run.report["claims"]}
    assert {name: claim["state"] for name, claim in claims.items()} == {
        "claim.one": "proven", "claim.two": "proven", "claim.paper": "promised",
    }  # fmt: skip
    began = {
        name: datetime.fromisoformat(c["since"].replace(" UTC", "+00:00")) for name, c in claims.items() if c["since"]
    }
    assert 12 <= (datetime.now(UTC) - began["claim.one"]).total_seconds() / 86400 < 12.1
    assert 6.4 < (datetime.now(UTC) - began["claim.two"]).total_seconds() / 86400 < 6.6  # after its failure
    assert "by the clock of witness.example/w1" in run.step(2)[1][0]
    assert run.step(8)[1] == ["1 of 1 failures in the log were fetched, and are what was logged."]
    assert visit(house, witness=False).exit == 0
    assert "the operator's own clock" in visit(house, witness=False).text


def test_a_reader_may_ask_for_a_time_without_gaps(house: House, visit: Visit) -> None:
    a_week_ago = (datetime.now(UTC) - 7 * DAY).strftime("%Y-%m-%d")
    run = visit(house, "--since", a_week_ago)
    assert (run.exit, run.failed) == (1, [6])
    assert "claim.two has held without a gap since" in said(run)
    assert visit(house, "--since", (datetime.now(UTC) - 5 * DAY).strftime("%Y-%m-%d")).exit == 0


def test_a_log_that_succeeded_another_holds_once_everything_was_attacked_again(house: House, visit: Visit) -> None:
    house.say("attestation", attested("claim.paper", a_document(house.clock.at - DAY), house.clock.at))
    house.publish()
    failure = shown(json.loads(house.get("/trust.json") or b""), "claim.two")["failures"][0]
    succeed(house.database, house.log, house.platform, house.clock.now(), secrets.token_bytes)
    house._engine, house._routes = None, None
    house.publish(witnessed=False)
    run = visit(house, witness=False)
    assert run.exit == 0, run.text
    assert {claim["state"] for claim in run.report["claims"]} <= {"stale", "promised"}
    house.engine.step(house.clock.at)
    house.publish(witnessed=False)
    run = visit(house, witness=False)
    assert run.exit == 0, run.text
    assert "succeeds another" in run.text
    assert {claim["id"]: claim["state"] for claim in run.report["claims"]} == {
        "claim.one": "proven", "claim.two": "proven", "claim.paper": "promised",
    }  # fmt: skip
    assert shown(json.loads(house.get("/trust.json") or b""), "claim.two")["failures"] == [failure]


# ------------------------------------------------------------------ a verdict edited, a failure deleted
EDIT = """UPDATE heldtrue.attack_results SET outcome = 'held',
  evidence = jsonb_set(jsonb_set(evidence, '{outcome}', '"held"'), '{result}', '"So it was."') WHERE outcome = 'broken'
  AND evidence->>'against' = 'control'"""
EDIT_ENTRY = """UPDATE heldtrue.log_entries SET entry = convert_to(
  replace(convert_from(entry, 'UTF8'), '"outcome":"broken"', '"outcome":"held"'), 'UTF8')
  WHERE position('"against":"control"' in convert_from(entry, 'UTF8')) > 0"""
DELETE = """DELETE FROM heldtrue.attack_results WHERE outcome = 'broken' AND evidence->>'against' = 'control'"""


def test_a_verdict_edited_in_the_database(house: House, visit: Visit) -> None:
    house.tamper(EDIT, EDIT_ENTRY)
    run = visit(house)
    assert (run.exit, run.failed) == (1, [8])
    assert "The server does not publish the evidence of run" in said(run)
    assert "of the attack g.two" in said(run)
    assert "as it was logged." in said(run)


def hide(page: dict[str, Any]) -> None:
    """What the operator's page would say had the failure never been."""
    one, two = shown(page, "claim.one"), shown(page, "claim.two")
    two.update(failures=[], failure_count=0, continuous_since=one["continuous_since"], state="proven")


def test_a_verdict_edited_on_the_page_too(house: House, visit: Visit) -> None:
    house.tamper(EDIT)
    house.doctor_json(hide)
    run = visit(house)
    assert run.exit == 1
    assert "The page hides a failure of claim.two: run" in said(run)
    assert "The page says that claim.two held without a gap since" in said(run)


def test_a_failure_deleted_with_its_evidence(house: House, visit: Visit) -> None:
    house.tamper(DELETE)
    run = visit(house)
    assert (run.exit, run.failed) == (1, [8])
    assert "The server does not publish the evidence of run" in said(run)
    assert "which failed." in said(run)


def test_a_failure_that_goes_on_and_is_called_proven(house: House, visit: Visit) -> None:
    house.answers = {"g.one": lambda: broken("It gave way.", probes=1)}
    house.attack()
    house.publish()
    assert visit(house).exit == 0  # the page admits it
    house.doctor_json(lambda page: shown(page, "claim.one").update(state="proven"))
    run = visit(house)
    assert "The page calls claim.one proven, and by the log it is failing: run" in said(run)


def test_a_failure_cut_out_of_the_log_that_is_signed_anew(server: Any, house: House, visit: Visit) -> None:
    """Rows, tiles and checkpoints, all made anew without it, by whoever holds the log's key: the witness remembers."""
    pin = house.pin()
    house.tamper(
        EDIT_ENTRY,
        "UPDATE heldtrue.log_entries SET subtrees = NULL",
        "DELETE FROM heldtrue.log_checkpoints",
        "DELETE FROM heldtrue.log_cosignatures",
    )
    shutil.rmtree(house.log)
    house.publish(witnessed=False)
    run = visit(house, pin=pin)
    assert (run.exit, run.failed[0]) == (1, 2)
    assert "The witness witness.example/w1 has cosigned nothing that is shown here." in said(run)
    house.publish()  # and it does not sign it now either
    with house.database.system() as tx:
        trouble = tx.value("SELECT trouble FROM heldtrue.log_witnesses")
    assert "the log is forked" in trouble
    assert visit(house, pin=pin).exit == 1


# ------------------------------------------------------------------ a check skipped for a week
@pytest.fixture(scope="module")
def short(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Past:
    """A past in which nothing was attacked any more after the second of twelve days."""
    return make_past(server, tmp_path_factory.mktemp("short"), attacked=2)


@pytest.fixture
def idle(server: Any, short: Past, tmp_path: Path) -> Iterator[House]:
    made, name = copy(server, short, tmp_path / "idle")
    yield made
    made.database.close()
    server.drop(name)


def pretend(house: House) -> None:
    """Let the page say that everything was attacked all the time."""
    began, now = documents.stamp(house.clock.at - 12 * DAY), documents.stamp(house.clock.at)
    always = {"failures": [], "failure_count": 0, "state": "proven", "continuous_since": began, "last_attacked": now}
    house.doctor_json(lambda page: [claim.update(always) for claim in page["claims"] if claim["attacks"]])


def test_a_check_that_is_overdue_and_called_proven(idle: House, visit: Visit) -> None:
    idle.publish()
    run = visit(idle)
    assert run.exit == 0, run.text  # the page says stale, and since when
    pretend(idle)
    run = visit(idle)
    assert "The page calls claim.one proven, and by the log it is stale: run" in said(run)
    assert "The page says that claim.one was attacked later than the log knows of." in said(run)


def test_a_check_skipped_for_a_week_and_taken_up_again(idle: House, visit: Visit) -> None:
    idle.attack()
    idle.publish()
    run = visit(idle)
    assert run.exit == 0, run.text
    assert shown(json.loads(idle.get("/trust.json") or b""), "claim.one")["failures"][0]["kind"] == "stale"
    pretend(idle)
    run = visit(idle)
    assert run.exit == 1
    assert "the attack g.one was not run in time, from" in said(run)
    assert "The page says that claim.one held without a gap since" in said(run)
    assert "The page hides a failure of claim.one" in said(run)


def fill_in(house: House, *, to: int) -> None:
    """Run what was skipped up to so many half days ago, dated as if it had been in time."""
    now = house.clock.at
    for back in range(18, to, -1):
        house.clock.at = now - back * HALF_DAY
        house.attack()
    house.clock.at = now
    house.attack()
    house.publish()


def test_a_week_filled_in_afterwards_is_seen_by_who_looked_before(idle: House, visit: Visit) -> None:
    """The page is that of an instance that never skipped anything; this machine knows better."""
    idle.publish()
    assert visit(idle).exit == 0
    fill_in(idle, to=0)
    run = visit(idle)
    assert (run.exit, run.failed) == (1, [5])
    assert "it was backdated." in said(run)


def test_a_week_filled_in_afterwards_contradicts_what_was_logged_meanwhile(idle: House, visit: Visit) -> None:
    idle.clock.at -= DAY
    minute = documents.stamp(idle.clock.at)
    idle.say("anonymous", {"v": 1, "kind": "anonymous", "minute": minute, "count": 1, "sources": 1, "reasons": {}})
    idle.publish()
    idle.clock.at += DAY
    fill_in(idle, to=4)
    run = visit(idle)
    assert (run.exit, run.failed) == (1, [5])
    assert "it was backdated." in said(run)


def test_a_run_that_was_announced_and_never_completed(house: House, idle: House, visit: Visit) -> None:
    for each, exit_status in ((house, 0), (idle, 1)):
        each.clock.at -= DAY if each is idle else timedelta()
        attack = ATTACKS["g.one"]
        each.engine._book.announce(attack, Against.CONTROL, attack.place)
        each.clock.at += DAY if each is idle else timedelta()
        each.publish()
        run = visit(each, "--state-dir", each.folder / "reader")
        assert run.exit == exit_status, run.text
    assert " of the attack g.one was announced at" in said(run)
    assert "and never completed: a missing completion is a failure." in said(run)


# ------------------------------------------------------------------ a page that differs, a report that is postdated
def test_a_page_that_differs_from_its_json(house: House, visit: Visit) -> None:
    for old, new in (
        ('data-claim="claim.paper" data-state="promised"', 'data-claim="claim.paper" data-state="proven"'),
        ('class="claim proven" id="claim.one"', 'class="claim failing" id="claim.one"'),
        (SENTENCES["g.two"], "Nothing ever leaks, anywhere."),
    ):
        house.doctor_html((old, new))
        run = visit(house)
        assert (run.exit, run.failed) == (1, [10]), run.text
        assert "The HTML " in said(run)
    house.swaps.clear()
    house.answers = {"g.one": lambda: broken("It gave way.", probes=1)}
    house.attack()
    house.publish()
    assert visit(house).exit == 0
    house.doctor_html(('aria-label="failing"', 'aria-label="proven"'))
    assert "The HTML shows claim.one as proven, the JSON as failing." in said(visit(house))


def test_a_page_that_hides_what_it_says(house: House, visit: Visit) -> None:
    for how in ("hidden", 'style="display:none"'):
        house.doctor_html(('<li class="claim promised" id="claim.paper"', f'<li {how} class="claim promised"'))
        run = visit(house)
        assert (run.exit, run.failed) == (1, [10])
        assert "The HTML does not show claim.paper." in said(run)


def test_a_page_that_shows_people_another_past_than_machines(house: House, visit: Visit) -> None:
    page = json.loads(house.get("/trust.json") or b"")
    one, two = shown(page, "claim.one"), shown(page, "claim.two")
    began, since = two["failures"][0]["started_at"], one["continuous_since"]
    house.swaps["/trust"] = lambda data: re.sub(rb'(?s)<ul class="failures">.*?</ul>', b"", data)
    assert f"The HTML leaves out the failure of claim.two that began at {began}." in said(visit(house))
    house.doctor_html((f'<time datetime="{since}">{words.day(since)}', f'<time datetime="{since}">1 January 2020'))
    assert f"The HTML says 1 January 2020 of a time that it marks as {since}." in said(visit(house))
    house.doctor_html((f'<time datetime="{since}">', "<span>"))
    assert "The HTML does not say since when claim.one holds." in said(visit(house))
    house.doctor_html(('data-tally="promised">1<', 'data-tally="promised">0<'))
    run = visit(house)
    assert (run.exit, run.failed) == (1, [10])
    assert "The HTML counts 0 claims as promised, the JSON 1." in said(run)


def test_a_page_that_shortens_a_failure(house: House, visit: Visit) -> None:
    assert visit(house).exit == 0
    failure = shown(json.loads(house.get("/trust.json") or b""), "claim.two")["failures"][0]
    soon = documents.stamp(datetime.fromisoformat(failure["started_at"]) + timedelta(minutes=1))
    for lie in ({"ended_at": soon, "duration_s": 60}, {"duration_s": 60}):
        house.doctor_json(lambda page, lie=lie: shown(page, "claim.two")["failures"][0].update(lie))
        run = visit(house)
        assert 7 in run.failed, run.text
        assert "The page lets a failure of claim.two end too early: run" in said(run)


LIES: dict[str, Callable[[dict[str, Any]], None]] = {
    "held 4000 times in a row; by the log it is 25.": lambda claim: claim.update(held_in_a_row=4000),
    "counts 4000 runs of the attack g.one that held": lambda claim: claim["attacks"][0].update(held=4000),
    "shows run 1 of the attack g.one otherwise": lambda claim: claim["attacks"][0]["latest"].update(number=1),
    "shows run 3 of the attack g.one otherwise": lambda claim: claim["attacks"][0]["seen_to_fail"].update(number=3),
}


def test_a_page_with_better_figures_than_the_log(house: House, visit: Visit) -> None:
    for word, lie in LIES.items():
        house.doctor_json(lambda page, lie=lie: lie(shown(page, "claim.one")))
        run = visit(house)
        assert (run.exit, run.failed) == (1, [7])
        assert word in said(run)


def test_a_page_that_draws_its_days_better_than_they_were(house: House, visit: Visit) -> None:
    house.doctor_json(lambda page: shown(page, "claim.two").update(history="h" * 120))
    run = visit(house)
    assert (run.exit, run.failed) == (1, [7])
    assert "The page draws days of claim.two better than they were: run" in said(run)


def test_a_state_that_is_said_to_last_longer_or_shorter_than_it_does(house: House, visit: Visit) -> None:
    house.answers = {"g.two": lambda: broken("It leaked.", probes=1)}
    house.attack()
    house.publish()
    assert visit(house).exit == 0
    later = documents.stamp(house.clock.at)
    house.doctor_json(lambda page: shown(page, "claim.two").update(since=later))
    assert "The page says claim.two is failing since" in said(visit(house))
    house.doctor_json(lambda page: shown(page, "claim.one").update(since="2020-01-01T00:00:00.000Z"))
    run = visit(house)
    assert (run.exit, run.failed) == (1, [7])
    assert "The page says claim.one is proven since 2020-01-01 00:00:00 UTC; it is not as long." in said(run)


def test_a_document_that_was_never_filed(house: House, visit: Visit) -> None:
    paper = {
        "title": "Report",
        "owner": "Security",
        "dated": "2026-01-01",
        "expires": "2030-01-01",
        "sha256": "ab" * 32,
    }
    house.doctor_json(lambda page: shown(page, "claim.paper").update(state="attested", document=paper))
    run = visit(house)
    assert 7 in run.failed
    assert "The page calls claim.paper attested, and by the log it is promised" in said(run)


def a_document(dated: datetime) -> Document:
    day = dated.date()
    return Document(title="Report", owner="Security", dated=day, expires=day + 300 * DAY, sha256="ab" * 32)


def test_a_postdated_report(house: House, visit: Visit) -> None:
    now = house.clock.at
    house.say("attestation", attested("claim.paper", a_document(now - DAY), now))
    house.publish()
    run = visit(house)
    assert run.exit == 0, run.text
    assert {c["id"]: c["state"] for c in run.report["claims"]}["claim.paper"] == "attested"
    house.say("attestation", attested("claim.paper", a_document(now + 20 * DAY), house.clock.now()))
    house.publish()
    assert "the document of claim.paper is dated" in said(visit(house))
    assert "it is postdated." in said(visit(house))


def test_a_report_filed_under_a_day_to_come(house: House, visit: Visit) -> None:
    """Both its date and the entry's are in the future: the witness's clock is not."""
    ahead = house.clock.at + 20 * DAY
    house.say("attestation", attested("claim.paper", a_document(ahead), ahead))
    house.publish()
    run = visit(house)
    assert (run.exit, run.failed[0]) == (1, 5)
    assert "by the clock of witness.example/w1: it is postdated." in said(run)


def test_another_report_than_the_one_that_was_filed(house: House, visit: Visit) -> None:
    house.say("attestation", attested("claim.paper", a_document(house.clock.at - DAY), house.clock.at))
    house.publish()
    house.doctor_json(lambda page: shown(page, "claim.paper")["document"].update(sha256="cd" * 32))
    assert "The page shows another document of claim.paper than the log has" in said(visit(house))


def test_a_run_dated_after_the_cosignature(house: House, visit: Visit) -> None:
    house.clock.at += 3 * DAY
    house.attack()
    house.clock.at -= 3 * DAY
    house.publish()
    run = visit(house)
    assert "is dated after the log's own time" in said(run)
    assert "by the clock of witness.example/w1" in said(run)


def test_evidence_signed_by_a_key_that_is_not_in_the_log(house: House, visit: Visit) -> None:
    with house.database.system() as tx:
        genuine = tx.value("SELECT evidence FROM heldtrue.attack_results WHERE attack = 'g.one' AND number = 9")
        number = tx.value("SELECT max(number) + 1 FROM heldtrue.attack_runs WHERE attack = 'g.one'")
    now = documents.stamp(house.clock.now())
    forged = {**genuine, "number": number, "started_at": now, "finished_at": now, "against": "control"}
    house.say("intent", intent(number, house.clock.at))
    rogue = Signer("rogue").secure(
        {k: v for k, v in forged.items() if k != "proof"}, house.clock.now(), f"https://{ORIGIN}"
    )
    house.say("evidence", rogue)
    house.publish()
    assert "is signed by a key that the log did not activate for evidence" in said(visit(house))


def intent(number: int, at: datetime) -> dict[str, Any]:
    attack = ATTACKS["g.one"]
    return documents.intent(attack, number, Against.CONTROL, attack.place, at)


# ------------------------------------------------------------------ two faces of one log
def test_a_log_forked_for_one_reader(server: Any, past: Past, house: House, tmp_path: Path, visit: Visit) -> None:
    """Reader and witness are shown different logs, both signed by the operator."""
    fork, name = copy(server, past, tmp_path / "fork")
    try:
        house.answers = {"g.one": lambda: broken("It gave way.", probes=1)}
        house.attack()
        house.publish()
        fork.attack()  # in the reader's log nothing failed
        fork.publish(witnessed=False)
        run = visit(fork)  # for some minutes this is all that can be said of it
        assert "are not witnessed yet, and count for nothing better." in run.text
        whole = house.get(f"/log/witnesses/{house.key.public.id.hex()}")
        fork.swaps[f"/log/witnesses/{house.key.public.id.hex()}"] = lambda _: whole
        run = visit(fork)
        assert (run.exit, run.failed) == (1, [4])
        assert "The log has two faces: witness.example/w1 cosigned another tree of" in said(run)
        assert visit(house, "--state-dir", tmp_path / "other").exit == 0
    finally:
        fork.database.close()
        server.drop(name)


def test_a_log_that_was_rolled_back(server: Any, past: Past, house: House, tmp_path: Path, visit: Visit) -> None:
    house.attack()
    house.publish()
    assert visit(house).exit == 0
    older, name = copy(server, past, tmp_path / "older")
    try:
        older.publish(witnessed=False)
        run = visit(older, witness=False)
        assert (run.exit, run.failed) == (1, [3])
        assert "The log was rewritten: it had" in said(run)
    finally:
        older.database.close()
        server.drop(name)


def test_an_operators_clock_that_was_set_back(house: House, visit: Visit) -> None:
    house.attack()
    house.publish()
    house.clock.at -= timedelta(hours=3)
    house.attack()
    (house.log / "checkpoint").write_text(_redated(house))
    run = visit(house)
    assert run.exit == 1
    assert "the operator's clock was set back" in said(run)


def _redated(house: House) -> str:
    """The published checkpoint, dated anew by the log's own key three hours earlier."""
    from heldtrue.capabilities.keystore.actions import Signers
    from heldtrue.capabilities.ledger import checkpoint
    from heldtrue.capabilities.ledger.note import Note

    with house.database.system() as tx:
        key = Signers(house.platform).of_log(tx)
    made = checkpoint.Checkpoint.parse(Note.parse((house.log / "checkpoint").read_text()).text)
    return checkpoint.sign(made, key, house.clock.at)


# ------------------------------------------------------------------ a schedule quietly loosened
def test_a_schedule_quietly_loosened(house: House, visit: Visit) -> None:
    house.catalogue, house._engine, house._routes = catalogue(max_age=30 * DAY), None, None
    house.engine.step(house.clock.at)
    house.publish()
    run = visit(house)
    assert run.exit == 0, run.text  # the page says so
    assert "loosened the claim claim.one: a result counts for 30 days, not 2 days" in run.text
    assert b"asks for less" in (house.get("/trust/claims/claim.one") or b"")
    house.doctor_json(lambda page: [claim.update(loosened=[]) for claim in page["claims"]])
    run = visit(house)
    assert (run.exit, run.failed) == (1, [7])
    assert "loosened claim.one (a result counts for 30 days, not 2 days), and the page does not say so." in said(run)
    house.doctor_json(lambda page: [c.update(max_age_s=172_800) for c in page["claims"] if c["attacks"]])
    assert "The page says of claim.one: a result counts for 2 days; the log has 30 days." in said(visit(house))


def test_a_claim_whose_attacks_were_switched_off_says_so_to_people_too(house: House, visit: Visit) -> None:
    """It failed, and then there was nothing to attack any more."""
    house.answers = {"g.two": lambda: broken("It leaked.", probes=1)}
    house.attack()
    house.catalogue, house._engine, house._routes = catalogue().without(["claim.two"]), None, None
    house.engine.step(house.clock.at)
    house.publish()
    run = visit(house)
    assert run.exit == 0, run.text
    at = shown(json.loads(house.get("/trust.json") or b""), "claim.two")["loosened"][0]["at"]
    for path in ("/trust", "/trust/claims/claim.two"):
        assert b"without the attack g.two" in (house.get(path) or b"")
    house.swaps["/trust"] = lambda data: re.sub(rb'(?s)<span class="facts">Since.*?</span>', b"", data)
    run = visit(house)
    assert (run.exit, run.failed) == (1, [10])
    assert f"The HTML does not say that claim.two asks for less since {at}." in said(run)


def test_a_gap_is_not_made_good_by_loosening_the_schedule_afterwards(idle: House, visit: Visit) -> None:
    idle.catalogue = catalogue(max_age=30 * DAY)
    idle.engine.step(idle.clock.at)
    idle.attack()
    idle.publish()
    run = visit(idle)
    assert run.exit == 0, run.text  # our own page keeps the gap, by the terms of the time
    assert shown(json.loads(idle.get("/trust.json") or b""), "claim.one")["failures"][0]["kind"] == "stale"
    idle.doctor_json(lambda page: [c.update(failures=[], failure_count=0) for c in page["claims"]])
    assert "The page hides a failure of claim.one: the attack g.one was not run in time" in said(visit(idle))

"""A whole trust page over real HTTPS: an honest one holds, and each lie is caught by the step that says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from .simulator import DAY, HOUR, Operator, Signer, b64, honest, jcs, when

MINUTE = timedelta(minutes=1)


@pytest.fixture
def operator() -> Operator:
    return honest()


@pytest.fixture
def visit(site: Any, verify: Callable[..., Any]) -> Callable[..., Any]:
    """Serve what the operator serves (with changes to the files) and visit it."""

    def visit(operator: Operator, *more: str, files: dict[str, bytes | None] | None = None, **how: Any) -> Any:
        served = operator.page(**how) | (files or {})
        site.files = {path: data for path, data in served.items() if data is not None}
        return verify("page", site.url, "--pin", operator.log_key.vkey(), "--ca-file", site.ca_file, *more)

    return visit


def claim(operator: Operator, name: str) -> dict[str, Any]:
    return next(each for each in operator.page_claims if each["id"] == name)


def test_an_honest_page_holds(visit: Callable[..., Any], operator: Operator) -> None:
    run = visit(operator)
    assert run.exit == 0, run.text
    assert [run.step(n)[0] for n in range(1, 11)] == ["holds"] * 10
    assert "by the operator's own clock" in run.step(2)[1][0]
    assert run.step(5)[1][0] == "9 runs of 3 attacks, each announced, numbered, signed."
    assert run.step(6)[1] == ["By the log alone: 1 promised, 2 proven."]
    assert run.text.endswith("Everything holds.\n")


@pytest.mark.parametrize("ending", ["/trust", "/trust/", "/trust.json", "/"])
def test_any_address_of_the_page_will_do(
    site: Any, verify: Callable[..., Any], operator: Operator, ending: str
) -> None:
    site.files = operator.page()
    url = site.url.removeprefix("https://") + ending
    assert verify("page", url, "--pin", operator.log_key.vkey(), "--ca-file", site.ca_file).exit == 0


def test_unpinned_asks_nothing_of_the_server(site: Any, verify: Callable[..., Any]) -> None:
    run = verify("page", site.url, "--ca-file", site.ca_file)
    assert (run.exit, run.report["verdict"]) == (1, "nothing was pinned")
    assert site.asked == []


def test_unusable_addresses(site: Any, verify: Callable[..., Any], operator: Operator, tmp_path: Path) -> None:
    pin = ("--pin", operator.log_key.vkey())
    for url in (
        site.url.replace("https", "http"),
        "https://",
        "https://a@localhost",
        "https://localhost:1",
        "https://x?y",
    ):
        assert verify("page", url, *pin, "--ca-file", site.ca_file).exit == 2
    assert "cannot be reached" in verify("page", site.url, *pin).text  # the system's authorities do not know this one
    (tmp_path / "bad.pem").write_text("no certificate")
    assert verify("page", site.url, *pin, "--ca-file", tmp_path / "bad.pem").exit == 2


def test_a_page_under_another_key_is_refused(visit: Callable[..., Any], operator: Operator) -> None:
    """The server serves a whole, consistent log of its own, under the same name."""
    impostor = honest()
    pinned, impostor.origin = operator.log_key, operator.origin
    run = visit(operator, files=impostor.page())
    assert impostor.log_key.public != pinned.public
    assert run.step(1) == ("fails", ["The checkpoint is not signed by the key that you pinned."])
    assert run.step(2)[0] == "not reached"


# ------------------------------------------------------------------ the log over time
def test_the_log_may_grow_and_full_bundles_are_fetched_once(
    visit: Callable[..., Any], operator: Operator, site: Any
) -> None:
    run = visit(operator)
    assert run.step(3)[1] == ["This log is seen for the first time here; what it shows now is remembered."]
    for count in (1, 200, 70, 600):
        before = len(operator.entries)
        operator.log_others(count)
        run = visit(operator)
        assert run.exit == 0, run.text
        now = before + count
        assert run.step(3)[1] == [f"The {before} entries last seen here are the beginning of the {now} now."]
    assert site.asked.count("/log/tile/entries/000") == 1


def test_growth_is_proven_from_tiles_alone(visit: Callable[..., Any], operator: Operator) -> None:
    first = visit(operator)
    assert first.exit == 0
    operator.log_others(700)
    served = operator.page()
    spoiled = {"/log/tile/0/001": bytes(8192)}
    assert "/log/tile/0/001" in served
    run = visit(operator, files=spoiled)
    assert run.step(3)[0] == "fails"
    assert "are not the beginning of" in run.step(3)[1][0]


def test_a_rewound_log_is_a_rewritten_log(visit: Callable[..., Any], operator: Operator, tmp_path: Path) -> None:
    assert visit(operator).exit == 0
    size = len(operator.entries)
    del operator.entries[-5:]
    run = visit(operator)
    assert (run.exit, run.failed) == (1, [3])
    assert (
        run.step(3)[1][0]
        == f"The log was rewritten: it had {size} entries when last seen here, and shows {size - 5} now."
    )
    kept = next((tmp_path / "state/heldtrue-verify").iterdir())
    assert f"\n{size}\n" in (kept / "contradiction-earlier").read_text()
    assert f"\n{size - 5}\n" in (kept / "contradiction-later").read_text()


@pytest.mark.parametrize("more", [0, 1, 300])
def test_a_forked_log_is_a_rewritten_log(visit: Callable[..., Any], operator: Operator, more: int) -> None:
    assert visit(operator).exit == 0
    operator.entries[20] = jcs({"v": 1, "kind": "tenant", "c": b64(bytes(32))})
    operator.log_others(more)
    run = visit(operator)
    assert (run.exit, run.failed) == (1, [3])
    assert run.step(3)[1][0].startswith("The log was rewritten: the ")
    assert visit(operator).exit == 1  # and it is not forgotten


def test_the_state_is_private_and_its_damage_is_noticed(
    visit: Callable[..., Any], operator: Operator, tmp_path: Path
) -> None:
    assert visit(operator).exit == 0
    folder = next((tmp_path / "state/heldtrue-verify").iterdir())
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in folder.iterdir())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "checkpoint").read_text() == operator.checkpoint()
    (folder / "checkpoint").write_text("nothing")
    run = visit(operator)
    assert (run.exit, run.report["verdict"]) == (2, "unusable input")
    assert "is damaged" in run.step(3)[1][0]


def test_a_damaged_cache_is_read_again(visit: Callable[..., Any], operator: Operator, tmp_path: Path) -> None:
    assert visit(operator).exit == 0
    folder = next((tmp_path / "state/heldtrue-verify").iterdir())
    bundle = folder / "tile-entries-000"
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"?")
    assert visit(operator).exit == 0


def test_entries_that_are_not_the_signed_ones_are_refused(visit: Callable[..., Any], operator: Operator) -> None:
    other = honest()
    path = "/log/tile/entries/000"
    run = visit(operator, files={path: other.page()[path]})
    assert (run.exit, run.failed) == (1, [4])
    run = visit(operator, files={path: None})
    assert run.step(4)[1] == ["The server does not have /log/tile/entries/000."]
    run = visit(operator, files={path: b"\xff"})
    assert run.failed == [4]
    run = visit(operator, files={path: b"\x00\x01a"})
    assert run.step(4)[1] == ["The server's bundle of entries 0 is too short."]


# ------------------------------------------------------------------ witnesses and freshness
def test_a_pinned_witness_must_have_seen_the_log(visit: Callable[..., Any], operator: Operator) -> None:
    witness = Signer("witness.example/w1")
    run = visit(operator, "--witness", witness.vkey(4))
    assert run.step(2) == ("fails", ["The witness witness.example/w1 has cosigned nothing that is shown here."])
    run = visit(operator, "--witness", witness.vkey(4), witnesses=[witness])
    assert run.exit == 0
    assert "by the clock of witness.example/w1" in run.step(2)[1][0]


def test_a_stale_checkpoint_is_named(visit: Callable[..., Any], operator: Operator) -> None:
    run = visit(operator, at=operator.now - 11 * MINUTE)
    assert (run.exit, run.failed) == (1, [9])
    assert run.step(9)[1] == ["The page's checkpoint is stale: 11 minutes old, by the operator's own clock."]


def test_a_log_that_stands_still_beside_a_fresh_page_is_stale(visit: Callable[..., Any], operator: Operator) -> None:
    run = visit(operator, files={"/log/checkpoint": operator.checkpoint(at=operator.now - HOUR).encode()})
    assert run.failed == [9]
    assert run.step(9)[1][0].startswith("The log's checkpoint is stale: 60 minutes old")


def test_a_page_that_rests_on_an_old_checkpoint_is_stale(visit: Callable[..., Any], operator: Operator) -> None:
    document = {"claims": operator.page_claims, "checkpoint": {"note": operator.checkpoint(at=operator.now - HOUR)}}
    run = visit(operator, files={"/trust.json": json.dumps(document).encode()})
    assert run.failed == [9]


def resting_on(operator: Operator, note: str) -> dict[str, bytes | None]:
    return {"/trust.json": json.dumps({"claims": operator.page_claims, "checkpoint": {"note": note}}).encode()}


def test_a_page_beside_its_log_shows_two_faces(visit: Callable[..., Any], operator: Operator) -> None:
    beside = honest(operator.now)
    beside.log_key = operator.log_key
    for entries in ([*operator.entries[:-1], b"{}"], [*operator.entries[:-5], b"{}"]):
        beside.entries = entries
        run = visit(operator, files=resting_on(operator, beside.checkpoint()))
        assert run.step(4)[1] == ["The log has two faces: the page rests on another tree than the log shows."]


def test_a_page_may_know_a_newer_checkpoint_than_a_cache_shows(visit: Callable[..., Any], operator: Operator) -> None:
    assert (
        visit(operator, files={"/log/checkpoint": operator.checkpoint(size=len(operator.entries) - 5).encode()}).exit
        == 0
    )
    newer = operator.checkpoint()
    del operator.entries[-1]
    run = visit(operator, files=resting_on(operator, newer))
    assert run.exit == 1  # it signed more than it serves


def test_the_checkpoint_of_a_page_must_be_signed_under_the_pin(visit: Callable[..., Any], operator: Operator) -> None:
    run = visit(operator, files=resting_on(operator, honest().checkpoint()))
    assert run.step(2) == ("fails", ["The checkpoint is not signed by the key that you pinned."])


# ------------------------------------------------------------------ the runs in the log
def test_a_missing_number_is_found(visit: Callable[..., Any], operator: Operator) -> None:
    """A failed run is left out of the log altogether: its number is not."""
    operator.numbers["tls-floor"] += 1
    operator.run("tls-floor", operator.now - MINUTE)
    run = visit(operator)
    assert run.failed == [5]
    assert "run 5 of the attack tls-floor is announced where run 4 is due." in run.step(5)[1][0]


def test_a_deleted_completion_is_a_failure(visit: Callable[..., Any], operator: Operator) -> None:
    operator.intend("tls-floor", operator.now - 2 * HOUR)
    run = visit(operator)
    assert run.exit == 1
    assert run.step(5)[0] == "fails"
    said = " ".join(run.step(5)[1])
    assert "Run 4 of the attack tls-floor was announced at" in said
    assert "and never completed: a missing completion is a failure." in said
    assert "the page calls tls proven, and by the log it is failing" in run.step(7)[1][0].lower()


def test_a_run_that_is_under_way_is_no_failure(visit: Callable[..., Any], operator: Operator) -> None:
    operator.intend("tls-floor", operator.now - 5 * MINUTE)
    assert visit(operator).exit == 0


def test_results_need_an_intent_of_their_own(visit: Callable[..., Any], operator: Operator) -> None:
    operator.log(operator.evidence("tls-floor", operator.now))
    operator.log(operator.evidence("tls-floor", operator.now, number=9))
    operator.intend("tls-floor", operator.now)
    operator.log(operator.evidence("tls-floor", operator.now, "broken", "broken-control"))
    said = " ".join(visit(operator).step(5)[1])
    assert "run 3 of the attack tls-floor has a second result." in said
    assert "run 9 of the attack tls-floor has a result, but was never announced in the log." in said
    assert "was announced against the control, not the broken-control." in said


def test_evidence_under_a_key_that_is_not_in_the_log_is_refused(visit: Callable[..., Any], operator: Operator) -> None:
    operator.run("tls-floor", operator.now - MINUTE, signer=Signer("rogue"))
    run = visit(operator)
    assert run.failed == [5]
    assert "is signed by a key that the log did not activate for evidence" in run.step(5)[1][0]


def test_a_receipt_key_signs_no_evidence(visit: Callable[..., Any], operator: Operator) -> None:
    operator.log_key_entry(operator.receipt_key, "receipt")
    operator.run("tls-floor", operator.now - MINUTE, signer=operator.receipt_key)
    assert "did not activate for evidence" in visit(operator).step(5)[1][0]


def test_edited_evidence_is_refused(visit: Callable[..., Any], operator: Operator) -> None:
    operator.intend("tls-floor", operator.now - MINUTE)
    operator.log({**operator.evidence("tls-floor", operator.now - MINUTE, "broken"), "outcome": "held"})
    run = visit(operator)
    assert run.failed == [5]
    assert (
        "the evidence of run 4 of the attack tls-floor does not hold: The signature does not hold" in run.step(5)[1][0]
    )


def test_evidence_outside_its_keys_interval_is_refused(visit: Callable[..., Any], operator: Operator) -> None:
    operator.intend("tls-floor", operator.now - 40 * DAY)
    operator.log(operator.evidence("tls-floor", operator.now - 40 * DAY))
    assert "when the key did not sign" in visit(operator).text


def test_a_compromised_key_proves_nothing_more_and_receipts_learn_of_it(
    visit: Callable[..., Any], verify: Callable[..., Any], operator: Operator
) -> None:
    bundle = operator.bundle()
    early = operator.bundle(operator.receipt(operator.now - 3 * DAY, id="rcp_2"), at=operator.now - 2 * DAY)
    for signer, purpose in ((operator.evidence_key, "evidence"), (operator.receipt_key, "receipt")):
        operator.log_key_entry(signer, purpose, event="compromised", at=when(operator.now - DAY))
    operator.run("tls-floor", operator.now - MINUTE)
    assert "declared compromised before" in visit(operator).step(5)[1][0]
    pin = ("--pin", operator.log_key.vkey())
    assert verify("receipt", early, *pin).exit == 0
    run = verify("receipt", bundle, *pin)
    assert run.failed == [7]
    assert "The log declared its key compromised at" in run.step(7)[1][0]


def test_a_key_cannot_be_given_new_dates(visit: Callable[..., Any], operator: Operator) -> None:
    operator.log_key_entry(operator.evidence_key, "evidence", sign_until=when(operator.now + 900 * DAY))
    assert "is activated a second time, with other dates." in visit(operator).step(5)[1][0]


def test_a_retired_key_signs_nothing_more(visit: Callable[..., Any], operator: Operator) -> None:
    operator.log_key_entry(operator.evidence_key, "evidence", event="deactivated", at=when(operator.now - 10 * MINUTE))
    operator.run("tls-floor", operator.now - 11 * MINUTE)
    assert visit(operator).exit == 0
    operator.run("tls-floor", operator.now - 9 * MINUTE)
    assert "is signed after its key was retired." in visit(operator).step(5)[1][0]


def test_a_key_may_sign_without_end_unless_it_signs_receipts(
    visit: Callable[..., Any], verify: Callable[..., Any], operator: Operator
) -> None:
    other, endless = Signer("other"), {"sign_until": None, "accept_until": None}
    operator.log_key_entry(other, "evidence", **endless)
    operator.run("tls-floor", operator.now, signer=other)
    assert visit(operator).exit == 0
    assert verify("receipt", operator.bundle(key=endless), "--pin", operator.log_key.vkey()).exit == 2


def test_a_log_that_succeeds_another_says_so_and_goes_on_with_its_numbers(
    visit: Callable[..., Any], verify: Callable[..., Any]
) -> None:
    operator = Operator("trust.example/log/2")
    operator.log({"v": 1, "kind": "succession", "old_origin": "trust.example/log", "lost": {"from": 3, "to": 5}})
    operator.log_key_entry(operator.evidence_key, "evidence")
    operator.schedule("tls", ["tls-floor"])
    operator.numbers["tls-floor"] = 40
    operator.log(operator.evidence("tls-floor", operator.now))  # announced in the old log
    operator.calibrate("tls-floor")
    operator.run("tls-floor", operator.now - MINUTE)
    run = visit(operator)
    assert run.exit == 0, run.text
    assert "says that this log succeeds another" in run.text
    assert (
        "run 40 of the attack tls-floor was announced in the log that this one succeeds; it does not count." in run.text
    )
    receipt = operator.receipt_key.secure({"id": "rcp_1"}, operator.now, "https://trust.example/log")
    assert verify("receipt", operator.bundle(receipt), "--pin", operator.log_key.vkey()).exit == 0


def test_postdated_evidence_is_refused(visit: Callable[..., Any], operator: Operator) -> None:
    operator.run("tls-floor", operator.now + 10 * DAY)
    assert "is dated after the log's own time" in visit(operator).text


def test_what_cannot_be_read_cannot_hide(visit: Callable[..., Any], operator: Operator) -> None:
    operator.log(b'{"kind": "evidence", "kind": "tenant"}')
    operator.log(b"\xff")
    operator.log({"v": 1, "kind": "intent", "attack": "tls-floor"})
    assert len(visit(operator).step(5)[1]) == 3


def test_unknown_kinds_and_members_are_left_alone(visit: Callable[..., Any], operator: Operator) -> None:
    operator.log({"v": 1, "kind": "anonymous", "count": 3})
    operator.log({"v": 2, "kind": "later"})
    operator.run("tls-floor", operator.now - MINUTE, extra={"a": [1]})
    assert visit(operator).exit == 0


# ------------------------------------------------------------------ the page against the log
def test_a_failure_that_the_page_drops_is_named(visit: Callable[..., Any], operator: Operator) -> None:
    operator.run("tls-floor", operator.now - MINUTE, "broken")
    run = visit(operator)
    assert (run.exit, run.failed) == (1, [7])
    said = run.step(7)[1][0]
    assert said.startswith(
        "The page calls tls proven, and by the log it is failing: run 4 of the attack tls-floor ended broken"
    )
    assert "tls: failing, run 4 of the attack tls-floor ended broken" in run.text


@pytest.mark.parametrize("word", ["promised", "attested", "stale"])
def test_a_failing_claim_cannot_hide_behind_a_softer_word(
    visit: Callable[..., Any], operator: Operator, word: str
) -> None:
    operator.run("tls-floor", operator.now - MINUTE, "error")
    claim(operator, "tls")["state"] = word
    assert f"The page calls tls {word}, and by the log it is failing" in visit(operator).text


def test_an_honest_failure_is_an_honest_page(visit: Callable[..., Any], operator: Operator) -> None:
    operator.run("tls-floor", operator.now - MINUTE, "broken")
    claim(operator, "tls")["state"] = "failing"
    operator.admit("tls", "tls-floor", operator.now - MINUTE)
    claim(operator, "isolation")["state"] = "stale"  # saying worse than the log is no lie
    assert visit(operator).exit == 0


def test_a_failure_logged_while_the_page_was_read_is_no_lie(visit: Callable[..., Any], operator: Operator) -> None:
    page = operator.page()
    operator.run("tls-floor", operator.now, "broken")
    assert visit(operator, files={"/trust.json": page["/trust.json"], "/trust": page["/trust"]}).exit == 0


def test_a_claim_that_was_not_attacked_in_time_is_stale(visit: Callable[..., Any], operator: Operator) -> None:
    operator.schedule("slow", ["slow-attack"], max_age_s=1800)
    operator.calibrate("slow-attack")
    operator.run("slow-attack", operator.now - HOUR)
    assert (
        "The page calls slow proven, and by the log it is stale: run 2 of the attack slow-attack held, too long ago"
        in (visit(operator).text)
    )


def test_an_attack_never_seen_to_succeed_proves_nothing(visit: Callable[..., Any], operator: Operator) -> None:
    operator.schedule("new", ["new-attack"])
    operator.run("new-attack", operator.now - MINUTE)
    assert "new-attack held, but that attack was never seen to succeed" in visit(operator).text


def test_an_attack_is_trusted_for_the_source_that_was_seen(visit: Callable[..., Any], operator: Operator) -> None:
    """The attack was weakened after it had been seen to succeed: its source hash is another."""
    operator.run("tls-floor", operator.now - MINUTE, method={"name": "tls-floor", "source_sha256": "ee" * 32})
    assert "tls-floor held, but that attack was never seen to succeed" in visit(operator).text


def test_a_claim_without_a_schedule_cannot_be_proven(visit: Callable[..., Any], operator: Operator) -> None:
    operator.page_claims.append({"id": "extra", "rows": [], "sentence": "We are secure.", "state": "proven"})
    assert "The page calls extra proven, and by the log it is promised: the log has no schedule for it." in (
        visit(operator).text
    )


def test_a_claim_without_attacks_is_attested_by_what_the_log_has(visit: Callable[..., Any], operator: Operator) -> None:
    claim(operator, "kms")["state"] = "attested"
    assert "The page calls kms attested, and by the log it is promised" in visit(operator).text
    operator.attest("kms")
    run = visit(operator)
    assert run.exit == 0
    assert "1 are attested by documents, which no machine can check." in run.text


def test_a_claim_that_the_page_leaves_out_is_named(visit: Callable[..., Any], operator: Operator) -> None:
    operator.run("tls-floor", operator.now - MINUTE, "broken")
    operator.page_claims.remove(claim(operator, "tls"))
    assert visit(operator).step(7)[1] == ["The page leaves out tls, which by the log is failing."]
    operator.schedule("tls", [], withdrawn=True)
    operator.page_claims.pop()
    run = visit(operator)
    assert run.exit == 0
    assert "loosened the claim tls" in run.text


def test_a_page_that_words_a_promise_otherwise_is_named(visit: Callable[..., Any], operator: Operator) -> None:
    claim(operator, "tls")["sentence"] = "Everything is perfect."
    assert visit(operator).step(7)[1] == ['The page words tls otherwise than the log, which has: "The promise tls."']


@pytest.mark.parametrize("change", [{"number": 2}, {"index": 5}, {"attack": "cross-tenant"}])
def test_evidence_that_the_page_names_must_be_there(
    visit: Callable[..., Any], operator: Operator, change: dict[str, Any]
) -> None:
    claim(operator, "tls")["evidence"].update(change)
    run = visit(operator)
    assert run.failed == [7]
    assert "in the log it is not." in run.step(7)[1][0]


def test_a_later_date_than_the_logs_is_named(visit: Callable[..., Any], operator: Operator) -> None:
    claim(operator, "tls")["last_attacked"] = when(operator.now)
    assert visit(operator).step(7)[1] == ["The page says that tls was attacked later than the log knows of."]


def test_the_html_says_what_the_json_says(visit: Callable[..., Any], operator: Operator) -> None:
    html = operator.page()["/trust"]
    edited = html.replace(b'data-claim="kms" data-state="promised"', b'data-claim="kms" data-state="proven"')
    run = visit(operator, files={"/trust": edited})
    assert (run.exit, run.failed) == (1, [10])
    assert run.step(10)[1] == ["The HTML shows kms as proven, the JSON as promised."]
    run = visit(operator, files={"/trust": b"<p>All good.</p>"})
    assert run.step(10)[1][-3:] == [f"The HTML does not show {name}." for name in ("isolation", "kms", "tls")]
    run = visit(operator, files={"/trust": html.replace(b"The promise kms.", b"The promise kept.")})
    assert run.step(10)[1] == ["The HTML does not say the sentence of kms."]


def test_counts_that_are_not_those_of_the_claims_are_named(visit: Callable[..., Any], operator: Operator) -> None:
    files = operator.page()
    page = json.loads(files["/trust.json"])
    counted = {state: sum(each["state"] == state for each in page["claims"]) for state in ("proven", "promised")}
    html = files["/trust"] + b"".join(
        b'<b data-tally="%s">%d</b>' % (state.encode(), count) for state, count in counted.items()
    )
    honest = json.dumps(page | {"tally": counted}).encode()
    assert visit(operator, files={"/trust": html, "/trust.json": honest}).failed == []
    better = json.dumps(page | {"tally": counted | {"proven": counted["proven"] + 1}}).encode()
    run = visit(operator, files={"/trust": html, "/trust.json": better})
    assert (run.exit, run.failed) == (1, [7, 10])
    assert run.step(7)[1] == [
        f"The page counts {counted['proven'] + 1} claims as proven, and lists {counted['proven']}."
    ]


def test_a_page_that_cannot_be_read_in_one_way_is_refused(visit: Callable[..., Any], operator: Operator) -> None:
    page = operator.page()["/trust.json"]
    for spoiled in (page.replace(b'"state"', b'"state": "failing", "state"', 1), b"{}", b'{"claims": []}', b"\xff"):
        assert visit(operator, files={"/trust.json": spoiled}).exit == 1


def test_a_claim_listed_twice_is_refused(visit: Callable[..., Any], operator: Operator) -> None:
    """One reader takes the first, another the last."""
    operator.page_claims.append({**claim(operator, "tls"), "state": "failing"})
    run = visit(operator)
    assert run.step(1) == ("fails", ["The page's JSON lists no claims, or one claim twice."])

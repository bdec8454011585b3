"""The linter reads Markdown and HTML alike, tells lines, and maps sentences to rows."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from tests.browser import scenes

from heldtrue.claims.catalogue import ROWS
from heldtrue.trust.lint import hypertext, markdown, report
from heldtrue.trust.lint.dates import dates, spans, told
from heldtrue.trust.lint.fetching import Fetcher
from heldtrue.trust.lint.model import Context, Finding, Level
from heldtrue.trust.lint.rows import WORDS, rows_of
from heldtrue.trust.lint.rules import RULES
from heldtrue.trust.lint.sources import processors_of, states_of

TODAY = Context(today=date(2026, 11, 22))
ROOT = Path(__file__).parents[4]


def found_in(text: str, context: Context = TODAY, *, skip: tuple[str, ...] = ()) -> list[tuple[str, int]]:
    return [(one.rule, one.line) for one in report.lint(markdown.read(text, "page.md"), context, skip=skip)]


# ---------------------------------------------------------------- our own pages


@pytest.fixture(scope="module")
def ours() -> dict[str, bytes]:
    return scenes.render()


TEXTS = ("/trust/legal", "/trust/questionnaire", "/trust/threats", "/trust/disclosure", "/docs", "/problems")
"""Contracts, answers, threats and instructions: no sentences of a security page, each with its own proof or none."""


def test_our_own_pages_keep_every_rule(ours: dict[str, bytes]) -> None:
    context = Context(today=scenes.NOW.date())
    found = [
        (path, one.line, one.rule, one.text)
        for path, page in ours.items()
        if not path.startswith(TEXTS)
        for one in report.lint(hypertext.read(page.decode(), path), context)
    ]
    assert found == []


def test_our_own_pages_are_read_at_all(ours: dict[str, bytes]) -> None:
    page = hypertext.read(ours["/trust"].decode(), "/trust")
    told = report.report(page, [])
    rows = {row for one in told.map for row in one.rows}
    assert len(rows) > 40
    assert len([one for one in page.sentences if one.state]) > 70


def test_our_readme_and_documents_contradict_nothing() -> None:
    pages = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
    found = [
        (str(path.relative_to(ROOT)), one.line, one.rule, one.text)
        for path in pages
        if path.name != "linting.md"  # it quotes what the rules look for
        for one in report.lint(markdown.read(path.read_text(), path.name), TODAY, skip=("promise-without-proof",))
    ]
    assert found == []


# ---------------------------------------------------------------- the other rules


def test_a_promise_without_proof_is_told_and_one_with_a_link_is_not() -> None:
    bare = "All customer data is encrypted at rest with AES-256."
    assert found_in(bare) == [("promise-without-proof", 1)]
    assert found_in(f"{bare[:-1]} ([evidence](https://trust.example.com/claims/x)).") == []
    assert found_in("We plan to encrypt data at rest.") == []
    assert found_in("A penetration test of 3 September 2026 is available; we fix all findings.") == []


def test_a_state_of_the_page_itself_stands_behind_a_sentence() -> None:
    said = "<p>All customer data is encrypted at rest.</p>"
    (bare,) = report.lint(hypertext.read(said, "x"), TODAY)
    assert bare.rule == "promise-without-proof"
    held = f'<div data-claim="storage" data-state="proven">{said}</div>'
    assert report.lint(hypertext.read(held, "x"), TODAY) == []


def test_what_a_trust_document_denies_is_told() -> None:
    context = Context(today=TODAY.today, states={"B1": "failing", "A1": "proven"})
    text = "Data is encrypted at rest ([see](x)).\n\nEvery request is encrypted in transit ([see](x)).\n"
    assert found_in(text, context) == [("not-held", 1)]


def test_two_values_for_one_thing_are_told() -> None:
    text = "We require TLS 1.2 or higher ([a](b)).\n\nNothing below TLS 1.3 is accepted ([a](b)).\n"
    assert found_in(text) == [("two-values", 3)]
    assert found_in("We require TLS 1.2 or higher ([a](b)).\n\nNothing below TLS 1.2 is taken ([a](b)).\n") == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Our ISO/IEC 27001 certificate expires on 3 May 2026.", "date-has-passed"),
        ("The next review is due in Q1 2026.", "date-has-passed"),
        ("Last updated: 4 March 2024.", "not-reviewed-for-a-year"),
        ("A penetration test is done every year; the last one was completed in June 2025.", "done-too-long-ago"),
    ],
)
def test_dates_that_have_passed_are_told(text: str, rule: str) -> None:
    assert rule in [name for name, _ in found_in(text)]
    fresh = (
        text.replace("2025", "2026")
        .replace("2024", "2026")
        .replace("May 2026", "May 2027")
        .replace("Q1 2026", "Q1 2027")
    )
    assert rule not in [name for name, _ in found_in(fresh)]


# ---------------------------------------------------------------- reading


def test_every_row_has_its_words() -> None:
    assert set(WORDS) == set(ROWS)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("Payloads are encrypted at rest with AES-256.", "B1"),
        ("We offer single sign-on through Google and GitHub.", "D8"),
        ("Webhooks are signed.", "C3"),
        ("We give 30 days' notice of new sub-processors.", "K5"),
        ("A status page lists postmortems.", "K12"),
    ],
)
def test_sentences_are_mapped_to_rows(text: str, row: str) -> None:
    assert row in rows_of(text)


def test_markdown_and_html_say_the_same() -> None:
    md = "# Keys\n\nKeys rotate. They are *old*\nand `new`.\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    html = (
        "<h1>Keys</h1>\n\n<p>Keys rotate. They are <em>old</em>\nand <code>new</code>.</p>\n\n"
        "<ul><li>one</li>\n<li>two</li></ul>\n<script>no();</script>"
        "<table><tr><th>a</th><th>b</th></tr>\n<tr><td>1</td><td>2</td></tr></table>"
    )
    one, other = markdown.read(md, "x"), hypertext.read(html, "x")
    assert [s.text for s in one.sentences] == [s.text for s in other.sentences]
    assert [s.text for s in one.sentences] == [
        "Keys",
        "Keys rotate.",
        "They are old and new.",
        "one",
        "two",
        "1 · b: 2",
    ]
    assert [s.line for s in one.sentences] == [1, 3, 3, 6, 7, 11]
    assert [listing.items for listing in one.listings] == [("one", "two"), ("1",)] == [x.items for x in other.listings]


def test_sentences_end_where_readers_end_them() -> None:
    text = "Write to us, e.g. by mail. Art. 28 is met in the U.S. and elsewhere (since v1.2). Is it? Yes!"
    assert [one.text for one in markdown.read(text, "x").sentences] == [
        "Write to us, e.g. by mail.", "Art. 28 is met in the U.S. and elsewhere (since v1.2).", "Is it?", "Yes!",
    ]  # fmt: skip


def test_dates_and_lengths_are_read_as_they_are_written() -> None:
    text = "2026-09-03, 3rd September 2026, Sept. 3, 2026, September 2026, Q3 2026"
    assert [str(one.day) for one in dates(text)] == ["2026-09-03"] * 3 + ["2026-09-30"] * 2
    assert [told(length) for length, _ in spans("90 days, two hours, 5 min and 30\N{NO-BREAK SPACE}s")] == [
        "90 days", "2 h", "5 min", "30 s",
    ]  # fmt: skip


def test_front_matter_comments_and_code_are_not_sentences() -> None:
    text = "---\ntitle: x\n---\n<!-- we are SOC 2 certified -->\n```\nSOC 2 certified\n```\nFine.\n"
    page = markdown.read(text, "x")
    assert [(one.text, one.line) for one in page.sentences] == [("Fine.", 8)]


# ---------------------------------------------------------------- lists kept elsewhere


def test_the_list_of_sub_processors_may_be_elsewhere(tmp_path: Path) -> None:
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps({"items": [{"document": {"name": "Stripe Payments Europe"}}]}))
    context = Context(today=TODAY.today, processors=processors_of(str(listed), Fetcher()))
    text = "Payments are handled by Stripe.\n\nErrors are sent to Sentry.\n"
    assert found_in(text, context, skip=("promise-without-proof",)) == [("processor-not-listed", 3)]


def test_a_row_is_worth_its_best_claim(tmp_path: Path) -> None:
    document = tmp_path / "trust.json"
    claims = [{"rows": ["B1"], "state": "promised"}, {"rows": ["B1", "B4"], "state": "proven"}]
    document.write_text(json.dumps({"claims": claims}))
    assert states_of(str(document), Fetcher()) == {"B1": "proven", "B4": "proven"}


# ---------------------------------------------------------------- telling


def test_sarif_names_rules_lines_and_levels() -> None:
    page = markdown.read("# A\n\nSaltmarsh Figures is SOC 2 certified.\n", "page.md")
    findings = report.lint(page, TODAY)
    (run,) = report.sarif([(page, findings)], "1.2.3")["runs"]
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {rule.name for rule in RULES}
    (result,) = [one for one in run["results"] if one["ruleId"] == "soc2-certification"]
    assert result["level"] == "error"
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 3
    assert result["properties"]["rows"] == ["K1"]


def test_levels_are_ordered() -> None:
    findings = [Finding(rule="x", level=level, line=1, message="", text="") for level in Level]
    assert [one.level for one in report.at_least(findings, Level.WARNING)] == [Level.ERROR, Level.WARNING]

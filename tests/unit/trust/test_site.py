"""Search, look and questions: what a reader asks for is found, and what a company sets can be read by everybody."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.unit.claims.builders import NOON
from tests.unit.trust.test_pages import a_board, a_document, read

from heldtrue.app.settings_site import SiteSettings, theme_of
from heldtrue.claims.board import Standing
from heldtrue.claims.catalogue import CATALOGUE
from heldtrue.claims.model import State
from heldtrue.http.wire import FORM, Binder, InvalidValueError
from heldtrue.kernel.errors import SettingsError
from heldtrue.trust import nav, pages, words
from heldtrue.trust.asking import SHEET, Ask, Finder
from heldtrue.trust.questions import SECTIONS, questions
from heldtrue.trust.render import TEMPLATES, Pages
from heldtrue.trust.serving import form
from heldtrue.trust.site import Site
from heldtrue.trust.theme import ENOUGH, PAPERS, contrast, logo_of, readable, theme

SITE = Site(name="Saltmarsh Figures", origin="log.example", url="https://trust.example.com")
STATES = {claim.id: State(claim.state) for claim in a_document().claims}


def found(**asked: str) -> set[str]:
    return {claim.id for claim in Finder(CATALOGUE).find(Ask(**asked), STATES).claims}


# ---------------------------------------------------------------- search


def test_words_are_found_in_sentence_row_and_control() -> None:
    assert "receipts.rotation" in found(q="90 Days KEYS")
    assert found(q="unicorns") == set()
    assert {row for claim in CATALOGUE.claims if claim.id in found(q="b4") for row in claim.rows} >= {"B4"}


def test_a_state_a_group_and_a_framework_narrow_the_search() -> None:
    assert found(state="failing") == {name for name, state in STATES.items() if state is State.FAILING}
    group = CATALOGUE.groups[0].name
    assert found(group=group) == {claim.id for claim in CATALOGUE.claims if claim.group == group}
    assert found(framework="soc2")
    assert all(
        any(c.startswith("SOC 2") for c in claim.frameworks)
        for claim in CATALOGUE.claims
        if claim.id in found(framework="soc2")
    )
    control = next(control for claim in CATALOGUE.claims for control in claim.frameworks)
    assert found(framework=control) == {claim.id for claim in CATALOGUE.claims if control in claim.frameworks}


def test_ten_thousand_claims_are_found_in_pages_and_in_time() -> None:
    many = [
        replace(CATALOGUE.claims[0], id=f"own.claim_{at}", sentence=f"Promise number {at}.") for at in range(10_000)
    ]
    finder, states = Finder(replace(CATALOGUE, claims=tuple(many))), {claim.id: State.PROVEN for claim in many}
    begin = time.process_time()
    page = finder.find(Ask(q="number 77", page="2"), states)
    assert time.process_time() - begin < 1.0  # some milliseconds on a quiet machine
    found = sum("77" in str(at) for at in range(10_000))
    assert (page.total, page.pages, page.page) == (found, math.ceil(found / SHEET), 2)
    assert len(finder.find(Ask(), states).claims) == SHEET
    assert finder.find(Ask(page="nonsense"), states).page == 1
    assert finder.find(Ask(page="999999"), states).page == math.ceil(10_000 / SHEET)


def test_a_search_leads_back_and_to_its_next_page() -> None:
    ask = Ask(q=" a&b ", state="proven")
    assert ask.link("/trust", 2) == "/trust?q=a%26b&state=proven&page=2"
    assert Ask().link("/trust.json", 1) == "/trust.json"


def test_what_was_asked_for_is_escaped_and_kept_in_the_form() -> None:
    ask = Ask(q='"><script>alert(1)</script>')
    document = msgspec.structs.replace(a_document(), claims=[], total=0, asked=ask.asked())
    page = pages.trust_page(Pages(SITE), document, ask)
    assert b"<script>" not in page
    assert b"No claim says that" in page
    assert b"failing for" in page, "what fails stands on top, whatever is asked for"


# ---------------------------------------------------------------- look


@pytest.mark.parametrize(
    "accent", ["#ffd400", "#0b6b50", "#000000", "#ffffff", "#7f7f7f", "#ff0000", "#0000ff", "#fbfaf7"]
)
@pytest.mark.parametrize("paper", PAPERS)
def test_every_accent_can_be_read_in_light_and_in_dark(accent: str, paper: str) -> None:
    made = readable(accent, paper)
    assert contrast(made, paper) >= ENOUGH
    if contrast(accent, paper) >= ENOUGH:
        assert made == accent


def test_what_is_no_colour_is_refused() -> None:
    for bad in ("red", "#fff", "#0b6b50; } body { display: none", "url(x)"):
        with pytest.raises(SettingsError):
            SiteSettings(accent=bad)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def test_the_papers_are_those_of_the_style_sheet() -> None:
    sheet = Pages(SITE).assets["heldtrue.css"][0].decode()
    assert re.findall(r"--paper: (#[0-9a-f]{6})", sheet)[:2] == list(PAPERS)


def test_a_theme_reaches_the_style_sheet_and_the_logo_every_page() -> None:
    logo = b"<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0h9v9z'/></svg>"
    made = Pages(replace(SITE, theme=theme("#ffd400", logo_of(logo, "x.svg"))))
    assert b"--accent: #ffd400" in made.assets["heldtrue.css"][0]
    assert made.assets["logo"] == (logo, "image/svg+xml")
    page = made.notice("A", "b").decode()
    assert '<img src="/assets/logo" alt=""' in page
    assert "Saltmarsh Figures" in page


@pytest.mark.parametrize(
    "content",
    [
        b"<svg><script>x</script></svg>",
        b"<svg onload='x()'/>",
        b"<svg><image href='https://example.com/x.png'/></svg>",
        b"<svg><a href='javascript:x'/></svg>",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n" + bytes(200_000),
    ],
    ids=["script", "event", "foreign", "javascript", "gif", "large"],
)
def test_a_logo_that_does_more_than_being_seen_is_refused(content: bytes) -> None:
    with pytest.raises(SettingsError):
        logo_of(content, "logo")


def test_the_settings_name_a_file_and_an_address(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        theme_of(SiteSettings(logo=str(tmp_path / "none.png")))
    with pytest.raises(SettingsError, match="https"):
        SiteSettings(url="http://trust.example.com")
    assert SiteSettings(url="https://trust.example.com").url


def test_a_page_names_its_own_address_and_its_twin() -> None:
    page = Pages(SITE).render("notice.html", at="/trust/x", twin="/trust/x.json", title="A", text="b").decode()
    assert '<link rel="canonical" href="https://trust.example.com/trust/x">' in page
    assert '<link rel="alternate" type="application/json" href="/trust/x.json">' in page


# ---------------------------------------------------------------- navigation and questions


def test_only_pages_that_are_there_are_linked_and_one_is_current() -> None:
    links = nav.links("/trust/policies/password", {"trust.html", "policies.html"})
    assert [(link.label, link.current) for link in links] == [("Overview", False), ("Policies", True)]
    assert [link.path for link in nav.links("/trust", TEMPLATES) if link.current] == ["/trust"]
    assert "status.html" not in TEMPLATES, "status is promised: it is linked when it is built"


def test_every_question_is_answered_by_what_there_is() -> None:
    known = {claim.id for claim in CATALOGUE.claims}
    asked = [one for section in SECTIONS for one in section.questions]
    assert [name for one in asked for name in one.claims if name not in known] == []
    assert len({one.id for one in asked}) == len(asked) > 20
    assert all(one.page is None or one.page in nav.paths(TEMPLATES) | {"/trust/verify"} for one in asked)


def test_an_answer_is_worth_its_weakest_claim() -> None:
    board = a_board()
    standing = Standing(NOON, board.judge(NOON), None)
    view = questions(standing, {"locations": ["Frankfurt in DE."]}, frozenset({"/trust/policies"}))
    answers = {answer.id: answer for section in view.sections for answer in section.answers}
    audit = answers["audit"]
    assert audit.state == "failing", "one of its claims fails"
    assert answers["where"].facts == ["Frankfurt in DE."]
    assert answers["policies"].more == "/trust/policies"
    assert answers["dpa"].more is None, "a page that is not there is not linked"


def test_without_claims_and_registers_there_are_no_answers() -> None:
    empty = Standing(NOON, (), None)
    assert questions(empty, {}, frozenset()).sections == []


# ---------------------------------------------------------------- forms


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A form for a test."""

    text: str
    count: int = 0
    mail: str | None = None


BINDER = Binder(form("/trust/x", print, "x", Report, audits="x"))  # pyright: ignore[reportArgumentType]


def test_a_form_is_read_as_a_browser_sends_it() -> None:
    body = b"text=a+b%26c%C3%BC&count=3&mail="
    assert BINDER.bind({}, [], body, f"{FORM}; charset=utf-8") == Report(text="a b&cü", count=3)
    assert BINDER.bind({}, [], b'{"text":"x"}', "application/json") == Report(text="x")


@pytest.mark.parametrize(
    "body", [b"text=a&text=b", b"count=3", b"text=a&count=x"], ids=["twice", "missing", "no-number"]
)
def test_a_form_that_does_not_fit_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidValueError):
        BINDER.bind({}, [], body, FORM)


def test_numbers_come_with_their_nouns() -> None:
    assert words.counted(1, "claim") == "1 claim"
    assert words.counted(2, "entry", "entries") == "2 entries"


def test_every_page_has_one_heading_and_a_way_to_the_content() -> None:
    page = Pages(SITE).notice("A", "b")
    assert page.count(b"<h1") == 1
    assert "main" in read(page).ids

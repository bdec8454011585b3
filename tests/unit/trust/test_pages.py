"""The page and its JSON say the same, in words for people, and show every failure."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import msgspec
import pytest
from tests.unit.claims.builders import DAY, HOUR, MINUTE, NOON, a_run

from heldtrue.attack import Outcome
from heldtrue.claims.attacks import ATTACKS
from heldtrue.claims.board import Board, Standing
from heldtrue.claims.catalogue import CATALOGUE
from heldtrue.claims.model import Against
from heldtrue.claims.store import HeadRow
from heldtrue.trust import pages, words
from heldtrue.trust.document import Publisher, TrustDocument, build
from heldtrue.trust.render import ASSETS, Pages
from heldtrue.trust.routes import by_row
from heldtrue.trust.site import Site
from heldtrue_verify.markup import compare_html

HEAD = HeadRow("log.example", 77, b"\1" * 32, "log.example\n77\n…", NOON)
PAGES = Pages(Site(name="Saltmarsh Figures", origin="log.example", url="https://log.example"))
LOCAL = Pages(Site(name="Saltmarsh Figures", origin="log.example", url="https://localhost:8443"))
PUBLISHER = Publisher(origin="log.example", place="live", attacks=ATTACKS)


def a_board() -> Board:
    board = Board(CATALOGUE)
    for name, attack in ATTACKS.items():
        source = attack.source_sha256
        board.fold(a_run(NOON - DAY, Outcome.BROKEN, against=Against.BROKEN, source=source, attack=name))
        board.fold(a_run(NOON - 3 * MINUTE, Outcome.HELD, number=2, source=source, attack=name))
        board.fold(a_run(NOON - 2 * MINUTE, Outcome.ERROR if name == "access.flood" else Outcome.HELD, number=3,
                         source=source, attack=name))  # fmt: skip
    board.fold(a_run(NOON - MINUTE, Outcome.BROKEN, number=4, attack="ledger.rewrite"))
    board.fold(a_run(NOON - MINUTE, Outcome.HELD, number=4, attack="access.flood",
                     source=ATTACKS["access.flood"].source_sha256))  # fmt: skip
    return board


def a_document(board: Board | None = None, head: HeadRow | None = HEAD, *, paused: bool = False) -> TrustDocument:
    board = board or a_board()
    return build(CATALOGUE, Standing(NOON, board.judge(NOON), head), PUBLISHER, paused=paused)


class Marks(HTMLParser):
    """What elements with `data-claim` say, and the text of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.claims: dict[str, str | None] = {}
        self.count = 0
        self.links: list[str] = []
        self.ids: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.scripts += tag == "script" or any(name.startswith("on") for name in found)
        if name := found.get("data-claim"):
            self.claims[name] = found.get("data-state")
            self.count += 1
        if href := found.get("href"):
            self.links.append(href)
        if mark := found.get("id"):
            self.ids.append(mark)


def read(page: bytes) -> Marks:
    marks = Marks()
    marks.feed(page.decode())
    return marks


def test_the_page_shows_people_what_it_tells_machines() -> None:
    document = a_document()
    page = pages.trust_page(PAGES, document)
    assert compare_html(page.decode(), json.loads(msgspec.json.encode(document))).endswith("the same in both.")
    marks = read(page)
    assert marks.claims == {claim.id: claim.state for claim in document.claims}
    assert marks.count == len(document.claims)
    assert len(marks.ids) == len(set(marks.ids))


def test_the_json_is_one_document_with_every_claim() -> None:
    told = json.loads(msgspec.json.encode(a_document()))
    assert len(told["claims"]) == len(CATALOGUE.claims) == sum(told["tally"].values())
    assert told["checkpoint"]["note"] == HEAD.note
    proven = next(claim for claim in told["claims"] if claim["id"] == "transport.tls")
    assert proven["state"] == "proven"
    assert proven["evidence"] == [{"attack": "transport.old_tls", "number": 3, "index": 3}]
    assert proven["age_s"] == 120


def test_what_fails_stands_on_top_open_and_with_its_duration() -> None:
    page = pages.trust_page(PAGES, a_document()).decode()
    top, _, rest = page.partition('role="search"')
    assert "Nothing that entered the log can be changed" in top
    assert "failing for 60\N{NO-BREAK SPACE}s" in top
    assert re.search(r'data-claim="audit\.append_only" data-state="failing">\s*<details open>', rest)


def test_a_failure_that_is_over_stays_on_the_page() -> None:
    document = a_document()
    flood = next(claim for claim in document.claims if claim.id == "access.limits")
    assert flood.state == "proven"
    assert [failure.duration_s for failure in flood.failures] == [60]
    past = pages.trust_page(PAGES, document).decode().partition('id="past"')[2]
    assert flood.sentence.split("'")[0] in past


def test_of_many_failures_the_newest_are_told_in_full_and_every_other_in_a_line() -> None:
    board, source = a_board(), ATTACKS["access.flood"].source_sha256
    for number in range(10, 18):
        outcome, at = (Outcome.ERROR if number % 2 == 0 else Outcome.HELD), NOON - (30 - number) * MINUTE
        board.fold(a_run(at, outcome, number=number, attack="access.flood", source=source))
    document = a_document(board)
    flood = next(claim for claim in document.claims if claim.id == "access.limits")
    ended = [failure for failure in flood.failures if failure.ended_at]
    page = pages.trust_page(PAGES, document).decode()
    row = page.partition('id="access.limits"')[2].partition('<li class="claim')[0]
    assert len(ended) > pages.NEWEST
    assert row.count('<li class="failing">') == pages.NEWEST + flood.going_on
    assert row.count("<li>60\N{NO-BREAK SPACE}s: <time") == len(ended) - pages.NEWEST
    assert compare_html(page, json.loads(msgspec.json.encode(document))).endswith("the same in both.")
    none: dict[str, dict[str, str]] = {one.name: {} for one in flood.attacks}
    own = pages.claim_page(PAGES, document, flood, {name: [] for name in none}, none).decode()
    assert own.count('<li class="failing">') == len(flood.failures)


def test_nothing_runs_in_the_reader_and_nothing_is_loaded_from_elsewhere() -> None:
    for page in every_page():
        marks = read(page)
        assert marks.scripts == 0
        assert b"style=" not in page
        assert all(link.startswith(("/", "#", "https://log.example", "https://localhost")) for link in marks.links)


def every_page() -> list[bytes]:
    document = a_document()
    claim = document.claims[0]
    return [
        pages.trust_page(PAGES, document),
        pages.trust_page(LOCAL, a_document(Board(CATALOGUE))),
        pages.trust_page(PAGES, a_document(Board(CATALOGUE), None, paused=True)),
        pages.claim_page(PAGES, document, claim, {"transport.old_tls": []}, {"transport.old_tls": {"a.py": "0" * 64}}),
        pages.index_page(PAGES, document, by_row(document)),
        PAGES.notice("No such claim", "There is none."),
    ]


def test_a_first_start_says_that_nothing_was_attacked_yet() -> None:
    page = pages.trust_page(PAGES, a_document(Board(CATALOGUE))).decode()
    assert "No attack has finished yet." in page
    assert "Not attacked yet." in page


def test_as_many_overdue_claims_are_listed_as_are_counted_those_never_attacked_among_them() -> None:
    board = Board(CATALOGUE)
    for at, (name, attack) in enumerate(ATTACKS.items()):
        if at % 2:
            board.fold(a_run(NOON - 60 * DAY, Outcome.HELD, source=attack.source_sha256, attack=name))
    document = a_document(board)
    stale = [claim for claim in document.troubled if claim.state == "stale"]
    never = sum(claim.since is None for claim in stale)
    assert 0 < never < len(stale), "some of each"
    page = pages.trust_page(PAGES, document).decode()
    listed = page.partition('<details class="notice stale"')[2].partition("</details>")[0]
    assert (listed.count("<li>"), listed.count("not attacked yet")) == (len(stale), never)


def test_without_a_checkpoint_or_while_paused_the_page_says_so() -> None:
    page = pages.trust_page(PAGES, a_document(Board(CATALOGUE), None, paused=True)).decode()
    assert "The log has no signed checkpoint yet." in page
    assert "Attacks are paused by the operator." in page


def test_what_an_attack_says_is_escaped() -> None:
    board = a_board()
    evil = replace(
        a_run(NOON, Outcome.BROKEN, number=9, attack="transport.old_tls"), result="<script>alert(1)</script>"
    )
    board.fold(evil)
    document = a_document(board)
    page = pages.trust_page(PAGES, document)
    assert b"<script>" not in page
    assert b"&lt;script&gt;" in page
    assert b"<i>" not in PAGES.notice("A title", "<i>")


def test_the_command_names_the_address_and_takes_the_pin_from_elsewhere() -> None:
    page = pages.trust_page(LOCAL, a_document()).decode()
    assert "heldtrue-verify page \\\n  https://localhost:8443/trust \\\n  --pin VKEY --ca-file ca.pem" in page
    assert "from somewhere else than this server" in page


def test_every_row_is_in_the_index_and_every_claim_has_an_anchor() -> None:
    document = a_document()
    index = read(pages.index_page(PAGES, document, by_row(document)))
    assert {row for claim in CATALOGUE.claims for row in claim.rows} <= set(index.ids)
    assert {claim.id for claim in document.claims} <= set(read(pages.trust_page(PAGES, document)).ids)


def test_assets_are_there_and_small() -> None:
    assert set(ASSETS) == {
        "heldtrue.css", "mark.svg", "checks.mjs", "verify.mjs", "fonts/newsreader.woff2", "fonts/inter.woff2",
        "fonts/jetbrains-mono.woff2",
    }  # fmt: skip
    fonts = [content for name, (content, _) in ASSETS.items() if name.startswith("fonts/")]
    assert all(font.startswith(b"wOF2") for font in fonts)
    assert sum(map(len, fonts)) < 400_000


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=0), "just now"),
        (timedelta(seconds=41), "41 s ago"),
        (timedelta(seconds=89), "89 s ago"),
        (14 * MINUTE, "14 min ago"),
        (3 * HOUR, "3 h ago"),
        (3 * DAY, "3 days ago"),
    ],
)
def test_times_as_a_reader_says_them(passed: timedelta, said: str) -> None:
    at, now = ((NOON + delta).isoformat() for delta in (timedelta(), passed))
    assert words.ago(at, now).replace("\N{NO-BREAK SPACE}", " ") == said


def test_dates_and_numbers() -> None:
    assert words.moment("2026-11-22T05:14:09.120Z") == "22 November 2026, 05:14:09 UTC"
    assert words.count(1204332) == "1\N{NARROW NO-BREAK SPACE}204\N{NARROW NO-BREAK SPACE}332"
    assert words.tell({"routes": 41, "public_routes": 3}) == "41 routes, 3 public routes"
    assert words.every(3600) == "every hour"


def test_what_differs_from_the_published_log_stands_on_the_page() -> None:
    standing = Standing(NOON, a_board().judge(NOON), HEAD, ("Entry 7 of the log was changed in the database.",))
    document = build(CATALOGUE, standing, PUBLISHER, paused=False)
    assert document.problems == ["Entry 7 of the log was changed in the database."]
    assert b"Entry 7 of the log was changed in the database." in pages.trust_page(PAGES, document)
    assert b"differs from the published log" not in pages.trust_page(PAGES, a_document())

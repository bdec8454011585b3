"""Trust pages for the browser: verdicts folded from made-up runs, rendered by the real templates."""

from __future__ import annotations

import functools
import hashlib
import importlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec

from heldtrue.attack import Attack, Finding, Outcome, Place, held
from heldtrue.capabilities.ledger.model import instant
from heldtrue.capabilities.ledger.witness_routes import LATE, WitnessView
from heldtrue.claims.board import Board, Standing
from heldtrue.claims.catalogue import CATALOGUE, Catalogue
from heldtrue.claims.model import Against, Document, Run, State
from heldtrue.claims.store import HeadRow
from heldtrue.trust import document, pages
from heldtrue.trust.asking import Ask, Finder
from heldtrue.trust.document import Publisher, TrustDocument
from heldtrue.trust.render import Pages
from heldtrue.trust.site import Site

NOW = datetime(2026, 11, 22, 5, 14, 9, tzinfo=UTC)
ORIGIN = "trust.acme-filings.example"
PAGES = Pages(Site(name="Acme Filings", origin=ORIGIN, url=f"https://{ORIGIN}"))
SCRATCH = {"intake.canary_at_rest", "access.key_at_rest", "access.flood"}


def _nothing(_arena: object) -> Finding:
    return held("nothing tried", probes=1)


def attack(name: str) -> Attack:
    """Return an attack of that name that looks like one."""
    return Attack(
        name=name,
        place=Place.SCRATCH if name in SCRATCH else Place.SYNTHETIC,
        tries=(
            "Call every route with a key of another organisation, and with the ids of this one.",
            "Ask the database directly, as each of the application's roles, with a query that forgets its tenant.",
            "Count what comes back: it must be nothing.",
        ),
        run=_nothing,
        breaks="row-security-off",
    )


ATTACKS = {name: attack(name) for claim in CATALOGUE.claims for name in claim.attacks}


def run(name: str, number: int, at: datetime, *, against: Against, outcome: Outcome, result: str) -> Run:
    """Return one finished run."""
    return Run(
        attack=name,
        number=number,
        against=against,
        place=ATTACKS[name].place,
        outcome=outcome,
        source_sha256=hashlib.sha256(name.encode()).hexdigest(),
        started_at=at - timedelta(milliseconds=1840),
        finished_at=at,
        result=result,
        coverage={"routes": 41, "requests": 164},
        index=1200 + number,
    )


def head() -> HeadRow:
    """Return a signed checkpoint."""
    return HeadRow(ORIGIN, 1_204_332, hashlib.sha256(b"root").digest(), "", NOW - timedelta(seconds=3))


def catalogue() -> Catalogue:
    """Return the shipped catalogue with one attested claim."""
    return CATALOGUE.with_documents(
        {
            "company.policies_in_force": Document(
                title="Policies in force, reviewed",
                owner="the security lead",
                dated=date(2026, 11, 2),
                expires=date(2027, 2, 2),
                sha256=hashlib.sha256(b"threats").hexdigest(),
            )
        }
    )


def busy() -> TrustDocument:
    """Return a page that has seen everything: failures past and present, an overdue check, an untrusted attack."""
    return _build(
        busy_board(), head(), witnesses=[_witness("witness.north.example", 12), _witness("watch.example", 480)]
    )


def busy_standing() -> Standing:
    """Return the verdicts of that page."""
    board = busy_board()
    return Standing(NOW, board.judge(NOW), head())


@functools.cache
def busy_board() -> Board:
    """Return what has seen everything."""
    board = Board(catalogue())
    bad = "An update of log_entries as heldtrue_system changed 1 row; it must change none."
    for name in ATTACKS:
        if name != "deliveries.inward":
            started = NOW - timedelta(days=40)
            seen = "With the control broken, 3 of 41 routes answered with another organisation's data."
            board.fold(run(name, 1, started, against=Against.BROKEN, outcome=Outcome.BROKEN, result=seen))
        stale = name == "access.role_matrix"
        for day in range(39, -1, -1):
            at = NOW - timedelta(days=day, seconds=41)
            for back in range(47, -1, -1):
                when = at - timedelta(minutes=30 * back)
                if stale and (NOW - when) < timedelta(hours=9):
                    continue
                outcome, result = Outcome.HELD, "All 41 routes refused all 4 kinds of bad credential."
                if name == "receipts.altered" and day == 17 and back in {7, 8}:
                    outcome, result = Outcome.ERROR, "The attack ran out of time after 60 s."
                if name == "access.flood" and day in {6, 9, 15, 22, 31} and back == 20:
                    outcome, result = Outcome.ERROR, "The scratch instance did not start."
                if name == "ledger.rewrite" and day == 0 and back == 0:
                    outcome, result = Outcome.BROKEN, bad
                number = (40 - day) * 48 - back + 1
                board.fold(run(name, number, when, against=Against.CONTROL, outcome=outcome, result=result))
    return board


def first() -> TrustDocument:
    """Return the page of an instance that was just started."""
    return _build(Board(catalogue()), head())


def without_log() -> TrustDocument:
    """Return the page of an instance that has no checkpoint, with attacks paused."""
    return _build(Board(catalogue()), None, paused=True, place="scratch")


def asked(scene: TrustDocument, ask: Ask) -> TrustDocument:
    """Return what a reader gets who asks for less."""
    states = {claim.id: State(claim.state) for claim in scene.claims}
    found = {claim.id for claim in Finder(catalogue()).find(ask, states).claims}
    claims = [claim for claim in scene.claims if claim.id in found]
    return msgspec.structs.replace(scene, claims=claims, total=len(claims), asked=ask.asked())


def _witness(name: str, age: int) -> WitnessView:
    return WitnessView(
        name=name, vkey=f"{name}+0badcafe+BA", size=1_204_332 - age, cosigned_at=instant(NOW - timedelta(seconds=age)),
        behind=age, age_s=age, late=age > LATE.total_seconds(), trouble="", checkpoint="/log/witnesses/0badcafe",
    )  # fmt: skip


def _build(
    board: Board, at: HeadRow | None, *, paused: bool = False, place: str = "live",
    witnesses: Sequence[WitnessView] = (),
) -> TrustDocument:  # fmt: skip
    standing = Standing(NOW, board.judge(NOW), at)
    publisher = Publisher(origin=ORIGIN, place=place, attacks=ATTACKS)
    return document.build(board.catalogue, standing, publisher, paused=paused, witnesses=witnesses)


@functools.cache
def render() -> dict[str, bytes]:
    """Return every page by path and query: those of claims, and of each `scenes_<subject>.py` beside this file.

    Such a file has `def scenes(pages: Pages) -> dict[str, bytes]`, each page full and empty: `/trust/policies` and
    `/trust/policies?empty`.
    """
    made = claims()
    for file in sorted(Path(__file__).parent.glob("scenes_*.py")):
        made |= importlib.import_module(f"tests.browser.{file.stem}").scenes(PAGES)
    return made


def claims() -> dict[str, bytes]:
    """Return the pages about claims."""
    scene = busy()
    failing = next(claim for claim in scene.claims if claim.state == "failing")
    rows: dict[str, list[document.ClaimView]] = {}
    for claim in scene.claims:
        for row in claim.rows:
            rows.setdefault(row, []).append(claim)
    runs = {a.name: [view for view in (a.latest, a.seen_to_fail) if view] for a in failing.attacks}
    sources = {a.name: dict(ATTACKS[a.name].sources) for a in failing.attacks}
    return {
        "/trust": pages.trust_page(PAGES, scene),
        "/trust?state=failing": pages.trust_page(PAGES, asked(scene, Ask(state="failing")), Ask(state="failing")),
        "/trust?q=keys": pages.trust_page(PAGES, asked(scene, Ask(q="keys")), Ask(q="keys")),
        "/trust?q=unicorns": pages.trust_page(PAGES, asked(scene, Ask(q="unicorns")), Ask(q="unicorns")),
        "/trust?first": pages.trust_page(PAGES, first()),
        "/trust?empty": pages.trust_page(PAGES, without_log()),
        "/trust/claims/of-a-failure": pages.claim_page(PAGES, scene, failing, runs, sources),
        "/trust/index": pages.index_page(PAGES, scene, sorted(rows.items())),
        "/trust/claims/unknown": PAGES.notice(
            "There is no such page", "There is no claim of that name. The overview has them all.", at="/trust"
        ),
        "/trust/claims/away": PAGES.notice(
            "Nothing can be shown now",
            "The results cannot be read at this moment. While this page says so, nothing here counts as proven.",
            at="/trust",
        ),
    }

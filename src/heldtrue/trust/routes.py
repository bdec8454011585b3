"""The trust centre for everybody: pages, their JSON, evidence with its proof, and the files they are made of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from heldtrue.capabilities.ledger import proofs
from heldtrue.capabilities.ledger.checkpoint import Checkpoint
from heldtrue.capabilities.ledger.note import Note
from heldtrue.capabilities.ledger.tiles import TileDirectory
from heldtrue.capabilities.ledger.witness import Witness
from heldtrue.capabilities.ledger.witness_routes import WitnessView
from heldtrue.capabilities.ledger.witness_routes import views as witness_views
from heldtrue.claims import store
from heldtrue.claims.board import Board, Standing
from heldtrue.claims.catalogue import ROWS, Catalogue
from heldtrue.claims.overview import headlines
from heldtrue.claims.store import HeadRow
from heldtrue.claims.verdict import AttackStanding, Verdict
from heldtrue.db.tx import Database, SystemTx
from heldtrue.http.exchange import Page
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import LeafId
from heldtrue.trust import frameworks, questions, verify
from heldtrue.trust import pages as views
from heldtrue.trust.asking import SHEET, Ask, Finder
from heldtrue.trust.changes import routes as changes_routes
from heldtrue.trust.document import ClaimView, Publisher, RunView, TrustDocument, build, run_view
from heldtrue.trust.facts import Facts, no_facts
from heldtrue.trust.following import Follower
from heldtrue.trust.render import Pages
from heldtrue.trust.serving import HTML, page, shown, twin
from heldtrue.trust.window import Window

FRESH = timedelta(seconds=1)
"""How long one look at the results serves everybody who asks."""
KEPT = 64
"""Questions whose answers are kept as long."""
ALL = Ask()


class NoSuchEvidenceError(NotFoundError):
    """There is no such run; the claim's page lists those there are."""

    code = "no-such-evidence"


class ClaimPath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A claim."""

    claim_id: str


class EvidencePath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run of an attack."""

    attack: str
    file: str
    """The run's number and `.json`."""


class AssetPath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the pages."""

    path: str


class EvidenceFile(msgspec.Struct, frozen=True, kw_only=True):
    """A proof file of `heldtrue-verify proof`: the evidence, and the proof that the log holds it."""

    document: dict[str, Any]
    proof: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustServices:
    """What the pages are made of; the wiring fills it in."""

    database: Database
    clock: Clock
    catalogue: Catalogue
    publisher: Publisher
    paused: Callable[[], bool]
    release: str = "0"
    """The running version."""
    facts: Facts = no_facts
    """What the registers say, for the page of questions."""
    witnesses: tuple[Witness, ...] = ()
    """Who cosigns the log."""
    log: Path | None = None
    """Directory of the published log, against which everything that is shown is compared."""


class Look:
    """What is known at this moment, read at most once a second whoever asks how often."""

    def __init__(self, services: TrustServices, sheet: int = SHEET) -> None:
        """*sheet*: how many claims one page shows at most."""
        self._services = services
        self.board = Board(services.catalogue, services.log)
        self._finder = Finder(services.catalogue, sheet)
        self._lock = threading.Lock()
        self._kept: dict[Ask, TrustDocument] = {}
        self._read_at: datetime | None = None

    def now(self, ask: Ask = ALL) -> TrustDocument:
        """Return the document that *ask* means; raise `UnavailableError` when the database is away."""
        now = self._services.clock.now()
        with self._lock:
            if self._read_at is None or not timedelta() <= now - self._read_at < FRESH or len(self._kept) > KEPT:
                self._kept, self._read_at = {}, now
            if ask not in self._kept:
                self._kept[ask] = self._document(ask, now)
            return self._kept[ask]

    def one(self, claim_id: str) -> tuple[TrustDocument, Verdict]:
        """Return one claim's verdict, and the document that its page rests on; raise `NotFoundError`."""
        services = self._services
        claim = next((known for known in services.catalogue.claims if known.id == claim_id), None)
        if claim is None:
            raise NotFoundError("There is no claim of that name. The overview has them all.")
        now = services.clock.now()
        with self._lock:
            with services.database.system() as tx:
                head, seen_by = self._read(tx, now)
            (verdict,) = self.board.verdicts([self.board.memory.claim(claim)], now)
        standing = Standing(now, (verdict,), head, self.board.problems)
        paused = services.paused()
        return build(services.catalogue, standing, services.publisher, paused=paused, witnesses=seen_by), verdict

    def standing(self) -> Standing:
        """Return where every claim stands."""
        now = self._services.clock.now()
        with self._lock, self._services.database.system() as tx:
            return self.board.refresh(tx, now)

    def by_row(self) -> tuple[TrustDocument, list[tuple[str, list[ClaimView]]]]:
        """Return the claims of each row, rows in order; the operator's own have none of them."""
        services, now = self._services, self._services.clock.now()
        with self._lock:
            with services.database.system() as tx:
                head, seen_by = self._read(tx, now)
            known = [self.board.memory.claim(claim) for claim in services.catalogue.claims if not claim.own]
            standing = Standing(now, self.board.verdicts(known, now), head, self.board.problems)
        paused = services.paused()
        document = build(services.catalogue, standing, services.publisher, paused=paused, witnesses=seen_by)
        return document, by_row(document)

    def runs(self, attack: AttackStanding, head: HeadRow | None) -> list[RunView]:
        """Return the newest runs of an attack, newest first, as the log has them."""
        if head is None:
            return []
        with self._services.database.system() as tx:
            return [run_view(run) for run in self.board.runs(tx, attack.recent, head)]

    def head(self) -> HeadRow | None:
        """Return the checkpoint that everything rests on."""
        with self._lock, self._services.database.system() as tx:
            return self.board.read(tx)

    def _document(self, ask: Ask, now: datetime) -> TrustDocument:
        services, board = self._services, self.board
        with services.database.system() as tx:
            head, seen_by = self._read(tx, now)
        top = headlines(board, now)
        found = self._finder.find(ask, board.tallies.states())
        claims = [board.memory.claim(claim) for claim in found.claims]
        window = Window(
            total=found.total,
            page=found.page,
            pages=found.pages,
            next=ask.link("/trust.json", found.page + 1) if found.page < found.pages else None,
            asked=ask.asked(),
            tally=top.tally,
            troubled=top.troubled,
        )
        standing = Standing(now, board.verdicts(claims, now), head, board.problems)
        return build(
            services.catalogue, standing, services.publisher, paused=services.paused(), window=window, witnesses=seen_by
        )

    def _published(self, head: HeadRow | None) -> HeadRow | None:
        """Return the checkpoint as it is published now, with its newest time and its witnesses' signatures."""
        text = TileDirectory(self._services.log).checkpoint() if self._services.log else None
        if head is None or text is None:
            return head
        found = Checkpoint.parse(Note.parse(text).text)
        same = (found.origin, found.size, found.root) == (head.origin, head.size, head.root)
        return replace(head, note=text) if same else head

    def _read(self, tx: SystemTx, now: datetime) -> tuple[HeadRow | None, list[WitnessView]]:
        """Return the checkpoint that everything rests on, as it is published, and what its witnesses are at."""
        services = self._services
        seen = witness_views(tx, services.witnesses, now).witnesses if services.witnesses else []
        return self._published(self.board.read(tx)), seen


def routes(services: TrustServices, pages: Pages) -> list[Route]:
    """Return the table of routes; all of them are for everybody."""
    look = Look(services)

    def trust(asked: Ask = ALL) -> Page:
        return shown(pages, "/trust", lambda: views.trust_page(pages, look.now(asked), asked))

    def trust_json(asked: Ask = ALL) -> TrustDocument:
        return look.now(asked)

    def claim(asked: ClaimPath) -> Page:
        return shown(pages, "/trust", lambda: _claim(asked.claim_id))

    def _claim(claim_id: str) -> bytes:
        document, verdict = look.one(claim_id)
        head = look.head()
        runs = {attack.attack: look.runs(attack, head) for attack in verdict.attacks}
        known = services.publisher.attacks
        sources = {name: dict(known[name].sources) for name in verdict.claim.attacks}
        return views.claim_page(pages, document, document.claims[0], runs, sources)

    def index() -> Page:
        return shown(pages, "/trust", lambda: views.index_page(pages, *look.by_row()))

    def evidence(asked: EvidencePath) -> EvidenceFile:
        digits, _, suffix = asked.file.partition(".")
        if suffix != "json" or not digits.isascii() or not digits.isdigit() or len(digits) > 12:
            raise NoSuchEvidenceError
        with services.database.system() as tx:
            row = store.evidence(tx, asked.attack, int(digits))
            if row is None:
                raise NoSuchEvidenceError
            return EvidenceFile(document=row.evidence, proof=proofs.proof_of(tx, LeafId(row.leaf_id), None))

    def asset(asked: AssetPath) -> Page:
        found = pages.assets.get(asked.path)
        if found is None:
            raise NotFoundError("There is no such file.")
        return Page(content=found[0], content_type=found[1])

    return [
        page("/", _to_trust, "Where readers begin"),
        page("/trust", trust, "What is promised, and what came of trying to break it", takes=Ask),
        twin("/trust.json", trust_json, "The same as JSON", TrustDocument, takes=Ask),
        page("/trust/index", index, "From a row to its claims, their attacks and states"),
        page("/trust/claims/{claim_id}", claim, "A claim with its whole history", takes=ClaimPath),
        twin(
            "/trust/evidence/{attack}/{file}",
            evidence,
            "The signed evidence of a run, with the proof that the log holds it",
            EvidenceFile,
            takes=EvidencePath,
        ),
        Route(
            at="GET /assets/{path:path}",
            action=asset,
            summary="Style sheet, scripts, fonts and logo of the pages",
            takes=AssetPath,
            realm=Realm.PUBLIC,
            cache=CacheClass.PAGE,
            produces="application/octet-stream",
            tags=("trust",),
        ),
        *changes_routes(Follower(services.database, services.log), services.clock, pages),
        *questions.routes(look.standing, services.facts, pages),
        *verify.routes(pages),
        *frameworks.routes(look.standing, pages, services.release),
    ]


def by_row(document: TrustDocument) -> list[tuple[str, list[ClaimView]]]:
    """Return the claims of each row, rows in order."""
    return [(row, [claim for claim in document.claims if row in claim.rows]) for row in ROWS]


def _to_trust() -> Page:
    return Page(content=b"", content_type=HTML, status=303, headers={"location": "/trust"})

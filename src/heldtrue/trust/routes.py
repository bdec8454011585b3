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
from heldtrue.capabilities.ledger.witness_routes import views as witness_views
from heldtrue.claims import store
from heldtrue.claims.board import Board, Standing
from heldtrue.claims.catalogue import ROWS, Catalogue
from heldtrue.claims.overview import Overview, overview
from heldtrue.claims.store import HeadRow
from heldtrue.claims.tally import Choice
from heldtrue.claims.verdict import AttackStanding
from heldtrue.db.tx import Database
from heldtrue.http.exchange import Page
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import LeafId
from heldtrue.trust import pages as views
from heldtrue.trust.document import ClaimView, Publisher, RunView, TrustDocument, build, run_view
from heldtrue.trust.render import Pages
from heldtrue.trust.serving import HTML, page, shown, twin

FRESH = timedelta(seconds=1)
"""How long one look at the results serves everybody who asks."""


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
    witnesses: tuple[Witness, ...] = ()
    """Who cosigns the log."""
    log: Path | None = None
    """Directory of the published log, against which everything that is shown is compared."""


class Look:
    """What is known at this moment, read at most once a second whoever asks how often."""

    def __init__(self, services: TrustServices) -> None:
        self._services = services
        self.board = Board(services.catalogue, services.log)
        self._lock = threading.Lock()
        self._last: tuple[Standing, TrustDocument] | None = None

    def now(self) -> tuple[Standing, TrustDocument]:
        """Return verdicts and document; raise `UnavailableError` when the database is away."""
        now = self._services.clock.now()
        with self._lock:
            if self._last is None or not timedelta() <= now - self._last[0].at < FRESH:
                self._last = self._look(now)
            return self._last

    def runs(self, standing: Standing, attack: AttackStanding) -> list[RunView]:
        """Return the newest runs of an attack, newest first, as the log has them."""
        if standing.head is None:
            return []
        with self._services.database.system() as tx:
            return [run_view(run) for run in self.board.runs(tx, attack.recent, standing.head)]

    def screen(self, choice: Choice) -> Overview:
        """Return one screen; its cost grows with what is shown, not with history."""
        with self._lock, self._services.database.system() as tx:
            return overview(self.board, tx, self._services.clock.now(), choice)

    def _published(self, head: HeadRow | None) -> HeadRow | None:
        """Return the checkpoint as it is published now, with its newest time and its witnesses' signatures."""
        text = TileDirectory(self._services.log).checkpoint() if self._services.log else None
        if head is None or text is None:
            return head
        found = Checkpoint.parse(Note.parse(text).text)
        same = (found.origin, found.size, found.root) == (head.origin, head.size, head.root)
        return replace(head, note=text) if same else head

    def _look(self, now: datetime) -> tuple[Standing, TrustDocument]:
        services = self._services
        with services.database.system() as tx:
            standing = self.board.refresh(tx, now)
            standing = replace(standing, head=self._published(standing.head))
            seen = witness_views(tx, services.witnesses, now).witnesses if services.witnesses else []
        return standing, build(
            services.catalogue, standing, services.publisher, paused=services.paused(), witnesses=seen
        )


def routes(services: TrustServices, pages: Pages) -> list[Route]:
    """Return the table of routes; all of them are for everybody."""
    look = Look(services)

    def trust() -> Page:
        return shown(pages, "/trust", lambda: views.trust_page(pages, look.now()[1]))

    def trust_json() -> TrustDocument:
        return look.now()[1]

    def claim(asked: ClaimPath) -> Page:
        return shown(pages, "/trust", lambda: _claim(asked.claim_id))

    def _claim(claim_id: str) -> bytes:
        standing, document = look.now()
        view = next((found for found in document.claims if found.id == claim_id), None)
        verdict = next((found for found in standing.verdicts if found.claim.id == claim_id), None)
        if view is None or verdict is None:
            raise NotFoundError("There is no claim of that name. The overview has them all.")
        runs = {attack.attack: look.runs(standing, attack) for attack in verdict.attacks}
        known = services.publisher.attacks
        sources = {name: dict(known[name].sources) for name in verdict.claim.attacks}
        return views.claim_page(pages, document, view, runs, sources)

    def index() -> Page:
        return shown(pages, "/trust", lambda: views.index_page(pages, look.now()[1], by_row(look.now()[1])))

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
        page("/trust", trust, "What is promised, and what came of trying to break it"),
        twin("/trust.json", trust_json, "The same as JSON", TrustDocument),
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
    ]


def by_row(document: TrustDocument) -> list[tuple[str, list[ClaimView]]]:
    """Return the claims of each row, rows in order."""
    return [(row, [claim for claim in document.claims if row in claim.rows]) for row in ROWS]


def _to_trust() -> Page:
    return Page(content=b"", content_type=HTML, status=303, headers={"location": "/trust"})

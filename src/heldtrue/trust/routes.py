"""The trust centre for everybody: pages, their JSON, evidence with its proof, and the files they are made of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from heldtrue.capabilities.ledger import proofs
from heldtrue.capabilities.ledger.witness import Witness
from heldtrue.capabilities.ledger.witness_routes import views as witness_views
from heldtrue.claims import store
from heldtrue.claims.board import Board, Standing
from heldtrue.claims.catalogue import ROWS, Catalogue
from heldtrue.db.tx import Database
from heldtrue.http.exchange import Page
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.errors import NotFoundError, UnavailableError
from heldtrue.kernel.ids import LeafId
from heldtrue.trust import pages
from heldtrue.trust.document import ClaimView, Publisher, TrustDocument, build, runs_of

HTML = "text/html; charset=utf-8"
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
    base_url: str
    paused: Callable[[], bool]
    witnesses: tuple[Witness, ...] = ()
    """Who cosigns the log."""


class Look:
    """What is known at this moment, read at most once a second whoever asks how often."""

    def __init__(self, services: TrustServices) -> None:
        self._services = services
        self._board = Board(services.catalogue)
        self._lock = threading.Lock()
        self._last: tuple[Standing, TrustDocument] | None = None

    def now(self) -> tuple[Standing, TrustDocument]:
        """Return verdicts and document; raise `UnavailableError` when the database is away."""
        now = self._services.clock.now()
        with self._lock:
            if self._last is None or not timedelta() <= now - self._last[0].at < FRESH:
                self._last = self._look(now)
            return self._last

    def _look(self, now: datetime) -> tuple[Standing, TrustDocument]:
        services = self._services
        with services.database.system() as tx:
            standing = self._board.refresh(tx, now)
            seen = witness_views(tx, services.witnesses, now).witnesses if services.witnesses else []
        return standing, build(
            services.catalogue, standing, services.publisher, paused=services.paused(), witnesses=seen
        )


def routes(services: TrustServices) -> list[Route]:
    """Return the table of routes; all of them are for everybody."""
    look = Look(services)

    def trust() -> Page:
        return _page(lambda: pages.trust_page(look.now()[1], services.base_url))

    def trust_json() -> TrustDocument:
        return look.now()[1]

    def claim(asked: ClaimPath) -> Page:
        return _page(lambda: _claim(asked.claim_id))

    def _claim(claim_id: str) -> bytes | None:
        standing, document = look.now()
        view = next((found for found in document.claims if found.id == claim_id), None)
        verdict = next((found for found in standing.verdicts if found.claim.id == claim_id), None)
        if view is None or verdict is None:
            return None
        runs = {attack.attack: list(runs_of(attack)) for attack in verdict.attacks}
        known = services.publisher.attacks
        sources = {name: dict(known[name].sources) for name in verdict.claim.attacks}
        return pages.claim_page(document, view, runs, sources)

    def index() -> Page:
        return _page(lambda: pages.index_page(look.now()[1], by_row(look.now()[1])))

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
        found = pages.ASSETS.get(asked.path)
        if found is None:
            raise NotFoundError("There is no such file.")
        return Page(content=found[0], content_type=found[1])

    return [
        _route("/", _to_trust, "Where readers begin", produces="text/html"),
        _route("/trust", trust, "What is promised, and what came of trying to break it", produces="text/html"),
        _route("/trust.json", trust_json, "The same as JSON", gives=TrustDocument),
        _route("/trust/index", index, "From a row to its claims, their attacks and states", produces="text/html"),
        _route(
            "/trust/claims/{claim_id}", claim, "A claim with its whole history", takes=ClaimPath, produces="text/html"
        ),
        _route(
            "/trust/evidence/{attack}/{file}",
            evidence,
            "The signed evidence of a run, with the proof that the log holds it",
            takes=EvidencePath,
            gives=EvidenceFile,
        ),
        _route(
            "/assets/{path:path}",
            asset,
            "Style sheet and fonts of the pages",
            takes=AssetPath,
            produces="application/octet-stream",
        ),
    ]


def by_row(document: TrustDocument) -> list[tuple[str, list[ClaimView]]]:
    """Return the claims of each row, rows in order."""
    return [(row, [claim for claim in document.claims if row in claim.rows]) for row in ROWS]


def _to_trust() -> Page:
    return Page(content=b"", content_type=HTML, status=303, headers={"location": "/trust"})


def _page(render: Callable[[], bytes | None]) -> Page:
    """Return a page for people, also when there is nothing to show or nothing can be read."""
    try:
        content = render()
    except UnavailableError:
        text = "The results cannot be read at this moment. While this page says so, nothing here counts as proven."
        return Page(
            content=pages.notice_page("Nothing can be shown now", text),
            content_type=HTML,
            status=503,
            headers={"retry-after": "5"},
            cache=CacheClass.PRIVATE,
        )
    if content is None:
        text = "There is no claim of that name. The list below has them all."
        return Page(content=pages.notice_page("No such claim", text), content_type=HTML, status=404)
    return Page(content=content, content_type=HTML)


def _route(
    path: str,
    action: Callable[..., object],
    summary: str,
    *,
    takes: type | None = None,
    gives: type | None = None,
    produces: str = "application/json",
) -> Route:
    return Route(
        at=f"GET {path}",
        action=action,
        summary=summary,
        takes=takes,
        gives=gives,
        realm=Realm.PUBLIC,
        cache=CacheClass.PAGE,
        produces=produces,
        tags=("trust",),
    )

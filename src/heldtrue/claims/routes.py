"""Routes of documents and annotations: the operator's. Nothing here changes a verdict but by a dated document."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

import msgspec

from heldtrue.capabilities.attestations import actions
from heldtrue.capabilities.attestations.model import Document
from heldtrue.claims import store
from heldtrue.claims.catalogue import Catalogue
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, PageQuery, listing
from heldtrue.http.route import Realm, Route
from heldtrue.kernel.errors import ConflictError, NotFoundError
from heldtrue.kernel.ids import LeafId
from heldtrue.op import SystemOperation
from heldtrue.policy.permissions import Permission

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Name = Annotated[str, msgspec.Meta(min_length=3, max_length=120)]


class NoSuchClaimError(NotFoundError):
    """There is no claim of that id; `heldtrue claims list` has them all."""

    code = "no-such-claim"


class ProvenByAttackError(ConflictError):
    """This claim is attacked by a machine, and no document stands in for that; file it where nothing is attacked."""

    code = "proven-by-attack"


class NothingFailedError(NotFoundError):
    """That run held, or there is none; annotate the number of a run that did not hold, or leave the number out."""

    code = "nothing-failed"


class Attest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A document that shall stand behind a claim."""

    claim: Name
    title: Line
    owner: Line
    dated: date
    expires: date
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", description="Of the file, as `sha256sum` prints it.")]


class Withdraw(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A claim behind which nothing shall stand any more."""

    claim: Name


class Annotate(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be said of a run that did not hold, or of an overdue check."""

    attack: Name
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    number: Annotated[int, msgspec.Meta(ge=1)] | None = None


class Entry(msgspec.Struct, kw_only=True, frozen=True):
    """What was recorded, as it enters the log."""

    id: str
    entry: dict[str, Any]
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class ClaimServices:
    """What the routes know of claims; the wiring fills it in."""

    catalogue: Catalogue
    attacks: Collection[str]


def routes(services: ClaimServices) -> list[Route]:
    """Return the table of routes."""

    def attest(op: SystemOperation, asked: Attest) -> Answer:
        """File a document."""
        claim = services.catalogue.get(asked.claim)
        if claim is None:
            raise NoSuchClaimError
        if claim.attacks:
            raise ProvenByAttackError
        document = Document(
            title=asked.title, owner=asked.owner, dated=asked.dated, expires=asked.expires, sha256=asked.sha256
        )
        return _recorded(op, actions.attest(op, asked.claim, document), asked.claim)

    def withdraw(op: SystemOperation, asked: Withdraw) -> Answer:
        """Withdraw a document."""
        return _recorded(op, actions.withdraw(op, asked.claim), asked.claim)

    def annotate(op: SystemOperation, asked: Annotate) -> Answer:
        """Say something of a failure."""
        if asked.attack not in services.attacks:
            raise NothingFailedError(f"there is no attack {asked.attack!r}")
        if asked.number is not None:
            row = store.evidence(op.tx, asked.attack, asked.number)
            if row is None or row.evidence["outcome"] == "held":
                raise NothingFailedError
        leaf = actions.annotate(op, asked.attack, asked.number, asked.text)
        return _recorded(op, leaf, asked.attack)

    return [
        _route("POST /v1/attestations", attest, "File a dated document behind a claim", Permission.CLAIM_ATTEST,
               "claim.attested", takes=Attest, gives=Entry, creates=True),
        _route("GET /v1/attestations", list_attestations, "List the documents behind claims", Permission.CLAIM_ATTEST,
               "claim.attestations-listed", takes=PageQuery, gives=Listing[Entry]),
        _route("POST /v1/attestations/withdrawals", withdraw, "Withdraw the document behind a claim",
               Permission.CLAIM_ATTEST, "claim.attestation-withdrawn", takes=Withdraw, gives=Entry, creates=True),
        _route("POST /v1/annotations", annotate, "Say something of a failure, beside it and for good",
               Permission.CLAIM_ANNOTATE, "claim.annotated", takes=Annotate, gives=Entry, creates=True),
        _route("GET /v1/annotations", list_annotations, "List what was said of failures", Permission.CLAIM_ANNOTATE,
               "claim.annotations-listed", takes=PageQuery, gives=Listing[Entry]),
    ]  # fmt: skip


def list_attestations(op: SystemOperation, asked: PageQuery) -> Listing[Entry]:
    """List what stood and stands behind claims, the newest first."""
    rows = actions.attestations(op, asked.after(), asked.limit + 1)
    return listing(rows, asked, _entry, lambda row: row.leaf_id)


def list_annotations(op: SystemOperation, asked: PageQuery) -> Listing[Entry]:
    """List what was said of failures, the newest first."""
    rows = actions.notes(op, asked.after(), asked.limit + 1)
    return listing(rows, asked, _entry, lambda row: row.leaf_id)


def _recorded(op: SystemOperation, leaf: LeafId, subject: str) -> Answer:
    row = actions.recorded(op, leaf)
    return Answer(body=_entry(row), subject=str(leaf), detail={"about": subject})


def _entry(row: actions.EntryRow) -> Entry:
    return Entry(id=str(LeafId(row.leaf_id)), entry=row.document, recorded_at=row.recorded_at)


def _route(
    at: str,
    action: Any,
    summary: str,
    needs: Permission,
    audits: str,
    *,
    takes: type,
    gives: Any,
    creates: bool = False,
) -> Route:
    return Route(
        at=at, action=action, summary=summary, takes=takes, gives=gives, needs=needs, audits=audits,
        realm=Realm.OPERATOR, status=201 if creates else 200, creates=creates, tags=("claims",),
    )  # fmt: skip

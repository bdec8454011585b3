"""Requests: taken from the page, entered by the operator, refused or answered; each with its clock."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta

import msgspec

from heldtrue.capabilities.post.model import check_address
from heldtrue.capabilities.room import grants, letters, store
from heldtrue.capabilities.room.documents import listed, over
from heldtrue.capabilities.room.model import (
    MOST_ASKED,
    PURPOSE,
    Ask,
    AskDecidedError,
    Asker,
    AskKind,
    AskKindError,
    AskState,
    Channel,
    Decision,
    NoSuchAskError,
    NoSuchDocumentError,
    TooManyAsksError,
    due,
)
from heldtrue.capabilities.room.services import RoomServices, keyring, record
from heldtrue.capabilities.room.wire import AnswerAsk, AskView, GrantAsk, ListAsks, OpenAsk, RefuseAsk, TheAsk
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.db.tx import SystemTx
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.errors import BadInputError
from heldtrue.kernel.ids import AskId
from heldtrue.op import AuditEvent, SystemOperation

TABLE = "room_requests"


def take(
    services: RoomServices, op: SystemOperation, kind: AskKind, item: str | None, asker: Asker
) -> tuple[AskId, datetime]:
    """Take a stranger's request from the page; return its number, and until when it is answered.

    A document that is given by click-through is granted at once: its link goes to the address that was named.
    """
    digest = _hash(keyring(op), asker.mail)
    if store.asked_since(op.tx, digest, op.now - timedelta(days=1)) >= MOST_ASKED:
        raise TooManyAsksError(retry_after=timedelta(days=1).total_seconds())
    ask = _open(services, op, kind, item, asker, "page", op.now)
    record(op, AuditEvent(event="request.received", subject=str(AskId(ask.ask_id)), detail=_told(kind, item)))
    if item is not None and listed(op.tx, item).document.access == "click-through":
        grants.give(services, op, opened(op, ask), GrantAsk(ask_id=str(AskId(ask.ask_id))))
        record(op, AuditEvent(event="request.granted", subject=str(AskId(ask.ask_id)), detail=_told(kind, item)))
    else:
        letters.received(op, services.company, AskId(ask.ask_id), kind, asker.mail, ask.due_at)
        letters.waiting(op, services.company, AskId(ask.ask_id), kind, ask.due_at)
    return AskId(ask.ask_id), ask.due_at


def enter(services: RoomServices, op: SystemOperation, asked: OpenAsk) -> Answer:
    """Enter a request that came by mail or was told at the console; its clock starts when it came."""
    received_at = asked.received_at or op.now
    if received_at > op.now + timedelta(minutes=5):
        raise BadInputError("A request cannot have come in the future.")
    asker = Asker(name=asked.name, company=asked.company, mail=asked.mail, text=asked.text)
    ask = _open(services, op, asked.kind, asked.document, asker, asked.channel, min(received_at, op.now))
    return Answer(body=view(opened(op, ask), op.now), detail=_told(asked.kind, asked.document))


def _open(
    services: RoomServices,
    op: SystemOperation,
    kind: AskKind,
    item: str | None,
    asker: Asker,
    channel: Channel,
    received_at: datetime,
) -> store.AskRow:
    check_address(asker.mail)
    if (kind == "document") != (item is not None):
        raise BadInputError("A request for a document names it; a question names none.")
    if item is not None:
        document = listed(op.tx, item).document
        if document.level == "public":
            raise BadInputError("This document is for everybody.", advice=f"Read it at {services.url}/trust/documents.")
        if over(document, op.now):
            raise NoSuchDocumentError("The document has expired.")
    ring, ask = keyring(op), AskId.new(op.now, op.entropy)
    row = store.AskRow(
        ask_id=ask.value, kind=kind, item=item, state="open", channel=channel, mail_hash=_hash(ring, asker.mail),
        asker_sealed=ring.seal(PURPOSE, TABLE, "asker_sealed", str(ask.value), msgspec.json.encode(asker)),
        decision_sealed=None, received_at=received_at, due_at=due(received_at, services.company), decided_at=None,
    )  # fmt: skip
    store.add_ask(op.tx, row)
    return row


def list_asks(op: SystemOperation, asked: ListAsks) -> Listing[AskView]:
    """List requests, the newest first."""
    rows = store.asks(op.tx, asked.after(), asked.state, asked.limit + 1)
    return listing(rows, asked, lambda row: view(opened(op, row), op.now), lambda row: row.ask_id)


def get_ask(op: SystemOperation, asked: TheAsk) -> AskView:
    """Look at a request."""
    row = store.ask(op.tx, AskId.parse(asked.ask_id).value)
    if row is None:
        raise NoSuchAskError
    return view(opened(op, row), op.now)


def grant_ask(services: RoomServices, op: SystemOperation, asked: GrantAsk) -> Answer:
    """Grant a request for a document, also one that was refused before: its reader is sent the link."""
    ask = undecided(op, asked.ask_id, "open", "answered", "refused")
    if ask.kind != "document":
        raise AskKindError
    made = grants.give(services, op, ask, asked)
    return Answer(body=made, subject=asked.ask_id, detail={"grant": made.id, "document": made.document})


def refuse_ask(services: RoomServices, op: SystemOperation, asked: RefuseAsk) -> Answer:
    """Refuse a request, with the reason."""
    ask = undecided(op, asked.ask_id, "open", "answered")
    settle(op, ask, "refused", asked.reason)
    if ask.asker is not None:
        letters.refused(op, services.company, AskId(ask.id), ask.asker.mail, asked.reason)
    return Answer(body=get_ask(op, TheAsk(ask_id=asked.ask_id)), detail={"overdue": ask.overdue(op.now)})


def answer_ask(services: RoomServices, op: SystemOperation, asked: AnswerAsk) -> Answer:
    """Answer by mail, or record that it was answered in another way."""
    ask = undecided(op, asked.ask_id, "open")
    settle(op, ask, "answered", asked.text)
    if ask.asker is not None and not asked.elsewhere:
        letters.answered(op, services.company, AskId(ask.id), ask.kind, ask.asker.mail, asked.text)
    detail = {"overdue": ask.overdue(op.now), "elsewhere": asked.elsewhere}
    return Answer(body=get_ask(op, TheAsk(ask_id=asked.ask_id)), detail=detail)


def undecided(op: SystemOperation, ask_id: str, *states: AskState) -> Ask:
    """Return a request in one of *states*, and keep others from deciding it meanwhile."""
    row = store.ask(op.tx, AskId.parse(ask_id).value, lock=True)
    if row is None:
        raise NoSuchAskError
    if row.state not in states:
        raise AskDecidedError(f"The request was {row.state} already.")
    return opened(op, row)


def settle(op: SystemOperation, ask: Ask, state: AskState, text: str) -> None:
    """Write how a request was decided."""
    sealed = keyring(op).seal(
        PURPOSE, TABLE, "decision_sealed", str(ask.id), msgspec.json.encode(Decision(text=text))
    )  # fmt: skip
    store.decide(op.tx, ask.id, state, sealed, op.now)


def opened(op: SystemOperation, row: store.AskRow) -> Ask:
    """Return a request with what is sealed of it."""
    ring, place = keyring(op), str(row.ask_id)
    asker = decision = None
    if row.asker_sealed is not None:
        plain = ring.open(PURPOSE, TABLE, "asker_sealed", place, row.asker_sealed)
        asker = msgspec.json.decode(plain, type=Asker)
    if row.decision_sealed is not None:
        plain = ring.open(PURPOSE, TABLE, "decision_sealed", place, row.decision_sealed)
        decision = msgspec.json.decode(plain, type=Decision)
    return Ask(
        id=row.ask_id, kind=row.kind, item=row.item, state=row.state, channel=row.channel,
        received_at=row.received_at, due_at=row.due_at, decided_at=row.decided_at, asker=asker, decision=decision,
    )  # fmt: skip


def view(ask: Ask, now: datetime) -> AskView:
    """Return a request as the operator sees it."""
    who = ask.asker
    return AskView(
        id=str(AskId(ask.id)), kind=ask.kind, document=ask.item, state=ask.state, channel=ask.channel,
        received_at=ask.received_at, due_at=ask.due_at, overdue=ask.overdue(now), decided_at=ask.decided_at,
        name=who and who.name, company=who and who.company, mail=who and who.mail, text=who and who.text,
        decision=ask.decision and ask.decision.text,
    )  # fmt: skip


def standing(tx: SystemTx, now: datetime) -> store.AskCounts:
    """Return how many requests wait, and how many of them beyond their time."""
    return store.ask_counts(tx, now)


def _hash(ring: TenantKeyring, mail: str) -> bytes:
    return hmac.digest(ring.secret_for(PURPOSE).reveal(), mail.lower().encode(), "sha256")[:16]


def _told(kind: AskKind, item: str | None) -> dict[str, str | None]:
    return {"kind": kind, "document": item}

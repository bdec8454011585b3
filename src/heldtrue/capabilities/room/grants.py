"""Grants: given for a while, behind an unguessable link of which only the digest is kept; judged at every fetch."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from heldtrue.capabilities.ledger import actions as ledger
from heldtrue.capabilities.ledger.model import instant
from heldtrue.capabilities.registers import actions as registers
from heldtrue.capabilities.registers.model import Entry, UnknownItemError
from heldtrue.capabilities.room import documents, grant_store, letters, marking, store
from heldtrue.capabilities.room.documents import Fetched
from heldtrue.capabilities.room.grant_store import DownloadRow, GrantRow
from heldtrue.capabilities.room.kinds import AGREEMENT, AGREEMENTS, Agreement
from heldtrue.capabilities.room.model import (
    PURPOSE,
    AgreementChangedError,
    Ask,
    Asker,
    Decision,
    Grant,
    NoAgreementError,
    NoSuchGrantError,
    cut_off,
    ends,
)
from heldtrue.capabilities.room.services import RoomServices, keyring, record
from heldtrue.capabilities.room.wire import GrantAsk, GrantMade
from heldtrue.crypto import base62, tokens
from heldtrue.crypto.digest import sha256
from heldtrue.db.tx import SystemTx
from heldtrue.kernel.errors import DeniedError
from heldtrue.kernel.ids import AskId, DownloadId, GrantId
from heldtrue.kernel.secret import Secret
from heldtrue.op import AuditEvent, SystemOperation

TABLE = "room_grants"
LETTERS = 43
"""Of a link's token: 256 random bits in base62."""


def give(services: RoomServices, op: SystemOperation, ask: Ask, asked: GrantAsk) -> GrantMade:
    """Give the document that *ask* is about to its asker, and send the link."""
    if ask.item is None or ask.asker is None:
        raise NoSuchGrantError("The request names no document, or its asker was forgotten.")
    document = documents.listed(op.tx, ask.item).document
    needs_agreement = document.level == "nda"
    if needs_agreement:
        agreement(op.tx)
    end = ends(op.now, asked.days, asked.until, document.expires)
    token = base62.encode(int.from_bytes(op.entropy(32)), LETTERS)
    made = GrantId.new(op.now, op.entropy)
    sealed = keyring(op).seal(PURPOSE, TABLE, "reader_sealed", str(made.value), msgspec.json.encode(ask.asker))
    row = GrantRow(
        grant_id=made.value, ask_id=ask.id, item=ask.item, needs_agreement=needs_agreement, reader_sealed=sealed,
        created_at=op.now, expires_at=end, revoked_at=None, refusals=0, accepted_at=None, fetches=0,
    )  # fmt: skip
    grant_store.add_grant(op.tx, row, tokens.digest(token))
    text = Decision(text=asked.note)
    place = str(ask.id)
    store.decide(
        op.tx, ask.id, "granted",
        keyring(op).seal(PURPOSE, "room_requests", "decision_sealed", place, msgspec.json.encode(text)), op.now,
    )  # fmt: skip
    link = f"{services.url}/trust/documents/grants/{token}"
    letters.granted(op, services.company, AskId(ask.id), document, ask.asker.mail, link, end, asked.note)
    return GrantMade(
        id=str(made), ask_id=str(AskId(ask.id)), document=ask.item, expires_at=end, link=Secret(link)
    )  # fmt: skip


def behind(op: SystemOperation, token: str, *, lock: bool = False) -> Grant:
    """Return the grant behind a link; raise `NoSuchGrantError`."""
    row = None
    if len(token) == LETTERS and token.isascii() and token.isalnum():
        row = grant_store.grant_of_link(op.tx, tokens.digest(token), lock=lock)
    if row is None:
        raise NoSuchGrantError
    return _as_it_stands(op, opened(op, row))


def _as_it_stands(op: SystemOperation, grant: Grant) -> Grant:
    """Return a grant under the terms of its document now: an agreement or an end that came later binds it too."""
    if grant.revoked_at is not None or op.now >= grant.expires_at:
        return grant
    document = documents.listed(op.tx, grant.item).document
    return replace(
        grant,
        needs_agreement=grant.needs_agreement or document.level == "nda",
        expires_at=cut_off(grant.expires_at, document.expires),
    )


def fetch(services: RoomServices, token: str) -> Fetched:
    """Return the reader's own copy of a document, and record who got which; raise what says why it is not given.

    A refused fetch is counted with its grant: it leaves no entry, so that nobody makes the log grow by trying.
    """
    with services.strangers() as op:
        grant = behind(op, token, lock=True)
        refusal = _refusal(op, grant)
        if refusal is None:
            return _hand_out(services, op, grant)
        grant_store.count_refusal(op.tx, grant.id)
    raise refusal


def _refusal(op: SystemOperation, grant: Grant) -> DeniedError | None:
    try:
        grant.judge_fetch(op.now)
    except DeniedError as error:
        return error
    return None


def _hand_out(services: RoomServices, op: SystemOperation, grant: Grant) -> Fetched:
    document = documents.listed(op.tx, grant.item).document
    content = documents.newest_content(services, op, grant.item, document)
    download = DownloadId.new(op.now, op.entropy)
    who = grant.reader or Asker(name="", company="", mail="")
    mark = marking.Mark(
        reader=who.name, company=who.company, mail=who.mail, day=op.now.date(), grant=GrantId(grant.id),
        download=download,
    )  # fmt: skip
    name = documents.file_name(grant.item, document)
    copy, name = marking.marked(content, document.marking, mark, name)
    grant_store.add_download(
        op.tx,
        DownloadRow(
            download_id=download.value, grant_id=grant.id, item=grant.item, version=document.version,
            marking=document.marking, size=len(copy), sha256=sha256(copy), at=op.now,
        ),
    )  # fmt: skip
    detail = {
        "grant": str(GrantId(grant.id)), "document": grant.item, "version": document.version, "size": len(copy),
    }  # fmt: skip
    record(op, AuditEvent(event="document.fetched", subject=str(download), detail=detail))
    kind = "application/zip" if document.marking == "cover-note" else document.content_type
    return Fetched(content=copy, content_type=kind, name=name)


def agreement(tx: SystemTx) -> Entry[Agreement]:
    """Return the text of the non-disclosure agreement that is in force; raise `NoAgreementError`."""
    try:
        return registers.one(tx, AGREEMENTS, AGREEMENT)
    except UnknownItemError as error:
        raise NoAgreementError from error


def accept(services: RoomServices, op: SystemOperation, token: str, version: int, name: str, company: str) -> Grant:
    """Record that the reader behind a link accepts the agreement; the link proves that the mail reached them.

    Accepting again changes nothing.
    """
    grant = behind(op, token, lock=True)
    grant.judge(op.now)
    if not grant.needs_agreement or grant.accepted_at is not None:
        return grant
    text = agreement(op.tx)
    if text.version != version:
        raise AgreementChangedError
    mail = grant.reader.mail if grant.reader is not None else ""
    document = {
        "v": 1, "kind": "agreement", "grant": str(GrantId(grant.id)), "document": grant.item, "agreement": text.item,
        "version": text.version, "text_sha256": text.document.digest(), "name": name, "company": company,
        "mail": mail, "at": instant(op.now),
    }  # fmt: skip
    leaf, packed = ledger.append_committed(op.tx, document, op.now, op.entropy)
    sealed = keyring(op).seal(PURPOSE, "room_acceptances", "accepted_sealed", str(grant.id), packed)
    grant_store.accept(
        op.tx, grant.id, text.item, text.version, bytes.fromhex(text.document.digest()), sealed, leaf.value, op.now
    )
    record(op, AuditEvent(event="agreement.accepted", subject=str(GrantId(grant.id)), detail={"version": version}))
    letters.accepted(op, services.company, AskId(grant.ask), text.document, text.version, mail)
    return behind(op, token)


def opened(op: SystemOperation, row: GrantRow) -> Grant:
    """Return a grant with what is sealed of it."""
    reader = None
    if row.reader_sealed is not None:
        plain = keyring(op).open(PURPOSE, TABLE, "reader_sealed", str(row.grant_id), row.reader_sealed)
        reader = msgspec.json.decode(plain, type=Asker)
    return Grant(
        id=row.grant_id, ask=row.ask_id, item=row.item, needs_agreement=row.needs_agreement,
        accepted_at=row.accepted_at, created_at=row.created_at, expires_at=row.expires_at, revoked_at=row.revoked_at,
        fetches=row.fetches, refusals=row.refusals, reader=reader,
    )  # fmt: skip

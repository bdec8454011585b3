"""Give a mail into the queue, in its cause's own transaction; and what the operator does with the queue."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime
from functools import partial

import msgspec

from heldtrue.capabilities.post import model, store
from heldtrue.capabilities.post.model import (
    KEPT,
    PURPOSE,
    TABLE,
    Draft,
    ListMails,
    MailNotFailedError,
    MailView,
    NoSuchMailError,
    SendTest,
    TheMail,
)
from heldtrue.capabilities.tenants.actions import operator_in
from heldtrue.capabilities.tenants.model import OPERATOR_ENVIRONMENT
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.db.tx import SystemTx
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.errors import UnavailableError
from heldtrue.kernel.ids import Entropy, MailId, TenantId
from heldtrue.op import SystemOperation

KeysOf = Callable[[TenantId, str], TenantKeyring]
"""As `SystemOperation.keys_of`."""


class NoOperatorError(UnavailableError):
    """The instance has not finished its first start; try again in a moment."""

    code = "no-operator"


def enqueue(
    tx: SystemTx,
    *,
    keys: KeysOf,
    to: str,
    subject: str,
    text: str,
    about: str,
    now: datetime,
    entropy: Entropy,
    html: str | None = None,
    unsubscribe: str | None = None,
) -> MailId:
    """Give a mail into the queue, to be sent once *tx* is committed and never when it is not.

    *keys*: `op.keys_of`. *about*: what caused it, words and ids as `notice.advance:acme`; it stays in clear, so nothing
    of a person belongs in it. *unsubscribe*: an https URL that a POST unsubscribes at. Raise `MailAddressError` or
    `MailTextError` for what cannot be in a mail.
    """
    draft = model.draft(to=to, subject=subject, text=text, html=html, unsubscribe=unsubscribe)
    mail = MailId.new(now, entropy)
    ring = keyring(tx, keys)
    store.insert(tx, mail.value, about, _hash(ring, to), _seal(ring, mail, draft), now)
    return mail


def sent_since(tx: SystemTx, *, keys: KeysOf, to: str, about: str, since: datetime) -> int:
    """Return how many mails whose cause begins with *about* the address *to* was given since then: to bound them."""
    return store.sent_since(tx, _hash(keyring(tx, keys), to), about, since)


def list_mails(sends: bool, op: SystemOperation, asked: ListMails) -> Listing[MailView]:
    """List mails, the newest first."""
    rows = store.page(op.tx, asked.after(), asked.state, asked.limit + 1)
    ring = keyring(op.tx, op.keys_of)
    return listing(rows, asked, partial(_view, ring, sends), lambda row: row.mail_id)


def retry_mail(sends: bool, op: SystemOperation, asked: TheMail) -> MailView:
    """Send a mail again that failed for good; it is composed anew, with the settings of now."""
    mail = MailId.parse(asked.mail_id)
    if store.get(op.tx, mail.value) is None:
        raise NoSuchMailError
    if not store.retry(op.tx, mail.value, op.now):
        raise MailNotFailedError
    return _shown(op, mail, sends)


def send_test(sends: bool, op: SystemOperation, asked: SendTest) -> Answer:
    """Send a test mail."""
    mail = enqueue(
        op.tx, keys=op.keys_of, to=asked.to, subject="A test of mail from this instance", about="post.test", now=op.now,
        entropy=op.entropy, text="This mail was asked for with `heldtrue post test`. That it came is all it says.",
    )  # fmt: skip
    return Answer(body=_shown(op, mail, sends))


def get_mail(sends: bool, op: SystemOperation, asked: TheMail) -> MailView:
    """Look at a mail."""
    return _shown(op, MailId.parse(asked.mail_id), sends)


def keyring(tx: SystemTx, keys: KeysOf) -> TenantKeyring:
    """Return the operator's own keys, which seal what belongs to no organisation."""
    return keys(operator_known(tx), OPERATOR_ENVIRONMENT)


def operator_known(tx: SystemTx) -> TenantId:
    """Return the operator's organisation; raise `NoOperatorError` before it exists."""
    operator = operator_in(tx)
    if operator is None:
        raise NoOperatorError
    return operator


def forget(tx: SystemTx, now: datetime) -> int:
    """Forget mails that were settled long ago; return how many."""
    return store.forget(tx, now - KEPT)


def standing(tx: SystemTx) -> store.Counts:
    """Return how many mails wait since when, and how many failed for good."""
    return store.counts(tx)


def opened(ring: TenantKeyring, mail: MailId, sealed: bytes) -> Draft:
    """Return what is sealed of a mail."""
    return msgspec.json.decode(ring.open(PURPOSE, TABLE, "draft_sealed", str(mail.value), sealed), type=Draft)


def _seal(ring: TenantKeyring, mail: MailId, value: Draft) -> bytes:
    return ring.seal(PURPOSE, TABLE, "draft_sealed", str(mail.value), msgspec.json.encode(value))


def sent_draft(ring: TenantKeyring, mail: MailId, draft: Draft) -> bytes:
    """Return what is kept of a mail that was sent: whom it went to and its subject, no text and no link."""
    return _seal(ring, mail, Draft(to=draft.to, subject=draft.subject))


def _hash(ring: TenantKeyring, to: str) -> bytes:
    """Return the keyed hash that mails to one recipient share."""
    return hmac.digest(ring.secret_for(PURPOSE).reveal(), to.lower().encode(), "sha256")[:16]


def _shown(op: SystemOperation, mail: MailId, sends: bool) -> MailView:
    row = store.get(op.tx, mail.value)
    if row is None:
        raise NoSuchMailError
    return _view(keyring(op.tx, op.keys_of), sends, row)


def _view(ring: TenantKeyring, sends: bool, row: store.MailRow) -> MailView:
    mail = MailId(row.mail_id)
    draft = opened(ring, mail, row.draft_sealed)
    reply = None
    if row.reply_sealed is not None:
        reply = ring.open(PURPOSE, TABLE, "reply_sealed", str(mail.value), row.reply_sealed).decode()
    return MailView(
        id=str(mail), about=row.about, to=draft.to, subject=draft.subject, state=row.state, attempts=row.attempts,
        created_at=row.created_at, due_at=row.due_at, settled_at=row.settled_at, failure=row.failure,
        status=row.status, reply=reply, sends=sends,
    )  # fmt: skip

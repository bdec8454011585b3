"""Readers who want to be told of notices by mail: double opt-in, and one click to leave.

Links are keyed, not stored: they say whose they are and carry an HMAC over it. Whoever leaves is forgotten at once.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from heldtrue.capabilities.post import actions as post
from heldtrue.capabilities.registers import actions, subprocessors
from heldtrue.capabilities.registers.kinds import SUB_PROCESSORS
from heldtrue.capabilities.registers.subprocessors import Event, Notice
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.db.tx import SystemTx
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import Entropy, SubscriberId

PURPOSE = "subscribers"
_TABLE, _COLUMN = "subscribers", "address_sealed"
UNCONFIRMED = timedelta(days=7)
"""How long the link to confirm works; after that the address is forgotten."""
ASKS_A_DAY = 3
"""Mails to confirm that one address gets in a day, however often somebody asks for it."""
ABOUT = "sub-processors"
_TOLD = frozenset({Event.ANNOUNCED, Event.CHANGE_ANNOUNCED, Event.REMOVED, Event.ACTIVE, Event.CHANGED})


class BadLinkError(NotFoundError):
    """The link is not one of ours, is too old, or its subscription has ended; subscribe again where you like."""

    code = "bad-link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What telling readers needs, within one transaction."""

    tx: SystemTx
    keys: post.KeysOf
    now: datetime
    entropy: Entropy
    url: str
    """Where the pages are, without a trailing slash."""
    company: str

    def ring(self) -> TenantKeyring:
        """Return the operator's own keys."""
        return post.keyring(self.tx, self.keys)

    def link(self, subscriber: UUID) -> str:
        """Return the address at which a subscription is confirmed and ended."""
        return f"{self.url}/trust/sub-processors/subscription/{_token(self.ring(), subscriber)}"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A reader; the address stays sealed until a mail is written."""

    subscriber_id: UUID
    address_sealed: bytes
    asked_at: datetime
    confirmed_at: datetime | None
    told_until: datetime


def subscribe(office: Office, address: str) -> None:
    """Ask *address* by mail whether it wants to be told; say nothing of whether it is known already."""
    ring, tx = office.ring(), office.tx
    about = f"{ABOUT}.confirm"
    digest = hmac.digest(ring.secret_for(PURPOSE).reveal(), b"address\0" + address.strip().lower().encode(), "sha256")
    tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('heldtrue.subscribers', 0))")
    known = tx.one(
        Subscription,
        """SELECT subscriber_id, address_sealed, asked_at, confirmed_at, told_until FROM heldtrue.subscribers
           WHERE address_hash = %s""",
        (digest,),
    )
    if known is not None and known.confirmed_at is not None:
        return
    since = office.now - timedelta(days=1)
    if post.sent_since(tx, keys=office.keys, to=address, about=about, since=since) >= ASKS_A_DAY:
        return
    if known is None:
        subscriber = SubscriberId.new(office.now, office.entropy).value
        sealed = ring.seal(PURPOSE, _TABLE, _COLUMN, str(subscriber), address.strip().encode())
        tx.execute(
            """INSERT INTO heldtrue.subscribers (subscriber_id, address_sealed, address_hash, asked_at, told_until)
               VALUES (%s, %s, %s, %s, %s)""",
            (subscriber, sealed, digest, office.now, office.now),
        )
    else:
        subscriber = known.subscriber_id
        tx.execute(
            "UPDATE heldtrue.subscribers SET asked_at = %s, told_until = %s WHERE subscriber_id = %s",
            (office.now, office.now, subscriber),
        )
    text = (
        f"Somebody asked that this address be told of changes to {office.company}'s list of sub-processors.\n\n"
        f"If it was you, confirm here within seven days:\n{office.link(subscriber)}\n\n"
        "If it was not, do nothing: no further mail will come, and the address will be forgotten.\n"
    )
    post.enqueue(
        tx, keys=office.keys, to=address.strip(), subject="Please confirm: changes to the list of sub-processors",
        text=text, about=about, now=office.now, entropy=office.entropy,
    )  # fmt: skip


def confirmed(office: Office, token: str) -> bool:
    """Return whether the subscription of a link is confirmed; raise `BadLinkError` where there is none."""
    return _of_link(office, token).confirmed_at is not None


def confirm(office: Office, token: str) -> None:
    """Tell the reader of this link from now on."""
    found = _of_link(office, token)
    if found.confirmed_at is None:
        office.tx.execute(
            "UPDATE heldtrue.subscribers SET confirmed_at = %s, told_until = %s WHERE subscriber_id = %s",
            (office.now, office.now, found.subscriber_id),
        )


def leave(office: Office, token: str) -> None:
    """Forget the reader of this link; leaving twice is leaving."""
    office.tx.execute(
        """UPDATE heldtrue.subscribers SET address_sealed = NULL, address_hash = NULL, left_at = %s
           WHERE subscriber_id = %s AND left_at IS NULL""",
        (office.now, _whose(office.ring(), token)),
    )


def tell(office: Office) -> int:
    """Queue what each confirmed reader has not been told yet; return how many mails. Called by the worker."""
    office.tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('heldtrue.subscribers', 0))")
    news = [
        notice for notice in subprocessors.notices(actions.changes(office.tx, SUB_PROCESSORS)) if notice.event in _TOLD
    ]
    if not news:
        return 0
    newest = max(notice.at for notice in news)
    readers = office.tx.many(
        Subscription,
        """SELECT subscriber_id, address_sealed, asked_at, confirmed_at, told_until FROM heldtrue.subscribers
           WHERE left_at IS NULL AND confirmed_at IS NOT NULL AND told_until < %s ORDER BY subscriber_id""",
        (newest,),
    )
    for reader in readers:
        _write(office, reader, [notice for notice in reversed(news) if notice.at > reader.told_until])
    office.tx.execute(
        "UPDATE heldtrue.subscribers SET told_until = %s WHERE left_at IS NULL AND confirmed_at IS NOT NULL"
        " AND told_until < %s",
        (newest, newest),
    )
    return len(readers)


def forget_unconfirmed(tx: SystemTx, now: datetime) -> int:
    """Forget addresses that were never confirmed; return how many."""
    return tx.execute(
        "DELETE FROM heldtrue.subscribers WHERE confirmed_at IS NULL AND left_at IS NULL AND asked_at < %s",
        (now - UNCONFIRMED,),
    )


def count(tx: SystemTx) -> int:
    """Return how many readers are told by mail."""
    return tx.value("SELECT count(*) FROM heldtrue.subscribers WHERE left_at IS NULL AND confirmed_at IS NOT NULL")


def sentence(notice: Notice) -> str:
    """Return a notice as one says it."""
    purpose = f"for {notice.terms.purpose} in {', '.join(notice.terms.location)}"
    match notice.event:
        case Event.ANNOUNCED:
            start = subprocessors.shown(notice.at + subprocessors.NOTICE)
            return f"{notice.name} is to be a sub-processor {purpose}, not before {start}."
        case Event.CHANGE_ANNOUNCED:
            start = subprocessors.shown(notice.at + subprocessors.NOTICE)
            return f"The terms of {notice.name} are to change: {purpose}, not before {start}."
        case Event.ACTIVE:
            return f"{notice.name} is a sub-processor now, {purpose}."
        case Event.CHANGED:
            return f"The terms of {notice.name} have changed: {purpose}."
        case Event.LISTED:
            return f"{notice.name} is listed as a sub-processor, {purpose}."
        case Event.REMOVED:
            return f"{notice.name} is no sub-processor any more: {notice.reason}"


def _write(office: Office, reader: Subscription, news: Sequence[Notice]) -> None:
    ring = office.ring()
    address = ring.open(PURPOSE, _TABLE, _COLUMN, str(reader.subscriber_id), reader.address_sealed).decode()
    link = office.link(reader.subscriber_id)
    lines = "\n".join(f"- {sentence(notice)}" for notice in news)
    text = (
        f"{office.company}'s list of sub-processors has changed:\n\n{lines}\n\n"
        f"The list, its history and the feeds: {office.url}/trust/sub-processors\n"
        "Customers may object: POST /v1/objections, or write to the contact that the list names.\n\n"
        f"To be told no more: {link}\n"
    )
    post.enqueue(
        office.tx, keys=office.keys, to=address, subject=f"{office.company}: the list of sub-processors has changed",
        text=text, about=f"{ABOUT}.notice", now=office.now, entropy=office.entropy, unsubscribe=link,
    )  # fmt: skip


def _of_link(office: Office, token: str) -> Subscription:
    found = office.tx.one(
        Subscription,
        """SELECT subscriber_id, address_sealed, asked_at, confirmed_at, told_until FROM heldtrue.subscribers
           WHERE subscriber_id = %s AND left_at IS NULL""",
        (_whose(office.ring(), token),),
    )
    if found is None or (found.confirmed_at is None and office.now - found.asked_at > UNCONFIRMED):
        raise BadLinkError
    return found


def _token(ring: TenantKeyring, subscriber: UUID) -> str:
    mac = hmac.digest(ring.secret_for(PURPOSE).reveal(), b"link\0" + subscriber.bytes, "sha256")[:20]
    return (subscriber.bytes + mac).hex()


def _whose(ring: TenantKeyring, token: str) -> UUID:
    """Return whose link it is; raise `BadLinkError` for one that we did not make."""
    try:
        raw = bytes.fromhex(token)
    except ValueError as error:
        raise BadLinkError from error
    if len(raw) != 36 or not hmac.compare_digest(_token(ring, UUID(bytes=raw[:16])), token):
        raise BadLinkError
    return UUID(bytes=raw[:16])

"""Mails as they wait, what may be said in one, and when a failed one is tried again; no SQL, no network."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.errors import BadInputError, ConflictError, NotFoundError
from heldtrue.kernel.ids import Entropy

PURPOSE = "post"
"""The purpose of the operator's key that mails are sealed under."""
TABLE = "post_mails"
LONGEST_TEXT = 256 * 1024
LONGEST_SUBJECT = 250
LONGEST_URL = 800
KEPT = timedelta(days=30)
"""How long a settled mail stays in the list."""

State = Literal["waiting", "sent", "failed"]
Failure = Literal["connect", "timeout", "no-tls", "certificate", "tls", "sign-in", "refused", "deferred", "protocol"]

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=[^@]{{1,64}}@){_LOCAL}@(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})+\Z")
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"})

DELAYS: tuple[timedelta, ...] = (
    timedelta(),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=12),
    timedelta(hours=24),
    timedelta(hours=24),
    timedelta(hours=24),
)
"""The wait before each try, counted from the end of the one before: about four days in all (RFC 5321, 4.5.4.1)."""
JITTER = 0.1


class MailAddressError(BadInputError):
    """It is no mail address that can be written to; send `name@example.com`, other scripts' domains as xn--."""

    code = "mail-address"


class MailTextError(BadInputError):
    """A mail's subject is one line of printable characters, and its text has a bounded length; shorten or clean it."""

    code = "mail-text"


class NoSuchMailError(NotFoundError):
    """There is no such mail; settled ones are listed for 30 days."""

    code = "no-such-mail"


class MailNotFailedError(ConflictError):
    """Only a mail that failed for good is sent again by hand; this one was sent, or is still being tried."""

    code = "mail-not-failed"


class Draft(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is sealed of a mail; its texts are left out once it is sent."""

    to: str
    subject: str
    text: str = ""
    html: str | None = None
    unsubscribe: str | None = None
    """An https URL that a POST unsubscribes at (RFC 8058)."""


class ListMails(PageQuery, frozen=True, kw_only=True):
    """Which mails are asked for."""

    state: State | None = None


class TheMail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a mail."""

    mail_id: str


class SendTest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a test mail."""

    to: Annotated[str, msgspec.Meta(min_length=3, max_length=320, description="Whom it goes to.")]


class MailView(msgspec.Struct, frozen=True, kw_only=True):
    """A mail as the operator sees it; its text is never shown, because it may hold somebody's link."""

    id: str
    about: str
    """What caused it."""
    to: str
    subject: str
    state: State
    attempts: int
    created_at: datetime
    due_at: datetime | None
    """When it is tried next."""
    settled_at: datetime | None
    failure: str | None
    """The word for what went wrong at the last attempt."""
    status: int | None
    """What the server answered last (RFC 5321, section 4.2)."""
    reply: str | None
    sends: bool
    """False: this instance has no [post] section, so the mail waits."""


def draft(*, to: str, subject: str, text: str, html: str | None, unsubscribe: str | None) -> Draft:
    """Return a draft; raise `MailAddressError` or `MailTextError` for what must not be in a mail."""
    check_address(to)
    if not subject.strip() or len(subject) > LONGEST_SUBJECT or not one_line(subject):
        raise MailTextError(f"The subject must be one line of 1 to {LONGEST_SUBJECT} printable characters.")
    if len(text) > LONGEST_TEXT or len(html or "") > LONGEST_TEXT or "\0" in text:
        raise MailTextError(f"The text is over {LONGEST_TEXT} characters, or has a NUL in it.")
    if unsubscribe is not None and not _is_link(unsubscribe):
        raise MailTextError("The place to unsubscribe at must be an https URL.")
    return Draft(to=to, subject=subject, text=text, html=html, unsubscribe=unsubscribe)


def check_address(address: str) -> str:
    """Return *address* when it is one that a header and an envelope take as it is; raise `MailAddressError`."""
    if not address.isascii() or not _ADDRESS.fullmatch(address):
        raise MailAddressError(f"{address[:100]!r} is no mail address")
    return address


def one_line(text: str) -> bool:
    """Return whether *text* has nothing in it that ends a line, hides or reorders what stands beside it."""
    return not any(unicodedata.category(character) in _UNPRINTABLE for character in text)


def next_try(tries: int, now: datetime, entropy: Entropy) -> datetime | None:
    """Return when a mail that failed *tries* times is due again; None when its tries are used up."""
    if tries >= len(DELAYS):
        return None
    return now + DELAYS[tries] * (1 + JITTER * int.from_bytes(entropy(4)) / 2**32)


def _is_link(url: str) -> bool:
    if (
        len(url) > LONGEST_URL
        or not url.isascii()
        or not url.isprintable()
        or any(character in url for character in ' <>,"\\')
    ):
        return False
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.hostname) and parts.username is None

"""A mail that was saved to a file, as a request: who asked, in which words, and when our mail server took it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parseaddr, parsedate_to_datetime
from pathlib import Path

from heldtrue.kernel.errors import BadInputError

LARGEST = 25 * 1024 * 1024
LONGEST = 4000
"""Characters that a request keeps of what was written."""
CUT = "\n[cut: the rest is in the mail]"


class UnreadableMailError(BadInputError):
    """The file is no mail with one author; save it as .eml, or say --mail, --name, --text and --received instead."""

    code = "unreadable-mail"


@dataclass(frozen=True, slots=True)
class SavedMail:
    """What a mail says. Nobody has proven who wrote it: a link that is granted goes to the address, and proves it."""

    mail: str
    name: str
    text: str
    received: datetime | None
    """When the last server took it, which is ours; None where no server says so: the author's own date counts not."""


def read_mail(file: Path) -> SavedMail:
    """Return what the mail in *file* says; raise `UnreadableMailError`."""
    try:
        if file.stat().st_size > LARGEST:
            raise UnreadableMailError(f"{file} is over {LARGEST} bytes")
        return _read(message_from_bytes(file.read_bytes(), policy=policy.default), file)
    except (OSError, LookupError, ValueError, RecursionError) as error:
        raise UnreadableMailError(f"{file} cannot be read as a mail: {error}") from error


def _read(message: EmailMessage, file: Path) -> SavedMail:
    authors = [str(one) for one in message.get_all("From", [])]
    name, mail = parseaddr(authors[0]) if len(authors) == 1 else ("", "")
    if "@" not in mail or not mail.isprintable():
        raise UnreadableMailError(f"{file} names no author")
    subject, body = str(message.get("Subject", "")).strip(), message.get_body(("plain",))
    text = str(body.get_content()) if body is not None else ""
    told = f"{subject}\n\n{text.strip()}".strip()
    if len(told) > LONGEST:
        told = told[: LONGEST - len(CUT)] + CUT
    return SavedMail(mail, (name or mail)[:200], told, _received(message))


def _received(message: EmailMessage) -> datetime | None:
    """Return the moment in the topmost `Received` (RFC 5321, section 4.4): the one that our own server wrote."""
    lines = [str(one) for one in message.get_all("Received", [])]
    if not lines:
        return None
    at = parsedate_to_datetime(lines[0].rpartition(";")[2].strip())
    return at if at.tzinfo is not None else None

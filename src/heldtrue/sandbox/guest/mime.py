"""Read a mail into its texts and attachments (RFC 5322, RFC 2045 to 2049): bounded, and without unpacking anything.

`fast_mail_parser` first. What it refuses, or could read only with losses, goes to the standard library's parser with
`policy.compat32`; never with `policy.default`, which parses every header eagerly and exhausts memory on made input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any

import fast_mail_parser
from fast_mail_parser import ParseError

from .charsets import text_of, words
from .prescan import MAX_FIELD, MAX_PARTS, Scanned

MAX_DECODED = 48 * 1024 * 1024
"""Bytes of all parts after decoding."""
MAX_TEXT = 2 * 1024 * 1024
"""Characters of the joined text, and of the joined HTML."""
MAX_ATTACHMENTS = 100
MAX_ADDRESSES = 200


@dataclass(slots=True)
class Found:
    """An attachment of a mail, decoded."""

    name: str | None
    declared_type: str
    data: bytes | None
    """None where the cap on decoded bytes was reached before it."""
    cid: str | None
    inline: bool


@dataclass(slots=True)
class Body:
    """What a mail's body holds."""

    plain: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    attachments: list[Found] = field(default_factory=list)
    budget: int = MAX_DECODED

    def attach(self, found: Found, problems: set[str]) -> None:
        """Keep an attachment within the caps."""
        if len(self.attachments) >= MAX_ATTACHMENTS:
            problems.add("attachment-count")
            return
        if found.data is not None:
            self.budget -= len(found.data)
            if self.budget < 0:
                problems.add("decoded-size")
                found.data = None
        self.attachments.append(found)


def read(scanned: Scanned) -> Body:
    """Return the texts and attachments of a mail that was looked at; add words to its problems."""
    try:
        body = _fast(scanned)
    except ParseError:
        body = None
    if body is None:
        scanned.problems.add("lenient")
        body = _lenient(scanned)
    return body


def _fast(scanned: Scanned) -> Body | None:
    """Return the body by the fast parser, or None where it had to guess."""
    mail = fast_mail_parser.parse_email(scanned.parseable, mode="lazy")
    kinds = {warning.kind for warning in mail.warnings}
    if "charset-fallback" in kinds or any(_misread(text) for text in (*mail.text_plain, *mail.text_html)):
        return None
    if "transfer-decode-lossy" in kinds:
        scanned.problems.add("bad-encoding")
    declared = (scanned.first("content-type") or "").lower()
    if declared.startswith("multipart/") and not (mail.text_plain or mail.text_html or mail.attachments):
        return None
    body = Body(plain=list(mail.text_plain), html=list(mail.text_html))
    for part in mail.attachments:
        small = part.encoded_size <= body.budget
        if not small:
            scanned.problems.add("decoded-size")
        body.attach(
            Found(
                words(part.filename, scanned.problems) or None,
                part.mimetype.lower(),
                part.content if small else None,
                part.content_id,
                part.disposition == "inline" or (part.disposition is None and part.content_id is not None),
            ),
            scanned.problems,
        )
    return body


def _misread(text: str) -> bool:
    """Return whether a text may have been decoded wrongly: where no charset is named, Windows-1252 is assumed."""
    if text.isascii():
        return False
    if re.search("[\ufffd\x80-\x9f]", text):
        return True
    try:
        text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return False
    return True


def _lenient(scanned: Scanned) -> Body:
    """Return the body by the standard library's parser, decoding what can be decoded."""
    body, problems = Body(), scanned.problems
    root = message_from_bytes(scanned.parseable, policy=policy.compat32)
    for count, part in enumerate(_leaves(root)):
        if count >= MAX_PARTS:
            problems.add("part-count")
            break
        if part.defects:
            problems.add("malformed-mime")
        _take(part, body, problems)
    return body


def _leaves(root: Message) -> Iterator[Message]:
    """Yield the parts that hold something, in order; a mail within the mail is one of them."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        inner = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(inner, list):
            waiting.extend(reversed([one for one in inner if isinstance(one, Message)]))
        else:
            yield part


def _take(part: Message, body: Body, problems: set[str]) -> None:
    for name, value in part.items():
        if len(str(value)) > MAX_FIELD:
            problems.add("field-size")
            part.replace_header(name, str(value)[:MAX_FIELD])
    kind, disposition = part.get_content_type().lower(), part.get_content_disposition()
    data = _bytes(part, problems)
    if disposition != "attachment" and (kind in {"text/plain", "text/html"} or kind.startswith("multipart/")):
        texts = body.html if kind == "text/html" else body.plain
        texts.append(text_of(data[: 4 * MAX_TEXT], _parameter(part.get_param("charset")), problems))
        return
    cid = _parameter(part.get("content-id"))
    body.attach(
        Found(
            words(part.get_filename() or "", problems) or None,
            kind,
            data,
            cid.strip().strip("<>") if cid else None,
            disposition == "inline" or (disposition is None and cid is not None),
        ),
        problems,
    )


def _bytes(part: Message, problems: set[str]) -> bytes:
    """Return a part's bytes; those of a mail within the mail are written anew by the parser."""
    inner: Any = part.get_payload()
    if isinstance(inner, list):
        problems.add("rewritten")
        return b"\r\n".join(one.as_bytes() for one in inner if isinstance(one, Message))
    known = len(part.defects)
    data: Any = part.get_payload(decode=True)
    if len(part.defects) > known:
        problems.add("bad-encoding")
    return data if isinstance(data, bytes) else b""


def _parameter(value: Any) -> str | None:
    """Return a header value or parameter as text; of an RFC 2231 value its text."""
    if value is None:
        return None
    return str(value[2] if isinstance(value, tuple) else value)[:1000]


def joined(texts: list[str], word: str, problems: set[str]) -> str | None:
    """Return the texts as one with LF line ends, capped; None where there is none."""
    if not texts:
        return None
    whole = "\n".join(text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") for text in texts if text)
    if len(whole) > MAX_TEXT:
        problems.add(word)
        whole = whole[:MAX_TEXT]
    return clean(whole, problems)


def clean(text: str, problems: set[str]) -> str:
    """Return *text* as JSON and PostgreSQL can hold it: no NUL, no lone surrogate."""
    if "\0" in text:
        problems.add("nul")
        text = text.replace("\0", "\ufffd")
    return text.encode("utf-8", "replace").decode("utf-8")


def addresses(value: str | None, problems: set[str]) -> list[dict[str, str | None]]:
    """Return the mailboxes of an address field, groups flattened (RFC 5322, section 3.4)."""
    if not value:
        return []
    mail = fast_mail_parser.parse_email(b"To: " + value.encode("utf-8", "replace") + b"\r\n\r\n", mode="lazy")
    if not mail.to:
        problems.add("address-malformed")
    if len(mail.to) > MAX_ADDRESSES:
        problems.add("address-count")
    return [
        {
            "name": clean(words(one.display_name, problems), problems) if one.display_name else None,
            "address": clean(one.address, problems),
        }
        for one in mail.to[:MAX_ADDRESSES]
    ]


def moment(value: str | None, problems: set[str]) -> str | None:
    """Return a Date field as RFC 3339 in UTC, or None where it is none."""
    if not value:
        return None
    try:
        found = parsedate_to_datetime(value[:200])
        at = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        problems.add("date-malformed")
        return None
    return datetime.isoformat(at, timespec="seconds").replace("+00:00", "Z")

"""Turn whatever came into one JSON shape: mail, JSON, text, forms, multipart and any binary (docs/spec/message.md).

Runs inside the sandbox, before the customer's code: the standard library and fast_mail_parser only. What was capped,
malformed or suspicious is never an error here but a word in `problems`, because the payload was accepted already.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from email.message import Message
from typing import Any
from urllib.parse import unquote_to_bytes

from . import mime
from .charsets import text_of, words
from .files import NAME, TYPE, File
from .kinds import EXECUTABLE, clean_name, kind_of
from .prescan import scan

VERSION = 1
MAX_JSON = 8 * 1024 * 1024
MAX_JSON_DEPTH = 128
MAX_FORM_FIELDS = 1_000
MAX_KEPT_HEADERS = 200
MAX_KEPT_VALUE = 4_000
"""Characters of a header's value that are kept in `headers`."""
RAW, BODY = "raw", "body"
UNTYPED = "application/octet-stream"
_TEXTUAL = ("text/plain", "text/csv", "text/html", "application/xml", "text/x-script")

_files: dict[str, bytes] = {}
_told: dict[str, tuple[str | None, str | None]] = {}
_stored: dict[str, int] = {}


class NoSuchAttachmentError(KeyError):
    """There is no attachment of that reference; use a `ref` of `payload["attachments"]`, or `raw`."""


def message_of(
    raw: bytes, content_type: str, meta: Mapping[str, Any], attachments: Sequence[tuple[str | None, str, bytes]] = ()
) -> dict[str, Any]:
    """Return the one shape for *raw*, and remember its files for `attachment_bytes`.

    *attachments* are the further parts of a multipart request as (name, content type, bytes).
    """
    for known in (_files, _told, _stored):
        known.clear()
    _files[RAW] = raw
    problems: set[str] = set()
    media, charset = _media(content_type, problems)
    shape: dict[str, Any] = {
        "v": VERSION,
        "id": meta.get("id"),
        "source": meta.get("source"),
        "received_at": meta.get("received_at"),
        "content_type": content_type,
        "type": kind_of(raw),
        "size": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "envelope": meta.get("envelope"),
        "mail": None,
        "text": None,
        "html": None,
        "json": None,
        "form": None,
        "attachments": [],
        "problems": [],
    }
    if meta.get("scan") == "unavailable":
        problems.add("not-scanned")
    if media == "message/rfc822":
        _mail(shape, raw, problems)
    elif media in {"application/json", "text/json"} or media.endswith("+json"):
        _json(shape, raw, problems)
    elif media == "application/x-www-form-urlencoded":
        _form(shape, raw, charset, problems)
    else:
        _other(shape, raw, media, charset, problems)
    for number, (name, declared, data) in enumerate(attachments, 1):
        _attach(shape, f"a{number}", name, declared, data, problems)
        _stored[f"a{number}"] = number
    shape["problems"] = sorted(problems)
    return shape


def attachment_bytes(ref: str) -> bytes:
    """Return the bytes behind a `ref` of the last message; `raw` is everything as it came."""
    try:
        return _files[ref]
    except KeyError:
        raise NoSuchAttachmentError(f"there is no attachment {ref!r}; there are: {', '.join(_files)}") from None


def stored(ref: str) -> int | None:
    """Return the number of the payload's own attachment behind *ref*; None where it is a part of something."""
    return _stored.get(ref)


def file_of(ref: str) -> File:
    """Return what is behind *ref* as a file."""
    name, kind = _told.get(ref, (None, None))
    named = name if name is not None and NAME.fullmatch(name) else ref
    return File(named, kind if kind is not None and TYPE.fullmatch(kind) else UNTYPED, attachment_bytes(ref))


def _media(content_type: str, problems: set[str]) -> tuple[str, str | None]:
    """Return the media type in lower case, and its charset."""
    header = Message()
    header["content-type"] = "".join(c for c in content_type[:255] if c.isprintable()) or "application/octet-stream"
    charset = header.get_param("charset")
    if "/" not in content_type.split(";", 1)[0]:
        problems.add("content-type-malformed")
        return "application/octet-stream", None
    return header.get_content_type(), charset if isinstance(charset, str) else None


def _mail(shape: dict[str, Any], raw: bytes, problems: set[str]) -> None:
    scanned = scan(raw)
    body = mime.read(scanned)
    problems |= scanned.problems
    shown = scanned.fields[:MAX_KEPT_HEADERS]
    if len(scanned.fields) > MAX_KEPT_HEADERS:
        problems.add("header-count")
    headers = [[name, mime.clean(words(value, problems)[:MAX_KEPT_VALUE], problems)] for name, value in shown]
    decoded = {name.lower(): value for name, value in reversed(headers)}
    senders = mime.addresses(scanned.first("from"), problems)
    if not senders:
        problems.add("no-from")
    if len(senders) > 1:
        problems.add("several-from")
    shape["mail"] = {
        "subject": decoded.get("subject"),
        "from": senders[0] if senders else None,
        **{name: mime.addresses(scanned.first(name), problems) for name in ("to", "cc")},
        "reply_to": mime.addresses(scanned.first("reply-to"), problems),
        "date": mime.moment(scanned.first("date"), problems),
        "message_id": decoded.get("message-id"),
        "headers": headers,
    }
    shape["text"] = mime.joined(body.plain, "text-size", problems)
    shape["html"] = mime.joined(body.html, "html-size", problems)
    for number, part in enumerate(body.attachments, 1):
        cid = mime.clean(part.cid[:250], problems) if part.cid else None
        _attach(shape, f"a{number}", part.name, part.declared_type, part.data, problems, inline=part.inline, cid=cid)


def _attach(
    shape: dict[str, Any],
    ref: str,
    name: str | None,
    declared: str,
    data: bytes | None,
    problems: set[str],
    *,
    inline: bool = False,
    cid: str | None = None,
) -> None:
    kind = None if data is None else kind_of(data)
    cleaned = clean_name(name)
    if name and cleaned != name:
        problems.add("name-changed")
    if kind in EXECUTABLE:
        problems.add("executable")
    if data is not None:
        _files[ref], _told[ref] = data, (cleaned, kind)
    shape["attachments"].append(
        {
            "ref": ref,
            "name": cleaned,
            "declared_type": mime.clean(declared[:255], problems),
            "type": kind,
            "size": None if data is None else len(data),
            "sha256": None if data is None else hashlib.sha256(data).hexdigest(),
            "inline": inline,
            "cid": cid,
        }
    )


def _json(shape: dict[str, Any], raw: bytes, problems: set[str]) -> None:
    if len(raw) > MAX_JSON:
        problems.add("json-size")
    elif _depth(raw) > MAX_JSON_DEPTH:
        problems.add("json-depth")
    else:
        try:
            shape["json"] = _parsed(raw.decode("utf-8-sig"), problems)
            return
        except (ValueError, RecursionError):
            problems.add("json-malformed")
    _attach(shape, BODY, None, shape["content_type"], raw, problems)


def _parsed(text: str, problems: set[str]) -> Any:
    """Return the value; raise ValueError for what JSON (RFC 8259) or UTF-8 cannot hold."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    value = json.loads(text, object_pairs_hook=lambda pairs: _members(pairs, problems), parse_constant=refuse)
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate is refused here
    return value


def _members(pairs: list[tuple[str, Any]], problems: set[str]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        problems.add("duplicate-member")
    return found


def _depth(raw: bytes) -> int:
    """Return a bound on the nesting, as far as it matters: brackets not closed yet, those in strings included."""
    brackets = raw.translate(None, _NO_BRACKETS)
    if len(brackets) <= MAX_JSON_DEPTH:
        return len(brackets)
    deepest = depth = 0
    for byte in brackets:
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
        if deepest > MAX_JSON_DEPTH:
            break
    return deepest


_NO_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))


def _form(shape: dict[str, Any], raw: bytes, charset: str | None, problems: set[str]) -> None:
    """Read fields in order, each name and value as text (WHATWG URL, section 5.1)."""
    fields: list[list[str]] = []
    for piece in raw.split(b"&", MAX_FORM_FIELDS)[:MAX_FORM_FIELDS]:
        if piece:
            pair = [unquote_to_bytes(part.replace(b"+", b" ")) for part in (*piece.split(b"=", 1), b"")[:2]]
            fields.append([mime.clean(text_of(part, charset, problems), problems) for part in pair])
    if raw.count(b"&") >= MAX_FORM_FIELDS:
        problems.add("form-size")
    shape["form"] = fields


def _other(shape: dict[str, Any], raw: bytes, media: str, charset: str | None, problems: set[str]) -> None:
    """Show text as text; any other body is the first attachment, `body`."""
    textual = (
        media.startswith("text/") or media in {"application/xml", "application/xhtml+xml"} or media.endswith("+xml")
    )
    if textual and shape["type"] in {*_TEXTUAL, "application/json", "message/rfc822", "application/x-empty"}:
        text = mime.joined([text_of(raw[: 4 * mime.MAX_TEXT], charset, problems)], "text-size", problems)
        shape["html" if media in {"text/html", "application/xhtml+xml"} else "text"] = text or ""
        return
    if textual:
        problems.add("not-text")
    _attach(shape, BODY, None, shape["content_type"], raw, problems)

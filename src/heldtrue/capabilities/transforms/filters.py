"""Which payloads a flow takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from heldtrue.capabilities.intake.actions import Stored
from heldtrue.capabilities.intake.multipart import content_type_of
from heldtrue.capabilities.intake.stream import is_json
from heldtrue.capabilities.transforms.flow_model import Field, Filters
from heldtrue.crypto.canonical import parse_strict
from heldtrue.kernel.errors import BadInputError

SEARCHED = 1024 * 1024
"""Bytes of JSON that are looked into at the most."""

Read = Callable[[], bytes]
"""Return the payload's bytes."""


def takes(filters: Filters | None, payload: Stored, read: Read) -> bool:
    """Return whether a flow with *filters* takes *payload*; *read* is called only where a field is asked for."""
    if filters is None:
        return True
    return (
        (filters.source is None or filters.source == payload.source)
        and _type_fits(filters.content_type, payload.meta.content_type)
        and _recipient_fits(filters.recipient, payload)
        and (filters.field is None or _field_fits(filters.field, payload, read))
    )


def recipients(payload: Stored) -> list[str]:
    """Return the addresses that a mail came for; none for what came otherwise."""
    mail = getattr(payload.meta, "mail", None)
    return [str(one) for one in getattr(mail, "recipients", ())]


def point(document: Any, pointer: str) -> tuple[bool, Any]:
    """Return whether there is something at *pointer*, and what (RFC 6901, section 4)."""
    for raw in pointer.split("/")[1:]:
        token = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and token in document:
            document = cast("dict[str, Any]", document)[token]
        elif isinstance(document, list) and token.isascii() and token.isdigit() and int(token) < len(document):
            document = cast("list[Any]", document)[int(token)]
        else:
            return False, None
    return True, document


def _type_fits(wanted: str | None, content_type: str) -> bool:
    if wanted is None:
        return True
    media, _ = content_type_of(content_type)
    wanted = wanted.lower()
    return media.startswith(wanted[:-1]) if wanted.endswith("/*") else media == wanted


def _recipient_fits(wanted: str | None, payload: Stored) -> bool:
    return wanted is None or wanted.lower() in {one.lower() for one in recipients(payload)}


def _field_fits(field: Field, payload: Stored, read: Read) -> bool:
    if not is_json(payload.meta.content_type) or payload.size > SEARCHED:
        return False
    try:
        there, value = point(parse_strict(read()), field.pointer)
    except BadInputError:
        return False
    return there and type(value) is type(field.equals) and value == field.equals

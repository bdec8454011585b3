"""What an organisation's ledger remembers of its requests at the edge: documents of many requests each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from heldtrue.capabilities.ledger.actions import write_audit
from heldtrue.capabilities.ledger.model import instant
from heldtrue.crypto.canonical import canonicalize_flat
from heldtrue.kernel.errors import IntegrityError
from heldtrue.kernel.ids import KeyId, TenantId
from heldtrue.op import Actor, AuditEvent

EVENT = "requests.served"
DOCUMENT_LIMIT = 256 * 1024
"""Bytes of one document; more requests make several."""
_NONE = b'"requests":[]'
"""Where the requests go; within a text it cannot stand, because quotes are escaped there."""
TEXT_LIMIT = 512
"""Bytes of a path, and of every other text that a caller chose."""


class Served(NamedTuple):
    """One identified request, admitted or refused. A tuple, because one is made for every request."""

    tenant: TenantId
    environment: str
    key: KeyId
    """Of a session: the key that minted it."""
    subject: str
    session: str | None
    request: str
    at: datetime
    method: str
    path: str
    """Without the query; what is beyond 512 bytes is cut off."""
    rule: str | None
    """The pattern of the rule that it fell under."""
    outcome: str
    """`allowed`, or the problem's code."""
    door: str


Place = tuple[TenantId, str]
"""An organisation's environment."""


def by_place(served: Sequence[Served]) -> dict[Place, list[Served]]:
    """Return the requests of each organisation's environment, in their order."""
    found: dict[Place, list[Served]] = {}
    tenant, environment, here = None, "", list[Served]()
    for one in served:
        if one.tenant is not tenant or one.environment != environment:  # else as the last one's, which needs no hash
            tenant, environment = one.tenant, one.environment
            here = found.setdefault((tenant, environment), [])
        here.append(one)
    return found


def documents(place: Place, served: Sequence[Served], now: datetime) -> Iterator[bytes]:
    """Yield the canonical documents that list *served*, none over `DOCUMENT_LIMIT` unless one request is."""
    yield from _documents(place, [_listed(one) for one in served], now)


def _documents(place: Place, requests: Sequence[bytes], now: datetime) -> Iterator[bytes]:
    """Write the document around *requests*, which are written already: no member of it needs a second look."""
    tenant, environment = place
    actor = Actor(kind="system", tenant=tenant, environment=environment)
    event = AuditEvent(event=EVENT, detail={"count": len(requests), "requests": []})
    before, found, after = write_audit(tenant, environment, actor, None, now, event).partition(_NONE)
    if not found:
        raise IntegrityError("the document of served requests has no place for them")
    written = b"".join((before, _NONE[:-1], b",".join(requests), b"]", after))
    if len(written) <= DOCUMENT_LIMIT or len(requests) == 1:
        yield written
        return
    middle = len(requests) // 2
    yield from _documents(place, requests[:middle], now)
    yield from _documents(place, requests[middle:], now)


def _listed(one: Served) -> bytes:
    """Return the request as a member of the list; whatever text came from outside cannot spoil the document."""
    return canonicalize_flat(
        {
            "at": _instant(one.at),
            "door": one.door,
            "key": str(one.key),
            "method": _text(one.method),
            "outcome": one.outcome,
            "path": _text(one.path.partition("?")[0]),
            "request": _text(one.request),
            "rule": one.rule,
            "session": None if one.session is None else _text(one.session),
            "subject": _text(one.subject),
        }
    )


def _instant(at: datetime) -> str:
    """Return the same as `instant`, in a third of the time for what is in UTC already."""
    text = at.isoformat(timespec="milliseconds")
    return f"{text[:-6]}Z" if text.endswith("+00:00") else instant(at)


def _text(given: str) -> str:
    """Return *given* as Unicode of at most `TEXT_LIMIT` bytes: halves of surrogate pairs are written out."""
    if len(given) <= TEXT_LIMIT and given.isascii():
        return given
    return given.encode(errors="backslashreplace")[:TEXT_LIMIT].decode(errors="ignore")

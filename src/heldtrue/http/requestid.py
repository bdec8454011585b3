"""Request ids and trace context: each request gets an id of ours, and continues the caller's trace if it sent one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from heldtrue.kernel.ids import Entropy, RequestId

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class Trace:
    """A request's identity: ours, and its place in the caller's trace (W3C Trace Context, level 1)."""

    request: RequestId
    traceparent: str

    def headers(self) -> list[tuple[str, str]]:
        """Return what every answer carries."""
        return [("request-id", str(self.request)), ("traceparent", self.traceparent)]


def begin(now: datetime, entropy: Entropy, traceparent: str | None) -> Trace:
    """Return the identity of a request that begins *now*.

    The id is always our own: a caller's id could collide with another's, or name a request it is not. A well-formed
    `traceparent` is continued under its trace id and flags with a span id of ours (Trace Context, section 3.2); any
    other is ignored, and a new trace begins.
    """
    request = RequestId.new(now, entropy)
    trace, flags = _continued(traceparent) or (request.value.hex, "00")
    return Trace(request, f"00-{trace}-{_span(entropy)}-{flags}")


def _continued(text: str | None) -> tuple[str, str] | None:
    found = _TRACEPARENT.fullmatch(text) if text else None
    if found is None:
        return None
    version, trace, parent, flags, rest = found.groups()
    if version == "ff" or set(trace) == {"0"} or set(parent) == {"0"} or (version == "00" and rest is not None):
        return None
    return trace, flags


def _span(entropy: Entropy) -> str:
    return (int.from_bytes(entropy(8)) or 1).to_bytes(8).hex()

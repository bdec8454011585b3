"""What every door does: begin a request, ask, and put a refusal into words. Whatever fails here is a refusal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog

from heldtrue.capabilities.edge.forwarded import TrustedProxies
from heldtrue.capabilities.edge.identity import UpstreamKey, stamp
from heldtrue.capabilities.edge.model import EdgeCall, EdgeFailedError, Verdict
from heldtrue.capabilities.edge.refusing import refusal
from heldtrue.http.problems import MEDIA_TYPE, Problem
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.ids import Entropy, RequestId

Judge = Callable[[EdgeCall], Awaitable[Verdict]]
"""Decide about one request; must not raise, and is not believed to."""
RawHeaders = list[tuple[bytes, bytes]]
_log = structlog.get_logger("heldtrue.edge")


def _nobody(_address: str, _code: str) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the doors of a process share."""

    judge: Judge
    trusted: TrustedProxies
    clock: Clock
    entropy: Entropy
    keys: Callable[[], Sequence[UpstreamKey]] = field(default=tuple)
    """The keys that identities are stamped with at present; none: nothing is stamped."""
    problems_at: str = ""
    """The URL under which `/problems/…` explains each refusal."""
    count: Callable[[str, str], None] = _nobody
    """Told address and code of each refusal that was made before anybody was asked."""

    def begin(self) -> str:
        """Return the id of a request that begins now."""
        return RequestId.text(self.clock.now(), self.entropy)

    async def ask(self, call: EdgeCall) -> Verdict:
        """Return the verdict on *call*; a failure to reach one is a refusal."""
        try:
            return await self.judge(call)
        except Exception:  # noqa: BLE001 - fail closed, whatever it was; it is logged
            _log.exception("no verdict, so refused", request=call.request)
            return refusal(EdgeFailedError())

    def refuse(self, error: Exception, address: str = "") -> Verdict:
        """Return the refusal for *error*, which was found before anybody was asked."""
        verdict = refusal(error)
        if verdict.status >= 500:
            _log.error("refused by a failure", code=verdict.code, exc_info=error)
        self.count(address, verdict.code)
        return verdict

    def identity(self, call: EdgeCall, verdict: Verdict) -> list[tuple[str, str]]:
        """Return the identity headers of an allowed call; none for whom nobody vouches."""
        keys = self.keys()
        if verdict.caller is None or not keys:
            return []
        return stamp(
            keys, method=call.method, host=call.host, target=call.target.decode("latin-1"), request=call.request,
            now=self.clock.now(), caller=verdict.caller,
        )  # fmt: skip

    def problem(self, verdict: Verdict, request: str) -> bytes:
        """Return the problem document (RFC 9457) of a refusal, one line of JSON."""
        return msgspec.json.encode(
            Problem(
                type=f"{self.problems_at}/problems/{verdict.code}",
                title=verdict.code.replace("-", " ").capitalize(),
                status=verdict.status,
                detail=verdict.detail,
                request=request,
                instance=f"urn:heldtrue:request:{request.rpartition('_')[2]}",
                advice=verdict.advice,
            )
        )


def raw(headers: Sequence[tuple[str, str]]) -> RawHeaders:
    """Return *headers* as ASGI wants them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def plain_answer(desk: Desk, verdict: Verdict, request: str) -> tuple[int, RawHeaders, bytes]:
    """Return status, headers and body of a refusal, as the client must see it."""
    body = desk.problem(verdict, request)
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"request-id", request.encode("ascii")),
        *raw(verdict.headers),
    ]
    return verdict.status, headers, body

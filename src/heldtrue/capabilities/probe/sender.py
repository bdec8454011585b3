"""Send requests to one host and to no other: paced, counted, timed out; no redirect followed, no cookie kept."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from heldtrue.capabilities.probe.judge import Reply
from heldtrue.capabilities.probe.model import Ended, ProbeStoppedError, Unmade

MOST_BODY = 1 << 20
"""Bytes of an answer that are read."""
IN_A_ROW, IN_ALL = 5, 20
"""Failures of the target (5xx, no answer) after which it is left alone: one after the other, and altogether."""
PATIENCE, TRIES = 30.0, 3
"""Longest wait that a 429 is granted, and how often."""
_METHOD: ContextVar[str] = ContextVar("method")


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as it goes out."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator allows."""

    methods: frozenset[str]
    rate: float = 5.0
    """Requests a second."""
    concurrency: int = 2
    most: int = 5000
    """Requests in all."""
    timeout: float = 15.0
    agent: str = "heldtrue-probe"


class UnansweredError(ProbeStoppedError):
    """A request got no answer that could be judged; the check is reported as not made."""

    code = "probe-unanswered"

    def __init__(self, why: Unmade, message: str) -> None:
        super().__init__(message)
        self.why = why


class EndedError(ProbeStoppedError):
    """The run may send nothing more, because its budget is spent or it was stopped; start another."""

    code = "probe-ended"

    def __init__(self, ended: Ended, message: str) -> None:
        super().__init__(message)
        self.ended = ended


class Pace:
    """So many starts a second, evenly: no two are closer together than one interval."""

    def __init__(
        self, rate: float, now: Callable[[], float], sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self._interval, self._now, self._sleep = 1.0 / rate, now, sleep
        self._next = 0.0

    async def turn(self) -> None:
        """Return when the next request may start."""
        now = self._now()
        at = max(now, self._next)
        self._next = at + self._interval
        if at > now:
            await self._sleep(at - now)

    async def wait(self, seconds: float) -> None:
        """Wait because the target asked for it; whoever comes after waits as well."""
        self._next = max(self._next, self._now() + seconds)
        await self._sleep(seconds)


class _AsWritten(aiohttp.ClientRequest):
    """A request whose method keeps its letters, upper and lower."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.method = _METHOD.get()


class Sender:
    """Sends to one base URL within the rules; raise `EndedError` once they forbid more."""

    def __init__(self, base: str, rules: Rules, pace: Pace, tls: ssl.SSLContext | None) -> None:
        self.base, self.rules, self._pace, self._tls = base, rules, pace, tls
        parts = urlsplit(base)
        self._origin, self._prefix = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        self.sent = 0
        self.ended = Ended.COMPLETE
        self._in_a_row = self._failures = 0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Sender:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.rules.concurrency, ssl=self._tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self.rules.timeout),
            headers={"User-Agent": self.rules.agent, "Accept": "application/json, */*;q=0.5"},
            request_class=_AsWritten,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, request: Request) -> Reply:
        """Send and return the answer; raise `UnansweredError` where none came, `EndedError` where none may be sent."""
        for _ in range(TRIES):
            reply, wait = await self._once(request)
            if reply.status == 429 or (reply.status == 503 and wait is not None):
                await self._pace.wait(min(wait or 1.0, PATIENCE))
                continue
            return self._judged(reply)
        raise UnansweredError(Unmade.LIMITED, "the target asks to be asked later; lower --rate")

    def _judged(self, reply: Reply) -> Reply:
        """Return *reply* unless it tells of trouble; a method or version that is not known is a refusal."""
        if reply.status >= 500 and reply.status not in {501, 505}:
            self._failed()
            raise UnansweredError(Unmade.TROUBLE, f"the target answered {reply.status}")
        self._in_a_row = 0
        return reply

    async def _once(self, request: Request) -> tuple[Reply, float | None]:
        if request.method.upper() not in self.rules.methods:
            raise EndedError(self.ended, f"{request.method} is not allowed")
        await self._pace.turn()
        self._may()
        self.sent += 1
        try:
            return await self._exchange(request)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._failed()
            raise UnansweredError(Unmade.TROUBLE, f"no answer: {type(error).__name__}") from error

    async def _exchange(self, request: Request) -> tuple[Reply, float | None]:
        if self._session is None:
            raise RuntimeError("a sender is used within its context")
        headers = dict(request.headers)
        if request.body is not None:
            headers.setdefault("Content-Type", "application/json")
        _METHOD.set(request.method)
        url = URL(f"{self._origin}{self._prefix}{request.target}", encoded=True)
        async with self._session.request(
            request.method, url, headers=headers, data=request.body, allow_redirects=False
        ) as answer:
            body = await self._read(answer)
            return Reply(answer.status, answer.content_type, body), _seconds(answer.headers.get("Retry-After"))

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        body = b""
        async for chunk in answer.content.iter_chunked(65536):
            body += chunk
            if len(body) > MOST_BODY:
                answer.close()
                return body[:MOST_BODY]
        return body

    def _may(self) -> None:
        if self.ended is not Ended.COMPLETE:
            raise EndedError(self.ended, "the run was ended")
        if self.sent >= self.rules.most:
            self.ended = Ended.BUDGET
            raise EndedError(self.ended, f"the budget of {self.rules.most} requests is used up")

    def _failed(self) -> None:
        self._in_a_row += 1
        self._failures += 1
        if self._in_a_row >= IN_A_ROW or self._failures >= IN_ALL:
            self.ended = Ended.TROUBLE


def _seconds(text: str | None) -> float | None:
    """Return a `Retry-After` in seconds, None where there is none; a date counts as one (RFC 9110, section 10.2.3)."""
    if text is None:
        return None
    try:
        return max(0.1, float(text))
    except ValueError:
        return 1.0

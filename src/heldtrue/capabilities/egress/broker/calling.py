"""Make one call: judge what the code asks, add what it may not see, send it, and hand over what it may see."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from heldtrue.capabilities.deliveries.connector import AddressRefusedOSError, Ways, abort, causes
from heldtrue.capabilities.egress.grants import (
    Call,
    Calls,
    Grant,
    GrantRule,
    RefusedCallError,
    field_problem,
    filled,
)
from heldtrue.capabilities.egress.hosts import HostError, Target, parse_url
from heldtrue.capabilities.egress.masking import Mask

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MOST_FIELDS = 64
USER_AGENT = "Heldtrue-Egress/1"
HIDDEN = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "trailer", "upgrade"})
"""Fields of the connection: what they say is not true of the body that is handed over."""
PIECE = 64 * 1024


@dataclass(slots=True)
class Account:
    """One execution: what it may do, and what it has done."""

    grant: Grant = field(repr=False)
    calls: list[Call] = field(default_factory=list[Call])
    beyond: int = 0
    moved: int = 0
    """Bytes of bodies, both ways."""

    def told(self) -> Calls:
        """Return what is recorded."""
        return Calls(tuple(self.calls), self.beyond)


@dataclass(slots=True)
class Question:
    """What the code asks, as far as it could be read."""

    method: str = "?"
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(slots=True)
class Progress:
    """What is known of a call while it is made; whatever ends it, this is recorded."""

    host: str = "?"
    sent: int = 0
    received: int = 0
    status: int | None = None
    credentials: tuple[str, ...] = ()


Reply = tuple[dict[str, Any], bytes]


async def answer(account: Account, ways: Ways, head: object, body: bytes) -> Reply:
    """Make the call that is asked for and record it; what is refused is told with a code, never raised."""
    if len(account.calls) >= account.grant.caps.calls:
        account.beyond += 1
        return _told(RefusedCallError("too-many-calls", f"a run may make {account.grant.caps.calls} calls"))
    began, progress, question = time.monotonic(), Progress(), Question()
    refused: RefusedCallError | None = None
    code: str | None = "cut"
    try:
        question = read(head, body)
        reply = await _call(account, ways, question, progress)
        code = None
    except RefusedCallError as error:
        refused, code = error, error.code
        reply = _told(error)
    finally:
        account.moved += progress.sent + progress.received
        account.calls.append(
            Call(
                host=progress.host,
                method=question.method,
                status=progress.status if refused is None else None,
                refused=code,
                sent=progress.sent,
                received=progress.received,
                milliseconds=int((time.monotonic() - began) * 1000),
                credentials=progress.credentials,
            )
        )
    return reply


def read(head: object, body: bytes) -> Question:
    """Return what the code asks; raise `RefusedCallError` for what cannot be meant."""
    match head:
        case {"method": str(method), "url": str(url), "headers": list(pairs)} if len(pairs) <= MOST_FIELDS:  # pyright: ignore[reportUnknownVariableType]
            if method not in METHODS:
                raise RefusedCallError("bad-call", f"the method is none of {', '.join(sorted(METHODS))}")
            return Question(method, url, _fields(pairs), body)  # pyright: ignore[reportUnknownArgumentType]
        case _:
            raise RefusedCallError("bad-call", f"a call has a method, a URL and {MOST_FIELDS} headers at the most")


def _fields(pairs: list[object]) -> dict[str, str]:
    made: dict[str, str] = {}
    for pair in pairs:
        match pair:
            case [str(name), str(value)]:
                problem = field_problem(name, value)
                if problem is None and name.lower() in made:
                    problem = f"the header {name} is there twice"
                if problem is not None:
                    raise RefusedCallError("bad-header", problem)
                made[name.lower()] = value
            case _:
                raise RefusedCallError("bad-header", "a header is a name and a text")
    return made


def judge(grant: Grant, question: Question, progress: Progress) -> tuple[Target, GrantRule]:
    """Return where the call leads and the rule that allows it; raise `RefusedCallError` where none does."""
    try:
        target = parse_url(question.url)
    except HostError as error:
        raise RefusedCallError("bad-url", str(error)) from error
    progress.host = str(target.host)
    rule = grant.rule(target.host)
    if rule is None:
        raise RefusedCallError(
            "host-not-allowed",
            f"this transform may not call {target.host}: allow it with PUT /v1/transforms/{{id}}/egress",
        )
    if rule.withheld:
        raise RefusedCallError(
            "vendor-not-permitted",
            f"{target.host} belongs to the optional sub-processor {rule.withheld}: opt in with PUT /v1/vendors",
        )
    return target, rule


async def _call(account: Account, ways: Ways, question: Question, progress: Progress) -> Reply:
    caps = account.grant.caps
    target, rule = judge(account.grant, question, progress)
    if len(question.body) > caps.question:
        raise RefusedCallError("too-large", f"the body of a request may have {caps.question} bytes")
    if account.moved + len(question.body) >= caps.total:
        raise RefusedCallError("too-large", f"all bodies of a run together may have {caps.total} bytes")
    ours, progress.credentials = filled(rule, account.grant.credentials)
    for name in question.headers:
        if name in ours:
            raise RefusedCallError("bad-header", f"the header {name} is added by the rule of {rule.host}")
    mask = Mask({name: account.grant.credentials[name].value for name in progress.credentials})
    headers = {"user-agent": USER_AGENT, **question.headers, **ours, "accept-encoding": "identity"}
    try:
        async with asyncio.timeout(caps.call_seconds):
            return await _send(ways, target, question, headers, mask, progress, room(account, question))
    except TimeoutError as error:
        raise RefusedCallError("timeout", f"{target.host} did not answer whole in {caps.call_seconds:g} s") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise _unreachable(error, target) from None  # its text may hold what was sent


def room(account: Account, question: Question) -> int:
    """Return how many bytes the answer may have."""
    caps = account.grant.caps
    return min(caps.answer, caps.total - account.moved - len(question.body))


async def _send(
    ways: Ways, target: Target, question: Question, headers: Mapping[str, str], mask: Mask, progress: Progress,
    most: int,
) -> Reply:  # fmt: skip
    session = await ways.choose(target.url)
    progress.sent = len(question.body)
    response = await session.request(
        question.method,
        URL(target.url, encoded=True),
        data=question.body or None,
        headers=headers,
        allow_redirects=False,
        skip_auto_headers=("content-type",),
    )
    try:
        if not plain(response):
            raise RefusedCallError("encoded", f"{target.host} sent a compressed answer, which is not looked into")
        body = await _body(response, progress, most)
    except BaseException:
        abort(response)
        raise
    response.release()
    progress.status = response.status
    fields = [
        [name.lower(), mask.hide_text(value)] for name, value in response.headers.items() if name.lower() not in HIDDEN
    ]
    return {"status": response.status, "url": target.url, "headers": fields}, mask.hide(body)


def plain(response: aiohttp.ClientResponse) -> bool:
    """Return whether a body is what it says, so that a credential in it can be seen."""
    return response.headers.get("content-encoding", "identity").strip().lower() in {"", "identity"}


async def _body(response: aiohttp.ClientResponse, progress: Progress, most: int) -> bytes:
    """Read the answer's body; raise `RefusedCallError` when it is longer than *most*, as soon as that is known."""
    body = bytearray()
    if (response.content_length or 0) > most and response.method != "HEAD":
        raise RefusedCallError("too-large", f"the answer has more than {most} bytes")
    while piece := await response.content.read(PIECE):
        body += piece
        progress.received = len(body)
        if len(body) > most:
            raise RefusedCallError("too-large", f"the answer has more than {most} bytes")
    return bytes(body)


def _unreachable(error: BaseException, target: Target) -> RefusedCallError:
    for cause in causes(error):
        if isinstance(cause, AddressRefusedOSError):
            return RefusedCallError("refused-address", f"{target.host} is at an address that nothing here may enter")
        if isinstance(cause, ssl.SSLError):
            return RefusedCallError("tls", f"{target.host} has no certificate that can be verified")
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)) and not isinstance(
        error, aiohttp.ServerDisconnectedError
    ):
        return RefusedCallError("unreachable", f"{target.host} cannot be connected to")
    return RefusedCallError("protocol", f"{target.host} does not answer in HTTP")


def _told(error: RefusedCallError) -> Reply:
    return {"refused": [error.code, error.message]}, b""

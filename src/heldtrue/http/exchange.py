"""What a streaming handler holds in its hands, and what any action may answer with.

Three shapes of action exist, by realm (`heldtrue.http.route.Realm`):

- TENANT `action(op: Operation, input) -> Struct | Answer | Page | None`, OPERATOR the same with a `SystemOperation`;
  `input` is left out where the route takes nothing;
- LINK `action(op: Operation, row: UUID[, input]) -> Struct | Answer | Page`, *row* being what the link names;
- PUBLIC `action() | action(input) -> Struct | Page`: no operation, because there is nothing of any organisation in it;
  where the route is `signed`, `action(signed: Signed) -> Struct | Page`, which judges the signature before anything.

A route that `streams` has an `async handler(exchange: Exchange) -> Answer` instead, TENANT realm only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import msgspec

from heldtrue.http.route import CacheClass
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.errors import BadInputError, TooLargeError
from heldtrue.kernel.ids import CryptoKeyId, Entropy, RequestId
from heldtrue.op import Actor, Operation

if TYPE_CHECKING:
    from heldtrue.http.ports import Ports
    from heldtrue.http.route import Route

P = ParamSpec("P")
T = TypeVar("T")
NOTHING: Mapping[str, str] = {}


class MalformedRequestError(BadInputError):
    """The request is not well-formed HTTP for this route; correct what the detail names and send it again."""

    code = "malformed-request"


class TruncatedBodyError(MalformedRequestError):
    """The body ended before it was complete, or is not as long as `Content-Length` says; send it again whole."""

    code = "truncated-body"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer that is bytes already: a page, a tile, a style sheet, a problem type's description."""

    content: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    cache: CacheClass | None = None
    """Another cache class than the route's; heeded on PUBLIC routes only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An action's answer with what the audit entry shall say of it."""

    body: msgspec.Struct | None = None
    """A JSON answer; exactly one of `body`, `content` and `chunks`, or none of them."""
    content: bytes | None = None
    chunks: AsyncIterator[bytes] | None = None
    """Bytes that are sent as they come; a failure in the middle cuts the connection, so that nobody takes a part for
    the whole."""
    content_type: str = "application/json"
    status: int | None = None
    """None: the route's own."""
    headers: Mapping[str, str] = field(default_factory=dict)
    subject: str | None = None
    """What the audit entry is about; without it, the body's `id` where it has one."""
    detail: Mapping[str, Any] | None = None
    """What the audit entry adds: closed words, numbers and ids only."""
    object_key: CryptoKeyId | None = None
    """Seal the audit entry under this object's key, so that it goes when the object is erased."""


@dataclass(frozen=True, slots=True)
class TlsInfo:
    """How the connection was protected, as far as the server tells (ASGI TLS extension)."""

    version: str | None = None
    cipher: str | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """A request of a route that is `signed`: its signature is over the bytes, so nothing has looked into them yet."""

    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    request: RequestId
    ports: Ports = field(repr=False)


Receive = Callable[[], Awaitable[Mapping[str, Any]]]
"""ASGI's `receive`."""


class Transact(Protocol):
    """Run *act* in one tenant transaction with idempotency before it and the audit entry after it."""

    async def __call__(self, act: Callable[[Operation], Answer], body_digest: bytes | None, *, group: bool) -> Answer:
        """Return the answer, fresh or stored; *group*: share the transaction with others of the same place."""
        ...


class RunSync(Protocol):
    """Run a blocking function in a worker thread."""

    async def __call__(self, act: Callable[[], T]) -> T:
        """Return what *act* returns."""
        ...


class Body:
    """A request's body, read once, with its length watched (RFC 9110, section 8.6)."""

    def __init__(self, receive: Receive, headers: Mapping[str, str]) -> None:
        self._receive = receive
        self._length = headers.get("content-length")
        self._started = False
        self._more = True
        self._seen = 0
        self._promised: int | None = None

    def declared(self) -> int | None:
        """Return what `Content-Length` promises; raise `MalformedRequestError` for what is no number."""
        if self._length is None:
            return None
        if not (self._length.isascii() and self._length.isdigit() and len(self._length) <= 18):
            raise MalformedRequestError("Content-Length is not a number")
        return int(self._length)

    async def read(self, limit: int) -> AsyncIterator[bytes]:
        """Yield the body's pieces.

        Raise `TooLargeError` beyond *limit* bytes, before the first one where `Content-Length` already says so, and
        `TruncatedBodyError` when the client goes away or sent another number of bytes than it promised.
        """
        self._begin(limit)
        while self._more:
            if piece := await self._next(limit):
                yield piece

    async def whole(self, limit: int) -> bytes:
        """Return the body at once; raise what `read` raises."""
        self._begin(limit)
        piece = await self._next(limit)
        if not self._more:
            return piece
        pieces = [piece]
        while self._more:
            pieces.append(await self._next(limit))
        return b"".join(pieces)

    def _begin(self, limit: int) -> None:
        if self._started:
            raise RuntimeError("a body is read once")
        self._started = True
        self._promised = self.declared()
        if self._promised is not None and self._promised > limit:
            raise _too_large(limit)

    async def _next(self, limit: int) -> bytes:
        """Return the next piece, which may be empty."""
        message = await self._receive()
        if message["type"] != "http.request":
            raise TruncatedBodyError("The connection ended before the body was complete.")
        piece = message.get("body", b"")
        self._more = message.get("more_body", False)
        self._seen += len(piece)
        if self._seen > limit:
            raise _too_large(limit)
        if not self._more and self._promised is not None and self._seen != self._promised:
            raise TruncatedBodyError("The body is not as long as Content-Length says.")
        return piece


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"The body is over the limit of {limit} bytes.", advice="Send a smaller body.")


class Exchange:
    """One request on its way through a streaming handler, already authenticated, authorised and limited."""

    def __init__(
        self,
        *,
        route: Route,
        actor: Actor,
        request: RequestId,
        headers: Mapping[str, str],
        path: Mapping[str, str],
        query: Mapping[str, str],
        tls: TlsInfo,
        ports: Ports,
        body: Body,
        transact: Transact,
        run_sync: RunSync,
    ) -> None:
        self.route = route
        self.actor = actor
        self.request = request
        self.headers = headers
        """Request headers by lower-case name; a header sent twice is joined by a comma."""
        self.path = path
        self.query = query
        self.tls = tls
        self.ports = ports
        self.body_digest: bytes | None = None
        """SHA-256 of what was sent; set it before `transact` on a route that `creates`, for `Idempotency-Key`."""
        self.transacted = False
        self._body = body
        self._transact = transact
        self._run_sync = run_sync

    @property
    def clock(self) -> Clock:
        """The clock of this instance."""
        return self.ports.clock

    @property
    def entropy(self) -> Entropy:
        """The source of randomness of this instance."""
        return self.ports.entropy

    @property
    def repeatable(self) -> bool:
        """Whether the request came with an `Idempotency-Key`."""
        return "idempotency-key" in self.headers

    @property
    def content_length(self) -> int | None:
        """What `Content-Length` promises, None where nothing does."""
        return self._body.declared()

    @property
    def content_type(self) -> str:
        """The `Content-Type` header as it was sent; `application/octet-stream` where there is none."""
        return self.headers.get("content-type", "application/octet-stream")

    def body(self, limit: int) -> AsyncIterator[bytes]:
        """Yield the body's pieces as they come; see `Body.read` for what it raises."""
        return self._body.read(limit)

    async def whole_body(self, limit: int) -> bytes:
        """Return the body at once, for one that is known to be small."""
        return await self._body.whole(limit)

    async def transact(self, act: Callable[[Operation], Answer], *, group: bool = False) -> Answer:
        """Run *act* in a worker thread, in the one transaction that holds effect, idempotency row and audit entry.

        A request that repeats an `Idempotency-Key` gets the stored answer and *act* is not called. Once an exchange.
        With *group* the transaction is shared with other requests of the organisation and environment that wait for
        one; then *act* only inserts (`TenantTx.insert`), must be quick, and is called again when its group failed.
        """
        if self.transacted:
            raise RuntimeError("an exchange has one transaction")
        self.transacted = True
        return await self._transact(act, self.body_digest, group=group)

    async def in_thread(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function (hashing, sealing, fsync) in a worker thread."""
        return await self._run_sync(lambda: act(*args, **kwargs))

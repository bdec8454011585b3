"""The one way out for deliveries: TLS only, and only to addresses that were judged when they are connected to.

A name is resolved and judged for the sake of a clear error; what holds is the socket factory, which judges the very
address that the kernel is asked to connect to. So neither a second answer of a name server nor a literal address in
another notation leads inside. Redirects are not followed, proxies of the environment are not used, and answers are read
up to 2 KiB and never decompressed.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, cast
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from heldtrue.capabilities.deliveries.addresses import Address, AllowList, judge, parse_address
from heldtrue.capabilities.deliveries.model import Failure
from heldtrue.capabilities.deliveries.schedule import parse_retry_after

TIMEOUT = timedelta(seconds=15)
EXCERPT = 2048
PATIENCE = 2.0
"""Seconds that an answer's body may take once its status is there."""
CONCURRENCY = 512
"""Deliveries on their way at once, to all endpoints together."""
DRAIN_ROUNDS, DRAIN_WAIT = 50, 0.01
USER_AGENT = "Heldtrue-Webhooks/1"


class AddressRefusedOSError(OSError):
    """The address about to be connected to is not permitted; an `OSError`, which aiohttp reports as a connection's."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came of one request."""

    status: int | None = None
    failure: Failure | None = None
    latency_ms: int = 0
    excerpt: bytes | None = None
    retry_after: timedelta | None = None
    """What the receiver asked us to wait."""

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it: 2xx, nothing else."""
        return self.status is not None and 200 <= self.status < 300


class Post(Protocol):
    """Send a body to a URL and tell what came of it."""

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str], now: datetime) -> Response:
        """Return the outcome; never raise for what the receiver or the network does."""
        ...


class Judged:
    """Resolve names and make sockets for one policy: public addresses only, or listed inner ones only."""

    def __init__(self, allow: AllowList, *, listed: bool, sockets: WeakSet[socket.socket]) -> None:
        self._allow = allow
        self._listed = listed
        self._sockets = sockets

    def permits(self, address: Address) -> bool:
        """Return whether this policy connects to *address*."""
        verdict = judge(address, self._allow)
        return verdict.permitted and verdict.listed == self._listed

    def socket(self, info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        """Return a socket for the address that is about to be connected to, if it is permitted."""
        family, kind, protocol, _, sockaddr = info
        address = parse_address(str(sockaddr[0]))
        if address is None or not self.permits(address):
            raise AddressRefusedOSError(f"{sockaddr[0]} is refused")
        made = socket.socket(family, kind, protocol)
        self._sockets.add(made)
        return made


class JudgingResolver(AbstractResolver):
    """Leave only permitted addresses of a name; fail when there is none."""

    def __init__(self, judged: Judged, inner: AbstractResolver) -> None:
        self._judged = judged
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the permitted addresses of *host*."""
        found = await self._inner.resolve(host, port, family)
        permitted = [entry for entry in found if _permitted(self._judged, entry["host"])]
        if not permitted:
            raise AddressRefusedOSError(f"every address of {host} is refused")
        return permitted

    async def close(self) -> None:
        """Close nothing: the inner resolver is the dialer's."""


class Dialer:
    """Sends webhooks. Make it inside the event loop, and close it."""

    def __init__(
        self,
        allow: AllowList | None = None,
        *,
        ca_file: Path | None = None,
        authorities: str | None = None,
        resolver: AbstractResolver | None = None,
        timeout: timedelta = TIMEOUT,
        concurrency: int = CONCURRENCY,
    ) -> None:
        """Prepare two ways out: to public addresses, and to the inner ones that *allow* lists.

        Only the second also trusts *ca_file* and *authorities* (PEM): an inner authority must not vouch for a public
        host.
        """
        self._allow = allow or AllowList()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._resolver = resolver or aiohttp.ThreadedResolver()
        self._timeout = timeout.total_seconds()
        self._public = self._session(listed=False, context=_context(None, None), concurrency=concurrency)
        self._inner = (
            self._session(listed=True, context=_context(ca_file, authorities), concurrency=concurrency)
            if self._allow.networks
            else None
        )

    async def __aenter__(self) -> Dialer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        for session in (self._public, self._inner):
            if session is not None:
                await session.close()
        await self._resolver.close()
        await self._drain()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], now: datetime) -> Response:
        """Send *body* once and tell what came of it; without TLS nothing is sent."""
        if not url.startswith("https://"):
            return Response(failure="tls")
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                session = await self._choose(url)
                response = await session.post(
                    URL(url, encoded=True),
                    data=body,
                    headers={"content-type": "application/json", "user-agent": USER_AGENT, **headers},
                    allow_redirects=False,
                )
        except TimeoutError:
            failure: Failure = "timeout"
        except aiohttp.ClientSSLError:
            failure = "tls"
        except (aiohttp.ClientConnectionError, OSError) as error:
            failure = _connection_failure(error)
        except (aiohttp.ClientError, ValueError):
            failure = "protocol"
        else:
            return await _read(response, _since(began), now)
        return Response(failure=failure, latency_ms=_since(began))

    async def _drain(self) -> None:
        """Let go of sockets that were given up in the middle: their transports would outlive the loop."""
        for _ in range(DRAIN_ROUNDS):
            left = [one for one in self._sockets if one.fileno() >= 0]
            if not left:
                return
            for one in left:
                with suppress(OSError):  # the other side was faster
                    one.shutdown(socket.SHUT_RDWR)
            await asyncio.sleep(DRAIN_WAIT)

    async def _choose(self, url: str) -> aiohttp.ClientSession:
        """Return the way out for this host: the inner one when the allow list names what it resolves to."""
        host = URL(url, encoded=True).host or ""
        if self._inner is None:
            return self._public
        address = parse_address(host)
        if address is not None:
            addresses: Sequence[Address] = [address]
        else:
            found = await self._resolver.resolve(host, 0, socket.AF_UNSPEC)
            addresses = [known for entry in found if (known := parse_address(entry["host"])) is not None]
        listed = any(verdict.listed for known in addresses if (verdict := judge(known, self._allow)).permitted)
        return self._inner if listed else self._public

    def _session(self, *, listed: bool, context: ssl.SSLContext, concurrency: int) -> aiohttp.ClientSession:
        judged = Judged(self._allow, listed=listed, sockets=self._sockets)
        connector = aiohttp.TCPConnector(
            resolver=JudgingResolver(judged, self._resolver),
            socket_factory=judged.socket,
            ssl=context,
            use_dns_cache=False,
            limit=concurrency,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )


def _context(ca_file: Path | None, authorities: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    if authorities is not None:
        context.load_verify_locations(cadata=authorities)
    return context


async def _read(response: aiohttp.ClientResponse, latency_ms: int, now: datetime) -> Response:
    """Return what the receiver said; its status stands, so a body that breaks off or never ends is only cut short."""
    excerpt = b""
    try:
        async with asyncio.timeout(PATIENCE):
            while len(excerpt) < EXCERPT:
                piece = await response.content.read(EXCERPT - len(excerpt))
                if not piece:
                    break
                excerpt += piece
    except (aiohttp.ClientError, OSError):  # a timeout is an OSError too
        cut = True
    else:
        cut = not response.content.at_eof()
    if cut:
        _abort(response)
    else:
        response.release()
    return Response(
        status=response.status,
        latency_ms=latency_ms,
        excerpt=excerpt,
        retry_after=parse_retry_after(response.headers.get("Retry-After"), now),
    )


def _abort(response: aiohttp.ClientResponse) -> None:
    """Cut the connection without waiting for the other side to agree: what is longer than the excerpt is not read."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


def _connection_failure(error: aiohttp.ClientConnectionError | OSError) -> Failure:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AddressRefusedOSError):
            return "refused-address"
        if isinstance(cause, ssl.SSLError):
            return "tls"
        inner = cast("BaseException | None", getattr(cause, "os_error", None))
        cause = inner if inner is not None and inner is not cause else cause.__cause__
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "protocol"
    return "connect"


def _permitted(judged: Judged, host: str) -> bool:
    address = parse_address(host)
    return address is not None and judged.permits(address)


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)

"""Ways out of this machine: TLS, to addresses that are judged when they are connected to.

A name is resolved and judged for the sake of a clear error; what holds is the socket factory, which judges the very
address that the kernel is asked to connect to. So neither a second answer of a name server nor a literal address in
another notation leads inside. Proxies of the environment are not used, and nothing is decompressed.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from heldtrue.capabilities.deliveries.addresses import Address, AllowList, judge, parse_address

DRAIN_ROUNDS, DRAIN_WAIT = 50, 0.01

AddressInfo = tuple[int, int, int, str, tuple[object, ...]]
"""Family, kind, protocol, canonical name and address, as `socket.getaddrinfo` returns them."""


class AddressRefusedOSError(OSError):
    """The address about to be connected to is not permitted; an `OSError`, which aiohttp reports as a connection's."""


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

    def socket(self, info: AddressInfo) -> socket.socket:
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


@dataclass(frozen=True, slots=True)
class Road:
    """A way out: which addresses may be connected to on it, and who is believed there."""

    judged: Judged
    context: ssl.SSLContext


class Roads:
    """Two ways out: to public addresses, and to the inner ones that an operator listed."""

    def __init__(self, allow: AllowList, *, ca_file: Path | None, authorities: str | None) -> None:
        """Trust *ca_file* and *authorities* (PEM) for inner addresses only: they must not vouch for a public host."""
        self._allow = allow
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self.public = self._road(listed=False, context=_context(None, None))
        self.inner = self._road(listed=True, context=_context(ca_file, authorities)) if allow.networks else None

    async def lead(self, host: str, port: int, resolver: AbstractResolver) -> tuple[Road, list[AddressInfo]]:
        """Return the way to *host* and what may be connected to on it; `AddressRefusedOSError` where nothing may."""
        found = await _look_up(host, port, resolver)
        road = self.choose(found)
        permitted = [_info(entry, port) for entry in found if _permitted(road.judged, entry["host"])]
        if not permitted:
            raise AddressRefusedOSError(f"every address of {host} is refused")
        return road, permitted

    def choose(self, found: Sequence[ResolveResult]) -> Road:
        """Return the inner way when the allow list names one of these addresses, else the public one."""
        if self.inner is None:
            return self.public
        known = [address for entry in found if (address := parse_address(entry["host"])) is not None]
        listed = any(verdict.listed for address in known if (verdict := judge(address, self._allow)).permitted)
        return self.inner if listed else self.public

    async def drain(self) -> None:
        """Let go of sockets that were given up in the middle: their transports would outlive the loop."""
        for _ in range(DRAIN_ROUNDS):
            left = [one for one in self._sockets if one.fileno() >= 0]
            if not left:
                return
            for one in left:
                with suppress(OSError):  # the other side was faster
                    one.shutdown(socket.SHUT_RDWR)
            await asyncio.sleep(DRAIN_WAIT)

    def _road(self, *, listed: bool, context: ssl.SSLContext) -> Road:
        return Road(Judged(self._allow, listed=listed, sockets=self._sockets), context)


class Ways:
    """Both ways out for aiohttp. Made inside the event loop; no connection is kept for another request."""

    def __init__(
        self,
        allow: AllowList,
        *,
        ca_file: Path | None,
        authorities: str | None,
        resolver: AbstractResolver | None,
        concurrency: int,
    ) -> None:
        """Trust *ca_file* and *authorities* (PEM) for inner addresses only."""
        self._resolver = resolver or aiohttp.ThreadedResolver()
        self._roads = Roads(allow, ca_file=ca_file, authorities=authorities)
        self._public = self._session(self._roads.public, concurrency)
        self._inner = None if self._roads.inner is None else self._session(self._roads.inner, concurrency)

    async def close(self) -> None:
        """Close every connection."""
        for session in (self._public, self._inner):
            if session is not None:
                await session.close()
        await self._resolver.close()
        await self._roads.drain()

    async def choose(self, url: str) -> aiohttp.ClientSession:
        """Return the way out for this host: the inner one when the allow list names what it resolves to."""
        if self._inner is None:
            return self._public
        found = await _look_up(URL(url, encoded=True).host or "", 0, self._resolver)
        return self._inner if self._roads.choose(found) is self._roads.inner else self._public

    def _session(self, road: Road, concurrency: int) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=JudgingResolver(road.judged, self._resolver),
            socket_factory=road.judged.socket,
            ssl=road.context,
            use_dns_cache=False,
            limit=concurrency,
            force_close=True,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )


async def _look_up(host: str, port: int, resolver: AbstractResolver) -> list[ResolveResult]:
    """Return the addresses of *host*; its own when it is one."""
    address = parse_address(host)
    if address is None:
        return await resolver.resolve(host, port, socket.AF_UNSPEC)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    return [ResolveResult(hostname=host, host=str(address), port=port, family=family, proto=0, flags=0)]


def _info(entry: ResolveResult, port: int) -> AddressInfo:
    """Return what a socket is made for and connected to."""
    sockaddr = (entry["host"], port, 0, 0) if entry["family"] == socket.AF_INET6 else (entry["host"], port)
    return entry["family"], socket.SOCK_STREAM, socket.IPPROTO_TCP, "", sockaddr


def _context(ca_file: Path | None, authorities: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    if authorities is not None:
        context.load_verify_locations(cadata=authorities)
    return context


def abort(response: aiohttp.ClientResponse) -> None:
    """Cut the connection without waiting for the other side to agree: what is longer than wanted is not read."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


def causes(error: BaseException) -> Sequence[BaseException]:
    """Return *error* and what led to it, as aiohttp and Python chain them."""
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        found.append(cause)
        inner = cast("BaseException | None", getattr(cause, "os_error", None))
        cause = inner if inner is not None and inner is not cause else cause.__cause__
    return found


def _permitted(judged: Judged, host: str) -> bool:
    address = parse_address(host)
    return address is not None and judged.permits(address)

"""The edge processes: the forward-auth door and the built-in proxy, over one runtime that decides for both."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from heldtrue.app import preload, web, wiring
from heldtrue.app.boot import Ground, Home
from heldtrue.app.edge_policy import policy_of
from heldtrue.app.listener import Certificate, bind, bind_unix
from heldtrue.app.processes import Child, Ready
from heldtrue.app.secret_uri import resolve_secret
from heldtrue.app.services import Services, services
from heldtrue.app.settings_edge import Edge, host_and_port
from heldtrue.app.web import Counter, Site
from heldtrue.capabilities.access.sessions import issuer_of
from heldtrue.capabilities.edge.doors.desk import Desk, Judge
from heldtrue.capabilities.edge.doors.forward import ForwardAuth
from heldtrue.capabilities.edge.doors.proxy import ReverseProxy, Upstream
from heldtrue.capabilities.edge.forwarded import TrustedProxies
from heldtrue.capabilities.edge.lessors import PgLessor, ValkeyLessor
from heldtrue.capabilities.edge.limits import Lessor
from heldtrue.capabilities.edge.runtime import EdgeParts, EdgeRuntime, open_runtime
from heldtrue.capabilities.edge.upstreams import StampKeys
from heldtrue.db.tx import PoolSizes
from heldtrue.kernel.errors import HeldtrueError
from heldtrue.kernel.ids import drawn_in_bulk
from heldtrue.kernel.secret import Secret

LOOK = 2.0
"""Seconds between two looks at the upstream's keys."""
_NAMING = b"heldtrue edge limits"
_log = structlog.get_logger("heldtrue.edge")


@dataclass(frozen=True, slots=True)
class Listeners:
    """The sockets of the doors, bound once and inherited by every edge process."""

    door: socket.socket | None
    proxy: socket.socket | None

    def close(self) -> None:
        """Close them in a process that does not serve them."""
        for listener in (self.door, self.proxy):
            if listener is not None:
                listener.close()


@contextmanager
def listening(home: Home) -> Generator[Listeners]:
    """Bind the doors that the settings name; what is bound is unbound when the block ends."""
    edge = home.settings.edge
    with contextlib.ExitStack() as stack:
        door = proxy = None
        if edge.listen is not None and edge.listen.startswith("unix:"):
            path = Path(edge.listen[5:])
            owner = (home.account.uid, group_of(edge, home.account.gid)) if home.account else None
            door = bind_unix(path, owner)
            stack.callback(_unlink, path, path.lstat().st_ino)
        elif edge.listen is not None:
            door = bind(*host_and_port("edge.listen", edge.listen))
        if edge.proxy_listen is not None:
            proxy = bind(*host_and_port("edge.proxy_listen", edge.proxy_listen))
        listeners = Listeners(door, proxy)
        stack.callback(listeners.close)
        yield listeners


def children(
    ground: Ground, listeners: Listeners, certificate: Callable[[], Certificate], leave: Callable[[], None]
) -> list[Child]:
    """Return the edge processes; *certificate* is asked at each fork, *leave* closes what is not theirs."""
    edge = ground.home.settings.edge
    if not edge.opens:
        return []
    # Read here, because the file may be closed to the service user.
    valkey = None if edge.valkey is None else resolve_secret(edge.valkey)

    def main(ready: Ready) -> int:
        preload.tell_late_imports()
        leave()
        return web.serve_sites(partial(_sites, ground, listeners, certificate(), valkey), ready)

    return [Child(f"edge-{number}", main, ground.home.account, serves=True) for number in range(1, edge.processes + 1)]


def group_of(edge: Edge, default: int) -> int:
    """Return the id of the group that may open the door's unix socket."""
    return default if edge.group is None else edge.group_id


@asynccontextmanager
async def _sites(
    ground: Ground, listeners: Listeners, certificate: Certificate, valkey: Secret[str] | None
) -> AsyncGenerator[Sequence[Site | Counter]]:
    """Open the runtime and what stands before it; yield the doors."""
    with services(ground, PoolSizes(tenant=1, edge=2, system=4)) as parts:
        lessor = await asyncio.to_thread(_lessor, parts, valkey)
        async with open_runtime(_edge_parts(parts, lessor)) as runtime, _stamps(parts) as keys:
            sites: list[Site | Counter] = []
            if listeners.door is not None:
                sites.append(_door(parts, runtime, keys, listeners.door, certificate))
            proxy = None
            if listeners.proxy is not None:
                proxy = _proxy(parts, runtime, keys)
                sites.append(Site(app=proxy, listener=listeners.proxy, certificate=certificate, websockets=True))
            try:
                yield sites
            finally:
                if proxy is not None:
                    await proxy.close()


def _lessor(parts: Services, valkey: Secret[str] | None) -> Lessor:
    """Return who shares the limits out, connected already: the first caller does not wait for that."""
    lessor = PgLessor(parts.ground.dsns.system) if valkey is None else ValkeyLessor(valkey)
    try:
        lessor.lease([])
    except HeldtrueError as error:
        _log.warning("limits cannot be asked for yet, so calls are refused until they can", why=error.message)
    return lessor


def _edge_parts(parts: Services, lessor: Lessor) -> EdgeParts:
    home = parts.ground.home
    return EdgeParts(
        database=parts.database,
        platform=home.platform,
        cache=parts.cache,
        clock=home.clock,
        entropy=parts.entropy,
        issuer=issuer_of(home.identity.origin),
        policy=policy_of(home.settings.edge),
        record_refusals=wiring.refusal_recorder(parts),
        lessor=lessor,
        naming=home.platform.wrap(_NAMING),
    )


def _door(
    parts: Services, runtime: EdgeRuntime, keys: StampKeys, listener: socket.socket, certificate: Certificate
) -> Site | Counter:
    edge = parts.ground.home.settings.edge
    trusted = TrustedProxies.parse(edge.trusted_proxies)
    app = ForwardAuth(_desk(parts, runtime, runtime.behind("forward"), trusted, keys))
    if listener.family == socket.AF_UNIX or edge.client_ca is None:
        return Counter(ask=app.answer, listener=listener)
    return Site(app=app, listener=listener, certificate=certificate, clients_prove=True)


def _proxy(parts: Services, runtime: EdgeRuntime, keys: StampKeys) -> ReverseProxy:
    edge = parts.ground.home.settings.edge
    trusted = TrustedProxies.parse(edge.trusted_proxies) if edge.trusted_proxies else TrustedProxies((), unix=False)
    upstream = Upstream(
        origin=edge.upstream or "",
        public_host=edge.public_host,
        connect_timeout=edge.connect_timeout,
        read_timeout=edge.read_timeout,
        body_bytes=edge.body_bytes,
    )
    return ReverseProxy(_desk(parts, runtime, runtime.behind("proxy"), trusted, keys), upstream)


def _desk(parts: Services, runtime: EdgeRuntime, judge: Judge, trusted: TrustedProxies, keys: StampKeys) -> Desk:
    return Desk(
        judge=judge,
        trusted=trusted,
        clock=parts.ground.home.clock,
        entropy=drawn_in_bulk(parts.entropy),
        keys=keys,
        problems_at=parts.ground.home.settings.public_url,
        count=runtime.count_stranger,
    )


@asynccontextmanager
async def _stamps(parts: Services) -> AsyncGenerator[StampKeys]:
    """Yield the upstream's keys, looked at again every two seconds."""
    home = parts.ground.home
    keys = StampKeys(parts.database, home.platform, home.settings.edge.upstream_name, home.clock)
    await asyncio.to_thread(keys.refresh)
    looking = asyncio.create_task(_look(keys))
    try:
        yield keys
    finally:
        looking.cancel()


async def _look(keys: StampKeys) -> None:
    while True:
        await asyncio.sleep(LOOK)
        try:
            await asyncio.to_thread(keys.refresh)
        except HeldtrueError as error:
            _log.warning("upstream keys not read, those known stamp on", why=error.message)


def _unlink(path: Path, inode: int) -> None:
    """Remove our socket, unless another one lies there by now."""
    with contextlib.suppress(FileNotFoundError):
        if path.lstat().st_ino == inode:
            path.unlink()

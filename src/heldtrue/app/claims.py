"""The wiring of claims: the laboratory with its two kinds of arena, and the engine.

A scratch instance is built by the same code as a real one, in a directory of its own, by the process of one run; it
serves on loopback at a port that the kernel chooses, and everything of it ends with that process.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import structlog

from heldtrue.app import boot, first, listener, mail, requests, runner, staging, web, wiring, worker
from heldtrue.app.boot import Base, Ground
from heldtrue.app.declared import declared
from heldtrue.app.processes import Child, Ready
from heldtrue.app.publication import PAUSE, known
from heldtrue.app.services import Services, services
from heldtrue.app.settings import Limits, Settings
from heldtrue.app.settings_edge import host_and_port
from heldtrue.app.settings_mail import Mail
from heldtrue.app.settings_transforms import Transforms
from heldtrue.app.version import RELEASE
from heldtrue.attack import AttackHinderedError, Place
from heldtrue.attack.arena import Arena, Sinks, Stage
from heldtrue.attack.caller import Address
from heldtrue.attack.canary import begin_decoding
from heldtrue.claims.arena import Site, arena
from heldtrue.claims.engine import Engine, EngineServices
from heldtrue.claims.laboratory import Laboratory
from heldtrue.claims.model import Against
from heldtrue.http import system
from heldtrue.http.route import Route

START = 60.0
SHORT = 48
LAST_ATTACK = 3.0
"""Seconds that an attack under way gets when the instance stops."""
TUNING = {"wal_level": "logical", "fsync": "off", "shared_buffers": "32MB"}
"""Of a scratch database: its log can be decoded, and it does not wait for the disk."""
LOW, HIGH = Limits(requests_per_second=30, burst=200), Limits(requests_per_second=2000, burst=2000)
"""Of a scratch instance: a flood passes the first on a slow machine too; no other attack waits for the second."""
_log = structlog.get_logger("heldtrue.claims")
_PR_SET_DUMPABLE = 4


def engine(parts: Services, laboratory: Laboratory, version: str) -> Engine:
    """Return the engine; the laboratory must have been opened while this process had one thread."""
    home = parts.ground.home
    return Engine(
        EngineServices(
            database=parts.database,
            platform=home.platform,
            clock=home.clock,
            entropy=parts.entropy,
            catalogue=known(home.settings).catalogue,
            attacks=known(home.settings).attacks,
            runner=laboratory,
            origin=home.identity.origin,
            version=version,
            pause_file=home.data.run / PAUSE,
            log=home.data.log,
        )
    )


def laboratory(ground: Ground) -> Laboratory:
    """Fork the laboratory of this instance; call it before this process has a second thread.

    Scratch instances lie in the directory `run`, where a crash's leftovers are found and removed; in the system's
    temporary directory when the path leaves no room for a socket's name (unix(7)).
    """
    home = ground.home.data.run / "scratch"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o711)
    found = known(ground.home.settings)
    where = home if len(str(home)) <= SHORT else None
    return Laboratory.open(found.attacks, InstanceArenas(ground), where, found.controls)


@contextmanager
def attacks(ground: Ground) -> Generator[worker.Attack]:
    """Open the laboratory and give what attacks the claims; call it while this process has one thread."""
    with laboratory(ground) as opened:

        async def attack(parts: Services, stop: asyncio.Event) -> None:
            await _beside(engine(parts, opened, RELEASE), ground, stop)

        yield attack


async def _beside(attacker: Engine, ground: Ground, stop: asyncio.Event) -> None:
    """Run *attacker* in a thread of its own until *stop* is set, and a little longer for the attack under way.

    One that takes longer is given up: the process ends without its result, and the next start logs it as missing.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    begun = threading.Event()
    inner: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        stop_inner = asyncio.Event()
        inner.append((asyncio.get_running_loop(), stop_inner))
        begun.set()
        await asyncio.gather(attacker.run(stop_inner), _on_request(attacker, ground, stop_inner))

    def main() -> None:
        failed: BaseException | None = None
        try:
            asyncio.run(run())
        except BaseException as error:  # noqa: BLE001 - handed to the loop that waits for it
            failed = error
        with contextlib.suppress(RuntimeError):  # that loop may be closed: we were given up
            loop.call_soon_threadsafe(_settle, ended, failed)

    threading.Thread(target=main, name="claims", daemon=True).start()
    await asyncio.to_thread(begun.wait)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    with contextlib.suppress(RuntimeError):
        inner[0][0].call_soon_threadsafe(inner[0][1].set)
    done, _ = await asyncio.wait({ended}, timeout=LAST_ATTACK)
    if done:
        ended.result()
    else:
        _log.info("an attack under way is given up")


async def _on_request(attacker: Engine, ground: Ground, stop: asyncio.Event) -> None:
    """Run what the operator asks for by `heldtrue claims run` and `calibrate`, until *stop* is set."""
    attacks = known(ground.home.settings).attacks
    while not stop.is_set():
        for name, against in requests.asked(ground.home.data.run):
            if name in attacks:
                await asyncio.to_thread(attacker.run_one, attacks[name], Against(against), "operator")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1.0)


def _settle(ended: asyncio.Future[None], failed: BaseException | None) -> None:
    if failed is None:
        ended.set_result(None)
    else:
        ended.set_exception(failed)


@dataclass(frozen=True, slots=True)
class InstanceArenas:
    """Arenas on the running instance, and on instances made for one run."""

    ground: Ground

    def live(self, place: Place) -> AbstractContextManager[Arena]:
        """Open an arena on the running instance."""
        return self._live(place)

    @contextmanager
    def _live(self, place: Place) -> Generator[Arena]:
        with services(self.ground) as parts:
            found = site(self.ground, self.ground.home.data.pin.read_text().strip(), table(parts))
        with arena(found, place) as opened:
            yield opened

    def scratch(self, directory: Path, parts: Sequence[str]) -> AbstractContextManager[Arena]:
        """Build an instance in *directory* and open an arena on it."""
        return scratch(directory, self.ground, parts)


def table(parts: Services) -> tuple[Route, ...]:
    """Return every route that the web process serves."""
    routes = wiring.table(parts)
    return (*routes, *system.routes(wiring.ports(parts), routes))


def site(
    ground: Ground, pin: str, routes: Sequence[Route], sinks: Sinks | None = None, stage: Stage | None = None
) -> Site:
    """Return the instance as attacks see it: reached at its own listener, under its public name."""
    home = ground.home
    host, port = home.settings.address
    local = home.settings.tls_cert is None
    public = urlsplit(home.settings.public_url)
    reached = _dialled(host)
    return Site(
        address=Address(reached, port, "localhost" if local else public.hostname or reached),
        listeners=[
            Address(_dialled(one.host), one.port, "localhost" if local else one.name, one.starttls, one.clear)
            for one in declared(home.settings)
        ],
        authority=public.netloc,
        ca_file=home.data.tls / "ca.pem" if local else None,
        dsns=ground.dsns,
        embedded=home.settings.database == "embedded",
        platform=home.platform,
        instance_id=home.identity.uuid,
        origin=home.identity.origin,
        pin=pin,
        clock=home.clock,
        entropy=os.urandom,
        routes=routes,
        sinks=sinks,
        mail=_mail(home.settings.mail),
        stage=stage,
    )


def _dialled(host: str) -> str:
    """Return the address at which a listener on *host* is reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - what to dial instead


def _mail(settings: Mail) -> Address | None:
    """Return where mail begins in clear."""
    if settings.listen is None:
        return None
    host, port = host_and_port("mail.listen", settings.listen)
    return Address(_dialled(host), port, settings.host)


@contextmanager
def scratch(directory: Path, above: Ground, parts: Sequence[str] = ()) -> Generator[Arena]:
    """Build a whole instance in *directory*, serve it, open an arena on it, and end it."""
    logs, temporary = directory / "logs", directory / "tmp"
    for made in (logs, temporary):
        made.mkdir(mode=0o777)
        made.chmod(0o777)  # its processes may be other users; the directory above is nobody else's
    _into_logs(logs / "heldtrue.log")
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    os.umask(0o022)
    with ExitStack() as stack:
        socket_ = stack.enter_context(contextlib.closing(listener.bind("127.0.0.1", listener.free_port())))
        port = socket_.getsockname()[1]
        tls = staging.authority(directory) if staging.PART in parts else None
        settings = Settings(
            destinations=staging.destinations(tls),
            listen=f"127.0.0.1:{port}",
            platform_key=f"file:{directory}/keys/platform.key",
            claims=False,
            transforms=Transforms(enabled="auto" if "runner" in parts else False),
            mail=Mail(listen=f"127.0.0.1:{listener.free_port()}", domain="in.example.com")
            if "mail" in parts
            else Mail(),
            limits=LOW if "limits" in parts else HIGH,
        )
        home = boot.open_home(settings, directory / "data")
        stack.callback(home.lock.release)
        certificate = boot.certificate_files(home).read()
        base = stack.enter_context(
            boot.database(home, programs=above.programs, migrations=above.migrations, tuning=TUNING)
        )
        ground = Ground(home, base.dsns, programs=base.programs, migrations=above.migrations)
        prepared = first.prepare(ground)
        with psycopg.connect(base.admin.reveal(), autocommit=True) as admin:
            begin_decoding(admin)

        def serve(ready: Ready) -> int:
            _let_look()
            make, close = wiring.web(ground)
            return web.serve(make, socket_, certificate, ready, close)

        def work(ready: Ready) -> int:
            _let_look()
            socket_.close()
            return worker.work(ground, ready, lease=staging.lease(tls))

        def leave() -> None:
            _let_look()
            socket_.close()

        desk, post = stack.enter_context(runner.listening(home)), stack.enter_context(mail.listening(home))
        staged = None if tls is None else staging.workers(tls, work, home.account)
        children = [
            *runner.children(home, desk),
            Child("web", serve, home.account),
            Child("worker", work, home.account) if staged is None else staged.worker,
            *mail.children(ground, post, lambda: certificate, leave),
        ]
        for child in (*children, *([] if staged is None else [staged.successor])):
            stack.callback(child.stop, seconds=5.0)
            child.start()
        _wait_for(children)
        with services(ground) as made:
            routes = table(made)
        sinks = Sinks(
            superuser=base.admin,
            data_dir=home.data.root,
            cluster=_cluster(base),
            programs=base.programs.bin,
            logs=(logs,),
            temporary=(temporary,),
            processes=lambda: [child.pid for child in children if child.pid],
        )
        stage = None if staged is None else staged.stage
        yield stack.enter_context(arena(site(ground, prepared.pin, routes, sinks, stage), Place.SCRATCH))


def _into_logs(path: Path) -> None:
    """Send what this process and its children print into a file that is searched."""
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("ab") as log:
        path.chmod(0o666)
        for number in (1, 2):
            os.dup2(log.fileno(), number)


def _wait_for(children: Sequence[Child]) -> None:
    deadline = time.monotonic() + START
    while not all(child.ready or not child.vital for child in children):
        for child in children:
            if child.poll() is not None:
                raise AttackHinderedError(f"the {child.name} process of the scratch instance did not start")
        if time.monotonic() > deadline:
            raise AttackHinderedError("the scratch instance did not start in time")
        time.sleep(0.02)


def _let_look() -> None:
    """Let the searcher, which runs as the same user, see which files this process holds open."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def _cluster(base: Base) -> Path:
    if base.server is None:
        raise AttackHinderedError("a scratch instance has an embedded database")
    return base.server.cluster

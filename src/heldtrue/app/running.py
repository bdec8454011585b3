"""`heldtrue up`: from nothing to a served instance, and back to nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import FrameType

import msgspec
import orjson

from heldtrue.app import (
    boot,
    broker,
    claims,
    clockmark,
    edge,
    first,
    instance,
    listener,
    mail,
    preload,
    runner,
    web,
    wiring,
    worker,
)
from heldtrue.app.boot import Ground, Home, Say
from heldtrue.app.first import Prepared
from heldtrue.app.listener import CertificateFiles
from heldtrue.app.processes import Child, Ready
from heldtrue.app.settings import Destinations, Settings
from heldtrue.app.settings_edge import Edge
from heldtrue.app.settings_mail import Mail
from heldtrue.app.supervisor import Supervisor
from heldtrue.crypto.tls import ensure_local_authority
from heldtrue.db import migrate

DEMO_NETWORK = "127.0.0.1/32"
DEMO_DOMAIN = "in.saltmarsh.example"
RENEWAL = timedelta(hours=12)
"""How often the local certificate is looked at for its age."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What an operator needs to know of an instance that serves."""

    url: str
    data: Path
    ca_file: Path | None
    operator_file: Path | None
    pin: str
    first: bool
    demo: bool
    doors: tuple[str, ...] = ()
    """What the edge listens on, in words."""


def up(settings: Settings, path: Path, *, demo: bool, say: Say, serving: Callable[[Serving], None]) -> int:
    """Run the instance in *path* until a signal asks to stop; return the exit code.

    With *demo* deliveries may go to 127.0.0.1, where `heldtrue demo` receives them under an authority of its own.
    """
    asked = _hear_early_stops()
    home = boot.open_home(settings, path)
    try:
        if demo:
            home = _with_demo(home)
        with (
            contextlib.closing(listener.bind(*settings.address)) as socket_,
            edge.listening(home) as doors,
            mail.listening(home) as post,
            runner.listening(home) as desk,
            broker.listening(home) as outside,
        ):
            listeners = {"web": socket_, "edge": doors, "mail": post, "runner": desk, "broker": outside}
            files = boot.certificate_files(home)
            certificate = files.read()
            preload.everything(home.settings)
            migrations = migrate.shipped()
            with boot.database(home, say, migrations=migrations) as base:
                ground = Ground(home, base.dsns, programs=base.programs, migrations=migrations)
                prepared = first.prepare(ground)
                home.data.pin.write_text(prepared.pin + "\n")
                home.data.pin.chmod(0o644)

                def leave_all_but(kept: str) -> None:
                    for name, one in listeners.items():
                        if name != kept:
                            one.close()

                def serve(ready: Ready) -> int:
                    preload.tell_late_imports()
                    leave_all_but("web")
                    make_app, close = wiring.web(ground)
                    return web.serve(make_app, socket_, supervisor.certificate, ready, close)

                def work(ready: Ready) -> int:
                    preload.tell_late_imports()
                    leave_all_but("worker")
                    return worker.work(ground, ready, claims.attacks if home.settings.claims else None)

                supervisor = Supervisor(
                    server=base.server,
                    children=[
                        *broker.children(home, outside),
                        *runner.children(home, desk),
                        Child("worker", work, home.account),
                        Child("web", serve, home.account, serves=True),
                        *edge.children(ground, doors, lambda: supervisor.certificate, lambda: leave_all_but("edge")),
                        *mail.children(ground, post, lambda: supervisor.certificate, lambda: leave_all_but("mail")),
                    ],
                    certificates=files,
                    certificate=certificate,
                    serving=lambda: serving(_announce(home, prepared, demo=demo)),
                    upkeep=_Upkeep(home, files).round,
                    stop_asked=asked.is_set,
                )
                with _noted(home, demo=demo):
                    return supervisor.run()
    finally:
        home.close()


def _hear_early_stops() -> threading.Event:
    """Return what is set when Ctrl-C comes before the supervisor listens.

    The interrupt itself ends the start, unless it is raised inside a finaliser or a callback, where Python drops it.
    """
    asked = threading.Event()

    def heard(_number: int, _frame: FrameType | None) -> None:
        asked.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, heard)
    return asked


def _with_demo(home: Home) -> Home:
    """Return the home with loopback and the demo's authority allowed as destinations, and taking mail on loopback."""
    made = ensure_local_authority(home.data.root / "demo", home.clock.now())
    made.ca.parent.chmod(0o755)
    allowed = home.settings.destinations
    destinations = Destinations(allow=(*allowed.allow, DEMO_NETWORK), ca_file=allowed.ca_file)
    authorities = (home.authorities or "") + made.ca.read_text("ascii")
    post = home.settings.mail
    if not post.opens and home.settings.tls_cert is None:
        post = msgspec.structs.replace(post, listen=f"127.0.0.1:{listener.free_port()}", domain=DEMO_DOMAIN)
    settings = msgspec.structs.replace(home.settings, destinations=destinations, mail=post)
    return replace(home, settings=settings, authorities=authorities)


def _announce(home: Home, prepared: Prepared, *, demo: bool) -> Serving:
    local = home.settings.tls_cert is None
    return Serving(
        url=home.settings.public_url,
        data=home.shown,
        ca_file=home.shown / "tls/ca.pem" if local else None,
        operator_file=home.operator_file if home.operator_file.exists() else None,
        pin=prepared.pin,
        first=home.first,
        demo=demo,
        doors=(*_doors(home.settings.edge), *_posts(home.settings.mail)),
    )


def _posts(settings: Mail) -> tuple[str, ...]:
    return tuple(
        f"Mail for @{settings.domain} comes in at {where}, {how}."
        for where, how in ((settings.listen, "after STARTTLS"), (settings.implicit_tls, "over TLS from the start"))
        if where is not None
    )


def _doors(settings: Edge) -> tuple[str, ...]:
    said: list[str] = []
    if settings.listen is not None:
        said.append(f"A door for proxies is open at {settings.listen}.")
    if settings.proxy_listen is not None:
        said.append(f"https://{settings.proxy_listen} leads to {settings.upstream}, for whoever has a key.")
    return tuple(said)


@contextmanager
def _noted(home: Home, *, demo: bool) -> Generator[None]:
    """Leave a note of where we serve, for commands on this machine, while we do; and remember the time."""
    note = {
        "url": home.settings.public_url,
        "pid": os.getpid(),
        "operator_file": str(home.operator_file),
        "own_certificate": home.settings.tls_cert is not None,
        "demo": demo,
        "mail": home.settings.mail.listen,
    }
    instance.write_durably(home.data.serving, orjson.dumps(note), 0o644)
    places = {"platform_key": boot.key_uri(home.settings, home.identity), "database": home.settings.database}
    instance.write_durably(home.data.places, orjson.dumps(places), 0o644)
    try:
        yield
    finally:
        home.data.serving.unlink(missing_ok=True)
        clockmark.mark(home.data, home.clock.now())
        sys.stdout.flush()


class _Upkeep:
    """What the supervisor looks after between two signals: the mark of time, the age of the local certificate."""

    def __init__(self, home: Home, files: CertificateFiles) -> None:
        self._home = home
        self._local = home.settings.tls_cert is None
        self._files = files
        now = home.clock.now()
        self._mark_at, self._renew_at = now, now + RENEWAL

    def round(self) -> None:
        """Do what is due."""
        now = self._home.clock.now()
        if now >= self._mark_at:
            clockmark.mark(self._home.data, now)
            self._mark_at = now + clockmark.EVERY
        if self._local and now >= self._renew_at:
            ensure_local_authority(self._home.data.tls, now)
            self._renew_at = now + RENEWAL

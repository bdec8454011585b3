"""The mail process: SMTP on sockets that the supervisor bound; losing it loses nothing that was answered with 250."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import uvloop

from heldtrue.app import preload, wiring
from heldtrue.app.boot import Ground, Home
from heldtrue.app.listener import Certificate, bind, in_memory
from heldtrue.app.processes import Child, Ready
from heldtrue.app.services import Services, services
from heldtrue.app.settings_edge import host_and_port
from heldtrue.app.settings_mail import resolver, terms
from heldtrue.app.settings_scanning import scanner
from heldtrue.capabilities.intake.model import Limits
from heldtrue.capabilities.mail.office import MailServices, Office
from heldtrue.capabilities.mail.server import MailServer, tls_context
from heldtrue.db.tx import PoolSizes
from heldtrue.http.limits import Rate


@dataclass(frozen=True, slots=True)
class MailListeners:
    """The sockets that mail comes in by, bound once and inherited by the mail process."""

    starttls: socket.socket | None
    implicit: socket.socket | None

    def close(self) -> None:
        """Close them in a process that does not serve them."""
        for listener in (self.starttls, self.implicit):
            if listener is not None:
                listener.close()


@contextmanager
def listening(home: Home) -> Generator[MailListeners]:
    """Bind what the settings name; what is bound is unbound when the block ends."""
    mail = home.settings.mail
    with contextlib.ExitStack() as stack:
        bound: list[socket.socket | None] = []
        for name, where in (("mail.listen", mail.listen), ("mail.implicit_tls", mail.implicit_tls)):
            bound.append(None if where is None else stack.enter_context(bind(*host_and_port(name, where))))
        yield MailListeners(*bound)


def children(
    ground: Ground, listeners: MailListeners, certificate: Callable[[], Certificate], leave: Callable[[], None]
) -> list[Child]:
    """Return the mail process where mail is taken; *certificate* is asked at each fork, *leave* closes the rest."""
    if not ground.home.settings.mail.opens:
        return []

    def main(ready: Ready) -> int:
        preload.tell_late_imports()
        leave()
        return serve(ground, listeners, certificate(), ready)

    return [Child("mail", main, ground.home.account, serves=True)]


def serve(ground: Ground, listeners: MailListeners, certificate: Certificate, ready: Ready) -> int:
    """Take mail until SIGTERM, answering what is under way; return the exit code."""
    with services(ground, PoolSizes(tenant=8, edge=4, system=2)) as parts:
        uvloop.run(_serve(parts, listeners, certificate, ready))
    return 0


async def _serve(parts: Services, listeners: MailListeners, certificate: Certificate, ready: Ready) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = MailServer(
        office(parts, certificate),
        [listeners.starttls] if listeners.starttls is not None else [],
        [listeners.implicit] if listeners.implicit is not None else [],
    )
    await server.start()
    ready()
    await stop.wait()
    await server.stop()


def office(parts: Services, certificate: Certificate) -> Office:
    """Return what the conversations of this process share."""
    settings = parts.ground.home.settings
    context = tls_context(in_memory(certificate.chain, "certificate"), in_memory(certificate.key, "key"))
    return Office(
        MailServices(
            ports=wiring.ports(parts),
            objects=parts.objects,
            resolver=resolver(settings.mail),
            limits=Limits(body=settings.mail.message_bytes),
            scanner=scanner(settings.scan),
            record_refusals=wiring.refusal_recorder(parts),
        ),
        terms(settings.mail, Rate(settings.limits.burst, settings.limits.requests_per_second)),
        context,
    )

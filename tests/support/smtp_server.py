"""A mail server to send to: real SMTP on loopback, with TLS first or by STARTTLS, and answers that a test chooses."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from certificates import key_and_cert, write
from instance import free_port

USER, PASSWORD = "trust", "correct horse"


@dataclass
class Taken:
    """A message as it came."""

    sender: str
    recipients: list[str]
    content: bytes
    tls: str | None
    signed_in: bool


@dataclass
class MailServer:
    """What the server took, and what it answers."""

    port: int
    authority: str
    """PEM text of who vouches for it."""
    ca_file: Path
    implicit: bool
    taken: list[Taken] = field(default_factory=list)
    rcpt: str = ""
    """Answered to RCPT instead of 250."""
    data: str = ""
    """Answered to the message instead of 250."""
    before_answer: Callable[[], None] | None = None
    """Called when a message was taken and its 250 is not said yet."""

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: Any) -> str:
        if self.rcpt:
            return self.rcpt
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 with pleasure"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data:
            return self.data
        cipher = server.transport.get_extra_info("ssl_object") if server.transport is not None else None
        content = envelope.original_content or b""
        version = cipher.version() if cipher is not None else None
        self.taken.append(
            Taken(envelope.mail_from or "", list(envelope.rcpt_tos), content, version, bool(session.authenticated))
        )
        if self.before_answer is not None:
            self.before_answer()
        return "250 2.0.0 taken"


@contextmanager
def serve_mail(
    directory: Path,
    *,
    implicit: bool = False,
    tls: bool = True,
    name: str = "localhost",
    auth: bool = False,
    newest: ssl.TLSVersion | None = None,
) -> Generator[MailServer]:
    """Serve mail until the block ends; without *tls* in clear alone, with *newest* no newer TLS than that."""
    authority = key_and_cert("mail authority", None)
    write(directory, "authority", *authority)
    write(directory, "server", *key_and_cert(name, authority, host=name == "localhost"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem", directory / "server.key")
    if newest is not None:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = newest
        context.set_ciphers("ALL:@SECLEVEL=0")
    ca_file = directory / "authority.pem"
    served = MailServer(free_port(), ca_file.read_text("ascii"), ca_file, implicit)
    given: dict[str, Any] = {"hostname": "127.0.0.1"}
    if tls and not implicit:
        given |= {"tls_context": context, "require_starttls": True}
    if auth:
        given |= {"authenticator": _authenticate, "auth_required": True, "auth_require_tls": not implicit}
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def listen() -> asyncio.Server:
        return await loop.create_server(
            lambda: SMTP(served, loop=loop, **given), "127.0.0.1", served.port, ssl=context if implicit else None
        )

    listening = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    try:
        yield served
    finally:
        asyncio.run_coroutine_threadsafe(_close(listening), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _close(listening: asyncio.Server) -> None:
    """Stop listening, and end the conversations that are still open."""
    listening.close()
    mine = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not mine]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)

"""The listeners of one mail process, from bound sockets to an orderly end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from functools import partial

from heldtrue.capabilities.mail.office import Office
from heldtrue.capabilities.mail.protocol import StrictSmtp

GRACE = 10.0
"""Seconds that messages under way get after a stop was asked for."""
GOODBYE = 1.0
"""Seconds that peers get to hear the last reply."""
BACKLOG = 512
LOOK = 0.05
OLDEST = ssl.TLSVersion.TLSv1_2


def tls_context(chain: str, key: str) -> ssl.SSLContext:
    """Return the context of a certificate chain and its key, by paths; TLS 1.2 at the least (RFC 8996)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = OLDEST
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(chain, key, password=lambda: "")
    return context


class MailServer:
    """Serves conversations on sockets that are bound already."""

    def __init__(self, office: Office, starttls: Sequence[socket.socket], implicit: Sequence[socket.socket]) -> None:
        self._office = office
        self._sockets = [*((one, False) for one in starttls), *((one, True) for one in implicit)]
        self._servers: list[asyncio.Server] = []
        self._counting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take connections from now on."""
        loop = asyncio.get_running_loop()
        for bound, implicit in self._sockets:
            make = partial(StrictSmtp, self._office, implicit=implicit)
            seconds = self._office.terms.handshake_seconds if implicit else None
            context = self._office.context if implicit else None
            self._servers.append(
                await loop.create_server(make, sock=bound, backlog=BACKLOG, ssl=context, ssl_handshake_timeout=seconds)
            )
        self._counting = loop.create_task(self._office.keep_counts())

    async def stop(self, grace: float = GRACE) -> None:
        """Take no more connections, let messages under way be taken, and end the rest."""
        loop = asyncio.get_running_loop()
        self._office.closing = True
        for server in self._servers:
            server.close()
        for talk in list(self._office.talks):
            if not talk.busy:
                talk.dismiss()
        end = loop.time() + grace
        while self._office.talks and loop.time() < end:
            await asyncio.sleep(LOOK)
        for talk in list(self._office.talks):
            talk.dismiss()
        end = loop.time() + GOODBYE
        while self._office.open and loop.time() < end:
            await asyncio.sleep(LOOK)
        for talk in list(self._office.open):
            talk.abort()
        if self._counting is not None:
            self._counting.cancel()
        await self._office.finish()
        await asyncio.to_thread(self._office.close)

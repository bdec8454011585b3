"""The connection under a conversation: admitted, encrypted, and closed so that the last word is heard.

aiosmtpd carries it: protocol, transport, session, replies. What is said on it is `heldtrue.capabilities.mail.protocol`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, cast

import structlog
from aiosmtpd.smtp import SMTP

from heldtrue.capabilities.intake.model import Tls
from heldtrue.capabilities.mail.lines import Wire
from heldtrue.capabilities.mail.terms import HangUpError
from heldtrue.http.limits import source_of

if TYPE_CHECKING:
    from heldtrue.capabilities.mail.office import Office

QUIET_SECONDS = 0.2
LINGER_SECONDS = 2.0
CLOSE_SECONDS = 3.0
LINGER_BYTES = 1024 * 1024
"""What is read and forgotten after a last reply, so that the reply arrives before the connection is reset."""

logging.getLogger("mail.log").disabled = True  # aiosmtpd's own, which would tell addresses
log = structlog.get_logger("heldtrue.mail")


class Connection(SMTP, ABC):
    """One connection, from its first byte to its last."""

    line_length_limit = 64 * 1024  # of the stream's buffer; lines have limits of their own

    def __init__(self, office: Office, *, implicit: bool) -> None:
        """Serve *office*; *implicit*: encryption comes before the first word (RFC 8314, section 3)."""
        super().__init__(
            object(),
            hostname=office.terms.hostname,
            tls_context=office.context,
            timeout=office.terms.session_seconds,
            loop=asyncio.get_running_loop(),
        )
        self.office = office
        self.terms = office.terms
        self.implicit = implicit
        self.tls: Tls | None = None
        self.wire = Wire(self.stream)
        self.busy = False
        """Whether a message is under way."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.office.open.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        self.office.open.discard(self)
        super().connection_lost(error)

    async def _handle_client(self) -> None:
        """Hold the conversation from the first byte to the last."""
        self.peer: str = source_of(self.link.get_extra_info("peername"))
        reason = self.office.guard.enter(self.peer)
        if reason is not None:
            self.office.count(self.peer, reason)
            await self._last_words("421 4.7.0 too many connections, come back later")
            self._end()
            return
        self.office.talks.add(self)
        try:
            await self.converse()
        except HangUpError as ending:
            self.office.count(self.peer, ending.reason)
            await self._last_words(ending.reply)
        except TimeoutError:
            self.office.count(self.peer, "smtp-timeout")
            await self._last_words("421 4.4.2 you took too long")
        except (EOFError, OSError, ssl.SSLError):
            log.debug("connection lost")
        except Exception:
            log.exception("conversation failed")
            await self._last_words("421 4.3.0 something is wrong here, come back later")
        finally:
            self.office.talks.discard(self)
            self.office.guard.leave(self.peer)
            self._end()

    def dismiss(self) -> None:
        """End a conversation in which no message is under way: the process ends."""
        self._writer.write(b"421 4.3.2 closing down, come back soon\r\n")
        self._end()
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()

    def abort(self) -> None:
        """Cut the connection."""
        self.link.abort()

    def _end(self) -> None:
        """Close; who does not answer our goodbye is cut off."""
        self.link.close()
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.link.abort)

    @abstractmethod
    async def converse(self) -> None:
        """Hold the conversation; raise `HangUpError` with the last words, EOFError where there are none."""

    async def say(self, *lines: str) -> None:
        """Send a reply; raise TimeoutError when the peer does not take it."""
        async with asyncio.timeout(self.terms.command_seconds):
            await self.push("\r\n".join(lines))

    async def _last_words(self, reply: str) -> None:
        """Say *reply*, and hear for a moment what is still being sent."""
        with contextlib.suppress(OSError, TimeoutError, ssl.SSLError):
            await self.say(reply)
            heard = 0
            async with asyncio.timeout(LINGER_SECONDS):
                while heard < LINGER_BYTES:
                    async with asyncio.timeout(QUIET_SECONDS):
                        piece = await self.stream.read(65536)
                    if not piece:
                        return
                    heard += len(piece)

    async def encrypt(self) -> None:
        """Shake hands, and forget what was read in clear."""
        # What came in clear behind STARTTLS, and is on its way still, meets the handshake and ends it.
        await self._writer.start_tls(self.office.context, ssl_handshake_timeout=self.terms.handshake_seconds)
        self.transport = self._writer.transport
        self.stream._transport = self._writer.transport  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - its flow control, which start_tls leaves behind
        self.note_encryption()
        self.wire.drop()

    def note_encryption(self) -> None:
        """Remember how the connection is encrypted."""
        inner: ssl.SSLObject = self._writer.get_extra_info("ssl_object")
        cipher = inner.cipher()
        self.tls = Tls(inner.version(), None if cipher is None else cipher[0])

    @property
    def stream(self) -> asyncio.StreamReader:
        """What comes in."""
        return cast("Any", self)._stream_reader

    @property
    def link(self) -> asyncio.Transport:
        """The transport, encrypted or not."""
        return cast("asyncio.Transport", self._writer.transport)

    @property
    def buffered(self) -> bool:
        """Whether the stream holds bytes that nobody read."""
        return bool(cast("Any", self.stream)._buffer)

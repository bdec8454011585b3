"""One SMTP conversation (RFC 5321), with nothing of it before encryption (RFC 3207).

aiosmtpd carries the connection: protocol, transport, session, replies. What is said on it is decided here, because its
own commands repair what must be refused: they end lines at a bare LF, keep whole messages in memory, offer AUTH, VRFY
and HELP, and forget that bytes behind STARTTLS were sent by somebody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import structlog
from aiosmtpd.smtp import SMTP

from heldtrue.capabilities.intake.model import Tls
from heldtrue.capabilities.mail.lines import Dots, Wire
from heldtrue.capabilities.mail.model import Mailbox
from heldtrue.capabilities.mail.paths import MailFrom, helo_name, mail_from, rcpt_to
from heldtrue.capabilities.mail.terms import HangUpError, RefusedReplyError, closing, refused
from heldtrue.http.limits import source_of
from heldtrue.kernel.errors import HeldtrueError, StorageFullError

if TYPE_CHECKING:
    from heldtrue.capabilities.mail.office import Office

CLEAR = frozenset({"EHLO", "HELO", "STARTTLS", "NOOP", "RSET", "QUIT"})
"""What may be said before encryption; everything else is answered with 530 (RFC 3207, section 4)."""
NEVER = frozenset({"AUTH", "VRFY", "EXPN", "HELP", "BDAT", "BURL", "ETRN", "ATRN", "TURN", "SEND", "SOML", "SAML"})
"""Commands that exist and are not here: nobody logs in, asks about addresses, or has mail passed on."""
QUIET_SECONDS = 0.2
LINGER_SECONDS = 2.0
CLOSE_SECONDS = 3.0
LINGER_BYTES = 1024 * 1024
"""What is read and forgotten after a last reply, so that the reply arrives before the connection is reset."""

logging.getLogger("mail.log").disabled = True  # aiosmtpd's own, which would tell addresses
log = structlog.get_logger("heldtrue.mail")


@dataclass(slots=True)
class Letter:
    """A message under way: its envelope, and its clear text as it arrives."""

    client: str
    helo: str
    tls: Tls
    sender: MailFrom
    boxes: dict[str, Mailbox] = field(default_factory=dict[str, Mailbox])
    """By the recipient's address as it was written."""
    text: bytearray = field(default_factory=bytearray, repr=False)


class StrictSmtp(SMTP):
    """One conversation."""

    line_length_limit = 64 * 1024  # of the stream's buffer; lines have limits of their own

    def __init__(self, office: Office, *, implicit: bool) -> None:
        """Talk for *office*; *implicit*: encryption comes before the first word (RFC 8314, section 3)."""
        super().__init__(
            object(),
            hostname=office.terms.hostname,
            tls_context=office.context,
            timeout=office.terms.session_seconds,
            loop=asyncio.get_running_loop(),
        )
        self._office = office
        self._terms = office.terms
        self._implicit = implicit
        self._tls: Tls | None = None
        self._helo: str | None = None
        self._letter: Letter | None = None
        self._errors = self._idle = self._messages = 0
        self._wire = Wire(self._stream)
        self.busy = False
        """Whether a message is under way."""

    # ------------------------------------------------------------ the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._office.open.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        self._office.open.discard(self)
        super().connection_lost(error)

    async def _handle_client(self) -> None:
        """Hold the conversation from the first byte to the last."""
        self._peer: str = source_of(self._link.get_extra_info("peername"))
        reason = self._office.guard.enter(self._peer)
        if reason is not None:
            self._office.count(self._peer, reason)
            await self._last_words("421 4.7.0 too many connections, come back later")
            self._end()
            return
        self._office.talks.add(self)
        try:
            await self._converse()
        except HangUpError as ending:
            self._office.count(self._peer, ending.reason)
            await self._last_words(ending.reply)
        except TimeoutError:
            self._office.count(self._peer, "smtp-timeout")
            await self._last_words("421 4.4.2 you took too long")
        except (EOFError, OSError, ssl.SSLError):
            log.debug("connection lost")
        except Exception:
            log.exception("conversation failed")
            await self._last_words("421 4.3.0 something is wrong here, come back later")
        finally:
            self._office.talks.discard(self)
            self._office.guard.leave(self._peer)
            self._end()

    def dismiss(self) -> None:
        """End a conversation in which no message is under way: the process ends."""
        self._writer.write(b"421 4.3.2 closing down, come back soon\r\n")
        self._end()
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()

    def abort(self) -> None:
        """Cut the connection."""
        self._link.abort()

    def _end(self) -> None:
        """Close; who does not answer our goodbye is cut off."""
        self._link.close()
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._link.abort)

    async def _converse(self) -> None:
        if self._implicit:
            self._note_encryption()
        await self._hear_silence()
        await self._say(f"220 {self._terms.hostname} ESMTP")
        while not self._office.closing:
            async with asyncio.timeout(self._terms.command_seconds):
                line = await self._wire.command()
            try:
                await self._obey(line)
            except HangUpError:
                raise
            except RefusedReplyError as refusal:
                await self._refuse(refusal)
        raise closing("421 4.3.2 closing down, come back soon", "smtp-closing")

    async def _hear_silence(self) -> None:
        """Wait a moment for who talks before being greeted: no mail server does (RFC 5321, section 4.3.1)."""
        try:
            async with asyncio.timeout(self._terms.greeting_seconds):
                self._wire.give_back(await self._wire.piece())
        except TimeoutError:
            return
        raise closing("554 5.5.0 you talk before you are greeted", "smtp-early-talker")

    async def _obey(self, line: bytes) -> None:
        word, _, rest = line.partition(b" ")
        verb = word.decode("ascii", "replace").upper()
        if self._tls is None and verb not in CLEAR:
            raise refused("530 5.7.0 say STARTTLS first", "smtp-clear")
        try:
            argument = rest.decode().rstrip(" ")
        except UnicodeDecodeError:
            raise refused("501 5.5.4 letters beyond ASCII are UTF-8", "smtp-syntax") from None
        if not argument.replace("\t", " ").isprintable():
            raise refused("501 5.5.4 control characters are no part of a command", "smtp-syntax")
        command = _COMMANDS.get(verb)
        if verb in NEVER:
            raise refused(f"502 5.5.1 {verb} is not for this server", "smtp-never")
        if command is None:
            raise refused("500 5.5.2 no such command", "smtp-unknown-command")
        if verb not in {"MAIL", "RCPT", "DATA", "QUIT"}:
            self._idle += 1
            if self._idle > self._terms.idle_commands:
                raise closing("421 4.7.0 so many commands and no mail", "smtp-idle-commands")
        await command(self, argument)

    async def _refuse(self, refusal: RefusedReplyError) -> None:
        """Say no, and count it; over the limits say goodbye."""
        self._office.count(self._peer, refusal.reason)
        await self._say(refusal.reply)
        if refusal.reply.startswith("5"):
            self._errors += 1
            if self._errors >= self._terms.errors or not self._office.guard.refused(self._peer):
                raise closing("421 4.7.0 too many mistakes", "smtp-errors")

    async def _say(self, *lines: str) -> None:
        async with asyncio.timeout(self._terms.command_seconds):
            await self.push("\r\n".join(lines))

    async def _last_words(self, reply: str) -> None:
        """Say *reply*, and hear for a moment what is still being sent."""
        with contextlib.suppress(OSError, TimeoutError, ssl.SSLError):
            await self._say(reply)
            heard = 0
            async with asyncio.timeout(LINGER_SECONDS):
                while heard < LINGER_BYTES:
                    async with asyncio.timeout(QUIET_SECONDS):
                        piece = await self._stream.read(65536)
                    if not piece:
                        return
                    heard += len(piece)

    # ------------------------------------------------------------ encryption

    async def smtp_STARTTLS(self, arg: str) -> None:
        """Encrypt, and forget everything that was said in clear (RFC 3207, section 4.2)."""
        if self._tls is not None:
            raise refused("503 5.5.1 this is encrypted already", "smtp-starttls-twice")
        if arg:
            raise refused("501 5.5.4 STARTTLS has no parameters", "smtp-syntax")
        if self._helo is None:
            raise refused("503 5.5.1 say EHLO first", "smtp-order")
        self._link.pause_reading()
        if self._wire.held or self._buffered:
            raise closing("554 5.7.0 nothing may follow STARTTLS unencrypted", "smtp-injection")
        await self._say("220 2.0.0 go ahead")
        await self._encrypt()
        self._helo, self._letter = None, None

    async def _encrypt(self) -> None:
        # What came in clear behind STARTTLS, and is on its way still, meets the handshake and ends it.
        await self._writer.start_tls(self._office.context, ssl_handshake_timeout=self._terms.handshake_seconds)
        self.transport = self._writer.transport
        self._stream._transport = self._writer.transport  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - its flow control, which start_tls leaves behind
        self._note_encryption()
        self._wire.drop()

    def _note_encryption(self) -> None:
        inner: ssl.SSLObject = self._writer.get_extra_info("ssl_object")
        cipher = inner.cipher()
        self._tls = Tls(inner.version(), None if cipher is None else cipher[0])

    # ------------------------------------------------------------ greetings

    async def smtp_EHLO(self, hostname: str) -> None:
        """Take the peer's name, and say what is spoken here."""
        self._helo, self._letter = helo_name(hostname), None
        offers = [f"SIZE {self._terms.message_bytes}", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES"]
        if self._tls is None:
            offers = ["ENHANCEDSTATUSCODES", "STARTTLS"]
        said = [self._terms.hostname, *offers]
        await self._say(*(f"250-{one}" for one in said[:-1]), f"250 {said[-1]}")

    async def smtp_HELO(self, hostname: str) -> None:
        """Take the peer's name."""
        self._helo, self._letter = helo_name(hostname), None
        await self._say(f"250 {self._terms.hostname}")

    async def smtp_NOOP(self, arg: str) -> None:  # noqa: ARG002 - whatever it says
        """Do nothing."""
        await self._say("250 2.0.0 ok")

    async def smtp_RSET(self, arg: str) -> None:
        """Forget the message under way."""
        if arg:
            raise refused("501 5.5.4 RSET has no parameters", "smtp-syntax")
        self._letter = None
        await self._say("250 2.0.0 ok")

    async def smtp_QUIT(self, arg: str) -> None:
        """End the conversation."""
        if arg:
            raise refused("501 5.5.4 QUIT has no parameters", "smtp-syntax")
        await self._say("221 2.0.0 goodbye")
        raise EOFError

    # ------------------------------------------------------------ a message

    async def smtp_MAIL(self, arg: str | None) -> None:
        """Begin a message."""
        asked = mail_from(arg or "")
        if self._helo is None or self._tls is None:
            raise refused("503 5.5.1 say EHLO first", "smtp-order")
        if self._letter is not None:
            raise refused("503 5.5.1 one message at a time", "smtp-order")
        if asked.size > self._terms.message_bytes:
            raise refused(f"552 5.3.4 a message has at most {self._terms.message_bytes} bytes", "smtp-size")
        if self._messages >= self._terms.messages:
            raise closing("421 4.7.0 so many messages; connect again", "smtp-messages")
        client = str((self._link.get_extra_info("peername") or ("local",))[0])
        self._letter = Letter(client, self._helo, self._tls, asked)
        await self._say("250 2.1.0 ok")

    async def smtp_RCPT(self, arg: str | None) -> None:
        """Add a recipient; those of one message belong to one organisation and environment."""
        letter = self._letter
        if letter is None:
            raise refused("503 5.5.1 say MAIL first", "smtp-order")
        path = rcpt_to(arg or "", smtputf8=letter.sender.smtputf8)
        if path.domain.lower() != self._terms.domain:
            raise refused("550 5.7.1 no mail is passed on from here", "smtp-relay")
        if len(letter.boxes) >= self._terms.recipients:
            raise refused("452 4.5.3 too many recipients", "smtp-recipients")
        box = await self._office.find(path.local)
        if box is None:
            raise refused("550 5.1.1 no such address", "smtp-unknown-recipient")
        if any(other.place != box.place for other in letter.boxes.values()):
            raise refused("452 4.5.3 send this recipient a message of its own", "smtp-recipients")
        if not letter.boxes and self._office.guard.message(f"{box.tenant}/{box.environment}") is not None:
            raise refused("450 4.7.1 too much mail for this address, come back later", "smtp-rate")
        letter.boxes[str(path)] = box
        await self._say("250 2.1.5 ok")

    async def smtp_DATA(self, arg: str) -> None:
        """Take the message in; the answer says yes only when it is sealed and durable."""
        letter = self._letter
        if letter is None or not letter.boxes:
            raise refused("503 5.5.1 say MAIL and RCPT first", "smtp-order")
        if arg:
            raise refused("501 5.5.4 DATA has no parameters", "smtp-syntax")
        if self._wire.held or self._buffered:
            raise closing("554 5.5.0 a message begins after 354", "smtp-injection")
        dots, flow = Dots(), _Flow()
        self._letter, self.busy = None, True
        try:
            await self._say("354 end with <CRLF>.<CRLF>")
            payload = await self._office.take(letter, self._text(letter, dots, flow))
        except HangUpError:
            raise
        except HeldtrueError as error:
            await self._skip(dots, flow)
            self._wire.give_back(dots.rest)
            raise _refusal_of(error) from error
        finally:
            self.busy = False
            self._office.memory.give_back(len(letter.text))
        self._wire.give_back(dots.rest)
        self._messages, self._idle = self._messages + 1, 0
        await self._say(f"250 2.0.0 taken as {payload}")

    async def _text(self, letter: Letter, dots: Dots, flow: _Flow) -> AsyncIterator[bytes]:
        """Yield the message's bytes, and keep them for the checks."""
        while not dots.ended:
            text = dots.feed(await self._next(flow))
            if not text:
                continue
            if len(letter.text) + len(text) > self._terms.message_bytes:
                raise refused(f"552 5.3.4 a message has at most {self._terms.message_bytes} bytes", "smtp-size")
            if not self._office.memory.take(len(text)):
                raise refused("452 4.3.1 too much mail at once, come back later", "smtp-memory")
            letter.text += text
            yield text

    async def _skip(self, dots: Dots, flow: _Flow) -> None:
        """Read what is left of a message that was refused, as much again as one may have; then hang up."""
        heard = 0
        while not dots.ended:
            heard += len(dots.feed(await self._next(flow)))
            if heard > self._terms.message_bytes:
                raise closing(f"552 5.3.4 a message has at most {self._terms.message_bytes} bytes", "smtp-size")

    async def _next(self, flow: _Flow) -> bytes:
        """Return the next bytes; raise TimeoutError when the message as a whole is slower than the least rate."""
        loop, terms = asyncio.get_running_loop(), self._terms
        left = terms.data_seconds + flow.bytes / terms.data_bytes_per_second - flow.waited
        before = loop.time()
        async with asyncio.timeout(min(left, terms.command_seconds)):
            piece = await self._wire.piece()
        flow.waited += loop.time() - before
        flow.bytes += len(piece)
        return piece

    # ------------------------------------------------------------ what aiosmtpd keeps

    @property
    def _stream(self) -> asyncio.StreamReader:
        return cast("Any", self)._stream_reader

    @property
    def _link(self) -> asyncio.Transport:
        return cast("asyncio.Transport", self._writer.transport)

    @property
    def _buffered(self) -> bool:
        """Whether the stream holds bytes that nobody read."""
        return bool(cast("Any", self._stream)._buffer)


@dataclass(slots=True)
class _Flow:
    """How a message comes in."""

    bytes: int = 0
    waited: float = 0.0


def _refusal_of(error: HeldtrueError) -> RefusedReplyError:
    if isinstance(error, RefusedReplyError):
        return error
    if isinstance(error, StorageFullError):
        return refused("452 4.3.1 no room, come back later", error.code)
    log.warning("message not taken", code=error.code, why=error.message)
    return refused("451 4.3.0 not now, come back later", error.code)


_COMMANDS: dict[str, Callable[[StrictSmtp, str], Awaitable[None]]] = {
    "EHLO": StrictSmtp.smtp_EHLO,
    "HELO": StrictSmtp.smtp_HELO,
    "STARTTLS": StrictSmtp.smtp_STARTTLS,
    "NOOP": StrictSmtp.smtp_NOOP,
    "RSET": StrictSmtp.smtp_RSET,
    "QUIT": StrictSmtp.smtp_QUIT,
    "MAIL": StrictSmtp.smtp_MAIL,
    "RCPT": StrictSmtp.smtp_RCPT,
    "DATA": StrictSmtp.smtp_DATA,
}

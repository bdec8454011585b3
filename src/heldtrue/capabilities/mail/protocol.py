"""One SMTP conversation (RFC 5321), with nothing of it before encryption (RFC 3207).

aiosmtpd carries the connection: protocol, transport, session, replies. What is said on it is decided here, because its
own commands repair what must be refused: they end lines at a bare LF, keep whole messages in memory, offer AUTH, VRFY
and HELP, and forget that bytes behind STARTTLS were sent by somebody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from heldtrue.capabilities.intake.model import Tls
from heldtrue.capabilities.intake.scanning import InfectedError
from heldtrue.capabilities.mail.connection import Connection
from heldtrue.capabilities.mail.lines import Dots
from heldtrue.capabilities.mail.model import Mailbox
from heldtrue.capabilities.mail.paths import MailFrom, helo_name, mail_from, rcpt_to
from heldtrue.capabilities.mail.terms import HangUpError, RefusedReplyError, closing, refused
from heldtrue.kernel.errors import HeldtrueError, StorageFullError

if TYPE_CHECKING:
    from heldtrue.capabilities.mail.office import Office

CLEAR = frozenset({"EHLO", "HELO", "STARTTLS", "NOOP", "RSET", "QUIT"})
"""What may be said before encryption; everything else is answered with 530 (RFC 3207, section 4)."""
NEVER = frozenset({"AUTH", "VRFY", "EXPN", "HELP", "BDAT", "BURL", "ETRN", "ATRN", "TURN", "SEND", "SOML", "SAML"})
"""Commands that exist and are not here: nobody logs in, asks about addresses, or has mail passed on."""
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


class StrictSmtp(Connection):
    """One conversation."""

    def __init__(self, office: Office, *, implicit: bool) -> None:
        """Talk for *office*; *implicit*: encryption comes before the first word (RFC 8314, section 3)."""
        super().__init__(office, implicit=implicit)
        self._helo: str | None = None
        self._letter: Letter | None = None
        self._errors = self._idle = self._messages = 0

    async def converse(self) -> None:
        """Greet, and answer one command after another."""
        if self.implicit:
            self.note_encryption()
        await self._hear_silence()
        await self.say(f"220 {self.terms.hostname} ESMTP")
        while not self.office.closing:
            async with asyncio.timeout(self.terms.command_seconds):
                line = await self.wire.command()
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
            async with asyncio.timeout(self.terms.greeting_seconds):
                self.wire.give_back(await self.wire.piece())
        except TimeoutError:
            return
        raise closing("554 5.5.0 you talk before you are greeted", "smtp-early-talker")

    async def _obey(self, line: bytes) -> None:
        word, _, rest = line.partition(b" ")
        verb = word.decode("ascii", "replace").upper()
        if self.tls is None and verb not in CLEAR:
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
            if self._idle > self.terms.idle_commands:
                raise closing("421 4.7.0 so many commands and no mail", "smtp-idle-commands")
        await command(self, argument)

    async def _refuse(self, refusal: RefusedReplyError) -> None:
        """Say no, and count it; over the limits say goodbye."""
        self.office.count(self.peer, refusal.reason)
        await self.say(refusal.reply)
        if refusal.reply.startswith("5"):
            self._errors += 1
            if self._errors >= self.terms.errors or not self.office.guard.refused(self.peer):
                raise closing("421 4.7.0 too many mistakes", "smtp-errors")

    # ------------------------------------------------------------ encryption

    async def smtp_STARTTLS(self, arg: str) -> None:
        """Encrypt, and forget everything that was said in clear (RFC 3207, section 4.2)."""
        if self.tls is not None:
            raise refused("503 5.5.1 this is encrypted already", "smtp-starttls-twice")
        if arg:
            raise refused("501 5.5.4 STARTTLS has no parameters", "smtp-syntax")
        if self._helo is None:
            raise refused("503 5.5.1 say EHLO first", "smtp-order")
        self.link.pause_reading()
        if self.wire.held or self.buffered:
            raise closing("554 5.7.0 nothing may follow STARTTLS unencrypted", "smtp-injection")
        await self.say("220 2.0.0 go ahead")
        await self.encrypt()
        self._helo, self._letter = None, None

    # ------------------------------------------------------------ greetings

    async def smtp_EHLO(self, hostname: str) -> None:
        """Take the peer's name, and say what is spoken here."""
        self._helo, self._letter = helo_name(hostname), None
        offers = [f"SIZE {self.terms.message_bytes}", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES"]
        if self.tls is None:
            offers = ["ENHANCEDSTATUSCODES", "STARTTLS"]
        said = [self.terms.hostname, *offers]
        await self.say(*(f"250-{one}" for one in said[:-1]), f"250 {said[-1]}")

    async def smtp_HELO(self, hostname: str) -> None:
        """Take the peer's name."""
        self._helo, self._letter = helo_name(hostname), None
        await self.say(f"250 {self.terms.hostname}")

    async def smtp_NOOP(self, arg: str) -> None:  # noqa: ARG002 - whatever it says
        """Do nothing."""
        await self.say("250 2.0.0 ok")

    async def smtp_RSET(self, arg: str) -> None:
        """Forget the message under way."""
        if arg:
            raise refused("501 5.5.4 RSET has no parameters", "smtp-syntax")
        self._letter = None
        await self.say("250 2.0.0 ok")

    async def smtp_QUIT(self, arg: str) -> None:
        """End the conversation."""
        if arg:
            raise refused("501 5.5.4 QUIT has no parameters", "smtp-syntax")
        await self.say("221 2.0.0 goodbye")
        raise EOFError

    # ------------------------------------------------------------ a message

    async def smtp_MAIL(self, arg: str | None) -> None:
        """Begin a message."""
        asked = mail_from(arg or "")
        if self._helo is None or self.tls is None:
            raise refused("503 5.5.1 say EHLO first", "smtp-order")
        if self._letter is not None:
            raise refused("503 5.5.1 one message at a time", "smtp-order")
        if asked.size > self.terms.message_bytes:
            raise refused(f"552 5.3.4 a message has at most {self.terms.message_bytes} bytes", "smtp-size")
        if self._messages >= self.terms.messages:
            raise closing("421 4.7.0 so many messages; connect again", "smtp-messages")
        client = str((self.link.get_extra_info("peername") or ("local",))[0])
        self._letter = Letter(client, self._helo, self.tls, asked)
        await self.say("250 2.1.0 ok")

    async def smtp_RCPT(self, arg: str | None) -> None:
        """Add a recipient; those of one message belong to one organisation and environment."""
        letter = self._letter
        if letter is None:
            raise refused("503 5.5.1 say MAIL first", "smtp-order")
        path = rcpt_to(arg or "", smtputf8=letter.sender.smtputf8)
        if path.domain.lower() != self.terms.domain:
            raise refused("550 5.7.1 no mail is passed on from here", "smtp-relay")
        if len(letter.boxes) >= self.terms.recipients:
            raise refused("452 4.5.3 too many recipients", "smtp-recipients")
        box = await self.office.find(path.local)
        if box is None:
            raise refused("550 5.1.1 no such address", "smtp-unknown-recipient")
        if any(other.place != box.place for other in letter.boxes.values()):
            raise refused("452 4.5.3 send this recipient a message of its own", "smtp-recipients")
        if not letter.boxes and self.office.guard.message(f"{box.tenant}/{box.environment}") is not None:
            raise refused("450 4.7.1 too much mail for this address, come back later", "smtp-rate")
        letter.boxes[str(path)] = box
        await self.say("250 2.1.5 ok")

    async def smtp_DATA(self, arg: str) -> None:
        """Take the message in; the answer says yes only when it is sealed and durable."""
        letter = self._letter
        if letter is None or not letter.boxes:
            raise refused("503 5.5.1 say MAIL and RCPT first", "smtp-order")
        if arg:
            raise refused("501 5.5.4 DATA has no parameters", "smtp-syntax")
        if self.wire.held or self.buffered:
            raise closing("554 5.5.0 a message begins after 354", "smtp-injection")
        dots, flow = Dots(), _Flow()
        self._letter, self.busy = None, True
        try:
            await self.say("354 end with <CRLF>.<CRLF>")
            payload = await self.office.take(letter, self._text(letter, dots, flow))
        except HangUpError:
            raise
        except HeldtrueError as error:
            await self._skip(dots, flow)
            self.wire.give_back(dots.rest)
            raise _refusal_of(error) from error
        finally:
            self.busy = False
            self.office.memory.give_back(len(letter.text))
        self.wire.give_back(dots.rest)
        self._messages, self._idle = self._messages + 1, 0
        await self.say(f"250 2.0.0 taken as {payload}")

    async def _text(self, letter: Letter, dots: Dots, flow: _Flow) -> AsyncIterator[bytes]:
        """Yield the message's bytes, and keep them for the checks."""
        while not dots.ended:
            text = dots.feed(await self._next(flow))
            if not text:
                continue
            if len(letter.text) + len(text) > self.terms.message_bytes:
                raise refused(f"552 5.3.4 a message has at most {self.terms.message_bytes} bytes", "smtp-size")
            if not self.office.memory.take(len(text)):
                raise refused("452 4.3.1 too much mail at once, come back later", "smtp-memory")
            letter.text += text
            yield text

    async def _skip(self, dots: Dots, flow: _Flow) -> None:
        """Read what is left of a message that was refused, as much again as one may have; then hang up."""
        heard = 0
        while not dots.ended:
            heard += len(dots.feed(await self._next(flow)))
            if heard > self.terms.message_bytes:
                raise closing(f"552 5.3.4 a message has at most {self.terms.message_bytes} bytes", "smtp-size")

    async def _next(self, flow: _Flow) -> bytes:
        """Return the next bytes; raise TimeoutError when the message as a whole is slower than the least rate."""
        loop, terms = asyncio.get_running_loop(), self.terms
        left = terms.data_seconds + flow.bytes / terms.data_bytes_per_second - flow.waited
        before = loop.time()
        async with asyncio.timeout(min(left, terms.command_seconds)):
            piece = await self.wire.piece()
        flow.waited += loop.time() - before
        flow.bytes += len(piece)
        return piece


@dataclass(slots=True)
class _Flow:
    """How a message comes in."""

    bytes: int = 0
    waited: float = 0.0


def _refusal_of(error: HeldtrueError) -> RefusedReplyError:
    if isinstance(error, RefusedReplyError):
        return error
    if isinstance(error, InfectedError):
        return refused("554 5.7.1 the message holds a virus", error.code)
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

"""What the listener demands and grants, and how it says no."""

from __future__ import annotations

from dataclasses import dataclass, field

from heldtrue.http.limits import Rate
from heldtrue.kernel.errors import HeldtrueError, UnavailableError

MiB = 1024 * 1024
COMMAND_BYTES = 1024
"""Of a command line with its CRLF; RFC 5321, section 4.5.3.1.4, asks for 512 and what extensions add."""
LINE_BYTES = 16 * 1024
"""Of a line of a message; RFC 5321, section 4.5.3.1.6, asks for 1,000 at the least."""


class RefusedReplyError(HeldtrueError):
    """The command is answered with a refusal; the conversation goes on."""

    code = "smtp-refused"

    def __init__(self, reply: str, reason: str) -> None:
        super().__init__(reply)
        self.reply = reply
        """Code, enhanced code and words (RFC 3463)."""
        self.reason = reason
        """A closed word, as refusals are counted by."""


class HangUpError(RefusedReplyError):
    """The reply is given, and the connection is closed: nothing that may follow can be trusted to be what it seems."""

    code = "smtp-hang-up"


class MailBusyError(UnavailableError):
    """More mail waits than can be stored soon, so this was not begun; the sender's server tries again by itself."""

    code = "mail-busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Who we are, and how much one peer may ask for."""

    hostname: str
    domain: str
    message_bytes: int = 25 * MiB
    memory_bytes: int = 256 * MiB
    """Clear text of messages under way, held for checking signatures; over that, senders are asked to come back."""
    recipients: int = 50
    """Of one message."""
    messages: int = 500
    """On one connection."""
    idle_commands: int = 30
    """Commands between two messages beside their recipients'."""
    errors: int = 10
    """Refused commands on one connection."""
    connections: int = 256
    connections_per_source: int = 24
    """A source is an IPv4 address or an IPv6 /64."""
    connection_rate: Rate = field(default_factory=lambda: Rate(60, 5.0))
    """New connections of one source."""
    refusal_rate: Rate = field(default_factory=lambda: Rate(60, 1.0))
    """Refused commands of one source, over all its connections."""
    organisation_rate: Rate = field(default_factory=lambda: Rate(200, 100))
    """Messages of one organisation and environment."""
    greeting_seconds: float = 0.05
    """For which a peer must keep silent before the banner; who does not was told to talk by a script."""
    handshake_seconds: float = 10.0
    command_seconds: float = 60.0
    """For one whole command, and for a reply to be taken."""
    data_seconds: float = 30.0
    """For the first bytes of a message, and beyond the time that its size grants."""
    data_bytes_per_second: int = 2048
    """The least rate of a message over its whole length."""
    session_seconds: float = 4 * 3600.0


def closing(reply: str, reason: str) -> HangUpError:
    """Return the error that says *reply* and closes."""
    return HangUpError(reply, reason)


def refused(reply: str, reason: str) -> RefusedReplyError:
    """Return the error that says *reply*."""
    return RefusedReplyError(reply, reason)


def bare_line_end() -> HangUpError:
    """Return the refusal of a CR without LF or an LF without CR (RFC 5321, section 2.3.8)."""
    return closing("550 5.6.11 CR and LF come together here, or not at all", "smtp-bare-line-end")


def zero_byte() -> HangUpError:
    """Return the refusal of a NUL (RFC 5321, section 4.5.2)."""
    return closing("550 5.6.0 NUL is no character of mail", "smtp-nul")

"""Attacks on the way mail comes in: said in clear, and injected before the handshake (RFC 3207)."""

from __future__ import annotations

import socket
import ssl

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.attack.caller import Address

TIMEOUT = 15.0
IN_CLEAR = (
    "MAIL FROM:<probe@example.com>", "RCPT TO:<probe@example.com>", "DATA", "BDAT 3 LAST",
    "AUTH PLAIN AHByb2JlAHByb2Jl", "VRFY probe", "HELP",
)  # fmt: skip
"""What takes mail, credentials or addresses; few, because mistakes are counted against their source."""
NOT_YET = "530"
"""Must issue a STARTTLS command first (RFC 3207, section 4)."""


class _Talk:
    """A conversation with the listener, in clear at first."""

    def __init__(self, address: Address) -> None:
        try:
            self._link = socket.create_connection((address.host, address.port), TIMEOUT)
        except OSError as error:
            raise AttackHinderedError(f"the mail listener on port {address.port} cannot be reached") from error
        self._heard = b""

    def __enter__(self) -> _Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    def say(self, *lines: str) -> None:
        """Send lines in one piece."""
        self._link.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def hear(self) -> str:
        """Return the last line of the next reply; empty when there is none any more."""
        while True:
            line, end, rest = self._heard.partition(b"\r\n")
            if end:
                self._heard = rest
                if line[3:4] != b"-":
                    return line.decode("latin-1")
                continue
            try:
                piece = self._link.recv(4096)
            except (OSError, ssl.SSLError):
                return ""
            if not piece:
                return ""
            self._heard += piece

    def ask(self, line: str) -> str:
        """Say a line and return the reply."""
        self.say(line)
        return self.hear()

    def expect(self, reply: str, code: str) -> None:
        """Return when *reply* begins with *code*; the attack cannot go on otherwise."""
        if not reply.startswith(code):
            raise AttackHinderedError(f"the mail listener answered {reply[:80]!r} where {code} was expected")

    def encrypt(self) -> None:
        """Turn encryption on; who the listener is, every sender verifies for itself."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._link = context.wrap_socket(self._link)
        self._heard = b""


def in_clear(arena: Arena) -> Finding:
    """Say what takes mail before encryption, and behind STARTTLS in the same piece; then take the proper way."""
    if arena.mail is None:
        raise AttackHinderedError("this instance has no mail listener that begins in clear")
    faults: list[str] = []
    with _Talk(arena.mail) as talk:
        talk.expect(talk.hear(), "220")
        talk.expect(talk.ask("EHLO probe.example.com"), "250")
        for line in IN_CLEAR:
            reply = talk.ask(line)
            if not reply.startswith(NOT_YET):
                faults.append(f"In clear, {line.split()[0]} was answered with {reply[:3] or 'nothing'}.")
                break
    faults += _injected(arena.mail)
    _proper(arena.mail)
    return judged(
        faults,
        f"{len(IN_CLEAR)} commands in clear were answered with 530, and one sent behind STARTTLS in the same piece "
        "ended the conversation; after the handshake a sender was let on.",
        commands=len(IN_CLEAR),
        injections=1,
    )


def _injected(address: Address) -> list[str]:
    """Send a command behind STARTTLS in one piece; nobody may answer it, in clear or behind the handshake."""
    with _Talk(address) as talk:
        talk.expect(talk.hear(), "220")
        talk.expect(talk.ask("EHLO probe.example.com"), "250")
        talk.say("STARTTLS", "MAIL FROM:<injected@example.com>")
        first = talk.hear()
        if first.startswith("220"):
            return ["A command behind STARTTLS in the same piece did not end the conversation."]
        if talk.hear():
            return ["A command that was injected behind STARTTLS was answered."]
        return []


def _proper(address: Address) -> None:
    """Be let on after the handshake, so that what was refused was refused for being in clear."""
    with _Talk(address) as talk:
        talk.expect(talk.hear(), "220")
        talk.expect(talk.ask("EHLO probe.example.com"), "250")
        talk.expect(talk.ask("STARTTLS"), "220")
        talk.encrypt()
        talk.expect(talk.ask("EHLO probe.example.com"), "250")
        talk.expect(talk.ask("MAIL FROM:<probe@example.com>"), "250")
        talk.expect(talk.ask("RSET"), "250")
        talk.say("QUIT")


ATTACKS = (
    Attack(
        name="mail.in_clear",
        place=Place.OBSERVE,
        tries=(
            "Say MAIL, RCPT, DATA, BDAT, AUTH, VRFY and HELP before encryption: each must be answered with 530.",
            "Send a command behind STARTTLS in the same piece: it must end the conversation, unanswered.",
            "Then turn encryption on as one should: MAIL must be taken.",
        ),
        run=in_clear,
        breaks="mail-in-clear",
        parts=("mail",),
    ),
)

"""A run's line to the broker: what the run asks goes out as it is, what comes back goes in as it is.

The first frame says which execution this is; the run never sees that token. Nothing of a question is parsed here.
"""

from __future__ import annotations

import json
import select
import socket
import struct
from pathlib import Path
from typing import Self

CLOSED = ("not-allowed", "this transform may call no host: allow one with PUT /v1/transforms/{id}/egress")
AWAY = ("broker-away", "the broker does not answer, so nothing was called; try again")


class Relay:
    """One conversation at most, opened by the first question. Never blocks."""

    def __init__(self, broker: Path | None, token: str | None, longest: int) -> None:
        self._broker, self._token, self._longest = broker, token, longest
        self._line: socket.socket | None = None
        self._out = memoryview(b"")
        self._in = bytearray()
        self.answer: bytes | None = None
        """The answer to the last question, whole, with its length before it."""
        self.busy = False
        """Whether a question is under way."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()

    def fileno(self) -> int:
        """Return the descriptor to wait for while `busy`."""
        return -1 if self._line is None else self._line.fileno()

    @property
    def wants(self) -> int:
        """What to wait for."""
        return select.POLLIN | (select.POLLOUT if self._out else 0)

    def ask(self, question: bytes) -> None:
        """Begin to ask; without a broker, or where the run may call nobody, the answer is there at once."""
        if self._token is None or self._broker is None:
            self.answer = refusal(CLOSED if self._token is None else AWAY)
            return
        frame = struct.pack(">I", len(question)) + question
        try:
            if self._line is None:
                frame = struct.pack(">I", len(self._token)) + self._token.encode() + frame
                self._line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                self._line.connect(str(self._broker))
        except OSError:
            self._give_up()
            return
        self._out, self.busy = memoryview(frame), True
        self.turn()

    def turn(self) -> None:
        """Send and take as much as goes without waiting."""
        if self._line is None:
            return
        try:
            if self._out:
                self._out = self._out[self._line.send(self._out) :]
            part = self._line.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            self._give_up()
            return
        self._in += part
        if not part or self._too_long():
            self._give_up()
        elif len(self._in) >= 4 and len(self._in) == 4 + struct.unpack_from(">I", self._in)[0]:
            self.answer, self.busy, self._in = bytes(self._in), False, bytearray()

    def _too_long(self) -> bool:
        """Return whether more is announced than may come, or more came than was announced."""
        if len(self._in) < 4:
            return False
        (size,) = struct.unpack_from(">I", self._in)
        return size > self._longest or len(self._in) > 4 + size

    def _give_up(self) -> None:
        self._hang_up()
        self.answer, self.busy = refusal(AWAY), False

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line, self._out, self._in = None, memoryview(b""), bytearray()


def refusal(why: tuple[str, str]) -> bytes:
    """Return an answer that refuses, as the broker would write it."""
    head = json.dumps({"refused": why}).encode()
    return struct.pack(">II", 4 + len(head), len(head)) + head

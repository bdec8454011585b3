"""Lines and messages out of a stream of bytes, without any leniency: only CRLF ends a line (RFC 5321, section 2.3.8).

Where two servers disagree on what ends a message, the second sees one that the first never saw ("SMTP smuggling"). So a
CR or LF by itself is neither repaired nor passed on: the connection ends.
"""

from __future__ import annotations

import asyncio

from heldtrue.capabilities.mail.terms import COMMAND_BYTES, LINE_BYTES, bare_line_end, closing, zero_byte

PIECE = 64 * 1024
END = b"\r\n.\r\n"


class Wire:
    """What was read of a connection and not used yet."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._held = b""

    @property
    def held(self) -> bool:
        """Whether bytes were read that nobody asked for yet."""
        return bool(self._held)

    def drop(self) -> None:
        """Forget what was read."""
        self._held = b""

    async def command(self) -> bytes:
        """Return the next command line without its CRLF; raise `HangUpError` for what is none, EOFError at the end."""
        while (end := self._held.find(b"\n")) < 0:
            _judge_command(self._held)
            piece = await self._reader.read(PIECE)
            if not piece:
                raise EOFError
            self._held += piece
        line, self._held = self._held[: end + 1], self._held[end + 1 :]
        _judge_command(line)
        if not line.endswith(b"\r\n") or line.count(b"\r") != 1:
            raise bare_line_end()
        return line[:-2]

    async def piece(self) -> bytes:
        """Return some bytes, those that are held first; raise EOFError at the end."""
        if self._held:
            held, self._held = self._held, b""
            return held
        piece = await self._reader.read(PIECE)
        if not piece:
            raise EOFError
        return piece

    def give_back(self, rest: bytes) -> None:
        """Hold *rest* for the next command."""
        self._held = rest + self._held


def _judge_command(line: bytes) -> None:
    if b"\0" in line:
        raise zero_byte()
    if b"\r" in line[:-2] or (len(line) > 1 and line[-2:-1] == b"\r" and line[-1:] != b"\n"):
        raise bare_line_end()
    if len(line) > COMMAND_BYTES:
        raise closing(f"500 5.5.2 a command has at most {COMMAND_BYTES} bytes", "smtp-long-line")


class Dots:
    """One message out of the bytes after 354, its dots removed (RFC 5321, section 4.5.2)."""

    def __init__(self) -> None:
        self._tail = b""
        self.ended = False
        self.rest = b""
        """What came behind the end."""

    def feed(self, data: bytes) -> bytes:
        """Return what *data* adds to the message; raise `HangUpError` for what no message may have.

        After the last line `ended` is true and `rest` is what followed.
        """
        data = self._tail + data
        end = self._end(data)
        if end is None:
            _judge(data[:-1] if data.endswith(b"\r") else data)
            cut = data.rfind(b"\r\n") + 2 if b"\r\n" in data else 0
            lines, self._tail = data[:cut], data[cut:]
            if len(self._tail) > LINE_BYTES:
                raise _long_line()
        else:
            lines, self._tail = data[:end], b""
            self.rest, self.ended = data[end + 3 :], True
            _judge(lines)
        if len(lines) > LINE_BYTES and max(map(len, lines.split(b"\r\n"))) > LINE_BYTES:
            raise _long_line()
        if lines.startswith(b"."):
            lines = lines[1:]
        return lines.replace(b"\r\n.", b"\r\n")

    def _end(self, data: bytes) -> int | None:
        """Return where the last line ends; *data* begins with a line."""
        if data.startswith(b".\r\n"):
            return 0
        found = data.find(END)
        return None if found < 0 else found + 2


def _judge(data: bytes) -> None:
    pairs = data.count(b"\r\n")
    if data.count(b"\r") != pairs or data.count(b"\n") != pairs:
        raise bare_line_end()
    if b"\0" in data:
        raise zero_byte()


def _long_line() -> Exception:
    return closing(f"500 5.6.0 a line of a message has at most {LINE_BYTES} bytes", "smtp-long-line")

"""Virus scanning while a body streams in: clamd's INSTREAM over a unix socket or loopback TCP (clamd(8)).

The scanner sees the plaintext as it comes, piece by piece, beside the hashing and sealing; nothing is written for it.
Only the answer `OK` is clean. Whatever else happens, as a closed connection, a slow daemon or a stream too long for it,
is `unavailable`, and the operator's setting says whether that refuses or flags.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from heldtrue.kernel.errors import BadInputError, SettingsError, UnavailableError

CHUNK = 256 * 1024
"""Bytes that are framed at once; clamd's own buffer is smaller, its limit on a chunk is 4 GiB."""
LONGEST_ANSWER = 1024
WhenAway = Literal["refuse", "flag"]
Scanned = Literal["clean", "unavailable"]
"""What is kept of a scan beside what was accepted."""
_NAME = re.compile(r"[A-Za-z0-9._/:+-]{1,120}")


class InfectedError(BadInputError):
    """A virus scanner recognised malware in the body; nothing was stored. Clean the file and send it again."""

    code = "infected"


class ScannerAwayError(UnavailableError):
    """The virus scanner cannot answer now, and bodies are not taken unscanned; send it again shortly."""

    code = "scanner-away"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scan came to."""

    state: Literal["clean", "infected", "unavailable"]
    detail: str = ""
    """The signature's name, or why there is no verdict; for the operator's log."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where clamd listens."""

    path: str | None = None
    host: str | None = None
    port: int = 3310

    @classmethod
    def parse(cls, text: str) -> Place:
        """Return the place of `unix:/path` or `tcp:127.0.0.1:3310`; only loopback, because INSTREAM is in clear."""
        scheme, _, rest = text.partition(":")
        if scheme == "unix" and rest.startswith("/"):
            return cls(path=rest)
        host, _, port = rest.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        advice = 'Write "unix:/run/clamav/clamd.ctl", or "tcp:127.0.0.1:3310".'
        if scheme != "tcp" or not port.isdecimal() or not 0 < int(port) < 65536:
            raise SettingsError(f"scan.clamd = {text!r} is no place of a clamd", advice=advice)
        try:
            loopback = ip_address(host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise SettingsError(
                f"scan.clamd = {text!r} would send bodies in clear over a network", advice=advice + " No other host."
            )
        return cls(host=host, port=int(port))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """A configured clamd; `begin` opens one stream for one body or part."""

    place: Place
    when_away: WhenAway = "refuse"
    step_seconds: float = 10.0
    """For connecting, and for each piece."""
    answer_seconds: float = 60.0
    """From the last byte to the verdict."""

    async def begin(self) -> Scan:
        """Return a stream that is ready for bytes, whether or not clamd answers."""
        scan = Scan(self)
        await scan.open()
        return scan

    async def ping(self) -> bool:
        """Return whether clamd answers."""
        try:
            async with asyncio.timeout(self.step_seconds):
                reader, writer = await connect(self.place)
                try:
                    writer.write(b"zPING\0")
                    return await reader.readuntil(b"\0") == b"PONG\0"
                finally:
                    writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return False


class Scan:
    """One body on its way through the scanner."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._away = ""

    async def open(self) -> None:
        """Connect and say INSTREAM."""
        try:
            async with asyncio.timeout(self._scanner.step_seconds):
                self._reader, self._writer = await connect(self._scanner.place)
                self._writer.write(b"zINSTREAM\0")
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            self._give_up(error)

    async def feed(self, data: bytes) -> None:
        """Show some bytes to the scanner; at once a `ScannerAwayError` when it went away and that refuses."""
        for start in range(0, len(data), CHUNK):
            piece = data[start : start + CHUNK]
            await self._send(len(piece).to_bytes(4, "big") + piece)
        if self._away and self._scanner.when_away == "refuse":
            raise ScannerAwayError(f"the virus scanner is away: {self._away}")

    async def finish(self) -> Scanned:
        """Return `clean`, or `unavailable` where that is only flagged; raise for malware and for a scanner away."""
        verdict = await self.verdict()
        if verdict.state == "infected":
            raise InfectedError(
                f"the virus scanner recognised {verdict.detail}; nothing was stored",
                advice="Clean the file and send it again; if you think it is a false alarm, ask the operator.",
            )
        if verdict.state == "unavailable":
            if self._scanner.when_away == "refuse":
                raise ScannerAwayError(f"the virus scanner is away: {verdict.detail}")
            return "unavailable"
        return "clean"

    async def verdict(self) -> Verdict:
        """End the stream and return what clamd says of it."""
        await self._send(b"\0\0\0\0")
        answer = b""
        if not self._away and self._reader is not None:
            try:
                async with asyncio.timeout(self._scanner.answer_seconds):
                    answer = await self._reader.readuntil(b"\0")
            except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                self._give_up(error)
        await self.close()
        return Verdict("unavailable", self._away) if self._away else verdict_of(answer)

    async def close(self) -> None:
        """Let go of the connection."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), self._scanner.step_seconds)

    async def _send(self, frame: bytes) -> None:
        if self._away or self._writer is None:
            return
        try:
            async with asyncio.timeout(self._scanner.step_seconds):
                self._writer.write(frame)
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        self._away = self._away or type(error).__name__


async def connect(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection to clamd."""
    if place.path is not None:
        return await asyncio.open_unix_connection(place.path, limit=LONGEST_ANSWER)
    return await asyncio.open_connection(place.host, place.port, limit=LONGEST_ANSWER)


def verdict_of(answer: bytes) -> Verdict:
    """Return the verdict of clamd's answer to INSTREAM: `stream: OK`, `stream: NAME FOUND`, or an error."""
    text = answer.rstrip(b"\0").decode("utf-8", "replace")
    if text == "stream: OK":
        return Verdict("clean")
    if text.startswith("stream: ") and text.endswith(" FOUND"):
        name = text.removeprefix("stream: ").removesuffix(" FOUND")
        return Verdict("infected", name if _NAME.fullmatch(name) else "malware")
    return Verdict("unavailable", text[:200] or "an empty answer")

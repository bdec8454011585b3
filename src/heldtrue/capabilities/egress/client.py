"""The worker's line to the broker: a grant before an execution, its revocation and what was called after it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from heldtrue.capabilities.egress.broker import frames
from heldtrue.capabilities.egress.grants import Calls, Grant
from heldtrue.kernel.errors import UnavailableError

PATIENCE = 15.0
"""Seconds: a revocation waits for calls under way to be cut."""


class BrokerAwayError(UnavailableError):
    """The egress broker does not answer, so nothing that may call out was run; see docs/runbooks/egress.md when it
    stays so.
    """

    code = "broker-away"


class Broker:
    """The broker behind one socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def open(self, grant: Grant) -> Line:
        """Return the line of one execution; raise `BrokerAwayError` when there is nobody to grant it anything."""
        line = Line(self._socket)
        await line.grant(grant)
        return line


class Line:
    """One execution's connection: whatever ends it revokes what was granted on it."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.token = ""
        """What the runner hands the broker with each call."""

    async def grant(self, grant: Grant) -> None:
        """Have the execution allowed what *grant* says."""
        said, _ = await self._ask({"do": "grant"}, msgspec.json.encode(grant))
        self.token = str(said["token"])

    async def revoke(self) -> Calls:
        """End the execution's calls and return them; raise `BrokerAwayError` when nobody knows them any more."""
        try:
            _, body = await self._ask({"do": "revoke", "token": self.token}, b"")
            return msgspec.json.decode(body, type=Calls)
        finally:
            self.close()

    def close(self) -> None:
        """Hang up."""
        if self._pair is not None:
            self._pair[1].close()
        self._pair = None

    async def _ask(self, head: dict[str, Any], body: bytes) -> tuple[Any, bytes]:
        try:
            async with asyncio.timeout(PATIENCE):
                if self._pair is None:
                    self._pair = await asyncio.open_unix_connection(str(self._socket))
                await frames.write(self._pair[1], frames.joined(head, body))
                return frames.split(await frames.read(self._pair[0]))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, frames.FrameError) as error:
            self.close()
            raise BrokerAwayError(f"the broker behind {self._socket} does not answer") from error
        except BaseException:
            self.close()  # cancelled: the answer to come is nobody's
            raise

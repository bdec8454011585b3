"""Keep a witness up to date: send it the published checkpoint, keep its cosignature, say when it lags.

Publication never waits for this. Each cosigner is a loop of its own, so that a dead witness holds up nobody: not the
log, and not the other witnesses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import structlog

from heldtrue.capabilities.ledger import checkpoint, cosignatures, generations, store, tree, witness
from heldtrue.capabilities.ledger.checkpoint import SignedCheckpoint
from heldtrue.capabilities.ledger.cosignatures import StandingRow
from heldtrue.capabilities.ledger.note import MalformedNoteError, NoteRefusedError
from heldtrue.capabilities.ledger.tiles import TileDirectory
from heldtrue.capabilities.ledger.witness import Answer, Cosigned, Elsewhere, Refused, Witness
from heldtrue.db.tx import Database, SystemTx
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.errors import HeldtrueError

EVERY = 5.0
"""Seconds between two cosignatures of a log that grows."""
FRESH = timedelta(minutes=1)
"""After this a log that does not grow is cosigned again: readers want a recent time."""
LOOK = 0.5
"""Seconds between two looks at what is published."""
SLOWEST = 60.0
"""Seconds between two tries at a witness that fails, at most."""
_log = structlog.get_logger("heldtrue.witnesses")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one POST: a status with its body, or why there is none."""

    status: int | None
    body: bytes = b""
    failure: str = ""


class Post(Protocol):
    """Send a body to a URL; never raise for what the other side or the network does."""

    async def __call__(self, url: str, body: bytes) -> Reply:
        """Return what came of it."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A checkpoint on its way to a witness, and where its proof begins."""

    signed: SignedCheckpoint
    old: int
    body: bytes
    row: StandingRow


class Cosigner:
    """Keeps one witness up to date."""

    def __init__(
        self,
        database: Database,
        log_dir: Path,
        clock: Clock,
        watched: Witness,
        kept: Callable[[], None],
    ) -> None:
        """Prepare; *kept* is called whenever a cosignature was kept, so that it gets published."""
        self.witness = watched
        self._database, self._directory, self._clock, self._kept = database, TileDirectory(log_dir), clock, kept
        self._done: tuple[str, datetime] | None = None
        self._failures = 0
        self._sent_elsewhere = False

    async def run(self, post: Post, stop: asyncio.Event) -> None:
        """Ask until *stop* is set."""
        said = ""
        while not stop.is_set():
            try:
                pause, trouble = await self.round(post)
            except HeldtrueError as error:  # the database is away, or the log is between two generations
                pause, trouble = 2.0, error.message
            if trouble != said:
                _log.warning("witness", witness=self.witness.key.name, trouble=trouble or "none any more")
                said = trouble
            try:
                await asyncio.wait_for(stop.wait(), pause)
            except TimeoutError:
                continue

    async def round(self, post: Post) -> tuple[float, str]:
        """Ask once if there is anything to ask; return how long to wait, and what is wrong."""
        asked = await asyncio.to_thread(self.prepare)
        if asked is None:
            return LOOK, ""
        reply = await post(f"{self.witness.url}/add-checkpoint", asked.body)
        answer = await asyncio.to_thread(self.conclude, asked, reply)
        if isinstance(answer, Cosigned):
            self._failures, self._sent_elsewhere = 0, False
            return EVERY, ""
        if isinstance(answer, Elsewhere) and not self._sent_elsewhere:
            self._sent_elsewhere = True
            return 0.0, ""
        self._sent_elsewhere = False
        self._failures += 1
        if isinstance(answer, Elsewhere):
            return SLOWEST, "it says another size each time"
        return min(SLOWEST, 2.0**self._failures), answer.trouble

    def prepare(self) -> Asked | None:
        """Return what to ask, or None where the witness has signed what is published. Blocking."""
        text, now = self._directory.checkpoint(), self._clock.now()
        if text is None:
            return None
        head = text.partition("\n\n")[0]
        if self._done and self._done[0] == head and now - self._done[1] < FRESH:
            return None
        with self._database.system() as tx:
            origin = generations.current(tx)
            try:
                signed = checkpoint.open_signed(text, origin.origin, origin.public)
            except (MalformedNoteError, NoteRefusedError):
                return None  # of an older generation, which the sequencer is about to move aside
            size = signed.checkpoint.size
            if size > origin.size:
                return None  # the database is behind: the sequencer refuses, and says so
            row = cosignatures.standings(tx, origin.generation).get(self.witness.vkey) or StandingRow(
                origin.generation, self.witness.vkey, 0, None, None, None, now, None, ""
            )
            old = min(row.seen, size)
            proof = tree.consistency_proof(store.nodes(tx, origin.generation, size), old, size) if old else []
        return Asked(signed, old, witness.request(old, proof, signed), row)

    def conclude(self, asked: Asked, reply: Reply) -> Answer:
        """Keep what the reply says and return it. Blocking."""
        now = self._clock.now()
        if reply.status is None:
            answer: Answer = Refused(reply.failure)
        else:
            answer = witness.answered(self.witness, asked.signed, asked.old, reply.status, reply.body, now)
        with self._database.system() as tx:
            self._keep(tx, asked, answer, now)
        if isinstance(answer, Cosigned):
            self._done = (asked.signed.note.text.rstrip("\n"), now)
            self._kept()
        return answer

    def _keep(self, tx: SystemTx, asked: Asked, answer: Answer, now: datetime) -> None:
        row, size = replace(asked.row, asked_at=now), asked.signed.checkpoint.size
        if isinstance(answer, Cosigned):
            cosignatures.keep(tx, row.generation, size, row.vkey, answer.line, answer.at)
            row = replace(
                row, seen=size, size=size, line=answer.line, cosigned_at=answer.at, failing_since=None, trouble=""
            )
        elif isinstance(answer, Elsewhere):
            row = replace(row, seen=answer.size)
        else:
            row = replace(row, failing_since=row.failing_since or now, trouble=answer.trouble)
        cosignatures.put(tx, row)

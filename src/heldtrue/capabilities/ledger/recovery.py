"""What the log on disk and the log in the database say of each other, and what is done where they differ.

Tiles and checkpoints are never restored from a backup of the database (docs/architecture.md, "What commits when").
A database that is behind what was published, or that was restored, signs nothing until the operator decides.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from heldtrue.capabilities.ledger import checkpoint, store, tree
from heldtrue.capabilities.ledger.checkpoint import Checkpoint, SignedCheckpoint
from heldtrue.capabilities.ledger.note import MalformedNoteError, Note, NoteRefusedError
from heldtrue.capabilities.ledger.store import Origin
from heldtrue.capabilities.ledger.tiles import TileDirectory
from heldtrue.db.tx import SystemTx
from heldtrue.kernel.errors import ConflictError, IntegrityError, UnavailableError

MARKER = "RESTORED"
"""Written by a restore beside the tiles: `{"recovered_size": n}`."""

ADVICE = (
    "If you have the last checkpoint that was published (from a witness, a verifier or a copy), run "
    "`heldtrue log resume --checkpoint FILE`; it is taken when nothing that it covers is missing. "
    "Otherwise run `heldtrue log succeed`: it opens a new origin whose first entry names what is lost."
)


class RollbackRefusedError(ConflictError):
    """The database is behind what this log has published, so nothing is signed until the operator decides."""

    code = "log-rollback-refused"

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; nothing is signed. {ADVICE}", advice=ADVICE)


class ResumeRefusedError(ConflictError):
    """The log cannot go on behind this checkpoint, because part of what it covers is missing or differs."""

    code = "log-resume-refused"


class LogNotOpenError(UnavailableError):
    """The log has no origin yet; it is opened at first start, together with its key."""

    code = "log-not-open"


@dataclass(slots=True)
class Judge:
    """Admits a transaction to the log, or refuses; remembers the last published checkpoint that it found right."""

    directory: TileDirectory
    _approved: tuple[int, SignedCheckpoint] | None = None

    def admit(self, tx: SystemTx) -> tuple[Origin, SignedCheckpoint | None]:
        """Lock the log; return its origin and what is published, if the database holds all that ever was.

        Raise `RollbackRefusedError` otherwise. A log of an older generation that still lies in the place of the
        current one is moved aside first: that is what a crash within a succession leaves.
        """
        store.lock(tx)
        origins = store.origins(tx)
        if not origins:
            raise LogNotOpenError
        origin = origins[-1]
        if (self.directory.root / MARKER).exists():
            raise RollbackRefusedError("the database was restored from a backup")
        text = self.directory.checkpoint()
        if text is None or self._older(text, origins[:-1]):
            if len(store.newest_checkpoints(tx, origin.generation, 2)) > 1:
                raise RollbackRefusedError("the published checkpoint is gone from the log's directory")
            return origin, None
        known = self._approved
        shown = known[1] if known and known[0] == origin.generation and str(known[1]) == text else _opened(text, origin)
        published = shown.checkpoint
        if published.size > origin.size:
            raise RollbackRefusedError(
                f"the database holds {origin.size} entries of the {published.size} published of {origin.origin}"
            )
        if known is None or known[1] is not shown:
            nodes = store.nodes(tx, origin.generation, origin.size)
            if tree.root_at(nodes, published.size) != published.root:
                raise RollbackRefusedError(f"the database holds another history of {origin.origin} than was published")
            self.approve(origin, shown)
        return origin, shown

    def approve(self, origin: Origin, shown: SignedCheckpoint) -> None:
        """Remember that *shown* is published and right."""
        self._approved = (origin.generation, shown)

    def _older(self, text: str, older: list[Origin]) -> bool:
        name = text.split("\n", 1)[0]
        for each in older:
            if each.origin == name:
                checkpoint.open_signed(text, each.origin, each.public)
                self.directory.archive(str(each.generation))
                return True
        return False


def judge_resumption(tx: SystemTx, directory: TileDirectory, text: str) -> tuple[Origin, SignedCheckpoint]:
    """Return the origin, and the checkpoint in *text* if the database holds all that it covers.

    Raise `ResumeRefusedError` otherwise, `NoteRefusedError` where the log's key did not sign it.
    """
    store.lock(tx)
    origins = store.origins(tx)
    if not origins:
        raise LogNotOpenError
    origin = origins[-1]
    signed = checkpoint.open_signed(text, origin.origin, origin.public)
    marked = marked_size(directory)
    recovered = origin.size if marked is None else min(origin.size, marked)
    published = directory.checkpoint()
    for shown in (signed.checkpoint, *([_own(published, origin)] if published else [])):
        if shown.size > recovered:
            raise ResumeRefusedError(
                f"{recovered} entries were recovered, and a checkpoint over {shown.size} was published",
                advice="What is missing cannot be resumed: run `heldtrue log succeed`.",
            )
        if tree.root_at(store.nodes(tx, origin.generation, origin.size), shown.size) != shown.root:
            raise ResumeRefusedError(
                f"the first {shown.size} entries in the database are not those that were published",
                advice="The histories differ: run `heldtrue log succeed`.",
            )
    return origin, signed


def marked_size(directory: TileDirectory) -> int | None:
    """Return the size that a restore noted, or None where none did."""
    path = directory.root / MARKER
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise IntegrityError(f"{path} is not what a restore writes") from error
    if not isinstance(found, dict) or not isinstance(found.get("recovered_size"), int):
        raise IntegrityError(f"{path} is not what a restore writes")
    return found["recovered_size"]


def _opened(text: str, origin: Origin) -> SignedCheckpoint:
    try:
        return checkpoint.open_signed(text, origin.origin, origin.public)
    except (MalformedNoteError, NoteRefusedError) as error:
        raise RollbackRefusedError(
            f"the published checkpoint is not one of {origin.origin} by the key that the database holds"
        ) from error


def _own(text: str, origin: Origin) -> Checkpoint:
    """Return the published checkpoint; of an older origin it says nothing about this one."""
    named = Checkpoint.parse(Note.parse(text).text)
    if named.origin != origin.origin:
        return Checkpoint(origin.origin, 0, tree.EMPTY_ROOT)
    return checkpoint.open_signed(text, origin.origin, origin.public).checkpoint

"""Checkpoints (C2SP tlog-checkpoint): origin, size and root as the text of a signed note."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime

from heldtrue.capabilities.ledger import note
from heldtrue.capabilities.ledger.note import MalformedNoteError, Note, NoteRefusedError
from heldtrue.crypto.signing import SigningKey

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: so many entries, under this root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text, three lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Return the checkpoint in a note's text, extension lines left aside; raise `MalformedNoteError` otherwise."""
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]) or not _SIZE.fullmatch(lines[1]):
            raise MalformedNoteError("a checkpoint is origin, size and root, each on its line")
        root = note.decode_base64(lines[2])
        if len(root) != 32:
            raise MalformedNoteError("the root of a checkpoint has 32 bytes")
        return cls(lines[0], int(lines[1]), root)


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint whose signatures held, and the time that its log's own cosignature states."""

    checkpoint: Checkpoint
    note: Note
    time: datetime | None

    def __str__(self) -> str:
        return str(self.note)


def sign(checkpoint: Checkpoint, key: SigningKey, now: datetime) -> str:
    """Return the checkpoint signed twice by the log's key: plain (0x01), and with the operator's own time (0x04)."""
    signatures = (
        note.sign(checkpoint.text, checkpoint.origin, key),
        note.cosign(checkpoint.text, checkpoint.origin, key, now),
    )
    return str(Note(checkpoint.text, signatures))


def open_signed(data: str | bytes, origin: str, public: bytes) -> SignedCheckpoint:
    """Return the checkpoint in *data* if the key of *origin* signed it; raise otherwise."""
    parsed = Note.parse(data)
    plain, timed = note.both(origin, public)
    held = parsed.verified([plain, timed])
    found = Checkpoint.parse(parsed.text)
    if found.origin != origin:
        raise NoteRefusedError(f"the checkpoint is of {found.origin!r}, not of {origin!r}")
    if all(each.key_id != plain.id for each in held):
        raise NoteRefusedError("the log itself did not sign this checkpoint")
    times = [each.time for each in held if each.key_id == timed.id]
    return SignedCheckpoint(found, parsed, max(times, default=None))

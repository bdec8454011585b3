"""The witness protocol (C2SP tlog-witness): what is sent to a witness, and what its answer means. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from heldtrue.capabilities.ledger.checkpoint import Checkpoint, SignedCheckpoint
from heldtrue.capabilities.ledger.note import COSIGNATURE, MalformedNoteError, Note, NoteRefusedError, VerifierKey
from heldtrue.kernel.errors import SettingsError

PROOF_LIMIT = 63
POLICY = timedelta(minutes=10)
"""A checkpoint older than this is promised to be cosigned by enough witnesses; readers refuse what is older too."""
SKEW = timedelta(minutes=5)
"""How far a witness's clock may be from ours; verifiers allow as much."""
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n?")


@dataclass(frozen=True, slots=True)
class Witness:
    """Somebody else who watches the log grow, and signs what he saw and when."""

    url: str
    """Its submission prefix, without a trailing slash."""
    key: VerifierKey

    @classmethod
    def parse(cls, url: str, vkey: str) -> Witness:
        """Return the witness of a setting; raise `SettingsError` for a key that is not a cosigner's."""
        try:
            key = VerifierKey.parse(vkey)
        except MalformedNoteError as error:
            raise SettingsError(
                f"witness: {vkey[:60]!r} is not a verifier key", advice="Copy the line that the witness printed."
            ) from error
        if key.type != COSIGNATURE:
            raise SettingsError(
                f"witness: the key of {key.name} signs notes, not cosignatures (type 0x04)",
                advice="Copy the line that the witness printed.",
            )
        return cls(url.rstrip("/"), key)

    @property
    def vkey(self) -> str:
        """The witness's verifier key, by which it is known."""
        return str(self.key)


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The witness has seen this checkpoint."""

    line: str
    """Its signature line, ready to be appended to the checkpoint."""
    at: datetime
    """When, by its own clock."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The witness has seen another size than the proof began with; ask again from there."""

    size: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The witness gives no cosignature, and why."""

    trouble: str


Answer = Cosigned | Elsewhere | Refused

_REFUSALS = {
    400: "it calls our request malformed",
    403: "it does not know this log's key: give it the pin",
    404: "it does not know this log's origin: give it the pin",
    413: "it calls our request too large",
    422: "it refuses the consistency proof: what it saw of this log is not the beginning of what is published",
    429: "it asks us to come less often",
}


def enough(watched: int) -> int:
    """Return how many witnesses must have cosigned: more than half, so that two histories cannot both have them."""
    return watched // 2 + 1


def covers(key: VerifierKey, note: Note, origin: str, size: int) -> bool:
    """Return whether *note* is a checkpoint of the log over *size* entries or more, cosigned by the one of *key*."""
    try:
        note.verified([key])
        found = Checkpoint.parse(note.text)
    except (MalformedNoteError, NoteRefusedError):
        return False
    return found.origin == origin and found.size >= size


def request(old: int, proof: Sequence[bytes], signed: SignedCheckpoint) -> bytes:
    """Return the body of `add-checkpoint`: old size, consistency proof, and the checkpoint as its log signed it."""
    if len(proof) > PROOF_LIMIT:
        raise ValueError("a consistency proof has at most 63 hashes")
    lines = [f"old {old}\n", *(f"{base64.b64encode(each).decode()}\n" for each in proof)]
    return ("".join(lines) + "\n" + own(signed)).encode()


def own(signed: SignedCheckpoint) -> str:
    """Return a checkpoint with its log's own signatures alone."""
    name = signed.checkpoint.origin
    return str(Note(signed.note.text, tuple(each for each in signed.note.signatures if each.name == name)))


def answered(witness: Witness, signed: SignedCheckpoint, old: int, status: int, body: bytes, now: datetime) -> Answer:
    """Return what *status* and *body* mean as the answer about *signed*, proven from *old*; believe no signature yet
    that does not verify."""
    if status == 200:
        return _cosigned(witness, signed.note.text, body, now)
    if status == 409:
        match = _SIZE.fullmatch(body)
        if match is None:
            return Refused("it answered 409 without the size that it has seen")
        return _elsewhere(int(match[1]), old, signed.checkpoint.size)
    return Refused(_REFUSALS.get(status, f"it answered {status}"))


def _elsewhere(seen: int, old: int, size: int) -> Answer:
    if seen > size:
        return Refused(f"it has seen {seen} entries of this log, and {size} are published: the log went back")
    if seen == old == size:
        return Refused(f"it has seen another tree of {size} entries than is published: the log is forked")
    if seen == old:
        return Refused(f"it has seen {seen} entries, as we said, and refuses all the same")
    return Elsewhere(seen)


def _cosigned(witness: Witness, text: str, body: bytes, now: datetime) -> Answer:
    """Return the newest signature of the witness's key among the lines; others' are passed over."""
    try:
        held = Note.parse(f"{text}\n{body.decode()}").verified([witness.key])
    except (MalformedNoteError, UnicodeDecodeError):
        return Refused("its answer is no signature line")
    except NoteRefusedError:
        return Refused("its signature is not by the key that is configured")
    newest = max(held, key=lambda each: each.time)
    if abs(newest.time - now) > SKEW:
        off = newest.time - now
        return Refused(f"its clock is {abs(off) // timedelta(minutes=1)} minutes {'ahead' if off > SKEW else 'behind'}")
    return Cosigned(str(newest), newest.time)

"""Checkpoints (C2SP tlog-checkpoint) and the roots of trust under which they are opened."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from heldtrue_verify.note import COSIGNER, SIGNER, Note, VerifierKey, from_base64
from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError

SKEW = timedelta(minutes=5)
"""How far two honest clocks may differ."""
_LATEST = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head that the pinned log key signed, and the times that its cosigners gave it.

    With several cosigners the pessimistic time counts: `latest` to date an entry, `earliest` to call the log fresh; of
    more than must have signed, those that differ most from the others are left aside.
    """

    origin: str
    size: int
    root: bytes
    note: str
    earliest: datetime
    latest: datetime
    clock: str

    def contradicts(self, other: Checkpoint) -> bool:
        """Tell whether both were signed for one size with two roots: a log that shows different faces."""
        return self.size == other.size and self.root != other.root


@dataclass(frozen=True, slots=True)
class Roots:
    """What the reader pinned: the log's key, and the witnesses that must have seen what the log shows."""

    log: VerifierKey
    witnesses: tuple[VerifierKey, ...] = ()
    quorum: int = 0
    """How many of the witnesses must have cosigned; 0: all of them."""

    @property
    def needed(self) -> int:
        """How many witnesses must have cosigned."""
        return self.quorum or len(self.witnesses)

    @classmethod
    def parse(cls, pin: str, witnesses: Sequence[str] = (), quorum: int | None = None) -> Roots:
        """Read verifier keys; a witness must be somebody else than the operator, and counts once."""
        log = VerifierKey.parse(pin)
        if log.type != SIGNER:
            raise MalformedError("The pinned key must be the log's own, of type 0x01.")
        keys = tuple(VerifierKey.parse(witness) for witness in witnesses)
        if any(key.type != COSIGNER for key in keys):
            raise MalformedError("A witness's key must be of type 0x04.")
        if any(key.public == log.public for key in keys):
            raise MalformedError("The witness's key is the log's own: an operator cannot witness himself.")
        if len({key.public for key in keys}) != len(keys):
            raise MalformedError("One witness is given twice.")
        if quorum is not None and not 1 <= quorum <= len(keys):
            raise MalformedError(f"The quorum is {quorum}, of {len(keys)} witnesses.")
        return cls(log, keys, quorum or 0)

    def head(self, whole: str) -> tuple[str, int, bytes]:
        """Verify the log's own signature; only then give origin, size and root."""
        note = Note.parse(whole)
        if not note.signatures_by(self.log):
            raise DoesNotHoldError("The checkpoint is not signed by the key that you pinned.")
        match = re.match(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n", note.text)
        if match is None:
            raise MalformedError("A checkpoint is an origin, a size, and a root in base64, each on its line.")
        if match[1] != self.log.name:
            raise DoesNotHoldError(f"The checkpoint is of the log {match[1]}, and you pinned {self.log.name}.")
        return match[1], int(match[2]), from_base64(match[3])

    def open(self, whole: str, *, now: datetime) -> Checkpoint:
        """Verify a signed checkpoint and its time; only then say what is in it."""
        origin, size, root = self.head(whole)
        note = Note.parse(whole)
        clocks = self.witnesses or (VerifierKey(self.log.name, COSIGNER, self.log.public),)
        times = {key: seen for key in clocks if (seen := note.signatures_by(key))}
        needed = self.needed or 1
        if len(times) < needed:
            raise DoesNotHoldError(*self._missing(times))
        if max(max(seen) for seen in times.values()) > _LATEST:
            raise MalformedError("The checkpoint's time is not a time.")
        opened = Checkpoint(
            origin,
            size,
            root,
            whole,
            datetime.fromtimestamp(sorted((max(seen) for seen in times.values()), reverse=True)[needed - 1], UTC),
            datetime.fromtimestamp(sorted(min(seen) for seen in times.values())[needed - 1], UTC),
            f"the clock of {', '.join(key.name for key in times)}" if self.witnesses else "the operator's own clock",
        )
        if opened.latest > now + SKEW:
            raise DoesNotHoldError(f"The checkpoint is dated in the future: {show_time(opened.latest)}.")
        return opened

    def _missing(self, times: Collection[VerifierKey]) -> list[str]:
        if not self.witnesses:
            return ["The checkpoint carries no time: neither a witness nor the operator dated it."]
        silent = [key.name for key in self.witnesses if key not in times]
        said = [f"The witness {name} has not cosigned this checkpoint." for name in silent]
        return said if not self.quorum else [*said, f"{self.quorum} witnesses must have, and {len(times)} did."]


def show_time(instant: datetime) -> str:
    """Write a time for a person, to the second."""
    return instant.strftime("%Y-%m-%d %H:%M:%S UTC")


def show_length(length: timedelta) -> str:
    """Write a length of time for a person, in its largest unit that fits."""
    for unit, name in ((timedelta(days=1), "days"), (timedelta(hours=1), "hours"), (timedelta(minutes=1), "minutes")):
        if length >= 2 * unit:
            return f"{round(length / unit)} {name}"
    return f"{round(length / timedelta(seconds=1))} seconds"

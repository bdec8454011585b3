"""What the pinned witnesses have seen of a log: for each, the newest checkpoint that it cosigned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from heldtrue_verify.checkpoint import SKEW, Checkpoint, Roots, show_time
from heldtrue_verify.note import VerifierKey
from heldtrue_verify.verdicts import DoesNotHoldError


def witness_path(witness: VerifierKey) -> str:
    """Give where the newest checkpoint that *witness* cosigned is served."""
    return f"/log/witnesses/{witness.id.hex()}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a quorum of the pinned witnesses has seen."""

    common: Checkpoint
    """The largest checkpoint that enough of them have seen, with the time by their clocks."""
    each: tuple[tuple[VerifierKey, Checkpoint], ...]
    """The newest of every witness that cosigned any: each must be a beginning of the log that is shown."""


def newest_of(witness: VerifierKey, log: VerifierKey, notes: Sequence[str], now: datetime) -> Checkpoint | None:
    """Give the newest checkpoint among *notes* that *witness* cosigned."""
    found: list[Checkpoint] = []
    alone = Roots(log, (witness,))
    for note in notes:
        alone.head(note)
        try:
            found.append(alone.open(note, now=now))
        except DoesNotHoldError as error:
            if not error.sentences[0].endswith("has not cosigned this checkpoint."):
                raise
    return max(found, key=lambda one: (one.size, one.earliest), default=None)


def seen_by(roots: Roots, notes: Sequence[str], now: datetime) -> Seen:
    """Give what enough of the witnesses have seen, of the checkpoints in *notes*; refuse where too few signed any."""
    each = [(w, one) for w in roots.witnesses if (one := newest_of(w, roots.log, notes, now)) is not None]
    if len(each) < roots.needed:
        known = [witness for witness, _ in each]
        silent = [witness.name for witness in roots.witnesses if witness not in known]
        said = [f"The witness {name} has cosigned nothing that is shown here." for name in silent]
        raise DoesNotHoldError(*said, *([f"{roots.needed} must have, {len(each)} did."] if roots.quorum else []))
    each.sort(key=lambda pair: pair[1].size, reverse=True)
    enough = each[: roots.needed]
    common = replace(
        enough[-1][1],
        earliest=min(one.earliest for _, one in enough),
        latest=max(one.latest for _, one in enough),
        clock=f"the clock of {', '.join(witness.name for witness, _ in enough)}",
    )
    return Seen(common, tuple(each))


def require_same_time(seen: Seen, shown: Checkpoint, what: str) -> None:
    """Refuse an operator's clock that is behind the witnesses': what is shown covers what they saw before."""
    if shown.size >= seen.common.size and shown.latest < seen.common.earliest - SKEW:
        raise DoesNotHoldError(
            f"The {what} is dated {show_time(shown.latest)} by the operator's own clock, and covers what "
            f"{seen.common.clock.removeprefix('the clock of ')} saw at {show_time(seen.common.earliest)}: "
            "the operator's clock was set back."
        )

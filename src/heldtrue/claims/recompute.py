"""Derive where every claim stands from the published files of the log alone, and say what differs from what is shown.

Nothing of the database is read: entries from bundles, rehashed to the root of the signed checkpoint (RFC 6962, section
2.1), in their order. Its cost is that of the whole log; it is a check, not the way of the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from heldtrue.capabilities.ledger.checkpoint import Checkpoint
from heldtrue.capabilities.ledger.note import Note
from heldtrue.capabilities.ledger.tiles import WIDTH, Tile, TileDirectory, unbundle, width_at
from heldtrue.capabilities.ledger.tree import Frontier, leaf_hash
from heldtrue.claims.catalogue import Catalogue
from heldtrue.claims.documents import stamp
from heldtrue.claims.folding import Memory
from heldtrue.claims.reading import TENANT, LogDamagedError
from heldtrue.claims.verdict import Verdict, judge
from heldtrue.kernel.errors import HeldtrueError, NotFoundError
from heldtrue_verify.checkpoint import Roots
from heldtrue_verify.verdicts import VerifyError


class NothingPublishedYetError(NotFoundError):
    """The log has no checkpoint in this directory yet; start the instance, or name another --data-dir."""

    code = "nothing-published-yet"


@dataclass(frozen=True, slots=True)
class Derived:
    """What the log alone says."""

    checkpoint: Checkpoint
    entries: int
    memory: Memory

    def verdicts(self, now: datetime) -> tuple[Verdict, ...]:
        """Return where every claim stands at *now*."""
        memory = self.memory
        return tuple(judge(claim, memory.records[claim.id], now, memory.said_of(claim)) for claim in memory.claims())


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is shown otherwise than the log has it."""

    claim: str
    what: str
    shown: str | None
    log: str | None


def recompute(log: Path, catalogue: Catalogue, *, pin: str | None = None, size: int | None = None) -> Derived:
    """Fold the published log; raise `LogDamagedError` where it is not what its checkpoint signs.

    *pin*: the verifier key whose signature the checkpoint must bear. *size*: fold the first entries only, as many as a
    page rests on; all are hashed.
    """
    memory, generation, count = Memory(catalogue), 0, 0
    older = sorted((path for path in log.iterdir() if path.is_dir() and path.name.isdigit()), key=lambda p: int(p.name))
    last: Checkpoint | None = None
    for directory in [*older, log]:
        generation += 1
        last = _published(directory)
        if last is None:
            continue
        _require_root(TileDirectory(directory), last)
        for index, entry in enumerate(_entries(TileDirectory(directory), last)):
            if not entry.startswith(TENANT) and (directory != log or size is None or index < size):
                memory.take(generation, index, entry)
            count += 1
    if last is None:
        raise NothingPublishedYetError
    if pin is not None:
        _require_signature(log, pin)
    return Derived(last, count, memory)


def differences(derived: Derived, shown: Mapping[str, Any]) -> list[Difference]:
    """Return what the trust document *shown* has otherwise than the log, as of the document's own time.

    A page that was made before the newest checkpoint may lag behind it: compare one that was made after.
    """
    at = datetime.fromisoformat(shown["at"])
    claims = {claim["id"]: claim for claim in shown["claims"]}
    found: list[Difference] = []
    for verdict in derived.verdicts(at):
        page = claims.pop(verdict.claim.id, None)
        if page is None:
            found.append(Difference(verdict.claim.id, "is left out", None, str(verdict.state)))
            continue
        found += [Difference(verdict.claim.id, what, said, log) for what, said, log in _facts(verdict, page)]
    found += [Difference(name, "is not in the catalogue", claim["state"], None) for name, claim in claims.items()]
    return found


def _facts(verdict: Verdict, page: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str | None]]:
    continuous = None if verdict.continuous_since is None else stamp(verdict.continuous_since)
    attacked = None if verdict.last_attacked is None else stamp(verdict.last_attacked)
    for what, said, log in (
        ("state", page["state"], str(verdict.state)),
        ("continuous_since", page["continuous_since"], continuous),
        ("last_attacked", page["last_attacked"], attacked),
        ("held_in_a_row", str(page["held_in_a_row"]), str(verdict.held_in_a_row)),
        ("failures", str(len(page["failures"])), str(len(verdict.failures))),
        ("history", page["history"], verdict.history),
    ):
        if said != log:
            yield what, said, log


def _published(directory: Path) -> Checkpoint | None:
    text = TileDirectory(directory).checkpoint()
    return None if text is None else Checkpoint.parse(Note.parse(text).text)


def _require_signature(log: Path, pin: str) -> None:
    try:
        Roots.parse(pin).head(TileDirectory(log).checkpoint() or "")
    except VerifyError as error:
        raise LogDamagedError(f"the published checkpoint does not hold under the pinned key: {error}") from error


def _require_root(files: TileDirectory, signed: Checkpoint) -> None:
    """Raise unless the published entries hash to the signed root; nothing is folded before that."""
    frontier = Frontier()
    for entry in _entries(files, signed):
        frontier.append(leaf_hash(entry))
    if frontier.size != signed.size or frontier.root() != signed.root:
        raise LogDamagedError("the published entries do not hash to the signed root")


def _entries(files: TileDirectory, signed: Checkpoint) -> Iterator[bytes]:
    for bundle in range(-(-signed.size // WIDTH)):
        try:
            yield from unbundle(files.read(Tile(-1, bundle, width_at(-1, bundle, signed.size))))
        except HeldtrueError as error:
            raise LogDamagedError(f"the log's bundle {bundle} cannot be read") from error

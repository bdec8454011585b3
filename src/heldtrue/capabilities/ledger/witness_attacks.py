"""The attack on witnessing: a checkpoint that too few have seen, and cosignatures that are worth nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from heldtrue.attack import Attack, Finding, Place, judged
from heldtrue.attack.arena import POLL, Arena
from heldtrue.capabilities.ledger import note, witness
from heldtrue.capabilities.ledger.attacks import Published
from heldtrue.capabilities.ledger.checkpoint import Checkpoint
from heldtrue.capabilities.ledger.note import MalformedNoteError, Note, VerifierKey
from heldtrue.capabilities.ledger.tree import EMPTY_ROOT
from heldtrue.crypto.signing import SigningKey
from heldtrue_verify.tiles import TiledLog
from heldtrue_verify.verdicts import VerifyError

PATIENCE = 60.0
"""Seconds that witnesses get after a start: what was published before the last stop may still be on its way."""


@dataclass(frozen=True, slots=True)
class _Size:
    size: int


def unwitnessed(arena: Arena) -> Finding:
    """Take the newest checkpoint older than the policy and count, as a reader would, the witnesses that cosigned it."""
    faults, planted = _planted(arena), 4
    served = arena.caller.call("GET", "/log/witnesses").expect(200).json()["witnesses"]
    if not served and arena.sinks is None:
        faults.append("No witness of the log is named.")
    size, seen = _oldest_due(arena), 0
    deadline = time.monotonic() + PATIENCE
    while served and size:
        problems: list[str] = []
        seen = sum(_cosigned(arena, each, size, problems) for each in served)
        if problems or seen >= witness.enough(len(served)) or time.monotonic() > deadline:
            faults += problems
            break
        time.sleep(POLL)
    if served and size and seen < witness.enough(len(served)):
        minutes = witness.POLICY // timedelta(minutes=1)
        faults.append(
            f"The checkpoint of {size} entries is older than {minutes} minutes, and {seen} of {len(served)} witnesses"
            f" have cosigned it; {witness.enough(len(served))} must."
        )
    return judged(
        faults,
        f"{seen} of {len(served)} witnesses have cosigned the checkpoint of {size} entries, each under its own key and "
        f"over the published tree; {planted} planted cosignatures that are worth nothing were not counted.",
        witnesses=len(served), cosigned=seen, size=size, planted=planted,
    )  # fmt: skip


def _oldest_due(arena: Arena) -> int:
    """Return the size of the newest checkpoint that is older than the policy; 0 where none is."""
    with arena.database.system() as tx:
        row = tx.one(
            _Size,
            """SELECT size FROM heldtrue.log_checkpoints
               WHERE generation = (SELECT max(generation) FROM heldtrue.log_origins) AND signed_at <= %s
               ORDER BY size DESC LIMIT 1""",
            [arena.clock.now() - witness.POLICY],
        )
    return row.size if row else 0


def _cosigned(arena: Arena, served: dict[str, Any], size: int, faults: list[str]) -> bool:
    """Return whether a witness's newest checkpoint covers *size*; add a fault where it is of another tree."""
    server = Published(arena)
    text = server.find(served["checkpoint"])
    if text is None:
        return False
    try:
        found, key = Note.parse(text), VerifierKey.parse(served["vkey"])
    except MalformedNoteError as error:
        faults.append(f"What {served['name']} is said to have cosigned cannot be read: {error.message}")
        return False
    if not witness.covers(key, found, arena.origin, size):
        return False
    seen = Checkpoint.parse(found.text)
    try:
        log = TiledLog(server, seen.size)  # pyright: ignore[reportArgumentType] - it only gets and finds
        if log.range_hash(0, seen.size) == seen.root:
            return True
    except VerifyError as error:
        faults.append(f"The published log cannot be read: {error}")
        return False
    faults.append(f"{served['name']} cosigned another tree of {seen.size} entries than is published.")
    return False


def _planted(arena: Arena) -> list[str]:
    """Return which of four worthless cosignatures would be counted: too old, another's, altered, of another log."""
    now = arena.clock.now()
    own, other = (SigningKey.generate(arena.entropy, now) for _ in range(2))
    name = "probe.invalid/witness"
    key = VerifierKey(name, note.COSIGNATURE, own.public)
    wanted = Checkpoint(arena.origin, 8, EMPTY_ROOT)
    sound = _note(wanted, name, own, arena)
    if not witness.covers(key, sound, arena.origin, wanted.size):
        return ["A sound cosignature is not counted."]
    altered = Note(Checkpoint(arena.origin, 9, EMPTY_ROOT).text, sound.signatures)
    cases: Sequence[tuple[str, Note]] = (
        ("over fewer entries", _note(Checkpoint(arena.origin, 7, EMPTY_ROOT), name, own, arena)),
        ("by another key under the same name", _note(wanted, name, other, arena)),
        ("over an altered checkpoint", altered),
        ("of another log", _note(Checkpoint("probe.invalid", 8, EMPTY_ROOT), name, own, arena)),
    )
    return [
        f"A cosignature {what} would be counted."
        for what, case in cases
        if witness.covers(key, case, arena.origin, wanted.size)
    ]


def _note(checkpoint: Checkpoint, name: str, key: SigningKey, arena: Arena) -> Note:
    return Note(checkpoint.text, (note.cosign(checkpoint.text, name, key, arena.clock.now()),))


ATTACKS = (
    Attack(
        name="ledger.unwitnessed",
        place=Place.OBSERVE,
        tries=(
            "Take the newest checkpoint that is older than ten minutes.",
            "Fetch what each named witness cosigned, check it with its own key, and hash the tiles to its root.",
            "More than half of the witnesses must have cosigned that checkpoint or a later one of the same tree.",
            "Plant cosignatures over fewer entries, by another key, over altered text, of another log: none may count.",
        ),
        run=unwitnessed,
        breaks="cosignatures-unread",
        needs=("heldtrue.capabilities.ledger.witness", "heldtrue.capabilities.ledger.note", "heldtrue_verify.tiles"),
        limit=timedelta(seconds=120),
    ),
)

"""A log to be watched, written from the specifications alone, and a witness of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.unit.verify.simulator import Operator, Signer, b64, leaf, mth

from heldtrue_verify.note import VerifierKey
from heldtrue_witness import keys
from heldtrue_witness.judge import Judge, Reply
from heldtrue_witness.record import Record


def proof(operator: Operator, old: int, size: int) -> list[bytes]:
    """PROOF(m, D[n]) of RFC 6962 section 2.1.2, word by word."""

    def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
        if m == len(leaves):
            return [] if whole else [mth(leaves)]
        k = 1
        while k * 2 < len(leaves):
            k *= 2
        if m <= k:
            return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
        return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]

    leaves = [leaf(entry) for entry in operator.entries[:size]]
    return subproof(old, leaves, True) if 0 < old <= size else []


def request(operator: Operator, old: int, size: int | None = None, **how: object) -> bytes:
    """The body of `add-checkpoint`."""
    size = len(operator.entries) if size is None else size
    lines = [f"old {old}\n", *(f"{b64(each)}\n" for each in proof(operator, old, size))]
    return ("".join(lines) + "\n" + operator.checkpoint(size=size, **how)).encode()  # type: ignore[arg-type]


@dataclass
class Watch:
    """A witness, in this process."""

    operator: Operator
    key: keys.WitnessKey
    state: Path
    judge: Judge
    now: float = 1_800_000_000.0

    def ask(self, old: int, size: int | None = None, **how: object) -> Reply:
        return self.judge.add_checkpoint(request(self.operator, old, size, **how))


@pytest.fixture
def operator() -> Operator:
    made = Operator()
    made.log_others(300)
    return made


@pytest.fixture
def watch(operator: Operator, tmp_path: Path) -> Watch:
    Record.create(tmp_path / "state")
    key = keys.make("witness.example/w1", tmp_path / "key")
    record = Record(tmp_path / "state")
    log = VerifierKey.parse(operator.log_key.vkey())
    made = Watch(operator, key, tmp_path / "state", Judge(key, record, [log], lambda: made.now))
    return made


__all__ = ["Signer", "Watch", "operator", "proof", "request", "watch"]

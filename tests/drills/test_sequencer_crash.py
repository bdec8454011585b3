"""The sequencer, killed with SIGKILL between each two of its durable steps, inside them, and at random moments.

After each death the log goes on by the ordinary path, extends every checkpoint that was ever published, and has lost
no entry that was committed.
"""

from __future__ import annotations

import json
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from heldtrue.capabilities.keystore import actions as keystore
from heldtrue.capabilities.keystore.model import Purpose
from heldtrue.capabilities.ledger import actions, checkpoint, generations, proofs, store, tree
from heldtrue.capabilities.ledger.check import check_log
from heldtrue.capabilities.ledger.checkpoint import SignedCheckpoint
from heldtrue.capabilities.ledger.proof import LogProof
from heldtrue.capabilities.ledger.store import Origin
from heldtrue.capabilities.ledger.tiles import TileDirectory, TileNodes
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.roles import at_database
from heldtrue.db.tx import Database
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.ids import CryptoKeyId, LeafId
from heldtrue.kernel.secret import Secret

pytestmark = pytest.mark.drill

CHILD = Path(__file__).with_name("sequencer_child.py")
POINTS = [
    "inside-t5", "before-t5-commit", "assign", "before-a-file-has-its-name", "between-files", "write_tiles",
    "inside-t6", "sign", "publish",
]  # fmt: skip


@dataclass
class Drill:
    """A log, what was appended to it, and every checkpoint that anybody could have seen."""

    database: Database
    log_dir: Path
    told: dict[str, Any]
    platform: PlatformKey
    origin: Origin
    leaves: list[LeafId] = field(default_factory=list[LeafId])
    seen: dict[int, SignedCheckpoint] = field(default_factory=dict[int, SignedCheckpoint])

    def append(self, count: int) -> None:
        with self.database.system() as tx:
            now = datetime.now(UTC)
            self.leaves += [
                actions.append_clear(tx, "intent", {"number": len(self.leaves) + each}, now, secrets.token_bytes)
                for each in range(count)
            ]

    @contextmanager
    def child(self, point: str, passing: int) -> Generator[subprocess.Popen[str]]:
        command = [sys.executable, str(CHILD)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            process.stdin.write(json.dumps({**self.told, "die": [point, passing]}) + "\n")
            process.stdin.flush()
            try:
                yield process
            finally:
                process.kill()

    def look(self) -> None:
        """Remember what is published, as a stranger who polls does; a size never gets another root."""
        text = TileDirectory(self.log_dir).checkpoint()
        if text is None:
            return
        signed = checkpoint.open_signed(text, self.origin.origin, self.origin.public)
        known = self.seen.setdefault(signed.checkpoint.size, signed)
        assert known.checkpoint == signed.checkpoint
        assert signed.checkpoint.size == max(self.seen), "the log went back"

    def recover(self) -> None:
        """Start again as after any crash, and look whether all is well."""
        self.look()
        with self.database.system() as tx:
            signed_before = {row.size: row.note for row in store.newest_checkpoints(tx, 1, 100)}
        sequencer = keystore.sequencer(self.database, self.log_dir, self.platform, SystemClock())
        text = sequencer.publish()
        self.look()
        if signed_before:
            assert text == signed_before[max(signed_before)], "a restart publishes the bytes that were signed"
        while sequencer.step():
            self.look()
        self.look()
        self.verify()

    def verify(self) -> None:
        [report] = check_log(self.database, self.log_dir)
        newest = self.seen[max(self.seen)].checkpoint
        assert newest.size == report.size == len(self.leaves) + len(Purpose)
        nodes = TileNodes(TileDirectory(self.log_dir).load, newest.size)
        for size, signed in self.seen.items():
            proof = tree.consistency_proof(nodes, size, newest.size)
            tree.verify_consistency(size, signed.checkpoint.root, newest.size, newest.root, proof)
        with self.database.system() as tx:
            placed = {row.leaf_id for row in store.placed(tx, 1, 0, newest.size)}
            assert {leaf.value for leaf in self.leaves} < placed
            assert len(placed) == newest.size, "every entry has one index of its own"
            for leaf in random.Random(len(self.leaves)).sample(self.leaves, 12):
                found = LogProof.parse(proofs.proof_of(tx, leaf, None))
                found.verify(proofs.entry_of(tx, leaf), self.origin.origin, self.origin.public)


@pytest.fixture
def drill(server: Any, database: Database, database_name: str, tmp_path: Path) -> Drill:
    now = datetime.now(UTC)
    platform = PlatformKey(CryptoKeyId.new(now, secrets.token_bytes), Secret(secrets.token_bytes(32)))
    with database.system() as tx:
        keystore.ensure_signing_keys(tx, platform, "heldtrue.example/log", now, secrets.token_bytes)
        origin = generations.current(tx)
    dsns = at_database(server.roles, database_name)
    told = {
        "tenant": dsns.tenant.reveal(), "edge": dsns.edge.reveal(), "system": dsns.system.reveal(),
        "platform": platform.to_bytes().reveal().hex(), "log_dir": str(tmp_path / "log"),
    }  # fmt: skip
    return Drill(database, tmp_path / "log", told, platform, origin)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point_the_log_goes_on_as_if_nothing_had_been(drill: Drill, point: str) -> None:
    for passing, count in ((1, 40), (2, 300)):
        drill.append(count)
        with drill.child(point, passing) as process:
            said, _ = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        assert said.startswith("ready"), "the child did not come far enough to die where it should"
        drill.look()
        drill.append(3)
        drill.recover()


def test_killed_at_random_moments_again_and_again(drill: Drill) -> None:
    dice = random.Random(20261122)
    for _ in range(8):
        with drill.child("never", 0) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            until = time.monotonic() + dice.uniform(0.0, 0.25)
            while time.monotonic() < until:
                drill.append(dice.randrange(1, 60))
                drill.look()
        drill.append(dice.randrange(3))
        drill.look()
    drill.recover()
    assert len(drill.seen) > 8


def test_killed_twice_between_signing_and_publishing_before_anything_was_published(drill: Drill) -> None:
    for _ in range(2):
        drill.append(20)
        with drill.child("sign", 1) as process:
            assert process.wait(60) != 0
    assert TileDirectory(drill.log_dir).checkpoint() is None
    drill.recover()

"""Entries per second through the log (T5, tiles, T6, publish), and of the tree alone; run `python -m bench.log`.

The reference is `hashlib` alone: two SHA-256 an entry, which is what a tree cannot do without.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from bench.report import Row, rate, row, write
from heldtrue.capabilities.keystore import actions as keystore
from heldtrue.capabilities.ledger import model, proofs, store, tree
from heldtrue.capabilities.ledger.check import check_log
from heldtrue.capabilities.ledger.sequencer import Sequencer
from heldtrue.capabilities.ledger.tree import Frontier
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.signing import SigningKey
from heldtrue.db.embedded import EmbeddedServer
from heldtrue.db.migrate import migrate
from heldtrue.db.roles import admit, establish
from heldtrue.db.tx import Database, PoolSizes, SystemTx
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.ids import CryptoKeyId, LeafId
from heldtrue.kernel.secret import Secret

ENTRY = model.tenant_entry(secrets.token_bytes(32))
REFERENCE = "hashlib, two SHA-256 an entry"


def main() -> None:
    """Measure, check the log that came out of it, print and write."""
    reference = rate(_hash_only)
    rows = [row("tree: hash and append", rate(_append_to_tree), "entries/s", REFERENCE, reference)]
    home = Path(tempfile.mkdtemp(prefix="heldtrue-bench-"))
    home.chmod(0o711)
    server = EmbeddedServer(home / "pg")
    try:
        admin = server.start()
        dsns = establish(admin, secrets.token_bytes)
        admit(admin)
        migrate(admin)
        with Database(dsns, PoolSizes(2, 1, 2)) as database:
            rows += _through_the_log(database, home / "log", reference)
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
    write("log", rows)


def _hash_only() -> int:
    for _ in range(1000):
        sha256(b"\x01" + sha256(b"\x00" + ENTRY).digest() * 2).digest()
    return 1000


def _append_to_tree() -> int:
    frontier = Frontier()
    for _ in range(1000):
        frontier.append(tree.leaf_hash(ENTRY))
    return 1000


def _through_the_log(database: Database, log_dir: Path, reference: float) -> list[Row]:
    now = datetime.now(UTC)
    platform = PlatformKey(CryptoKeyId.new(now, secrets.token_bytes), Secret(secrets.token_bytes(32)))
    with database.system() as tx:
        keystore.ensure_signing_keys(tx, platform, "bench.example/log", now, secrets.token_bytes)
        signer: SigningKey = keystore.Signers(platform).of_log(tx)
    rows: list[Row] = []
    for batch, batches in ((64, 60), (256, 40), (1024, 20)):
        sequencer = Sequencer(database, log_dir, signer, SystemClock(), batch=batch)
        sequencer.step()
        with database.system() as tx:
            _wait(tx, batch * batches)
        begun, done = time.perf_counter(), 0
        while count := sequencer.step():
            done += count
        spent = time.perf_counter() - begun
        rows.append(
            row(f"log: T5, tiles, T6, publish; {batch} a checkpoint", done / spent, "entries/s", REFERENCE, reference)
        )
    rows.append(row("log: proofs of inclusion", _proofs(database), "proofs/s"))
    check_log(database, log_dir)
    return rows


def _wait(tx: SystemTx, count: int) -> None:
    now = datetime.now(UTC)
    tx.copy(
        "COPY heldtrue.log_pending (leaf_id, entry, created_at) FROM STDIN",
        [
            (LeafId.new(now, secrets.token_bytes).value, model.tenant_entry(secrets.token_bytes(32)), now)
            for _ in range(count)
        ],
    )


def _proofs(database: Database) -> float:
    with database.system() as tx:
        leaves = [LeafId(each.leaf_id) for each in store.placed(tx, 1, 20_000, 20_500)]
        begun = time.perf_counter()
        for leaf in leaves:
            proofs.proof_of(tx, leaf, None)
        return len(leaves) / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()

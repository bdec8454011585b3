"""The sequencer over a real database and a real directory: what it gives out, signs and refuses."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from heldtrue.capabilities.keystore import actions as keystore
from heldtrue.capabilities.keystore.model import Purpose
from heldtrue.capabilities.keystore.succession import succeed
from heldtrue.capabilities.ledger import actions, checkpoint, generations, proofs, store, tree
from heldtrue.capabilities.ledger.check import LogBrokenError, check_log
from heldtrue.capabilities.ledger.model import parse_entry
from heldtrue.capabilities.ledger.note import Note, NoteRefusedError
from heldtrue.capabilities.ledger.proof import LogProof
from heldtrue.capabilities.ledger.recovery import MARKER, LogNotOpenError, ResumeRefusedError, RollbackRefusedError
from heldtrue.capabilities.ledger.sequencer import FRESH, NotTheSignerError, Sequencer
from heldtrue.capabilities.ledger.store import Origin
from heldtrue.capabilities.ledger.tiles import Tile, TileDirectory, TileNodes, grown
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.signing import SigningKey
from heldtrue.db.tx import Database
from heldtrue.kernel.errors import IntegrityError
from heldtrue.kernel.ids import CryptoKeyId, LeafId
from heldtrue.kernel.secret import Secret

ORIGIN = "heldtrue.example/log"
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEYS = len(Purpose)
"""Entries that opening a log leaves: its own key, the receipt key, the evidence key."""


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time


class Log:
    """An open log with its platform key, directory and clock."""

    def __init__(self, database: Database, path: Path) -> None:
        self.database, self.path, self.clock = database, path / "log", HandClock()
        self.platform = PlatformKey(CryptoKeyId.new(NOON, secrets.token_bytes), Secret(secrets.token_bytes(32)))
        with database.system() as tx:
            keystore.ensure_signing_keys(tx, self.platform, ORIGIN, NOON, secrets.token_bytes)
        self.sequencer = self.restarted()
        self.directory = TileDirectory(self.path)

    def restarted(self) -> Sequencer:
        return keystore.sequencer(self.database, self.path, self.platform, self.clock)

    def append(self, count: int, first: int = 0) -> list[LeafId]:
        with self.database.system() as tx:
            return [
                actions.append_clear(tx, "intent", {"number": first + each}, self.clock.now(), secrets.token_bytes)
                for each in range(count)
            ]

    def origin(self) -> Origin:
        with self.database.system() as tx:
            return generations.current(tx)

    def published(self) -> checkpoint.SignedCheckpoint:
        text = self.directory.checkpoint()
        assert text is not None
        return checkpoint.open_signed(text, self.origin().origin, self.origin().public)

    def prove(self, leaf: LeafId) -> LogProof:
        with self.database.system() as tx:
            origin = next(each for each in store.origins(tx) if each.generation == proofs.generation_of(tx, leaf))
            found = LogProof.parse(proofs.proof_of(tx, leaf, None))
            found.verify(proofs.entry_of(tx, leaf), origin.origin, origin.public)
            return found


@pytest.fixture
def log(database: Database, tmp_path: Path) -> Log:
    return Log(database, tmp_path)


def roll_back(superuser: psycopg.Connection, size: int) -> None:
    """Put the database back to *size* entries, as a restore from an old backup does."""
    superuser.execute("SET session_replication_role = replica")
    superuser.execute("DELETE FROM heldtrue.log_checkpoints WHERE size > %s", [size])
    superuser.execute("DELETE FROM heldtrue.log_entries WHERE index >= %s", [size])
    superuser.execute("SET session_replication_role = origin")


def test_an_entry_gets_its_index_and_a_proof_that_a_stranger_can_check(log: Log) -> None:
    leaves = log.append(5)
    assert log.sequencer.step() == KEYS + 5
    assert log.published().checkpoint.size == KEYS + 5
    assert len({log.prove(leaf).index for leaf in leaves}) == 5
    [report] = check_log(log.database, log.path)
    assert (report.size, report.checkpoints, report.published) == (KEYS + 5, 1, KEYS + 5)


def test_before_the_sequencer_has_passed_there_is_no_proof(log: Log) -> None:
    [leaf] = log.append(1)
    with log.database.system() as tx, pytest.raises(proofs.NotYetLoggedError):
        proofs.proof_of(tx, leaf, None)
    log.sequencer.assign()
    with log.database.system() as tx, pytest.raises(proofs.NotYetLoggedError):
        proofs.proof_of(tx, leaf, None)


def test_a_proof_stands_on_the_first_checkpoint_that_covers_the_entry(log: Log) -> None:
    [leaf] = log.append(1)
    log.sequencer.step()
    before = str(log.prove(leaf))
    log.clock.time += timedelta(days=1)
    log.append(600)
    log.sequencer.step()
    assert str(log.prove(leaf)) == before
    assert checkpoint.open_signed(log.prove(leaf).checkpoint, ORIGIN, log.origin().public).time == NOON


def test_every_entry_of_a_log_of_several_tiles_is_proven_and_each_tree_extends_the_one_before(log: Log) -> None:
    leaves: list[LeafId] = []
    shown: list[checkpoint.Checkpoint] = []
    for count in (1, 250, 5, 300, 1, 700):
        leaves += log.append(count, len(leaves))
        log.sequencer.step()
        shown.append(log.published().checkpoint)
    assert shown[-1].size == KEYS + 1257
    nodes = TileNodes(log.directory.load, shown[-1].size)
    for older in shown:
        tree.verify_consistency(
            older.size, older.root, shown[-1].size, shown[-1].root,
            tree.consistency_proof(nodes, older.size, shown[-1].size),
        )  # fmt: skip
    for leaf in leaves[:3] + leaves[249:260] + leaves[-3:]:
        log.prove(leaf)
    [report] = check_log(log.database, log.path)
    assert report.checkpoints == 6


def test_tiles_on_disk_alone_give_the_same_proof(log: Log) -> None:
    leaves = log.append(700)
    log.sequencer.step()
    size = log.published().checkpoint.size
    found = log.prove(leaves[300])
    assert list(found.hashes) == tree.inclusion_proof(TileNodes(log.directory.load, size), found.index, size)


def test_at_most_a_batch_gets_its_indices_at_once(log: Log) -> None:
    log.append(20)
    small = Sequencer(log.database, log.path, _signer(log), log.clock, batch=10)
    assert [small.step() for _ in range(4)] == [10, 10, KEYS, 0]
    check_log(log.database, log.path)


def test_nothing_new_leaves_the_checkpoint_alone_until_it_ages(log: Log) -> None:
    log.sequencer.step()
    first = log.published()
    log.clock.time += FRESH - timedelta(seconds=1)
    assert log.sequencer.step() == 0
    assert str(log.published()) == str(first)
    log.clock.time += timedelta(seconds=1)
    log.sequencer.step()
    second = log.published()
    assert second.time == log.clock.time
    assert second.checkpoint == first.checkpoint
    assert second.note.signatures[0] == first.note.signatures[0]
    with log.database.system() as tx:
        assert [row.note for row in store.newest_checkpoints(tx, 1, 9)] == [str(first)]
    check_log(log.database, log.path)


def test_two_sequencers_at_once_give_every_entry_one_index(log: Log) -> None:
    twin = log.restarted()
    leaves: list[LeafId] = []
    done = threading.Event()
    failures: list[BaseException] = []

    def work(sequencer: Sequencer) -> None:
        try:
            while not done.is_set():
                sequencer.step()
            sequencer.step()
        except BaseException as error:  # noqa: BLE001 - told to the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=[each]) for each in (log.sequencer, twin)]
    for thread in threads:
        thread.start()
    for turn in range(30):
        leaves += log.append(17, turn * 17)
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    log.restarted().step()
    [report] = check_log(log.database, log.path)
    assert report.size == KEYS + len(leaves)
    assert sorted({log.prove(leaf).index for leaf in leaves}) == list(range(KEYS, report.size))


def test_the_loop_publishes_what_comes_and_ends_when_told(log: Log) -> None:
    leaves = log.append(3)

    async def scene() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(log.sequencer.run(stop))
        async with asyncio.timeout(10):
            while log.directory.checkpoint() is None:
                await asyncio.sleep(0.02)
        stop.set()
        await asyncio.wait_for(running, 10)

    asyncio.run(scene())
    log.prove(leaves[-1])


def test_another_key_does_not_sign_this_log(log: Log) -> None:
    other = SigningKey.generate(secrets.token_bytes, NOON)
    with pytest.raises(NotTheSignerError):
        Sequencer(log.database, log.path, other, log.clock).step()


def test_a_log_that_was_never_opened_says_so(database: Database, tmp_path: Path) -> None:
    other = SigningKey.generate(secrets.token_bytes, NOON)
    with pytest.raises(LogNotOpenError):
        Sequencer(database, tmp_path, other, HandClock()).step()


# ---------------------------------------------------------------- rollback


def test_a_database_behind_the_published_checkpoint_signs_nothing(log: Log, superuser: psycopg.Connection) -> None:
    log.append(10)
    log.sequencer.step()
    log.append(10, 10)
    log.sequencer.step()
    before = log.directory.checkpoint()
    roll_back(superuser, KEYS + 10)
    log.append(20)
    for sequencer in (log.sequencer, log.restarted()):
        with pytest.raises(RollbackRefusedError, match="heldtrue log resume") as caught:
            sequencer.step()
        assert f"{KEYS + 10} entries of the {KEYS + 20}" in caught.value.message
        assert sequencer.refusal == caught.value.message
    assert log.origin().size == KEYS + 10, "no index may be given out"
    assert log.directory.checkpoint() == before


def test_another_history_than_the_published_one_signs_nothing(log: Log, superuser: psycopg.Connection) -> None:
    log.append(10)
    log.sequencer.step()
    roll_back(superuser, KEYS + 5)
    superuser.execute(
        """INSERT INTO heldtrue.log_entries (generation, index, leaf_id, entry)
           SELECT 1, index, gen_random_uuid(), 'forged' FROM generate_series(%s::int, %s::int) index""",
        [KEYS + 5, KEYS + 20],
    )
    with pytest.raises(RollbackRefusedError, match="another history"):
        log.restarted().step()


def test_a_published_checkpoint_that_vanished_stops_the_signing(log: Log) -> None:
    log.append(1)
    log.sequencer.step()
    log.append(1)
    log.sequencer.step()
    (log.path / "checkpoint").unlink()
    with pytest.raises(RollbackRefusedError, match="is gone"):
        log.restarted().step()


def test_a_foreign_checkpoint_on_disk_stops_the_signing(log: Log) -> None:
    log.sequencer.step()
    made = checkpoint.Checkpoint(ORIGIN, 1, bytes(32))
    log.directory.publish(checkpoint.sign(made, SigningKey.generate(secrets.token_bytes, NOON), NOON))
    with pytest.raises(RollbackRefusedError, match="not one of"):
        log.restarted().step()


def mark(log: Log, size: int) -> None:
    (log.path / MARKER).write_text(json.dumps({"recovered_size": size}))


def test_a_restored_database_signs_nothing_before_the_operator_decides(log: Log) -> None:
    log.append(5)
    log.sequencer.step()
    mark(log, KEYS + 5)
    log.append(1)
    with pytest.raises(RollbackRefusedError, match="restored"):
        log.restarted().step()
    with pytest.raises(LogBrokenError, match="resume"):
        check_log(log.database, log.path)


def test_a_restore_that_lost_nothing_resumes_and_writes_its_tiles_anew(log: Log, tmp_path: Path) -> None:
    for count in (200, 90, 300, 3):
        log.append(count)
        log.sequencer.step()
    last = log.directory.checkpoint()
    assert last is not None
    tiles = {path.relative_to(log.path): path.read_bytes() for path in (log.path / "tile").rglob("*") if path.is_file()}
    log.path.rename(tmp_path / "lost")
    log.path.mkdir()
    mark(log, KEYS + 593)
    restarted = log.restarted()
    resumed = restarted.resume(last)
    assert resumed.size == KEYS + 593
    assert not (log.path / MARKER).exists()
    again = {path.relative_to(log.path): path.read_bytes() for path in (log.path / "tile").rglob("*") if path.is_file()}
    assert again == tiles
    assert log.directory.checkpoint() == last
    [leaf] = log.append(1)
    restarted.step()
    log.prove(leaf)
    check_log(log.database, log.path)


def test_a_restore_resumes_behind_an_older_checkpoint_than_it_holds(log: Log, tmp_path: Path) -> None:
    log.append(5)
    log.sequencer.step()
    older = log.directory.checkpoint()
    assert older is not None
    log.append(5)
    log.sequencer.step()
    newest = log.directory.checkpoint()
    log.path.rename(tmp_path / "lost")
    log.path.mkdir()
    mark(log, KEYS + 10)
    log.restarted().resume(older)
    assert log.directory.checkpoint() == newest
    check_log(log.database, log.path)


def test_a_restore_that_lost_something_does_not_resume(log: Log, superuser: psycopg.Connection) -> None:
    log.append(5)
    log.sequencer.step()
    older = log.directory.checkpoint()
    log.append(5)
    log.sequencer.step()
    newer = log.directory.checkpoint()
    assert older is not None
    assert newer is not None
    roll_back(superuser, KEYS + 5)
    mark(log, KEYS + 5)
    restarted = log.restarted()
    for text in (older, newer):  # the newer one lies on disk, so that the older one does not help
        with pytest.raises(ResumeRefusedError, match=f"{KEYS + 5} entries were recovered") as caught:
            restarted.resume(text)
        assert "succeed" in caught.value.advice
    foreign = checkpoint.sign(checkpoint.Checkpoint(ORIGIN, 1, bytes(32)), _other(), NOON)
    with pytest.raises(NoteRefusedError):
        restarted.resume(foreign)
    assert (log.path / MARKER).exists()


def test_a_tile_that_was_altered_is_found_and_never_overwritten(log: Log) -> None:
    log.append(300)
    log.sequencer.step()
    path = log.path / Tile(0, 0).path
    path.write_bytes(bytes(8192))
    with pytest.raises(LogBrokenError, match="tile/0/000"):
        check_log(log.database, log.path)
    text = log.directory.checkpoint()
    assert text is not None
    with pytest.raises(IntegrityError, match="would change"):
        log.restarted().resume(text)


# ---------------------------------------------------------------- succession


def test_a_succession_names_what_is_lost_and_goes_on_under_a_new_key(log: Log, superuser: psycopg.Connection) -> None:
    kept = log.append(5)
    log.sequencer.step()
    log.append(7)
    log.sequencer.step()
    final = log.directory.checkpoint()
    old = log.origin()
    roll_back(superuser, KEYS + 5)
    mark(log, KEYS + 5)
    log.clock.time += timedelta(hours=1)

    made = succeed(log.database, log.path, log.platform, log.clock.now(), secrets.token_bytes)
    assert (made.origin, made.generation, made.lost_from, made.lost_to) == (f"{ORIGIN}/2", 2, KEYS + 5, KEYS + 12)
    assert TileDirectory(log.path / "1").checkpoint() == final
    assert log.directory.checkpoint() is None

    with pytest.raises(NotTheSignerError):
        log.sequencer.step()
    restarted = log.restarted()
    [fresh] = log.append(1)
    restarted.step()
    assert log.origin().public != old.public
    assert log.published().checkpoint.origin == f"{ORIGIN}/2"
    with log.database.system() as tx:
        entries = [parse_entry(entry) for entry in store.entries(tx, 2, 0, 9)]
    assert entries[0] == {
        "v": 1, "kind": "succession", "old_origin": ORIGIN, "old_checkpoint": final,
        "lost": {"from": KEYS + 5, "to": KEYS + 12},
    }  # fmt: skip
    assert [(each["purpose"], each["event"]) for each in entries[1 : KEYS + 2]] == [
        ("log", "deactivated"), ("log", "activated"), ("receipt", "activated"), ("evidence", "activated"),
        ("session", "activated"),
    ]  # fmt: skip
    assert log.prove(fresh).index == KEYS + 2
    log.prove(kept[0])  # under the old key, by the old checkpoint
    assert [report.published for report in check_log(log.database, log.path)] == [KEYS + 12, KEYS + 3]


def test_a_succession_carries_over_what_no_checkpoint_covers(log: Log, superuser: psycopg.Connection) -> None:
    log.append(2)
    log.sequencer.step()
    uncovered = log.append(3)
    log.sequencer.assign()
    later = log.append(4)
    log.sequencer.step()
    roll_back(superuser, KEYS + 5)
    mark(log, KEYS + 5)
    made = succeed(log.database, log.path, log.platform, log.clock.now(), secrets.token_bytes)
    assert (made.lost_from, made.lost_to, made.carried) == (KEYS + 5, KEYS + 9, 3)
    log.restarted().step()
    assert {log.prove(leaf).index for leaf in uncovered} == {KEYS + 2, KEYS + 3, KEYS + 4}
    with log.database.system() as tx, pytest.raises(proofs.NotYetLoggedError):
        proofs.proof_of(tx, later[0], None)
    check_log(log.database, log.path)


def test_a_succession_that_crashed_before_clearing_the_way_is_finished_by_the_next(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(2)
    log.sequencer.step()
    mark(log, KEYS + 2)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(generations, "clear_way", crash)
        with pytest.raises(KeyboardInterrupt):
            succeed(log.database, log.path, log.platform, log.clock.now(), secrets.token_bytes)
    with pytest.raises(RollbackRefusedError):
        log.restarted().step()
    made = succeed(log.database, log.path, log.platform, log.clock.now(), secrets.token_bytes)
    assert (made.generation, made.lost_from, made.lost_to) == (2, KEYS + 2, KEYS + 2)
    log.restarted().step()
    assert len(check_log(log.database, log.path)) == 2


def test_a_crash_within_a_succession_without_a_restore_heals_itself(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(2)
    log.sequencer.step()
    with monkeypatch.context() as patch:
        patch.setattr(generations, "clear_way", lambda *_: None)
        succeed(log.database, log.path, log.platform, log.clock.now(), secrets.token_bytes)
    log.restarted().step()
    assert (log.path / "1" / "checkpoint").exists()
    assert len(check_log(log.database, log.path)) == 2


def test_a_log_of_which_nothing_was_published_needs_no_successor(log: Log) -> None:
    with pytest.raises(generations.NothingToSucceedError):
        succeed(log.database, log.path, log.platform, NOON, secrets.token_bytes)


# ---------------------------------------------------------------- check_log is seen to fail


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("DELETE FROM heldtrue.log_entries WHERE index = 4", "index 4 is missing"),
        ("UPDATE heldtrue.log_entries SET entry = 'forged' WHERE index = 4", "full tiles at index 255"),
        ("UPDATE heldtrue.log_entries SET entry = 'forged' WHERE index = 300", "another root"),
        ("UPDATE heldtrue.log_entries SET subtrees = sha256('') WHERE index = 255", "full tiles at index 255"),
        ("DELETE FROM heldtrue.log_entries WHERE index >= 300", "beyond the 300 entries"),
        ("DELETE FROM heldtrue.log_checkpoints", "not in the database"),
        (
            "INSERT INTO heldtrue.log_pending SELECT leaf_id, entry, now() FROM heldtrue.log_entries WHERE index = 9",
            "still wait",
        ),
    ],
)  # fmt: skip
def test_check_log_finds(log: Log, superuser: psycopg.Connection, damage: str, complaint: str) -> None:
    log.append(400)
    log.sequencer.step()
    check_log(log.database, log.path)
    superuser.execute("SET session_replication_role = replica")
    superuser.execute(damage.encode())
    with pytest.raises(LogBrokenError, match=complaint):
        check_log(log.database, log.path)


def test_check_log_finds_a_missing_tile_and_a_forged_signature(log: Log, superuser: psycopg.Connection) -> None:
    log.append(400)
    log.sequencer.step()
    for tile in grown(0, KEYS + 400):
        path = log.path / tile.path
        data = path.read_bytes()
        path.unlink()
        with pytest.raises(LogBrokenError, match=tile.path):
            check_log(log.database, log.path)
        path.write_bytes(data)
    check_log(log.database, log.path)
    text = log.directory.checkpoint()
    assert text is not None
    plain, timed = Note.parse(text).signatures
    log.directory.publish(str(Note(Note.parse(text).text, (timed, plain))).replace(str(plain), ""))
    with pytest.raises(NoteRefusedError):
        check_log(log.database, log.path)


def _signer(log: Log) -> SigningKey:
    with log.database.system() as tx:
        return keystore.Signers(log.platform).of_log(tx)


def _other() -> SigningKey:
    return SigningKey.generate(secrets.token_bytes, NOON)

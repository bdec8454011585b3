"""Checkpoints on their way to a real witness and back: kept, published behind the log's own, never awaited."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import psycopg
import pytest
from tests.store.test_ledger_sequencer import ORIGIN, Log

from heldtrue.app.publication import catalogue
from heldtrue.app.settings import Settings
from heldtrue.app.settings_witness import WitnessSetting, witnesses
from heldtrue.attack import Finding, Outcome
from heldtrue.attack import caller as attack_caller
from heldtrue.attack.arena import Arena
from heldtrue.capabilities.ledger import cosignatures, generations, proofs, witness_attacks, witness_routes
from heldtrue.capabilities.ledger.cosigning import FRESH, Cosigner, Reply
from heldtrue.capabilities.ledger.note import ED25519, Note, VerifierKey
from heldtrue.capabilities.ledger.proof import LogProof
from heldtrue.capabilities.ledger.witness import POLICY, Witness
from heldtrue.capabilities.ledger.witness_attacks import unwitnessed
from heldtrue.db.tx import Database
from heldtrue.kernel.errors import SettingsError
from heldtrue_verify.checkpoint import Roots
from heldtrue_verify.note import VerifierKey as Pinned
from heldtrue_witness import keys
from heldtrue_witness.judge import Judge
from heldtrue_witness.record import Record

URL = "https://witness.example"


class Watcher:
    """A real witness of the log, reached by a function call."""

    def __init__(self, log: Log, folder: Path, name: str = "witness.example/w1") -> None:
        folder.mkdir()
        Record.create(folder / "state")
        self.key, self.record = keys.make(name, folder / "key"), Record(folder / "state")
        self.pin = str(VerifierKey(ORIGIN, ED25519, log.origin().public))
        self.skew = timedelta()
        self.sequencer = log
        self.judge = Judge(self.key, self.record, [Pinned.parse(self.pin)], self.seconds)
        self.witness = Witness.parse(URL, str(self.key.public))
        self.asked: list[int] = []
        self.kept = 0
        self.cosigner = Cosigner(log.database, log.path, log.clock, self.witness, self.keep)

    def seconds(self) -> float:
        return (self.sequencer.clock.now() + self.skew).timestamp()

    def keep(self) -> None:
        self.kept += 1
        self.sequencer.sequencer.cosigned()

    async def post(self, url: str, body: bytes) -> Reply:
        assert url == f"{URL}/add-checkpoint"
        self.asked.append(int(body.split(b"\n", 1)[0].split()[1]))
        reply = self.judge.add_checkpoint(body)
        return Reply(reply.status, reply.body.encode())

    def round(self, post: Callable[..., Any] | None = None) -> tuple[float, str]:
        return asyncio.run(self.cosigner.round(post or self.post))


@pytest.fixture
def log(database: Database, tmp_path: Path) -> Log:
    made = Log(database, tmp_path)
    made.append(5)
    made.sequencer.step()
    return made


@pytest.fixture
def watcher(log: Log, tmp_path: Path) -> Watcher:
    return Watcher(log, tmp_path / "w1")


def view(log: Log, *watched: Watcher) -> witness_routes.WitnessList:
    with log.database.system() as tx:
        return witness_routes.views(tx, [each.witness for each in watched], log.clock.now())


def answering(status: int | None, body: bytes = b"", failure: str = "") -> Callable[..., Any]:
    async def post(_url: str, _body: bytes) -> Reply:
        return Reply(status, body, failure)

    return post


def test_the_served_checkpoint_carries_the_cosignature_behind_the_logs_own(log: Log, watcher: Watcher) -> None:
    before = log.directory.checkpoint()
    assert before is not None
    assert watcher.round() == (5.0, "")
    assert log.directory.checkpoint() == before  # nothing was waited for, nothing is touched by the cosigner
    log.sequencer.step()
    served = log.directory.checkpoint()
    assert served is not None
    assert served.startswith(before)
    names = [each.name for each in Note.parse(served).signatures]
    assert names == [ORIGIN, ORIGIN, "witness.example/w1"]
    opened = Roots.parse(watcher.pin, [str(watcher.key.public)]).open(served, now=log.clock.now())
    assert (opened.size, opened.clock) == (log.origin().size, "the clock of witness.example/w1")
    assert watcher.round() == (0.5, "")  # there is nothing to ask


def test_proofs_carry_the_cosignature_of_an_early_checkpoint(log: Log, watcher: Watcher) -> None:
    [leaf] = log.append(1, 50)
    log.sequencer.step()
    with log.database.system() as tx:
        assert len(Note.parse(LogProof.parse(proofs.proof_of(tx, leaf, None)).checkpoint).signatures) == 2
    log.append(1, 60)
    log.sequencer.step()
    watcher.round()
    log.append(1, 70)
    log.sequencer.step()
    watcher.round()
    with log.database.system() as tx:
        found = LogProof.parse(proofs.proof_of(tx, leaf, None))
        entry = proofs.entry_of(tx, leaf)
    signed = found.verify(entry, ORIGIN, log.origin().public)
    assert signed.checkpoint.size == log.origin().size - 1  # the first that was cosigned, not the newest
    assert signed.note.signatures[-1].name == "witness.example/w1"


def test_most_witnesses_win_among_early_checkpoints(log: Log, watcher: Watcher, tmp_path: Path) -> None:
    other = Watcher(log, tmp_path / "w2", "other.example")
    [leaf] = log.append(1, 50)
    log.sequencer.step()
    watcher.round()
    log.append(1, 60)
    log.sequencer.step()
    assert [watcher.round(), other.round()] == [(5.0, "")] * 2
    with log.database.system() as tx:
        note = Note.parse(LogProof.parse(proofs.proof_of(tx, leaf, None)).checkpoint)
    assert {each.name for each in note.signatures} == {ORIGIN, "witness.example/w1", "other.example"}


def test_a_growing_log_is_proven_from_where_the_witness_stands(log: Log, watcher: Watcher) -> None:
    sizes = [log.origin().size]
    for count in (1, 300, 2):
        watcher.round()
        log.append(count, 1000)
        log.sequencer.step()
        sizes.append(log.origin().size)
    watcher.round()
    assert watcher.asked == [0, *sizes[:-1]]
    assert watcher.kept == 4


def test_an_answer_that_got_lost_is_made_up_for(log: Log, watcher: Watcher) -> None:
    """The witness signed and we died before its answer was kept: it says 409 and where it stands."""

    async def lost(url: str, body: bytes) -> Reply:
        await watcher.post(url, body)
        return Reply(None, b"", "it cannot be reached")

    pause, trouble = watcher.round(lost)
    assert (pause, trouble) == (2.0, "it cannot be reached")
    log.append(3, 100)
    log.sequencer.step()
    assert watcher.round() == (0.0, "")  # 409, asked again at once
    assert watcher.round() == (5.0, "")
    assert watcher.asked == [0, 0, log.origin().size - 3]


def test_a_restarted_log_knows_where_its_witness_stands(log: Log, watcher: Watcher) -> None:
    watcher.round()
    log.append(3, 100)
    log.sequencer = log.restarted()
    log.sequencer.step()
    assert "witness.example" not in (log.directory.checkpoint() or "")  # not over this size yet, and not awaited
    again = Cosigner(log.database, log.path, log.clock, watcher.witness, watcher.keep)
    assert asyncio.run(again.round(watcher.post)) == (5.0, "")
    assert watcher.asked == [0, log.origin().size - 3]
    log.sequencer.step()
    assert "witness.example" in (log.directory.checkpoint() or "")


def test_a_dead_witness_makes_nothing_stop_and_its_lag_is_shown(log: Log, watcher: Watcher, tmp_path: Path) -> None:
    other = Watcher(log, tmp_path / "w2", "other.example")
    down = answering(None, b"", "it cannot be reached")
    for count in range(3):
        log.append(1, 100 + count)
        log.clock.time += timedelta(minutes=3)
        log.sequencer.step()
        assert watcher.round(down)[1] == "it cannot be reached"
        assert other.round() == (5.0, "")
        log.sequencer.step()
    dead, alive = view(log, watcher, other).witnesses
    assert (dead.size, dead.behind, dead.late, dead.trouble) == (None, log.origin().size, True, "it cannot be reached")
    assert (alive.behind, alive.late, alive.trouble) == (0, False, "")
    assert "other.example" in (log.directory.checkpoint() or "")
    with log.database.system() as tx:
        row = cosignatures.standings(tx, 1)[watcher.witness.vkey]
    assert row.failing_since == log.clock.now() - timedelta(minutes=6)
    assert watcher.round() == (5.0, "")  # it is back
    assert view(log, watcher).witnesses[0].trouble == ""


def test_a_log_that_stands_still_is_cosigned_again(log: Log, watcher: Watcher) -> None:
    watcher.round()
    log.clock.time += FRESH
    log.sequencer.step()
    assert watcher.round() == (5.0, "")
    log.sequencer.step()
    served = Note.parse(log.directory.checkpoint() or "")
    assert served.signatures[-1].time == log.clock.now()
    with log.database.system() as tx:
        kept = tx.value("SELECT min(cosigned_at) FROM heldtrue.log_cosignatures")
    assert kept == log.clock.now() - FRESH  # the first dates the tree


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (answering(200, b"no line"), "no signature line"),
        (answering(200, b"\xff\n"), "no signature line"),
        (answering(403), "does not know this log's key"),
        (answering(404), "does not know this log's origin"),
        (answering(400), "malformed"),
        (answering(422), "not the beginning of what is published"),
        (answering(500), "it answered 500"),
        (answering(409, b"many\n"), "without the size"),
        (answering(409, b"999999\n"), "the log went back"),
        (answering(409, b"0\n"), "refuses all the same"),
    ],
    ids=["200 text", "200 bytes", "403", "404", "400", "422", "500", "409 text", "409 ahead", "409 agrees"],
)
def test_answers_that_are_no_cosignature(log: Log, watcher: Watcher, reply: Callable[..., Any], said: str) -> None:
    assert said in watcher.round(reply)[1]
    assert watcher.kept == 0
    assert said in view(log, watcher).witnesses[0].trouble


def test_a_witness_that_says_another_size_each_time_is_left_alone(log: Log, watcher: Watcher) -> None:
    assert watcher.round(answering(409, b"1\n")) == (0.0, "")
    assert watcher.round(answering(409, b"2\n")) == (60.0, "it says another size each time")


def test_another_tree_of_the_same_size_is_called_a_fork(log: Log, watcher: Watcher) -> None:
    watcher.round()
    watcher.cosigner._done = None
    size = log.origin().size
    assert "the log is forked" in watcher.round(answering(409, f"{size}\n".encode()))[1]


def test_a_signature_by_another_key_or_clock_is_not_kept(log: Log, watcher: Watcher, tmp_path: Path) -> None:
    impostor = Watcher(log, tmp_path / "w2", watcher.key.name)
    assert "not by the key that is configured" in watcher.round(impostor.post)[1]
    watcher.skew = timedelta(minutes=8)
    assert "its clock is 8 minutes ahead" in watcher.round()[1]
    assert watcher.round() == (0.0, "")  # it has signed, and we have not kept it
    watcher.skew = timedelta(minutes=-8)
    assert "its clock is 8 minutes behind" in watcher.round()[1]
    assert watcher.kept == 0


def test_cosignatures_are_kept_for_good(log: Log, watcher: Watcher, superuser: psycopg.Connection) -> None:
    watcher.round()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        superuser.execute("UPDATE heldtrue.log_cosignatures SET line = 'x'")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        superuser.execute("DELETE FROM heldtrue.log_cosignatures")


def test_the_loop_survives_whatever_comes_and_ends_when_told(log: Log, watcher: Watcher) -> None:
    answers = [Reply(None, b"", "it does not answer in time"), Reply(409, b"0\n"), Reply(200, b"?")]

    async def run() -> None:
        stop = asyncio.Event()

        async def post(url: str, body: bytes) -> Reply:
            if not answers:
                stop.set()
                return await watcher.post(url, body)
            watcher.cosigner._failures = -9  # the pauses are tested elsewhere
            return answers.pop(0)

        await asyncio.wait_for(watcher.cosigner.run(post, stop), 30)

    asyncio.run(run())
    assert watcher.kept == 1


def test_a_log_that_was_succeeded_begins_anew_with_its_witnesses(log: Log, watcher: Watcher) -> None:
    from tests.store.test_ledger_sequencer import succeed

    watcher.round()
    log.sequencer.step()
    succeed(log.database, log.path, log.platform, log.clock.now(), secrets.token_bytes)
    with log.database.system() as tx:
        assert cosignatures.standings(tx, generations.current(tx).generation) == {}


def test_settings_name_a_witness_by_url_and_key(watcher: Watcher) -> None:
    good = {"url": URL, "vkey": watcher.witness.vkey}
    assert witnesses([WitnessSetting(**good)]) == (watcher.witness,)
    for change in (
        {"url": "http://witness.example"},
        {"url": "https://witness.example/?x"},
        {"vkey": "nonsense"},
        {"vkey": watcher.pin},
    ):
        with pytest.raises(SettingsError):
            WitnessSetting(**{**good, **change})
    with pytest.raises(SettingsError, match="stands twice"):
        witnesses([WitnessSetting(**good)] * 2)


class Served:
    """What a reader can fetch of the log, for the attack."""

    def __init__(self, log: Log, *watched: Watcher) -> None:
        self.log, self.watched = log, watched

    def call(self, _method: str, path: str) -> attack_caller.Reply:
        if path == "/log/witnesses":
            return attack_caller.Reply(200, (), msgspec.json.encode(view(self.log, *self.watched)))
        if path.startswith("/log/witnesses/"):
            with self.log.database.system() as tx:
                rows = cosignatures.standings(tx, generations.current(tx).generation).values()
                notes = {f"/log/witnesses/{row.vkey.split('+')[1]}": cosignatures.newest_note(tx, row) for row in rows}
            text = notes.get(path)
            return attack_caller.Reply(404, (), b"") if text is None else attack_caller.Reply(200, (), text.encode())
        file = self.log.path / path.removeprefix("/log/")
        return attack_caller.Reply(200, (), file.read_bytes()) if file.is_file() else attack_caller.Reply(404, (), b"")


def attacked(log: Log, *watched: Watcher, live: bool = True) -> Finding:
    """Run the attack on this log, as on a live instance or one that was made for it."""
    arena = SimpleNamespace(
        caller=Served(log, *watched), database=log.database, clock=log.clock, entropy=secrets.token_bytes,
        origin=ORIGIN, sinks=None if live else object(),
    )  # fmt: skip
    return unwitnessed(cast("Arena", arena))


def test_a_checkpoint_that_enough_have_cosigned_holds(log: Log, watcher: Watcher, tmp_path: Path) -> None:
    watcher.round()
    log.clock.time += POLICY
    seen = attacked(log, watcher)
    assert (seen.outcome, seen.coverage["cosigned"]) == (Outcome.HELD, 1), seen.detail
    late = Watcher(log, tmp_path / "w2", "witness.example/w2")
    third = Watcher(log, tmp_path / "w3", "witness.example/w3")
    third.round()
    assert attacked(log, watcher, late, third).coverage["cosigned"] == 2, "two of three are enough"


def test_an_old_checkpoint_that_too_few_have_cosigned_breaks_the_claim(
    log: Log, watcher: Watcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_attacks, "PATIENCE", 0.0)
    other = Watcher(log, tmp_path / "w2", "witness.example/w2")
    assert attacked(log, watcher, other).outcome is Outcome.HELD, "it is not ten minutes old yet"
    watcher.round()
    log.clock.time += POLICY
    seen = attacked(log, watcher, other)
    assert seen.outcome is Outcome.BROKEN
    assert "1 of 2 witnesses" in seen.detail
    other.round()
    assert attacked(log, watcher, other).outcome is Outcome.HELD
    log.append(2, 70)
    log.sequencer.step()
    assert attacked(log, watcher, other).outcome is Outcome.HELD, "the newest one has ten minutes"
    log.clock.time += POLICY
    assert attacked(log, watcher, other).outcome is Outcome.BROKEN


def test_a_live_instance_without_a_witness_breaks_the_claim_and_one_made_for_the_run_does_not(log: Log) -> None:
    assert "No witness" in attacked(log).detail
    assert attacked(log, live=False).outcome is Outcome.HELD


def test_a_cosignature_over_another_tree_breaks_the_claim(log: Log, watcher: Watcher) -> None:
    watcher.round()
    log.clock.time += POLICY
    tile = next((log.path / "tile" / "0").rglob("*.p/*"))
    tile.write_bytes(bytes(len(tile.read_bytes())))
    assert "another tree" in attacked(log, watcher).detail


def test_without_a_witness_the_claim_is_only_promised(watcher: Watcher) -> None:
    def attacked_by(settings: Settings) -> tuple[str, ...]:
        (claim,) = (one for one in catalogue(settings).claims if one.id == "audit.witnessed")
        return tuple(claim.attacks)

    assert attacked_by(Settings()) == ()
    assert attacked_by(Settings(witness=(WitnessSetting(URL, str(watcher.key.public)),))) == ("ledger.unwitnessed",)

"""A witness signs what extends everything that it signed before, and nothing else (C2SP tlog-witness)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.verify.simulator import Operator, Signer, b64, jcs
from tests.unit.witness.conftest import Watch, request

from heldtrue.capabilities.ledger.note import Note, VerifierKey
from heldtrue_verify.note import VerifierKey as Pinned
from heldtrue_verify.verdicts import MalformedError, UnusableError
from heldtrue_witness import keys
from heldtrue_witness.judge import Judge
from heldtrue_witness.record import Record


def test_a_growing_log_is_cosigned_with_the_time(watch: Watch) -> None:
    seen = 0
    for size in (1, 2, 3, 7, 8, 100, 256, 257, 300):
        reply = watch.ask(seen, size)
        assert (reply.status, reply.content_type) == (200, "text/plain; charset=utf-8"), reply.body
        # The product's own reader of notes, which shares no code with the witness, accepts the line.
        signed = Note.parse(watch.operator.checkpoint(size=size) + reply.body)
        [held] = signed.verified([VerifierKey.parse(str(watch.key.public))])
        assert held.time.timestamp() == watch.now
        seen = size


def test_the_same_checkpoint_is_cosigned_again_with_a_later_time(watch: Watch) -> None:
    assert watch.ask(0).status == 200
    first = watch.state.read_bytes()
    watch.now += 60
    again = watch.ask(300)
    assert again.status == 200
    assert Note.parse(watch.operator.checkpoint() + again.body).signatures[-1].time.timestamp() == watch.now
    assert watch.state.read_bytes() == first


def test_another_old_size_gets_the_one_that_was_seen(watch: Watch) -> None:
    assert watch.ask(0, 100).status == 200
    for old in (0, 50, 99, 101):
        reply = watch.ask(old, 200)
        assert (reply.status, reply.body, reply.content_type) == (409, "100\n", "text/x.tlog.size")
    assert watch.ask(100, 200).status == 200


def test_it_never_goes_back(watch: Watch) -> None:
    assert watch.ask(0, 200).status == 200
    assert watch.ask(0, 100).status == 409
    assert watch.ask(100, 100).status == 409
    assert watch.ask(200, 100).status == 400  # the old size is greater than the checkpoint's
    assert json.loads(watch.state.read_text())[watch.operator.origin].split("\n")[1] == "200"


def test_two_roots_of_one_size_are_never_both_signed(watch: Watch) -> None:
    assert watch.ask(0, 300).status == 200
    watch.operator.entries[7] = jcs({"v": 1, "kind": "tenant", "c": b64(bytes(32))})
    assert watch.ask(300, 300).status == 409


def test_another_history_is_refused(watch: Watch) -> None:
    assert watch.ask(0, 200).status == 200
    watch.operator.entries[7] = jcs({"v": 1, "kind": "tenant", "c": b64(bytes(32))})
    before = watch.state.read_bytes()
    assert watch.ask(200, 300).status == 422
    assert watch.state.read_bytes() == before


def test_strangers_are_told_apart(watch: Watch) -> None:
    other = Operator("elsewhere.example/log")
    other.log_others(3)
    assert watch.judge.add_checkpoint(request(other, 0)).status == 404
    watch.operator.log_key = Signer(watch.operator.origin)
    assert watch.ask(0).status == 403


def test_a_wrong_signature_under_the_known_key_is_refused(watch: Watch) -> None:
    body = request(watch.operator, 0).decode()
    text, _, lines = body.rpartition("\n\n")
    first, *rest = lines.splitlines(keepends=True)
    name, _, value = first.rstrip("\n").rpartition(" ")
    spoiled = name + " " + value[:-6] + ("AAAA" if value[-6:-2] != "AAAA" else "BBBB") + value[-2:] + "\n"
    assert watch.judge.add_checkpoint(f"{text}\n\n{spoiled}{''.join(rest)}".encode()).status == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0",
        b"old 00\n\n",
        b"old -1\n\nx",
        b"old 1\nAAAA\n\nx\n\n",
        b"\xff",
        b"old 0\n\nno checkpoint",
        b"old 0\n" + b"A" * 44 + b"\n\nx",
        b"old 1\n" + (b64(bytes(32)).encode() + b"\n") * 64 + b"\nx",
    ],
    ids=["nothing", "no end", "zeroes", "negative", "short hash", "no utf-8", "no note", "no base64", "64 hashes"],
)
def test_what_is_no_request_is_said_to_be_none(watch: Watch, body: bytes) -> None:
    assert watch.judge.add_checkpoint(body).status == 400


def test_a_signed_text_that_is_no_checkpoint_is_refused(watch: Watch) -> None:
    text = f"{watch.operator.origin}\n1e3\n{b64(bytes(32))}\n"
    body = f"old 0\n\n{text}\n{watch.operator.log_key.sign_note(text)}".encode()
    assert watch.judge.add_checkpoint(body).status == 400


def test_several_logs_have_records_of_their_own(watch: Watch, operator: Operator) -> None:
    other = Operator("elsewhere.example/log")
    other.log_others(5)
    judge = Judge(
        watch.key,
        watch.judge._record,
        [Pinned.parse(operator.log_key.vkey()), Pinned.parse(other.log_key.vkey())],
        lambda: watch.now,
    )
    assert judge.add_checkpoint(request(other, 0)).status == 200
    assert judge.add_checkpoint(request(operator, 0, 100)).status == 200
    assert judge.add_checkpoint(request(operator, 100)).status == 200
    assert judge.add_checkpoint(request(other, 5)).status == 200


# ------------------------------------------------------------------ the record and the key
def test_nothing_is_signed_that_cannot_be_remembered(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise UnusableError("The record cannot be written.")

    monkeypatch.setattr(Record, "put", full)
    reply = watch.ask(0)
    assert reply.status == 503
    assert "—" not in reply.body


def test_a_witness_without_its_record_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="must not sign under the same key"):
        Record(tmp_path / "state")
    (tmp_path / "state").write_text("{")
    with pytest.raises(UnusableError, match="cannot be used as a record"):
        Record(tmp_path / "state")


def test_one_process_holds_the_record(watch: Watch) -> None:
    with pytest.raises(UnusableError, match="Another witness holds"):
        Record(watch.state)
    with pytest.raises(UnusableError, match="exists already"):
        Record.create(watch.state)


def test_a_key_is_its_owners_alone(tmp_path: Path) -> None:
    made = keys.make("witness.example/w1", tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert keys.load(tmp_path / "key").public == made.public
    with pytest.raises(UnusableError, match="File exists"):
        keys.make("witness.example/w1", tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(UnusableError, match="chmod 600"):
        keys.load(tmp_path / "key")
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "key").write_text("PRIVATE+WITNESS+w+AAAA\n")
    with pytest.raises(UnusableError, match="does not hold"):
        keys.load(tmp_path / "key")
    with pytest.raises(MalformedError):
        keys.make("two words", tmp_path / "other")

"""Signed notes, verifier keys, checkpoints and proofs as text."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.capabilities.ledger import checkpoint, note, tree
from heldtrue.capabilities.ledger.checkpoint import Checkpoint
from heldtrue.capabilities.ledger.note import MalformedNoteError, Note, NoteRefusedError, Signature, VerifierKey
from heldtrue.capabilities.ledger.proof import LogProof, MalformedProofError
from heldtrue.crypto.signing import SigningKey
from heldtrue.kernel.errors import HeldtrueError
from heldtrue.kernel.ids import CryptoKeyId
from heldtrue.kernel.secret import Secret

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ORIGIN = "heldtrue.example/log"


def key(seed: int = 1) -> SigningKey:
    return SigningKey(CryptoKeyId.new(NOON, lambda count: bytes([seed]) * count), Secret(bytes([seed]) * 32))


def test_the_published_example_of_go_sumdb_verifies() -> None:
    """The example of golang.org/x/mod/sumdb/note, whose key is public."""
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    signed = text + (
        "\n— PeterNeumann "
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    vkey = VerifierKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    parsed = Note.parse(signed)
    assert parsed.text == text
    assert len(parsed.verified([vkey])) == 1
    assert str(parsed) == signed


def test_the_example_cosignature_line_parses() -> None:
    line = (
        "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0"
        "xUe+mbIUBkBIfZ+qnA==\n"
    )
    [found] = Note.parse("text\n\n" + line).signatures
    assert found.key_id.hex() == "8d66cf3f"
    assert found.time == datetime.fromtimestamp(1679315147, UTC)


def pieces(*parts: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(parts), max_size=16).map("".join)


names = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(note.is_name)
lines = st.text(alphabet=st.characters(min_codepoint=0x20, exclude_categories=["Cs"]), max_size=20)
texts = st.lists(lines, min_size=1).map(lambda found: "\n".join(found) + "\n")
signatures = st.builds(Signature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80))


@given(texts, st.lists(signatures, min_size=1, max_size=16))
def test_every_note_is_read_back_as_it_was_written(text: str, found: list[Signature]) -> None:
    written = Note(text, tuple(found))
    assert Note.parse(str(written)) == written
    assert Note.parse(str(written).encode()) == written


@given(pieces("—", " ", "\n", "a", "+", "QUJD", "REVG", "=", "\r", "\x00", "/", "— a QUJDREU=\n", "text\n\n"))
def test_whatever_parses_as_a_note_is_written_the_same(text: str) -> None:
    try:
        found = Note.parse(text)
    except MalformedNoteError:
        return
    assert str(found) == text


@pytest.mark.parametrize(
    "data",
    [
        "", "text\n", "text\n\n", "text\n\n— a QUJDREU=", "text\n\n- a QUJDREU=\n", "text\n\n— a QUJD\n",
        "text\n\n— a QUJDREV=\n",
        "text\n\n— a+b QUJDREU=\n", "text\n\n—  QUJDREU=\n", "te\txt\n\n— a QUJDREU=\n", "text\r\n\n— a QUJDREU=\n",
        "text\n\n— a\u2003b QUJDREU=\n", b"\xff\n\n", "text\n\n" + "— a QUJDREU=\n" * 65,
    ],
)  # fmt: skip
def test_what_strays_from_the_format_is_no_note(data: str | bytes) -> None:
    with pytest.raises(MalformedNoteError):
        Note.parse(data)


def test_a_verifier_key_is_read_back_and_its_id_is_checked() -> None:
    for each in note.both(ORIGIN, key().public):
        assert VerifierKey.parse(str(each)) == each
    plain, _ = note.both(ORIGIN, key().public)
    expected = sha256(ORIGIN.encode() + b"\n\x01" + key().public).digest()[:4]
    assert plain.id == expected
    for wrong in (str(plain).replace(plain.id.hex(), "00000000"), str(plain)[:-4], "x", "a+b", f"{plain}+"):
        with pytest.raises(MalformedNoteError):
            VerifierKey.parse(wrong)


def test_only_known_keys_count_and_a_known_key_that_fails_spoils_the_note() -> None:
    text = "text\n"
    ours, other = key(1), key(2)
    plain = VerifierKey("ours", note.ED25519, ours.public)
    good, foreign = note.sign(text, "ours", ours), note.sign(text, "other", other)
    assert Note(text, (foreign, good)).verified([plain]) == [good]
    with pytest.raises(NoteRefusedError):
        Note(text, (foreign,)).verified([plain])
    broken = Signature("ours", plain.id, bytes(64))
    with pytest.raises(NoteRefusedError):
        Note(text, (good, broken)).verified([plain])
    with pytest.raises(NoteRefusedError):
        Note("other text\n", (good,)).verified([plain])


def test_a_checkpoint_carries_the_logs_signature_and_its_own_time() -> None:
    made = Checkpoint(ORIGIN, 3, tree.root_of([b"a" * 32] * 3))
    signed = checkpoint.sign(made, key(), NOON)
    opened = checkpoint.open_signed(signed, ORIGIN, key().public)
    assert (opened.checkpoint, opened.time, str(opened)) == (made, NOON, signed)
    again = checkpoint.sign(made, key(), NOON + timedelta(minutes=1))
    first, second = Note.parse(signed), Note.parse(again)
    assert first.signatures[0] == second.signatures[0]
    assert first.signatures[1] != second.signatures[1]
    assert checkpoint.sign(made, key(), NOON) == signed


def test_a_checkpoint_of_another_key_origin_or_time_is_refused() -> None:
    made = Checkpoint(ORIGIN, 3, bytes(32))
    signed = checkpoint.sign(made, key(), NOON)
    with pytest.raises(NoteRefusedError):
        checkpoint.open_signed(signed, ORIGIN, key(2).public)
    with pytest.raises(NoteRefusedError):
        checkpoint.open_signed(signed, "other.example/log", key().public)
    parsed = Note.parse(signed)
    plain, timed = parsed.signatures
    later = Signature(timed.name, timed.key_id, bytes(8) + timed.blob[8:])
    with pytest.raises(NoteRefusedError):
        checkpoint.open_signed(str(Note(parsed.text, (plain, later))), ORIGIN, key().public)
    with pytest.raises(NoteRefusedError, match="did not sign"):
        checkpoint.open_signed(str(Note(parsed.text, (timed,))), ORIGIN, key().public)
    # The log's own key, under a text that names another origin.
    foreign = Checkpoint("other.example/log", 3, bytes(32)).text
    with pytest.raises(NoteRefusedError, match="not of"):
        checkpoint.open_signed(str(Note(foreign, (note.sign(foreign, ORIGIN, key()),))), ORIGIN, key().public)


@given(st.integers(0, 10**18), st.binary(min_size=32, max_size=32))
def test_every_checkpoint_is_read_back(size: int, root: bytes) -> None:
    made = Checkpoint(ORIGIN, size, root)
    assert Checkpoint.parse(made.text) == made


ROOT = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text",
    ["", f"o\n1\n{ROOT}", f"\n1\n{ROOT}\n", f"o\n01\n{ROOT}\n", f"o\n-1\n{ROOT}\n", f"o\n1\n{ROOT[:-4]}\n", "o\n1\n\n",
     f"o\n1\n{ROOT}\n\n", f"o\n１\n{ROOT}\n"],
)  # fmt: skip
def test_what_strays_from_the_format_is_no_checkpoint(text: str) -> None:
    with pytest.raises(MalformedNoteError):
        Checkpoint.parse(text)


def a_log(size: int) -> tuple[list[bytes], bytes]:
    entries = [b"entry %d" % each for each in range(size)]
    return entries, tree.root_of(map(tree.leaf_hash, entries))


@pytest.mark.parametrize("extra", [None, b"", b"salt" * 8])
def test_a_proof_is_read_back_and_leads_to_its_checkpoint(extra: bytes | None) -> None:
    entries, root = a_log(2)
    signed = checkpoint.sign(Checkpoint(ORIGIN, 2, root), key(), NOON)
    written = LogProof(1, (tree.leaf_hash(entries[0]),), signed, extra)
    read = LogProof.parse(str(written))
    assert read == written
    assert read.verify(entries[1], ORIGIN, key().public).time == NOON
    with pytest.raises(tree.ProofRefusedError):
        read.verify(entries[0], ORIGIN, key().public)


def test_a_proof_in_a_log_of_one_entry_has_no_hashes() -> None:
    entries, root = a_log(1)
    written = LogProof(0, (), checkpoint.sign(Checkpoint(ORIGIN, 1, root), key(), NOON))
    assert str(written).startswith(f"c2sp.org/tlog-proof@v1\nindex 0\n\n{ORIGIN}\n1\n")
    LogProof.parse(str(written)).verify(entries[0], ORIGIN, key().public)


@given(pieces("c2sp.org/tlog-proof@v1\n", "\n", "index ", "extra ", "0", "1", "QUJD", f"{ROOT}\n", "=", "\n\n"))
def test_whatever_parses_as_a_proof_is_written_the_same(text: str) -> None:
    try:
        found = LogProof.parse(text)
    except HeldtrueError:
        return
    assert str(found) == text


@pytest.mark.parametrize(
    "text",
    ["", "c2sp.org/tlog-proof@v2\nindex 0\n\nx", "c2sp.org/tlog-proof@v1\n\nx", "c2sp.org/tlog-proof@v1\nindex 00\n\nx",
     "c2sp.org/tlog-proof@v1\nindex 0\nQUJD\n\nx", "c2sp.org/tlog-proof@v1\nindex 0\n",
     "c2sp.org/tlog-proof@v1\nindex 0\n" + f"{ROOT}\n" * 64 + "\nx"],
)  # fmt: skip
def test_what_strays_from_the_format_is_no_proof(text: str) -> None:
    with pytest.raises(MalformedProofError):
        LogProof.parse(text)

"""The worked example of docs/spec/witness.md: a checkpoint on its way to a witness, and its cosignature."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.vectors import examples

from heldtrue.capabilities.ledger import checkpoint, note, tree, witness
from heldtrue.capabilities.ledger.checkpoint import Checkpoint
from heldtrue_witness.keys import WitnessKey

OLD = 3
LATER = timedelta(seconds=2)


def key() -> WitnessKey:
    """Return the example's witness."""
    return WitnessKey("witness.example.net/w1", Ed25519PrivateKey.from_private_bytes(examples.numbered(160)))


def signed(size: int) -> checkpoint.SignedCheckpoint:
    """Return the example log's checkpoint of so many entries."""
    root = tree.root_at(examples.Leaves(), size)
    text = checkpoint.sign(Checkpoint(examples.ORIGIN, size, root), examples.LOG_KEY, examples.AT)
    return checkpoint.open_signed(text, examples.ORIGIN, examples.LOG_KEY.public)


def request() -> str:
    """Return the body of `add-checkpoint`."""
    whole = signed(len(examples.ENTRIES))
    proof = tree.consistency_proof(examples.Leaves(), OLD, whole.checkpoint.size)
    return witness.request(OLD, proof, whole).decode()


def line() -> str:
    """Return the witness's answer."""
    whole = signed(len(examples.ENTRIES))
    return key().cosign(whole.note.text, int((examples.AT + LATER).timestamp()))


def cosigned_bytes() -> str:
    """Return what is signed, as text: it is nothing else."""
    seconds = int((examples.AT + LATER).timestamp())
    return f"cosignature/v1\ntime {seconds}\n{signed(len(examples.ENTRIES)).note.text}"


def parts() -> str:
    """Return the parts of the signature line."""
    [found] = note.Note.parse(f"{signed(len(examples.ENTRIES)).note.text}\n{line()}").signatures
    return examples.lines(
        ("key id", found.key_id.hex()),
        ("time, u64be", f"{found.blob[:8].hex()}  {found.time:%Y-%m-%d %H:%M:%S} UTC"),
        ("signature", found.blob[8:].hex()),
    )


EXAMPLES: dict[str, Callable[[], str]] = {
    "witness-vkey": lambda: str(key().public),
    "witness-request": request,
    "witness-signed": cosigned_bytes,
    "witness-line": line,
    "witness-parts": parts,
    "witness-checkpoint": lambda: f"{signed(len(examples.ENTRIES))}{line()}",
}
"""Each example by the name under which the page asks for it."""

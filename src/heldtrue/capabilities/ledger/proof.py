"""Proofs that travel (C2SP tlog-proof): index, inclusion hashes, checkpoint, and extra data of the application."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from heldtrue.capabilities.ledger import checkpoint, tree
from heldtrue.capabilities.ledger.checkpoint import SignedCheckpoint
from heldtrue.capabilities.ledger.note import MalformedNoteError, decode_base64

FIRST_LINE = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)


class MalformedProofError(MalformedNoteError):
    """The text is not a tlog-proof; take it again from its source, byte for byte."""

    code = "malformed-proof"


@dataclass(frozen=True, slots=True)
class LogProof:
    """All that a stranger needs to check, offline, that an entry is in the log."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None
    """For an entry of an organisation: the salt of its commitment."""

    def __str__(self) -> str:
        lines = [FIRST_LINE]
        if self.extra is not None:
            lines.append(f"extra {base64.b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines.extend(base64.b64encode(each).decode() for each in self.hashes)
        return "\n".join(lines) + "\n\n" + self.checkpoint

    @classmethod
    def parse(cls, text: str) -> LogProof:
        """Return the proof written as *text*; raise `MalformedProofError` for anything else."""
        head, blank, signed = text.partition("\n\n")
        lines = head.split("\n")
        if not blank or lines.pop(0) != FIRST_LINE:
            raise MalformedProofError(f"a proof begins with {FIRST_LINE}")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "))
        match = _INDEX.fullmatch(lines.pop(0)) if lines else None
        if match is None:
            raise MalformedProofError("a proof names the index of its entry")
        hashes = tuple(map(decode_base64, lines))
        if any(len(each) != 32 for each in hashes) or len(hashes) > 63:
            raise MalformedProofError("a proof has at most 63 hashes of 32 bytes")
        return cls(int(match[1]), hashes, signed, extra)

    def verify(self, entry: bytes, origin: str, public: bytes) -> SignedCheckpoint:
        """Return the checkpoint if it is signed by *public* and includes *entry* at the index; raise otherwise."""
        signed = checkpoint.open_signed(self.checkpoint, origin, public)
        claimed = signed.checkpoint
        tree.verify_inclusion(tree.leaf_hash(entry), self.index, claimed.size, self.hashes, claimed.root)
        return signed

"""Inclusion proofs as text (C2SP tlog-proof), and the `proof` command, which checks one log entry by itself."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime

from heldtrue_verify.canonical import JsonObject, canonicalize, object_in, parse_object, text_in
from heldtrue_verify.checkpoint import Checkpoint, Roots, show_time
from heldtrue_verify.note import from_base64
from heldtrue_verify.tree import includes, leaf_hash
from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError, NothingPinnedError, Step

COMMITMENT = b"heldtrue/commit/v1\0"
_HEAD = re.compile(
    r"c2sp\.org/tlog-proof@v1\n(?:extra ([A-Za-z0-9+/=]+)\n)?index (0|[1-9][0-9]{0,18})\n(.*)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class TlogProof:
    """Where an entry is, the hashes from its leaf to the root, and the signed checkpoint; unverified."""

    extra: bytes | None
    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str

    @classmethod
    def parse(cls, text: str) -> TlogProof:
        """Read the text form."""
        match = _HEAD.fullmatch(text)
        if match is None:
            raise MalformedError("The proof is not a c2sp.org/tlog-proof@v1.")
        path, _, checkpoint = ("\n" + match[3]).partition("\n\n")
        hashes = tuple(from_base64(line) for line in path.split("\n")[1:])
        if len(hashes) > 63 or any(len(item) != 32 for item in hashes):
            raise MalformedError("A hash of the proof is not a SHA-256 hash, or there are too many.")
        return cls(from_base64(match[1]) if match[1] else None, int(match[2]), hashes, checkpoint)

    def require(self, entry: bytes, checkpoint: Checkpoint, what: str) -> None:
        """Return if *entry* is in the tree under *checkpoint*; *what* names it in the refusal."""
        if not includes(self.index, checkpoint.size, leaf_hash(entry), self.hashes, checkpoint.root):
            raise DoesNotHoldError(f"{what} is not entry {self.index} of the log: the proof does not lead to the root.")


def tenant_entry(salt: bytes | None, document: JsonObject) -> bytes:
    """Give the log entry that commits to a tenant's *document* without showing it."""
    if salt is None or len(salt) != 32:
        raise MalformedError("The proof does not carry the 32 bytes of salt that open the commitment.")
    commitment = hmac.digest(salt, COMMITMENT + canonicalize(document), hashlib.sha256)
    return canonicalize({"v": 1, "kind": "tenant", "c": b64encode(commitment).decode()})


@dataclass
class ProofCase:
    """A proof file, and what the steps find in it."""

    data: bytes
    roots: Roots | None
    now: datetime
    proof: TlogProof = field(init=False)
    entry: bytes = field(init=False)
    what: str = field(init=False)
    checkpoint: Checkpoint = field(init=False)


def _read(case: ProofCase) -> str:
    bundle = parse_object(case.data)
    case.proof = TlogProof.parse(text_in(bundle, "proof"))
    if ("document" in bundle) == ("entry" in bundle):
        raise MalformedError('A proof file holds "proof", and either "document" or "entry".')
    clear = "entry" in bundle or case.proof.extra is None
    document = object_in(bundle, "entry" if "entry" in bundle else "document")
    case.entry = canonicalize(document) if clear else tenant_entry(case.proof.extra, document)
    case.what = "The entry" if clear else "The document's salted commitment"
    return f"{case.what} is {len(case.entry)} bytes; the file says that it is entry {case.proof.index}."


def _open(case: ProofCase) -> str:
    if case.roots is None:
        raise NothingPinnedError
    case.checkpoint = case.roots.open(case.proof.checkpoint, now=case.now)
    return f"The log {case.checkpoint.origin} had {case.checkpoint.size} entries."


def _include(case: ProofCase) -> str:
    case.proof.require(case.entry, case.checkpoint, case.what)
    return f"{case.what} is entry {case.proof.index}."


def _date(case: ProofCase) -> str:
    return f"It was in the log by {show_time(case.checkpoint.latest)}, by {case.checkpoint.clock}."


PROOF_STEPS: tuple[Step[ProofCase], ...] = (
    Step("The file is a document with a proof, readable in one way", "RFC 8785, C2SP tlog-proof", _read, True),
    Step("The checkpoint is signed by the key you pinned", "C2SP signed-note, tlog-checkpoint", _open),
    Step("The entry is in the tree under the checkpoint", "RFC 6962 section 2.1.1", _include),
    Step("The checkpoint's time dates the entry", "C2SP tlog-cosignature", _date),
)

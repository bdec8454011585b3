"""A receipt and its proofs: signed by a key that the pinned log holds, and dated by its inclusion there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from heldtrue_verify.canonical import JsonObject, canonicalize, instant_in, object_in, parse_object, text_in
from heldtrue_verify.checkpoint import SKEW, Checkpoint, Roots, show_time
from heldtrue_verify.data_integrity import created_of, method_of, parse_multikey, verify_proof
from heldtrue_verify.state import Memory
from heldtrue_verify.tlog_proof import TlogProof, tenant_entry
from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError, NothingPinnedError, Step, Verdict

FOREVER = datetime.max.replace(tzinfo=UTC)


def speaks_for(controller: str, origin: str) -> bool:
    """Tell whether *controller* is the instance of the log *origin*; a log that succeeds another adds `/<number>`."""
    return re.sub(r"/[0-9]+$", "", f"https://{origin}") == controller or f"https://{origin}" == controller


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """The log's own statement about a signing key: what it is for, and when."""

    event: str
    purpose: str
    public: str
    not_before: datetime
    sign_until: datetime
    accept_until: datetime

    @classmethod
    def read(cls, entry: JsonObject) -> KeyEntry:
        """Read a `key` entry."""
        if entry.get("kind") != "key" or entry.get("v") != 1:
            raise MalformedError('The key\'s entry is not of kind "key", version 1.')
        event, purpose, public = (text_in(entry, name) for name in ("event", "purpose", "public"))
        first, *until = (
            FOREVER if entry.get(name) is None and purpose != "receipt" else instant_in(entry, name)
            for name in ("not_before", "sign_until", "accept_until")
        )
        return cls(event, purpose, public, first, *until)

    def require_signing_at(self, created: datetime) -> None:
        """Return if the key was allowed to sign at *created*."""
        if not self.not_before <= created <= self.sign_until:
            raise DoesNotHoldError(
                f"It says that it was signed at {show_time(created)}, when the key did not sign: "
                f"from {show_time(self.not_before)} to {show_time(self.sign_until)} it did."
            )


@dataclass(frozen=True, slots=True)
class Bundle:
    """The four parts of a receipt file."""

    receipt: JsonObject
    proof: TlogProof
    entry: bytes
    key: KeyEntry
    key_entry: JsonObject
    key_proof: TlogProof


@dataclass
class ReceiptCase:
    """A receipt file, and what the steps find in it."""

    data: bytes
    roots: Roots | None
    now: datetime
    memory: Memory | None = None
    receipt: JsonObject = field(init=False)
    whole: Bundle | None = None
    checkpoint: Checkpoint = field(init=False)
    key_checkpoint: Checkpoint = field(init=False)

    @property
    def bundle(self) -> Bundle:
        """Give the whole file; a bare receipt stops here."""
        if self.whole is None:
            raise DoesNotHoldError(
                "The signature holds, undated: a receipt by itself does not show that its key counts, nor when it was "
                "signed. Fetch the bundle that its delivery links to.",
                verdict=Verdict.UNDATED,
            )
        return self.whole


def _read(case: ReceiptCase) -> str:
    document = parse_object(case.data)
    case.receipt = object_in(document, "receipt") if "receipt" in document else document
    _, multikey = method_of(case.receipt)
    parse_multikey(multikey)
    created_of(case.receipt)
    if case.receipt is document:
        return "This is a bare receipt: a signed document without proofs."
    proof, key_entry = TlogProof.parse(text_in(document, "proof")), object_in(document, "key_entry")
    case.whole = Bundle(
        case.receipt,
        proof,
        tenant_entry(proof.extra, case.receipt),
        KeyEntry.read(key_entry),
        key_entry,
        TlogProof.parse(text_in(document, "key_proof")),
    )
    return f"This is a receipt with its proof, entry {proof.index}, and that of its key."


def _signature(case: ReceiptCase) -> str:
    controller, multikey = method_of(case.receipt)
    verify_proof(case.receipt, multikey)
    return f"The key {multikey} of {controller} signed it; whether that key counts is decided below."


def _open(case: ReceiptCase) -> str:
    bundle = case.bundle
    if case.roots is None:
        raise NothingPinnedError
    case.checkpoint = case.roots.open(bundle.proof.checkpoint, now=case.now)
    case.key_checkpoint = case.roots.open(bundle.key_proof.checkpoint, now=case.now)
    known = [case.checkpoint, case.key_checkpoint]
    last = case.memory.checkpoint() if case.memory else None
    if last is not None:
        known.append(Roots(case.roots.log).open(last, now=case.now))
    if any(one.contradicts(other) for one in known for other in known):
        raise DoesNotHoldError("The log has two faces: one signed checkpoint contradicts another of the same size.")
    return f"The log {case.checkpoint.origin} had {case.checkpoint.size} entries."


def _include(case: ReceiptCase) -> str:
    case.bundle.proof.require(case.bundle.entry, case.checkpoint, "The receipt's salted commitment")
    return f"The receipt is entry {case.bundle.proof.index}."


def _key(case: ReceiptCase) -> str:
    bundle, key = case.bundle, case.bundle.key
    bundle.key_proof.require(canonicalize(bundle.key_entry), case.key_checkpoint, "The key's statement")
    controller, multikey = method_of(bundle.receipt)
    if (key.event, key.purpose) != ("activated", "receipt"):
        raise DoesNotHoldError(f"The log's entry says {key.event} for {key.purpose}, not activated for receipts.")
    if parse_multikey(key.public) != parse_multikey(multikey):
        raise DoesNotHoldError("The key in the log is not the key that signed the receipt.")
    if not speaks_for(controller, case.checkpoint.origin):
        raise DoesNotHoldError(f"The receipt names {controller} as its signer, the log is {case.checkpoint.origin}.")
    return f"The log holds the receipt key as entry {bundle.key_proof.index}."


def _date(case: ReceiptCase) -> str:
    key, created, logged = case.bundle.key, created_of(case.receipt), case.checkpoint.latest
    key.require_signing_at(created)
    if logged > key.accept_until:
        raise DoesNotHoldError(
            f"It entered the log by {show_time(logged)}, too late: receipts of this key were accepted until "
            f"{show_time(key.accept_until)}. Its own date proves nothing."
        )
    if created > logged + SKEW:
        raise DoesNotHoldError(f"It says {show_time(created)}, later than the log had it: {show_time(logged)}.")
    return f"It was in the log by {show_time(logged)}, by {case.checkpoint.clock}."


def _compromise(case: ReceiptCase) -> str:
    known = case.memory.compromised() if case.memory else {}
    at = known.get(case.bundle.key.public)
    if at is not None and case.checkpoint.latest >= instant_in({"at": at}, "at"):
        raise DoesNotHoldError(f"The log declared its key compromised at {at}, before the receipt was in it.")
    if case.memory is None or case.memory.checkpoint() is None:
        return "No log was read on this machine yet: `heldtrue-verify page` learns of compromised keys."
    return "Nothing against this key was in the log when this machine last read it."


RECEIPT_STEPS: tuple[Step[ReceiptCase], ...] = (
    Step("The file is a receipt with its proofs, readable in one way", "RFC 8785, C2SP tlog-proof", _read, True),
    Step("The receipt is signed by the key that it names", "W3C eddsa-jcs-2022 section 3.3", _signature),
    Step("The checkpoints are signed by the key you pinned", "C2SP signed-note, tlog-checkpoint", _open),
    Step("The receipt is in the log", "RFC 6962 section 2.1.1", _include),
    Step("The receipt's key is in the log, for receipts", "RFC 6962 section 2.1.1", _key),
    Step("It was signed while the key signed, and entered the log in time", "C2SP tlog-cosignature", _date),
    Step("The key is not known to be compromised", "the log as last read here", _compromise),
)

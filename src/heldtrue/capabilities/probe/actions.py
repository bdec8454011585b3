"""Record what came of a probe: a signed document in the log, for everybody to read; and list the recorded ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from heldtrue.capabilities.keystore.actions import Signers
from heldtrue.capabilities.keystore.evidence import log_signed
from heldtrue.capabilities.ledger import proofs
from heldtrue.capabilities.ledger.model import Kind, instant
from heldtrue.capabilities.ledger.proofs import NotYetLoggedError
from heldtrue.capabilities.probe import store
from heldtrue.capabilities.probe.model import Outcome, outcome
from heldtrue.capabilities.probe.wire import RecordedProbe, RecordProbe
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, PageQuery, listing
from heldtrue.kernel.errors import BadInputError
from heldtrue.kernel.ids import LeafId
from heldtrue.op import SystemOperation


class ProbeContradictsItselfError(BadInputError):
    """The counts do not add up, or the times do; send the record as the probe wrote it."""

    code = "probe-contradicts-itself"


@dataclass(frozen=True, slots=True)
class ProbeServices:
    """What recording needs; the wiring fills it in."""

    signers: Signers
    origin: str
    """Name of the log; the document is signed in its name."""


def record_probe(services: ProbeServices, op: SystemOperation, asked: RecordProbe) -> Answer:
    """Sign what came of a probe and append it to the log; whether it held is computed here, never taken over."""
    _require_sense(asked)
    document = document_of(asked, op)
    key = services.signers.active(op.tx, "evidence", op.now)
    signed, leaf = log_signed(op.tx, key, services.origin, Kind.PROBE, document, op.now, op.entropy)
    store.insert(op.tx, leaf, signed, op.now)
    found = RecordedProbe(
        id=str(leaf), recorded_at=op.now, outcome=Outcome(signed["outcome"]), entry=signed, proof=None
    )
    return Answer(body=found, subject=str(leaf), detail={"outcome": signed["outcome"], "report": asked.report_sha256})


def list_probes(op: SystemOperation, asked: PageQuery) -> Listing[RecordedProbe]:
    """List the recorded probes, the newest first, each with its proof once the log has one."""
    rows = store.page(op.tx, asked.after(), asked.limit + 1)
    return listing(rows, asked, lambda row: _recorded(op, row), lambda row: row.leaf_id)


def document_of(asked: RecordProbe, op: SystemOperation) -> dict[str, Any]:
    """Return the document that enters the log, unsigned."""
    findings = sum(asked.findings.values())
    return {
        "v": 1,
        "kind": Kind.PROBE.value,
        "outcome": str(outcome(asked.ended, asked.coverage.judged, findings)),
        "ended": str(asked.ended),
        "target": asked.target,
        "target_sha256": asked.target_sha256,
        "coverage": {name: getattr(asked.coverage, name) for name in asked.coverage.__struct_fields__},
        "not_judged": {str(word): count for word, count in sorted(asked.not_judged.items())},
        "checks": {str(word): count for word, count in sorted(asked.checks.items())},
        "findings": {str(word): count for word, count in sorted(asked.findings.items())},
        "report_sha256": asked.report_sha256,
        "method": {"name": "probe", "version": asked.tool_version, "source_sha256": asked.source_sha256},
        "started_at": instant(asked.started_at),
        "finished_at": instant(asked.finished_at),
        "at": instant(op.now),
    }


def _require_sense(asked: RecordProbe) -> None:
    some = asked.coverage
    if asked.started_at.tzinfo is None or asked.finished_at.tzinfo is None or asked.finished_at < asked.started_at:
        raise ProbeContradictsItselfError("It ended before it began, or a time has no zone.")
    if some.judged + some.not_judged != some.routes or sum(asked.not_judged.values()) > some.not_judged:
        raise ProbeContradictsItselfError("Routes judged and not judged are not all routes.")
    if asked.target is not None and hashlib.sha256(asked.target.encode()).hexdigest() != asked.target_sha256:
        raise ProbeContradictsItselfError("The target's name is not the one of the digest.")
    if sum(asked.checks.values()) != some.checks_made or bool(some.judged) != bool(some.checks_made):
        raise ProbeContradictsItselfError("The checks by kind are not the checks that were made.")


def _recorded(op: SystemOperation, row: store.ProbeRow) -> RecordedProbe:
    try:
        proof = proofs.proof_of(op.tx, LeafId(row.leaf_id), None)
    except NotYetLoggedError:
        proof = None
    return RecordedProbe(
        id=str(LeafId(row.leaf_id)), recorded_at=row.recorded_at, outcome=Outcome(row.evidence["outcome"]),
        entry=row.evidence, proof=proof,
    )  # fmt: skip

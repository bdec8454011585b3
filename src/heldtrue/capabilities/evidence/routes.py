"""Routes of evidence and findings: the operator's; pushing needs one narrow permission beside a signature."""

from __future__ import annotations

import hashlib
from typing import Any, cast

from heldtrue.capabilities.evidence import actions, tracking
from heldtrue.capabilities.evidence.gate import GateResult
from heldtrue.capabilities.evidence.model import MOST_BYTES
from heldtrue.capabilities.evidence.wire import (
    AcceptFinding,
    AskGate,
    Envelope,
    EvidenceRecord,
    FindingRecord,
    KeyList,
    KeyRecord,
    ListEvidence,
    ListFindings,
    NamedFinding,
    NamedKey,
    Pushed,
    RegisteredKey,
    RegisterKey,
    ResolveFinding,
)
from heldtrue.http.exchange import Answer, Exchange
from heldtrue.http.pagination import Listing
from heldtrue.http.route import Realm, Route
from heldtrue.op import SystemOperation
from heldtrue.policy.permissions import Permission


async def push(exchange: Exchange) -> Answer:
    """Read an envelope, which may be larger than other JSON bodies, and take it in one transaction."""
    body = await exchange.whole_body(MOST_BYTES)
    exchange.body_digest = hashlib.sha256(body).digest()
    return await exchange.transact(lambda op: actions.push(cast("SystemOperation", cast("Any", op)), body))


ROUTES: list[Route] = [
    Route(
        at="POST /v1/evidence/keys", action=actions.register_key, takes=RegisterKey, gives=RegisteredKey,
        summary="Register a pipeline's key, and issue the credential that it pushes with",
        needs=Permission.EVIDENCE_MANAGE, audits="evidence.key.registered", realm=Realm.OPERATOR, status=201,
        creates=True, bears_secret=True, changes_access=True,
    ),
    Route(
        at="GET /v1/evidence/keys", action=actions.list_keys, gives=KeyList,
        summary="List the pipeline keys", needs=Permission.EVIDENCE_READ, audits="evidence.key.listed",
        realm=Realm.OPERATOR,
    ),
    Route(
        at="DELETE /v1/evidence/keys/{pipeline_key_id}", action=actions.revoke_key, takes=NamedKey, gives=KeyRecord,
        summary="Revoke a pipeline's key", needs=Permission.EVIDENCE_MANAGE, audits="evidence.key.revoked",
        realm=Realm.OPERATOR,
    ),
    Route(
        at="POST /v1/evidence", action=push, takes=Envelope, gives=Pushed,
        summary="Push evidence: a DSSE envelope around an in-toto statement, signed by a registered key",
        needs=Permission.EVIDENCE_PUSH, audits="evidence.pushed", realm=Realm.OPERATOR, status=201, creates=True,
        streams=True,
    ),
    Route(
        at="GET /v1/evidence", action=actions.list_evidence, takes=ListEvidence, gives=Listing[EvidenceRecord],
        summary="List evidence; what does not hold any more says so", needs=Permission.EVIDENCE_READ,
        audits="evidence.listed", realm=Realm.OPERATOR,
    ),
    Route(
        at="GET /v1/gate", action=actions.ask_gate, takes=AskGate, gives=GateResult,
        summary="Ask whether what is known lets a change through", needs=Permission.EVIDENCE_PUSH,
        audits="gate.asked", realm=Realm.OPERATOR,
    ),
    Route(
        at="GET /v1/findings", action=tracking.list_findings, takes=ListFindings, gives=Listing[FindingRecord],
        summary="List findings; those beyond their due date say so", needs=Permission.EVIDENCE_READ,
        audits="finding.listed", realm=Realm.OPERATOR,
    ),
    Route(
        at="GET /v1/findings/{finding_id}", action=tracking.show_finding, takes=NamedFinding, gives=FindingRecord,
        summary="Show a finding", needs=Permission.EVIDENCE_READ, audits="finding.read", realm=Realm.OPERATOR,
    ),
    Route(
        at="POST /v1/findings/{finding_id}/resolve", action=tracking.resolve_finding, takes=ResolveFinding,
        gives=FindingRecord, summary="Say how a finding was resolved", needs=Permission.EVIDENCE_MANAGE,
        audits="finding.resolved", realm=Realm.OPERATOR,
    ),
    Route(
        at="POST /v1/findings/{finding_id}/accept", action=tracking.accept_finding, takes=AcceptFinding,
        gives=FindingRecord, summary="Set a finding aside for a while, with a reason, an owner and an end",
        needs=Permission.EVIDENCE_MANAGE, audits="finding.accepted", realm=Realm.OPERATOR,
    ),
]  # fmt: skip

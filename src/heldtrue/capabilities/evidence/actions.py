"""What pipelines and the operator do with evidence: register a key, push, list, ask the gate, match anew each day."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg.errors import UniqueViolation

from heldtrue.capabilities.access.bootstrap import issue_narrowed
from heldtrue.capabilities.disclosure.office import keyring
from heldtrue.capabilities.evidence import advisories, envelope, gate, store, tracking
from heldtrue.capabilities.evidence.envelope import Statement
from heldtrue.capabilities.evidence.gate import Block, GateResult, Piece, Why
from heldtrue.capabilities.evidence.model import (
    SKEW,
    WITH_FINDINGS,
    Found,
    Kind,
    PostdatedEvidenceError,
    Reading,
    StaleEvidenceError,
)
from heldtrue.capabilities.evidence.policy import GATE, ITEM, GatePolicy
from heldtrue.capabilities.evidence.readers.cyclonedx import components
from heldtrue.capabilities.evidence.store import EvidenceRow
from heldtrue.capabilities.evidence.tracking import PURPOSE, Tracked
from heldtrue.capabilities.evidence.wire import (
    AskGate,
    EvidenceRecord,
    KeyList,
    KeyRecord,
    ListEvidence,
    NamedKey,
    Pushed,
    RegisteredKey,
    RegisterKey,
)
from heldtrue.capabilities.ledger import actions as ledger
from heldtrue.capabilities.ledger.model import Kind as Entry
from heldtrue.capabilities.ledger.model import instant
from heldtrue.capabilities.registers import actions as registers
from heldtrue.crypto import signing
from heldtrue.crypto.canonical import parse_strict
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.errors import BadInputError, ConflictError, NotFoundError
from heldtrue.kernel.ids import EvidenceId, LeafId
from heldtrue.op import SystemOperation
from heldtrue.policy.permissions import Permission

_TABLE, _COLUMN = "evidence", "document_sealed"


class KeyKnownError(ConflictError):
    """This public key is registered already; make another for another pipeline."""

    code = "pipeline-key-known"


class UnknownPipelineKeyError(NotFoundError):
    """There is no such pipeline key; `heldtrue evidence keys` names those there are."""

    code = "unknown-pipeline-key"


class NobodysKeyError(BadInputError):
    """The public key is one for which anybody could sign; make a key with `heldtrue evidence keygen`."""

    code = "nobodys-key"


def register_key(op: SystemOperation, asked: RegisterKey) -> Answer:
    """Register a pipeline's public key, and issue the credential that it pushes with: good for that alone."""
    public = signing.parse_multikey(asked.public_key)
    if not signing.usable(public):
        raise NobodysKeyError
    id_ = envelope.key_id(public)
    try:
        store.add_key(op.tx, store.KeyRow(id_, asked.name, public, op.now, None))
    except UniqueViolation as error:
        raise KeyKnownError from error
    credential_id, credential = issue_narrowed(op, f"pipeline: {asked.name}", frozenset({Permission.EVIDENCE_PUSH}))
    body = RegisteredKey(id=id_, name=asked.name, credential=credential, credential_id=str(credential_id))
    return Answer(body=body, subject=id_, detail={"credential": str(credential_id)})


def list_keys(op: SystemOperation) -> KeyList:
    """List the pipeline keys."""
    return KeyList(data=[_key(row) for row in store.keys(op.tx)])


def revoke_key(op: SystemOperation, asked: NamedKey) -> Answer:
    """Revoke a pipeline's key: nothing that it signs is taken any more; what it signed before stays."""
    if not store.revoke_key(op.tx, asked.pipeline_key_id, op.now):
        raise UnknownPipelineKeyError
    [row] = [one for one in store.keys(op.tx) if one.pipeline_key_id == asked.pipeline_key_id]
    return Answer(body=_key(row), subject=asked.pipeline_key_id)


def push(op: SystemOperation, body: bytes) -> Answer:
    """Take evidence that a registered key signed: sealed, its digest and summary in the log, its findings tracked.

    The same bytes again change nothing.
    """
    live = {row.pipeline_key_id: row.public for row in store.keys(op.tx) if row.revoked_at is None}
    statement = envelope.opened(body, live.get)
    known = store.by_digest(op.tx, statement.sha256)
    if known is not None:
        return _pushed(op, known, Tracked())
    policy = policy_of(op)
    row = _row(op, policy, statement)
    before = {one.kind: one for one in store.newest(op.tx)}.get(row.kind)
    sealed = keyring(op).seal(PURPOSE, _TABLE, _COLUMN, str(row.evidence_id), statement.payload)
    store.insert(op.tx, row, sealed)
    newest = before is None or before.produced_at <= row.produced_at
    tracked = Tracked()
    if newest and statement.reading.kind in WITH_FINDINGS - {Kind.VEX}:
        tracked = tracking.track(op, policy, statement.reading, row.evidence_id, excused(op))
    return _pushed(op, row, tracked)


def list_evidence(op: SystemOperation, asked: ListEvidence) -> Listing[EvidenceRecord]:
    """List evidence, the newest first; what does not hold any more says so."""
    rows = store.page(op.tx, asked.after(), asked.limit + 1)
    return listing(rows, asked, lambda row: EvidenceRecord(**_members(row, op.now)), lambda row: row.evidence_id)


def ask_gate(op: SystemOperation, asked: AskGate) -> GateResult:
    """Say whether what is known lets a change through: evidence there and current, nothing grave or overdue open.

    Evidence that no policy requires is heard while it holds, and not missed afterwards.
    """
    policy = policy_of(op)
    rows = [row for row in store.newest(op.tx, asked.subject) if row.kind in policy.required or row.expires_at > op.now]
    pieces = [Piece(_bare(_reading(op, row)), row.expires_at) for row in rows]
    judged = gate.judge(policy, pieces, op.now)
    found, set_aside, overdue = _open_findings(op)
    blocks = [*judged.blocks, *overdue, *(gate.finding_block(one) for one in found if policy.blocks(one.severity))]
    return gate.result(policy, blocks, len(found), set_aside, op.now)


def rematch(op: SystemOperation, path: Path) -> Tracked | None:
    """Match the newest bill of materials against the advisories in *path*; None where there is no bill."""
    row = {one.kind: one for one in store.newest(op.tx)}.get(Kind.SBOM)
    if row is None:
        return None
    listed = components(_predicate(op, row))
    reading = advisories.match(listed, advisories.load(path), excused(op))
    return tracking.track(op, policy_of(op), reading, row.evidence_id, frozenset())


def policy_of(op: SystemOperation) -> GatePolicy:
    """Return the policy that was published; the plain one where none was."""
    found = registers.current(op.tx, GATE)
    return next((entry.document for entry in found if entry.item == ITEM), GatePolicy())


def excused(op: SystemOperation) -> frozenset[str]:
    """Return the vulnerabilities that a VEX document says do not apply, for as long as that document holds."""
    rows = [row for row in store.newest(op.tx) if row.kind == Kind.VEX and row.expires_at > op.now]
    return frozenset(rule for row in rows for rule in _reading(op, row).excused)


def _row(op: SystemOperation, policy: GatePolicy, statement: Statement) -> EvidenceRow:
    reading = statement.reading
    produced = reading.made_at or op.now
    if produced > op.now + SKEW:
        raise PostdatedEvidenceError(f"It says that it was made at {instant(produced)}.")
    expires = gate.expiry(policy, reading, op.now)
    if expires <= op.now:
        raise StaleEvidenceError(f"It was made at {instant(produced)} and held until {instant(expires)}.")
    id_ = EvidenceId.new(op.now, op.entropy)
    leaf = ledger.append_clear(op.tx, Entry.PUSHED, _entry(op, statement, id_, produced, expires), op.now, op.entropy)
    return EvidenceRow(
        evidence_id=id_.value, kind=reading.kind, subject=statement.subject.name,
        subject_sha256=statement.subject_sha256, sha256=statement.sha256, size=len(statement.payload),
        pipeline_key_id=statement.signer, summary=reading.summary, leaf_id=leaf.value, produced_at=produced,
        received_at=op.now, expires_at=expires,
    )  # fmt: skip


def _entry(
    op: SystemOperation, statement: Statement, id_: EvidenceId, produced: datetime, expires: datetime
) -> dict[str, object]:
    return {
        "id": str(id_),
        "evidence": statement.reading.kind.value,
        "subject_sha256": statement.subject_sha256.hex(),
        "sha256": statement.sha256.hex(),
        "summary": statement.reading.summary,
        "signed_by": statement.signer,
        "produced_at": instant(produced),
        "expires_at": instant(expires),
        "at": instant(op.now),
    }


def _open_findings(op: SystemOperation) -> tuple[list[Found], int, list[Block]]:
    keys, aside = keyring(op), excused(op)
    rows = store.unresolved(op.tx)
    live = [row for row in rows if tracking.live(row, op.now) and row.rule not in aside]
    records = [tracking.record_of(keys, row, op.now) for row in live]
    found = [Found(one.rule, one.severity, one.title, one.place) for one in records]
    overdue = [
        Block(why=Why.OVERDUE, what=f"{one.title}: due {one.due_at:%Y-%m-%d}", severity=one.severity, rule=one.rule,
              place=one.place)
        for one in records if one.overdue
    ]  # fmt: skip
    return found, len(rows) - len(live), overdue


def _bare(reading: Reading) -> Reading:
    """Return *reading* without its findings, which the instance tracks one by one."""
    return Reading(reading.kind, reading.summary, (), reading.made_at, reading.failed, reading.tools, reading.excused)


def _payload(op: SystemOperation, row: EvidenceRow) -> bytes:
    sealed = store.sealed(op.tx, row.evidence_id)
    return keyring(op).open(PURPOSE, _TABLE, _COLUMN, str(row.evidence_id), sealed)


def _reading(op: SystemOperation, row: EvidenceRow) -> Reading:
    return envelope.read(_payload(op, row)).reading


def _predicate(op: SystemOperation, row: EvidenceRow) -> object:
    statement = parse_strict(_payload(op, row))
    return statement["predicate"] if isinstance(statement, dict) else None


def _pushed(op: SystemOperation, row: EvidenceRow, tracked: Tracked) -> Answer:
    body = Pushed(
        **_members(row, op.now), opened=tracked.opened, resolved=tracked.resolved, still_open=tracked.still_open
    )
    detail = {"kind": row.kind, "sha256": row.sha256.hex(), "opened": tracked.opened, "resolved": tracked.resolved}
    return Answer(body=body, subject=body.id, detail=detail)


def _members(row: EvidenceRow, now: datetime) -> dict[str, Any]:
    return {
        "id": str(EvidenceId(row.evidence_id)),
        "kind": Kind(row.kind),
        "subject": row.subject,
        "sha256": row.sha256.hex(),
        "size": row.size,
        "signed_by": row.pipeline_key_id,
        "summary": row.summary,
        "produced_at": row.produced_at,
        "received_at": row.received_at,
        "expires_at": row.expires_at,
        "expired": row.expires_at <= now,
        "leaf_id": str(LeafId(row.leaf_id)),
    }


def _key(row: store.KeyRow) -> KeyRecord:
    return KeyRecord(
        id=row.pipeline_key_id, name=row.name, public_key=signing.multikey(row.public), made_at=row.made_at,
        revoked_at=row.revoked_at,
    )  # fmt: skip

"""Findings from first sight to their end: opened, found again, gone, accepted for a while, due by severity."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from heldtrue.capabilities.disclosure.office import keyring
from heldtrue.capabilities.disclosure.scoring import RANK, Severity
from heldtrue.capabilities.evidence import policy as rules
from heldtrue.capabilities.evidence import store
from heldtrue.capabilities.evidence.model import (
    FindingClosedError,
    Found,
    Kind,
    Reading,
    UnknownFindingError,
)
from heldtrue.capabilities.evidence.policy import GatePolicy
from heldtrue.capabilities.evidence.store import FindingRow
from heldtrue.capabilities.evidence.wire import AcceptFinding, FindingRecord, ListFindings, NamedFinding, ResolveFinding
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.ids import FindingId
from heldtrue.op import SystemOperation

PURPOSE = "evidence"
_TABLE = "tracked_findings"
GONE = "It is not found any more."


@dataclass(frozen=True, slots=True)
class Tracked:
    """What a document did to the findings."""

    opened: int = 0
    resolved: int = 0
    still_open: int = 0


def track(
    op: SystemOperation, policy: GatePolicy, reading: Reading, evidence: UUID, excused: frozenset[str]
) -> Tracked:
    """Open what is new, open again what came back, resolve what a complete run does not find any more.

    What was accepted stays so while it is as grave as it was then.
    """
    keys = keyring(op)
    known = {row.fingerprint: row for row in store.findings_of(op.tx, reading.kind)}
    seen: set[bytes] = set()
    opened = still = resolved = 0
    for one in reading.found:
        if one.rule in excused:
            continue
        print_ = one.fingerprint(reading.kind)
        if print_ in seen:
            continue
        seen.add(print_)
        before = known.get(print_)
        row = _opened(op, keys, policy, reading.kind, one, evidence, before)
        store.put_finding(op.tx, row)
        if before is None or before.state == "resolved":
            opened += 1
        else:
            still += 1
    if not reading.failed:
        gone = [row for row in known.values() if row.fingerprint not in seen and row.state != "resolved"]
        for row in gone:
            if _listed_by(reading, row):
                store.put_finding(op.tx, _resolved(op, keys, row, GONE))
                resolved += 1
    return Tracked(opened, resolved, still)


def list_findings(op: SystemOperation, asked: ListFindings) -> Listing[FindingRecord]:
    """List findings, the newest first; those beyond their due date say so."""
    rows = store.finding_page(op.tx, asked.after(), asked.state, asked.limit + 1)
    keys = keyring(op)
    return listing(rows, asked, lambda row: record_of(keys, row, op.now), lambda row: row.finding_id)


def show_finding(op: SystemOperation, asked: NamedFinding) -> FindingRecord:
    """Show a finding."""
    return record_of(keyring(op), _named(op, asked.finding_id), op.now)


def resolve_finding(op: SystemOperation, asked: ResolveFinding) -> Answer:
    """Say that a finding is resolved, and how."""
    keys = keyring(op)
    row = _resolved(op, keys, _live(op, asked.finding_id), asked.reason)
    store.put_finding(op.tx, row)
    return Answer(body=record_of(keys, row, op.now), subject=asked.finding_id, detail={"severity": row.severity})


def accept_finding(op: SystemOperation, asked: AcceptFinding) -> Answer:
    """Set a finding aside for a while: with a reason, an owner, and an end."""
    rules.judge_excuse(asked.reason, asked.owner, asked.until, op.now)
    until = datetime.combine(asked.until, time(), UTC) + timedelta(days=1)
    if until <= op.now:
        raise rules.ExcuseRefusedError(f"{asked.until} is over.")
    keys = keyring(op)
    before = _live(op, asked.finding_id)
    row = replace(
        before, state="accepted", accepted_by=asked.owner, accepted_until=until,
        reason_sealed=_sealed(keys, before, "reason_sealed", asked.reason),
    )  # fmt: skip
    store.put_finding(op.tx, row)
    detail = {"severity": row.severity, "until": asked.until.isoformat()}
    return Answer(body=record_of(keys, row, op.now), subject=asked.finding_id, detail=detail)


def live(row: FindingRow, now: datetime) -> bool:
    """Return whether a finding stands open: not resolved, and not accepted for longer than now."""
    return row.state == "open" or (row.accepted_until is not None and row.accepted_until <= now)


def record_of(keys: TenantKeyring, row: FindingRow, now: datetime) -> FindingRecord:
    """Return a finding as it is shown."""
    place = str(row.finding_id)
    detail = json.loads(keys.open(PURPOSE, _TABLE, "detail_sealed", place, row.detail_sealed))
    reason = None
    if row.reason_sealed is not None:
        reason = keys.open(PURPOSE, _TABLE, "reason_sealed", place, row.reason_sealed).decode()
    return FindingRecord(
        id=str(FindingId(row.finding_id)), source=row.source, rule=row.rule, severity=Severity(row.severity),
        title=detail["title"], place=detail["place"], state=row.state, first_seen=row.first_seen,
        last_seen=row.last_seen, due_at=row.due_at, overdue=live(row, now) and row.due_at <= now,
        owner=row.accepted_by, accepted_until=row.accepted_until, reason=reason,
    )  # fmt: skip


def _opened(
    op: SystemOperation, keys: TenantKeyring, policy: GatePolicy, kind: Kind, one: Found, evidence: UUID,
    before: FindingRow | None,
) -> FindingRow:  # fmt: skip
    again = before is not None and before.state == "resolved"
    id_ = FindingId.new(op.now, op.entropy).value if before is None else before.finding_id
    due = policy.due_days.due(one.severity, op.now)
    if before is not None and not again:
        due = before.due_at if one.severity == before.severity else min(before.due_at, due)
    detail = json.dumps({"title": one.title, "place": one.place}).encode()
    row = FindingRow(
        finding_id=id_, fingerprint=one.fingerprint(kind), source=kind, rule=one.rule, severity=one.severity,
        detail_sealed=keys.seal(PURPOSE, _TABLE, "detail_sealed", str(id_), detail), state="open",
        first_seen=op.now if before is None else before.first_seen, last_seen=op.now, due_at=due, resolved_at=None,
        accepted_by=None, accepted_until=None, reason_sealed=None, evidence_id=evidence,
    )  # fmt: skip
    if before is not None and before.state == "accepted" and RANK[one.severity] <= RANK[Severity(before.severity)]:
        return replace(
            row, state="accepted", accepted_by=before.accepted_by, accepted_until=before.accepted_until,
            reason_sealed=before.reason_sealed,
        )  # fmt: skip
    return row


def _resolved(op: SystemOperation, keys: TenantKeyring, row: FindingRow, reason: str) -> FindingRow:
    return replace(
        row, state="resolved", resolved_at=op.now, accepted_by=None, accepted_until=None,
        reason_sealed=_sealed(keys, row, "reason_sealed", reason),
    )  # fmt: skip


def _sealed(keys: TenantKeyring, row: FindingRow, column: str, text: str) -> bytes:
    return keys.seal(PURPOSE, _TABLE, column, str(row.finding_id), text.encode())


def _listed_by(reading: Reading, row: FindingRow) -> bool:
    return any(not tool or row.rule.startswith(f"{tool}/") for tool in reading.tools)


def _named(op: SystemOperation, finding_id: str) -> FindingRow:
    row = store.finding(op.tx, FindingId.parse(finding_id).value)
    if row is None:
        raise UnknownFindingError
    return row


def _live(op: SystemOperation, finding_id: str) -> FindingRow:
    row = _named(op, finding_id)
    if row.state == "resolved":
        raise FindingClosedError
    return row

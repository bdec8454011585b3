"""What the operator does with reports: read, acknowledge, triage, move, award, thank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from heldtrue.capabilities.disclosure import intake, keys, model, rewards, scoring, store
from heldtrue.capabilities.disclosure.kinds import PAYOUTS, POLICY, REWARDS, THANKS, NoConsentError, Payout, Thanks
from heldtrue.capabilities.disclosure.model import (
    REWARDED,
    IllegalMoveError,
    Report,
    State,
    UnknownReportError,
)
from heldtrue.capabilities.disclosure.office import Office, keyring, token_of
from heldtrue.capabilities.disclosure.rewards import THANKS_ONLY, RewardPolicy
from heldtrue.capabilities.disclosure.wire import (
    AcknowledgeReport,
    AwardReport,
    ListReports,
    MessageRecord,
    MoveReport,
    NamedReport,
    ReportDetail,
    ReportRecord,
    ThankReporter,
    TriageReport,
)
from heldtrue.capabilities.registers import actions as registers
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.errors import ConflictError
from heldtrue.kernel.ids import ReportId
from heldtrue.op import SystemOperation


class AlreadyAwardedError(ConflictError):
    """This report has its reward; what was awarded is not changed."""

    code = "already-awarded"


def list_reports(op: SystemOperation, asked: ListReports) -> Listing[ReportRecord]:
    """List the reports, the newest first; those whose time is over say so."""
    rows = store.page(op.tx, asked.after(), asked.limit + 1)
    return listing(rows, asked, lambda row: ReportRecord(**_members(op, row)), lambda row: row.report_id)


def show_report(office: Office, op: SystemOperation, asked: NamedReport) -> ReportDetail:
    """Show a report with everything that was written; encrypted messages are opened where the key is here."""
    return _detail(office, op, _named(op, asked.report_id))


def acknowledge_report(office: Office, op: SystemOperation, asked: AcknowledgeReport) -> Answer:
    """Acknowledge a report: its clock stops, and its reporter is told. Only the first acknowledgement counts."""

    def change(report: Report) -> Report:
        if report.acknowledged_at is not None:
            return report
        return replace(intake.moved(report, State.ACKNOWLEDGED), acknowledged_at=op.now)

    return _change(office, op, asked.report_id, change, asked.message)


def triage_report(office: Office, op: SystemOperation, asked: TriageReport) -> Answer:
    """Score a report by a CVSS vector; it can be scored again until it is rewarded."""
    found = scoring.score(asked.vector)

    def change(report: Report) -> Report:
        again = report.state is State.CONFIRMED and report.award_cents is None
        moved = report if again else intake.moved(report, State.TRIAGED)
        return replace(moved, vector=found.vector, score_tenths=found.tenths, severity=found.severity)

    return _change(office, op, asked.report_id, change, asked.message)


def move_report(office: Office, op: SystemOperation, asked: MoveReport) -> Answer:
    """Confirm a report, say that it is fixed or disclosed, or close it as a duplicate or not applicable."""
    state = State(asked.state)
    if (state is State.DUPLICATE) != (asked.duplicate_of is not None):
        raise IllegalMoveError("A duplicate names the report that it repeats; nothing else does.")
    original = None if asked.duplicate_of is None else _named(op, asked.duplicate_of)
    if original is not None and str(original.id) == asked.report_id:
        raise IllegalMoveError("A report is no duplicate of itself.")

    def change(report: Report) -> Report:
        closed = None if state in model.OPEN else report.closed_at or op.now
        return replace(
            intake.moved(report, state), duplicate_of=None if original is None else original.report_id, closed_at=closed
        )

    return _change(office, op, asked.report_id, change, asked.message)


def award_report(office: Office, op: SystemOperation, asked: AwardReport) -> Answer:
    """Record the reward of a confirmed report; outside the band that held when it came in, it is refused."""
    policy = policy_at(op, _named(op, asked.report_id))

    def change(report: Report) -> Report:
        if report.award_cents is not None:
            raise AlreadyAwardedError
        if report.state not in REWARDED:
            raise IllegalMoveError(
                f"A report that is {report.state} earns nothing yet.", advice="Confirm it first, then award."
            )
        rewards.judge_award(policy, report.severity, asked.cents)
        return replace(report, award_cents=asked.cents, awarded_at=op.now)

    answer = _change(office, op, asked.report_id, change, None)
    report = _named(op, asked.report_id)
    payout = Payout(
        severity=report.severity or scoring.Severity.NONE, cents=asked.cents, currency=policy.currency, confirmed=True,
        at=op.now,
    )  # fmt: skip
    registers.put(op, PAYOUTS, report.report_id.hex, payout)
    return answer


def thank_reporter(office: Office, op: SystemOperation, asked: ThankReporter) -> Answer:
    """Name a report's reporter in the hall of thanks, by the consent that came with the report."""
    report = _named(op, asked.report_id)
    known = intake.reporter_of(op, keyring(op), report.id)
    if not known.named or not known.name:
        raise NoConsentError("This reporter did not agree to be named.")
    if report.state not in REWARDED:
        raise IllegalMoveError(f"A report that is {report.state} is not thanked for yet.", advice="Confirm it first.")
    thanks = Thanks(name=known.name, on=op.now.date(), consented=True, link=asked.link)
    registers.put(op, THANKS, report.report_id.hex, thanks)
    return _change(office, op, asked.report_id, lambda found: replace(found, thanked_at=op.now), None)


def policy_at(op: SystemOperation, report: Report) -> RewardPolicy:
    """Return the reward policy that held when *report* came in; thanks only, where none was published by then."""
    held = registers.as_of(op.tx, REWARDS, report.received_at)
    return next((entry.document for entry in held if entry.item == POLICY), THANKS_ONLY)


def _named(op: SystemOperation, report_id: str) -> Report:
    found = store.get(op.tx, ReportId.parse(report_id).value)
    if found is None:
        raise UnknownReportError
    return found


def _change(
    office: Office, op: SystemOperation, report_id: str, change: Callable[[Report], Report], message: str | None
) -> Answer:
    before = _named(op, report_id)
    after = change(before)
    store.update(op.tx, after)
    if message is not None:
        intake.answer(op, office, after, message)
    elif after.state != before.state:
        intake.tell_reporter(op, office, after)
    detail = {
        "from": before.state.value,
        "to": after.state.value,
        "severity": after.severity,
        "award": after.award_cents,
    }
    return Answer(body=_detail(office, op, after), subject=str(after.id), detail=detail)


def _detail(office: Office, op: SystemOperation, report: Report) -> ReportDetail:
    sealed = keyring(op)
    known = intake.reporter_of(op, sealed, report.id)
    messages = [
        MessageRecord(
            number=one.number, author=one.author, encrypted=one.encrypted, text=one.text,
            opened=keys.opened(op, one.text) if one.encrypted else None, sent_at=one.sent_at,
        )
        for one in intake.messages_of(op, sealed, report.id)
    ]  # fmt: skip
    return ReportDetail(
        **_members(op, report), name=known.name, mail=known.mail, named=known.named,
        link=office.link(token_of(sealed, report.id)), messages=messages,
    )  # fmt: skip


def _members(op: SystemOperation, report: Report) -> dict[str, Any]:
    tenths = report.score_tenths
    return {
        "id": str(report.id),
        "state": report.state,
        "title": intake.reporter_of(op, keyring(op), report.id).title,
        "encrypted": report.encrypted,
        "received_at": report.received_at,
        "due_at": report.due_at,
        "acknowledged_at": report.acknowledged_at,
        "overdue": report.overdue(op.now),
        "severity": report.severity,
        "score": None if tenths is None else f"{tenths // 10}.{tenths % 10}",
        "vector": report.vector,
        "award_cents": report.award_cents,
        "duplicate_of": None if report.duplicate_of is None else str(ReportId(report.duplicate_of)),
    }

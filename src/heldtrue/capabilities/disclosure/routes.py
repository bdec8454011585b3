"""Routes of disclosure for the operator: reports, and the key that they may be encrypted to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from heldtrue.capabilities.disclosure import actions, keys
from heldtrue.capabilities.disclosure.office import Office
from heldtrue.capabilities.disclosure.wire import (
    AcknowledgeReport,
    AwardReport,
    ListReports,
    MakeKey,
    MoveReport,
    NamedReport,
    PublishedKey,
    ReportDetail,
    ReportRecord,
    ThankReporter,
    TriageReport,
)
from heldtrue.http.pagination import Listing
from heldtrue.http.route import Realm, Route
from heldtrue.policy.permissions import Permission


def routes(office: Office) -> list[Route]:
    """Return the table of routes."""
    return [
        Route(
            at="GET /v1/reports",
            action=actions.list_reports,
            summary="List the reports of vulnerabilities; those that wait beyond their time say so",
            takes=ListReports,
            gives=Listing[ReportRecord],
            needs=Permission.REPORT_READ,
            audits="report.listed",
            realm=Realm.OPERATOR,
        ),
        Route(
            at="GET /v1/reports/{report_id}",
            action=partial(actions.show_report, office),
            summary="Read a report and everything that was written about it",
            takes=NamedReport,
            gives=ReportDetail,
            needs=Permission.REPORT_READ,
            audits="report.read",
            realm=Realm.OPERATOR,
        ),
        _change(office, "acknowledge", actions.acknowledge_report, AcknowledgeReport, "report.acknowledged",
                "Acknowledge a report: its clock stops, and its reporter is told"),
        _change(office, "assessment", actions.triage_report, TriageReport, "report.triaged",
                "Score a report by a CVSS 3.1 or 4.0 vector"),
        _change(office, "state", actions.move_report, MoveReport, "report.moved",
                "Confirm a report, call it fixed or disclosed, or close it as duplicate or not applicable"),
        _change(office, "reward", actions.award_report, AwardReport, "report.awarded",
                "Record a confirmed report's reward; outside its band it is refused"),
        _change(office, "thanks", actions.thank_reporter, ThankReporter, "report.thanked",
                "Name a report's reporter in the hall of thanks, by the consent that came with it"),
        Route(
            at="POST /v1/disclosure/key",
            action=partial(keys.make, office),
            summary="Publish an OpenPGP key for reports: a new one, or one that is kept elsewhere",
            takes=MakeKey,
            gives=PublishedKey,
            needs=Permission.REPORT_WRITE,
            audits="disclosure.key.published",
            realm=Realm.OPERATOR,
            status=201,
            creates=True,
        ),
        Route(
            at="GET /v1/disclosure/key",
            action=keys.show,
            summary="Show the OpenPGP key that is published",
            gives=PublishedKey,
            needs=Permission.REPORT_READ,
            audits="disclosure.key.read",
            realm=Realm.OPERATOR,
        ),
    ]  # fmt: skip


def _change(
    office: Office, verb: str, action: Callable[..., object], takes: type[Any], audits: str, summary: str
) -> Route:
    return Route(
        at=f"POST /v1/reports/{{report_id}}/{verb}", action=partial(action, office), summary=summary, takes=takes,
        gives=ReportDetail, needs=Permission.REPORT_WRITE, audits=audits, realm=Realm.OPERATOR,
    )  # fmt: skip

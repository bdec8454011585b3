"""The disclosure page: policy, scope, rewards, key, thanks, figures; and what strangers do there: report and follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

import msgspec

from heldtrue.capabilities.disclosure import figures, intake, keys, publishing, scoring
from heldtrue.capabilities.disclosure.csaf import Published, tracking_id
from heldtrue.capabilities.disclosure.figures import Figures
from heldtrue.capabilities.disclosure.intake import Doorstep, Message, Reporter
from heldtrue.capabilities.disclosure.kinds import Thanks
from heldtrue.capabilities.disclosure.model import Report
from heldtrue.capabilities.disclosure.office import Office
from heldtrue.capabilities.disclosure.rewards import RewardPolicy, money
from heldtrue.capabilities.disclosure.wire import AddMessage, ReportLink, SendReport
from heldtrue.capabilities.ledger.model import instant
from heldtrue.http.exchange import Page
from heldtrue.http.route import Route
from heldtrue.kernel.errors import NotFoundError
from heldtrue.op import SystemOperation
from heldtrue.trust.render import Pages
from heldtrue.trust.serving import acted, form, own_page, page, shown, twin

PATH = "/trust/disclosure"
FORM = f"{PATH}/report"
Operate = Callable[[], AbstractContextManager[SystemOperation]]
"""Open an operation for somebody without a credential."""


class BandView(msgspec.Struct, frozen=True, kw_only=True):
    """What a severity pays, in words and in cents."""

    severity: str
    least_cents: int
    most_cents: int
    words: str


class RewardsView(msgspec.Struct, frozen=True, kw_only=True):
    """Money by severity, or thanks only."""

    mode: str
    currency: str
    bands: list[BandView]


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """The OpenPGP key that reports may be encrypted to."""

    fingerprint: str
    expires_at: str
    url: str


class ThanksView(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is thanked, and agreed to be named."""

    name: str
    on: str
    link: str | None


class AdvisoryView(msgspec.Struct, frozen=True, kw_only=True):
    """A published advisory."""

    id: str
    title: str
    severity: str
    score: str
    published_at: str
    updated_at: str
    page: str
    csaf: str


class DisclosureView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page says."""

    at: str
    company: str
    contacts: list[str]
    languages: list[str]
    calendar: str
    """Country, or part of it, whose business days count."""
    timezone: str
    acknowledged_within_business_days: int
    due_if_sent_now: str
    scope_in: list[str]
    scope_out: list[str]
    rewards: RewardsView
    key: KeyView | None
    thanks: list[ThanksView]
    advisories: list[AdvisoryView]
    figures: Figures


class AdvisoryPath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An advisory."""

    item: str


@dataclass(frozen=True, slots=True)
class DisclosureServices:
    """What the pages are made of; the wiring fills it in."""

    office: Office
    operate: Operate


def routes(services: DisclosureServices, pages: Pages) -> list[Route]:
    """Return the pages of disclosure; all of them are for everybody."""
    office, operate, doorstep = services.office, services.operate, Doorstep()

    def view() -> DisclosureView:
        with operate() as op:
            return disclosure(office, op)

    def html() -> Page:
        def make() -> bytes:
            return pages.render("disclosure.html", at=PATH, twin=f"{PATH}.json", view=view())

        return shown(pages, PATH, make)

    def ask() -> Page:
        return shown(pages, PATH, lambda: pages.render("report.html", at=FORM, view=view()))

    def send(asked: SendReport, source: str) -> Page:
        def act() -> bytes:
            doorstep.admit(source)
            with operate() as op:
                report, token = intake.receive(op, office, asked)
            return pages.render(
                "report_sent.html", at=FORM, report=report, link=office.link(token), due=_at(report.due_at)
            )

        return acted(pages, PATH, act)

    def follow(asked: ReportLink) -> Page:
        def make() -> bytes:
            with operate() as op:
                return _own_page(pages, op, asked.token, *intake.follow(op, asked.token))

        return shown(pages, PATH, make)

    def add(asked: AddMessage, source: str) -> Page:
        def act() -> bytes:
            doorstep.admit(source)
            with operate() as op:
                intake.add(op, office, asked.token, asked.text)
                return _own_page(pages, op, asked.token, *intake.follow(op, asked.token))

        return acted(pages, PATH, act)

    def advisory(asked: AdvisoryPath) -> Page:
        def make() -> bytes:
            with operate() as op:
                known = {one[0].item: one for one in publishing.advisories(op)}
            if asked.item not in known:
                raise NotFoundError("There is no advisory of that name. The disclosure page lists those there are.")
            at = f"{PATH}/advisories/{asked.item}"
            one = known[asked.item]
            return pages.render(
                "advisory.html", at=at, view=_advisory(one), one=one[-1].document,
                history=[(str(entry.version), _at(entry.recorded_at), entry.document.revision) for entry in one],
            )  # fmt: skip

        return shown(pages, PATH, make)

    return [
        page(PATH, html, "How to report a vulnerability, what it earns, and whether reports are answered"),
        twin(f"{PATH}.json", view, "The same as JSON", DisclosureView),
        page(FORM, ask, "The form for a report"),
        form(FORM, send, "Send a report, plain or encrypted", SendReport, audits="report.received", by_source=True),
        own_page(f"{PATH}/reports/{{token}}", follow, "A report, for whoever sent it", takes=ReportLink),
        form(
            f"{PATH}/reports/{{token}}", add, "Add to a report, by its own link", AddMessage,
            audits="report.message.received", by_source=True,
        ),
        page(f"{PATH}/advisories/{{item}}", advisory, "An advisory", takes=AdvisoryPath),
    ]  # fmt: skip


def disclosure(office: Office, op: SystemOperation) -> DisclosureView:
    """Return what the page says at this moment."""
    key = keys.active(op)
    key_view = None
    if key is not None:
        key_view = KeyView(
            fingerprint=key.fingerprint, expires_at=instant(key.expires_at), url="/.well-known/pgp-key.txt"
        )  # fmt: skip
    return DisclosureView(
        at=instant(op.now),
        company=office.name,
        contacts=[f"{office.url}{FORM}", *([f"mailto:{office.mail}"] if office.mail else [])],
        languages=list(office.languages),
        calendar=office.calendar,
        timezone=office.zone,
        acknowledged_within_business_days=1,
        due_if_sent_now=instant(office.due(op.now)),
        scope_in=list(office.scope_in) or [office.url],
        scope_out=list(office.scope_out),
        rewards=rewards(publishing.policy(op)),
        key=key_view,
        thanks=[_thanked(entry.document) for entry in publishing.thanks(op)],
        advisories=[_advisory(one) for one in reversed(publishing.advisories(op))],
        figures=figures.standing(op.tx, op.now),
    )


def rewards(policy: RewardPolicy) -> RewardsView:
    """Return the table of rewards as it is shown: the gravest first; none where only thanks are promised."""
    order = () if policy.mode == "thanks" else ("critical", "high", "medium", "low")
    bands = [(name, policy.bands.of(scoring.Severity(name))) for name in order]
    return RewardsView(
        mode=policy.mode,
        currency=policy.currency,
        bands=[
            BandView(
                severity=name, least_cents=band.least_cents, most_cents=band.most_cents,
                words=f"{money(band.least_cents)} to {money(band.most_cents)} {policy.currency}",
            )
            for name, band in bands
            if band is not None
        ],
    )  # fmt: skip


def _own_page(
    pages: Pages, op: SystemOperation, token: str, report: Report, reporter: Reporter, messages: Sequence[Message]
) -> bytes:
    return pages.render(
        "report_status.html", at="", report=report, reporter=reporter, token=token, now=instant(op.now),
        received=_at(report.received_at), due=_at(report.due_at),
        acknowledged=None if report.acknowledged_at is None else _at(report.acknowledged_at),
        overdue=report.overdue(op.now),
        messages=[(one.author, one.encrypted, one.text, _at(one.sent_at)) for one in messages],
        reward=None if report.award_cents is None else money(report.award_cents),
    )  # fmt: skip


def _thanked(one: Thanks) -> ThanksView:
    return ThanksView(name=one.name, on=one.on.isoformat(), link=one.link)


def _advisory(one: Published) -> AdvisoryView:
    found = scoring.score(one[-1].document.vector)
    return AdvisoryView(
        id=tracking_id(one[0].item), title=one[-1].document.title, severity=found.severity.value, score=found.text,
        published_at=_at(one[0].recorded_at), updated_at=_at(one[-1].recorded_at),
        page=f"{PATH}/advisories/{one[0].item}",
        csaf=f"/.well-known/csaf/white/{publishing.csaf.path_of(one)}",
    )  # fmt: skip


def _at(moment: datetime) -> str:
    return instant(moment)

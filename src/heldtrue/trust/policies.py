"""The pages of policies: all of them with their state, each with its text; and the calendar of what is due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from heldtrue.capabilities.ledger.model import instant
from heldtrue.capabilities.registers import actions, feeds, policies, subprocessors
from heldtrue.capabilities.registers.feeds import Due
from heldtrue.capabilities.registers.kinds import CERTIFICATIONS, POLICIES, RETENTION, SUB_PROCESSORS, TESTS, VENDORS
from heldtrue.capabilities.registers.model import Entry
from heldtrue.capabilities.registers.policies import Policy, Standing, State
from heldtrue.http.exchange import Page
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.trust.company import CompanyServices
from heldtrue.trust.prose import prose
from heldtrue.trust.render import Pages
from heldtrue.trust.serving import NoSuchPageError, page, shown, twin

PATH = "/trust/policies"


class PolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as readers see it."""

    name: str
    title: str
    state: str
    """`current`, `stale` (past its review, so it does not count) or `not-adopted` (only a starter text)."""
    owner: str
    """For a starter text: the role that it suggests."""
    version: int | None
    adopted_on: str | None
    reviewed_on: str | None
    review_by: str | None
    review_months: int
    text_sha256: str


class PolicyText(msgspec.Struct, frozen=True, kw_only=True):
    """A policy with its text."""

    at: str
    company: str
    policy: PolicyView
    text: str
    """Markdown."""
    versions: list[str]
    """When each version was recorded, the oldest first."""


class PoliciesView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page says."""

    at: str
    company: str
    current: int
    stale: int
    not_adopted: int
    policies: list[PolicyView]


class ThePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy by its name."""

    policy: str


def routes(services: CompanyServices, pages: Pages) -> list[Route]:
    """Return the pages, their JSON and the calendar."""

    def view() -> PoliciesView:
        with services.office() as office:
            return build(services.company.name, office.now, actions.current(office.tx, POLICIES))

    def html() -> Page:
        return shown(pages, PATH, lambda: pages.render("policies.html", at=PATH, twin=f"{PATH}.json", view=view()))

    def text(asked: ThePolicy) -> PolicyText:
        with services.office() as office:
            found = policies.standings(actions.current(office.tx, POLICIES), office.now)
            standing = next((one for one in found if one.name == asked.policy), None)
            if standing is None:
                raise NoSuchPageError("There is no policy of this name.")
            versions = actions.history(office.tx, POLICIES, asked.policy)
            return PolicyText(
                at=instant(office.now), company=services.company.name, policy=_view(standing), text=standing.text,
                versions=[instant(entry.recorded_at) for entry in versions],
            )  # fmt: skip

    def text_json(asked: ThePolicy) -> PolicyText:
        if not asked.policy.endswith(".json"):
            raise NoSuchPageError
        return text(ThePolicy(policy=asked.policy.removesuffix(".json")))

    def text_html(asked: ThePolicy) -> Page:
        at = f"{PATH}/{asked.policy}"
        if asked.policy.endswith(".json"):
            return Page(content=msgspec.json.encode(text_json(asked)), content_type="application/json")

        def make() -> bytes:
            found = text(asked)
            return pages.render("policy.html", at=at, twin=f"{at}.json", view=found, body=prose(found.text))

        return shown(pages, PATH, make)

    def calendar() -> Page:
        with services.office() as office:
            dues = [
                *_reviews(services, policies.standings(actions.current(office.tx, POLICIES), office.now)),
                *_others(services, office.tx),
            ]
            content = feeds.calendar(services.channel, dues, office.now)
        return Page(content=content, content_type="text/calendar; charset=utf-8")

    return [
        page(PATH, html, "The policies, each with its state, owner and review"),
        twin(f"{PATH}.json", view, "The same as JSON", PoliciesView),
        page(f"{PATH}/{{policy}}", text_html, "A policy with its text; with .json behind it, as JSON", takes=ThePolicy),
        Route(
            at="GET /trust/calendar.ics", action=calendar, summary="Reviews and notices as a calendar",
            realm=Realm.PUBLIC, cache=CacheClass.PAGE, produces="text/calendar", tags=("trust",),
        ),
    ]  # fmt: skip


def build(company: str, now: datetime, adopted: Sequence[Entry[Policy]]) -> PoliciesView:
    """Return the page's view at *now*."""
    found = policies.standings(adopted, now)
    counts = {state: sum(one.state is state for one in found) for state in State}
    return PoliciesView(
        at=instant(now), company=company, current=counts[State.CURRENT], stale=counts[State.STALE],
        not_adopted=counts[State.NOT_ADOPTED], policies=[_view(one) for one in found],
    )  # fmt: skip


def _view(found: Standing) -> PolicyView:
    def day(value: object) -> str | None:
        return None if value is None else str(value)

    return PolicyView(
        name=found.name, title=found.title, state=found.state.value, owner=found.owner, version=found.version,
        adopted_on=day(found.adopted_on), reviewed_on=day(found.reviewed_on), review_by=day(found.review_by),
        review_months=found.review_months, text_sha256=found.text_sha256,
    )  # fmt: skip


def _reviews(services: CompanyServices, found: Sequence[Standing]) -> list[Due]:
    return [
        Due(name=f"policies/{one.name}", day=one.review_by, what=f"Review of the policy: {one.title}",
            link=f"{services.url}{PATH}/{one.name}")
        for one in found
        if one.review_by is not None
    ]  # fmt: skip


def _others(services: CompanyServices, tx: actions.ReadTx) -> list[Due]:
    certifications, sub_processors = f"{services.url}/trust/certifications", f"{services.url}/trust/sub-processors"
    dues: list[Due] = []
    for one in actions.current(tx, CERTIFICATIONS):
        found = one.document
        what = f"Review of the status: {found.standard}"
        dues.append(Due(name=f"certifications/{one.item}", day=found.review_by, what=what, link=certifications))
        if found.expires is not None:
            what = f"Expires: {found.standard}"
            dues.append(Due(name=f"expiry/{one.item}", day=found.expires, what=what, link=certifications))
    for test in actions.current(tx, TESTS):
        what = f"Next {test.document.form.value.replace('-', ' ')}"
        dues.append(Due(name=f"tests/{test.item}", day=test.document.next_by, what=what, link=certifications))
    for vendor in actions.current(tx, VENDORS):
        what = f"Review of the vendor: {vendor.document.name}"
        dues.append(Due(name=f"vendors/{vendor.item}", day=vendor.document.review_by, what=what, link=certifications))
    for kept in actions.current(tx, RETENTION):
        what = f"Review of the retention: {kept.document.data}"
        dues.append(Due(name=f"retention/{kept.item}", day=kept.document.review_by, what=what, link=certifications))
    for listed in actions.current(tx, SUB_PROCESSORS):
        if listed.document.review_by is not None:
            what = f"Review of the sub-processor: {listed.document.name}"
            name = f"sub-processors/{listed.item}"
            dues.append(Due(name=name, day=listed.document.review_by, what=what, link=sub_processors))
        start = subprocessors.may_start_at(actions.history(tx, SUB_PROCESSORS, listed.item))
        if start is not None:
            what = f"The notice has run: {listed.document.name}"
            dues.append(Due(name=f"notice/{listed.item}", day=start.date(), what=what, link=sub_processors))
    return dues

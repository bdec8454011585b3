"""How the company operates, from four registers: where it works, how long data is kept, whom to reach, what could go
wrong. Each is a page of its own with the same as JSON; they share a place in the navigation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from heldtrue.capabilities.ledger.model import instant
from heldtrue.capabilities.registers import actions, threats
from heldtrue.capabilities.registers.kinds import CONTACTS, LOCATIONS, RETENTION, THREATS
from heldtrue.capabilities.registers.model import Entry
from heldtrue.capabilities.registers.plain import Contact, Location, Retention
from heldtrue.capabilities.registers.threats import Threat
from heldtrue.claims.board import Standing
from heldtrue.http.exchange import Page
from heldtrue.http.route import Route
from heldtrue.trust.company import CompanyServices
from heldtrue.trust.render import Pages
from heldtrue.trust.serving import page, shown, twin

PATHS = {
    "locations": "/trust/locations",
    "retention": "/trust/retention",
    "contacts": "/trust/contacts",
    "threats": "/trust/threats",
}
"""By register."""


class LocationView(msgspec.Struct, frozen=True, kw_only=True):
    """Where the company itself works on data."""

    id: str
    name: str
    country: str
    """ISO 3166-1, two letters."""
    purpose: str
    operated_by: str
    version: int
    recorded_at: str
    leaf_id: str


class LocationsView(msgspec.Struct, frozen=True, kw_only=True):
    """The page of locations."""

    at: str
    company: str
    data: list[LocationView]


class RetentionView(msgspec.Struct, frozen=True, kw_only=True):
    """How long one kind of data is kept."""

    id: str
    kind: str
    kept_days: int
    begins: str
    reason: str
    destroyed_by: str
    backups_days: int
    owner: str
    review_by: str
    overdue: bool
    """Nobody has looked at it in time."""
    version: int
    recorded_at: str
    leaf_id: str


class RetentionSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """The page of retention."""

    at: str
    company: str
    data: list[RetentionView]


class ContactView(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to reach about what."""

    id: str
    about: str
    role: str
    mail: str
    phone: str | None
    link: str | None
    hours: str | None
    version: int
    recorded_at: str
    leaf_id: str


class ContactsView(msgspec.Struct, frozen=True, kw_only=True):
    """The page of contacts."""

    at: str
    company: str
    data: list[ContactView]


class AnsweringView(msgspec.Struct, frozen=True, kw_only=True):
    """A claim that would fail if a threat came true."""

    id: str
    state: str
    page: str


class ThreatView(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that could go wrong, and what answers it."""

    id: str
    kind: str
    """STRIDE."""
    asset: str
    actor: str
    threat: str
    answer: str
    claims: list[AnsweringView]
    residual: str
    dated: str
    review_by: str
    overdue: bool
    """Nobody has thought it through again in time."""
    leaf_id: str | None
    """The entry of the log that recorded it; null for the model that ships."""


class ThreatGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The threats to one capability."""

    capability: str
    threats: list[ThreatView]


class ThreatsView(msgspec.Struct, frozen=True, kw_only=True):
    """The page of threats."""

    at: str
    company: str
    total: int
    overdue: int
    data: list[ThreatGroup]


def locations(company: str, now: datetime, listed: Sequence[Entry[Location]]) -> LocationsView:
    """Return the page of locations."""
    return LocationsView(
        at=instant(now), company=company,
        data=[
            LocationView(
                id=one.item, name=one.document.name, country=one.document.country, purpose=one.document.purpose,
                operated_by=one.document.operated_by, version=one.version, recorded_at=instant(one.recorded_at),
                leaf_id=str(one.leaf),
            )
            for one in listed
        ],
    )  # fmt: skip


def retention(company: str, now: datetime, listed: Sequence[Entry[Retention]]) -> RetentionSchedule:
    """Return the page of retention."""
    return RetentionSchedule(
        at=instant(now), company=company,
        data=[
            RetentionView(
                id=one.item, kind=one.document.data, kept_days=one.document.kept_days, begins=one.document.begins,
                reason=one.document.reason, destroyed_by=one.document.destroyed_by,
                backups_days=one.document.backups_days, owner=one.document.owner,
                review_by=one.document.review_by.isoformat(), overdue=one.document.review_by < now.date(),
                version=one.version, recorded_at=instant(one.recorded_at), leaf_id=str(one.leaf),
            )
            for one in listed
        ],
    )  # fmt: skip


def contacts(company: str, now: datetime, listed: Sequence[Entry[Contact]]) -> ContactsView:
    """Return the page of contacts."""
    return ContactsView(
        at=instant(now), company=company,
        data=[
            ContactView(
                id=one.item, about=one.document.about, role=one.document.role, mail=one.document.mail,
                phone=one.document.phone, link=one.document.link, hours=one.document.hours, version=one.version,
                recorded_at=instant(one.recorded_at), leaf_id=str(one.leaf),
            )
            for one in listed
        ],
    )  # fmt: skip


def threat_model(
    company: str, now: datetime, recorded: Sequence[Entry[Threat]], states: Mapping[str, str]
) -> ThreatsView:
    """Return the page of threats: what ships, and over it what was recorded; *states*: every claim's."""
    leaves = {entry.item: str(entry.leaf) for entry in recorded}
    groups: dict[str, list[ThreatView]] = {}
    for name, found in sorted(threats.model(recorded).items()):
        groups.setdefault(found.capability, []).append(_threat(name, found, now, states, leaves.get(name)))
    every = [one for group in groups.values() for one in group]
    return ThreatsView(
        at=instant(now), company=company, total=len(every), overdue=sum(one.overdue for one in every),
        data=[ThreatGroup(capability=name, threats=group) for name, group in groups.items()],
    )  # fmt: skip


def _threat(name: str, found: Threat, now: datetime, states: Mapping[str, str], leaf: str | None) -> ThreatView:
    return ThreatView(
        id=name, kind=found.kind.value, asset=found.asset, actor=found.actor, threat=found.threat,
        answer=found.answer, residual=found.residual, dated=found.dated.isoformat(),
        review_by=found.review_by.isoformat(), overdue=found.review_by < now.date(), leaf_id=leaf,
        claims=[
            AnsweringView(id=claim, state=states.get(claim, "promised"), page=f"/trust/claims/{claim}")
            for claim in found.claims
        ],
    )  # fmt: skip


def routes(services: CompanyServices, look: Callable[[], Standing], pages: Pages) -> list[Route]:
    """Return the four pages and their JSON."""
    name, clock = services.company.name, services.clock

    def read_locations() -> LocationsView:
        with services.database.system() as tx:
            return locations(name, clock.now(), actions.current(tx, LOCATIONS))

    def read_retention() -> RetentionSchedule:
        with services.database.system() as tx:
            return retention(name, clock.now(), actions.current(tx, RETENTION))

    def read_contacts() -> ContactsView:
        with services.database.system() as tx:
            return contacts(name, clock.now(), actions.current(tx, CONTACTS))

    def read_threats() -> ThreatsView:
        states = {verdict.claim.id: str(verdict.state) for verdict in look().verdicts}
        with services.database.system() as tx:
            return threat_model(name, clock.now(), actions.current(tx, THREATS), states)

    def html(register: str, view: Callable[[], msgspec.Struct]) -> Callable[[], Page]:
        return lambda: shown(pages, PATHS[register], lambda: render(pages, register, view()))

    return [
        page(PATHS["locations"], html("locations", read_locations), "Where the company itself works on data"),
        twin(f"{PATHS['locations']}.json", read_locations, "The same as JSON", LocationsView),
        page(PATHS["retention"], html("retention", read_retention), "How long data is kept, and how it goes"),
        twin(f"{PATHS['retention']}.json", read_retention, "The same as JSON", RetentionSchedule),
        page(PATHS["contacts"], html("contacts", read_contacts), "Whom to reach about what"),
        twin(f"{PATHS['contacts']}.json", read_contacts, "The same as JSON", ContactsView),
        page(PATHS["threats"], html("threats", read_threats), "What could go wrong, and the claims that answer it"),
        twin(f"{PATHS['threats']}.json", read_threats, "The same as JSON", ThreatsView),
    ]


def render(pages: Pages, register: str, view: msgspec.Struct) -> bytes:
    """Return the page of one of the registers."""
    at = PATHS[register]
    return pages.render(f"{register}.html", at=at, twin=f"{at}.json", view=view)

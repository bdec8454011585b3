"""The page of sub-processors: the list, its notices, its feeds, and a way to be told by mail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec

from heldtrue.capabilities.ledger.model import instant
from heldtrue.capabilities.registers import actions, feeds, subprocessors, subscribers
from heldtrue.capabilities.registers.fields import Mail
from heldtrue.capabilities.registers.kinds import SUB_PROCESSORS
from heldtrue.capabilities.registers.model import Entry
from heldtrue.capabilities.registers.subprocessors import NOTICE, Notice, SubProcessor, Terms
from heldtrue.http.exchange import Page
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.trust.company import CompanyServices
from heldtrue.trust.render import Pages
from heldtrue.trust.serving import acted, form, own_page, page, shown, twin

PATH = "/trust/sub-processors"
_Token = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{72}$")]


class TermsView(msgspec.Struct, frozen=True, kw_only=True):
    """What it does with which data, where."""

    purpose: str
    location: list[str]
    transfer_basis: str
    data: list[str]
    optional: bool


class SubProcessorView(msgspec.Struct, frozen=True, kw_only=True):
    """A sub-processor as readers see it."""

    id: str
    name: str
    address: str
    contact: str
    website: str | None
    state: str
    """`announced` or `active`."""
    terms: TermsView
    planned: TermsView | None
    """Other terms that are announced for one that is active."""
    may_start_at: str | None
    """The moment before which what is announced may not be active."""
    version: int
    recorded_at: str
    leaf_id: str
    """Its entry in the log."""


class NoticeView(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that readers were told."""

    id: str
    item: str
    name: str
    event: str
    at: str
    may_start_at: str | None
    text: str


class SubProcessorsView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page says."""

    at: str
    company: str
    notice_days: int
    sub_processors: list[SubProcessorView]
    notices: list[NoticeView]
    privacy_mail: str


class Subscribe(msgspec.Struct, frozen=True, kw_only=True):
    """An address that wants to be told."""

    mail: Mail


class TheSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription by its link."""

    token: _Token


class ChangeSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """What its reader wants: to be told, or no more. A mail program that unsubscribes sends RFC 8058's field alone."""

    token: _Token
    wish: Annotated[str, msgspec.Meta(pattern="^(confirm|leave)$")] = "leave"
    one_click: str | None = msgspec.field(default=None, name="List-Unsubscribe")


def build(
    services: CompanyServices, at: str, standing: Sequence[Entry[SubProcessor]], history: Sequence[Entry[SubProcessor]]
) -> SubProcessorsView:
    """Return the page's view of what stands and of every version there was."""
    versions: dict[str, list[Entry[SubProcessor]]] = {}
    for entry in sorted(history, key=lambda one: one.version):
        versions.setdefault(entry.item, []).append(entry)
    return SubProcessorsView(
        at=at,
        company=services.company.name,
        notice_days=NOTICE.days,
        sub_processors=[_view(entry, versions[entry.item]) for entry in standing],
        notices=[notice_view(services, notice) for notice in subprocessors.notices(history)],
        privacy_mail=services.company.privacy_mail,
    )


def routes(services: CompanyServices, pages: Pages) -> list[Route]:
    """Return the page, its JSON, its feeds and its forms."""

    def view() -> SubProcessorsView:
        with services.office() as office:
            standing = actions.current(office.tx, SUB_PROCESSORS)
            return build(services, instant(office.now), standing, actions.changes(office.tx, SUB_PROCESSORS))

    def html() -> Page:
        return shown(
            pages, PATH, lambda: pages.render("sub_processors.html", at=PATH, twin=f"{PATH}.json", view=view())
        )

    def subscribe(asked: Subscribe) -> Page:
        def act() -> bytes:
            with services.office() as office:
                subscribers.subscribe(office, asked.mail)
            text = "If the address is not on the list already, a mail with a link to confirm is on its way to it."
            return pages.notice("Look into your mail", text, at=PATH)

        return acted(pages, PATH, act)

    def subscription(asked: TheSubscription) -> Page:
        def make() -> bytes:
            with services.office() as office:
                confirmed = subscribers.confirmed(office, asked.token)
            return pages.render("subscription.html", at=PATH, confirmed=confirmed, token=asked.token)

        return shown(pages, PATH, make)

    def change(asked: ChangeSubscription) -> Page:
        def act() -> bytes:
            with services.office() as office:
                if asked.wish == "confirm":
                    subscribers.confirm(office, asked.token)
                    return pages.notice("You will be told", "Each notice comes by mail, with a link to leave.", at=PATH)
                subscribers.leave(office, asked.token)
            return pages.notice("You have left", "No further mail will come, and your address is forgotten.", at=PATH)

        return acted(pages, PATH, act)

    link = f"{PATH}/subscription/{{token}}"
    return [
        page(PATH, html, "Who else works on customers' data"),
        twin(f"{PATH}.json", view, "The same as JSON", SubProcessorsView),
        _feed(services, ".atom", feeds.atom, "application/atom+xml; charset=utf-8", "Its notices as an Atom feed"),
        _feed(services, ".rss", feeds.rss, "application/rss+xml; charset=utf-8", "Its notices as an RSS feed"),
        _feed(
            services, ".feed.json", feeds.json_feed, "application/feed+json; charset=utf-8", "Its notices as JSON Feed"
        ),
        form(f"{PATH}/subscribe", subscribe, "Ask to be told of notices by mail", Subscribe, audits="subscriber.asked"),
        own_page(link, subscription, "A subscription, by its link", takes=TheSubscription),
        form(link, change, "Confirm or end a subscription", ChangeSubscription, audits="subscriber.changed"),
    ]


def notice_view(services: CompanyServices, notice: Notice) -> NoticeView:
    """Return a notice as readers see it."""
    start = notice.may_start_at
    return NoticeView(
        id=services.channel.id_of(notice), item=notice.item, name=notice.name, event=notice.event.value,
        at=instant(notice.at), may_start_at=None if start is None else instant(start),
        text=subscribers.sentence(notice),
    )  # fmt: skip


def _view(entry: Entry[SubProcessor], versions: Sequence[Entry[SubProcessor]]) -> SubProcessorView:
    found = entry.document
    start = subprocessors.may_start_at(versions)
    return SubProcessorView(
        id=entry.item, name=found.name, address=found.address, contact=found.contact, website=found.website,
        state=found.state.value, terms=_terms(found.terms),
        planned=None if found.planned is None else _terms(found.planned),
        may_start_at=None if start is None else instant(start), version=entry.version,
        recorded_at=instant(entry.recorded_at), leaf_id=str(entry.leaf),
    )  # fmt: skip


def _terms(terms: Terms) -> TermsView:
    return TermsView(
        purpose=terms.purpose, location=list(terms.location), transfer_basis=terms.transfer_basis.value,
        data=list(terms.data), optional=terms.optional,
    )  # fmt: skip


def _feed(
    services: CompanyServices,
    suffix: str,
    write: Callable[[feeds.Channel, Sequence[Notice]], bytes],
    kind: str,
    summary: str,
) -> Route:
    def serve() -> Page:
        with services.office() as office:
            notices = subprocessors.notices(actions.changes(office.tx, SUB_PROCESSORS))
        return Page(content=write(services.channel, notices), content_type=kind)

    return Route(
        at=f"GET {PATH}{suffix}", action=serve, summary=summary, realm=Realm.PUBLIC, cache=CacheClass.PAGE,
        produces=kind.partition(";")[0], tags=("trust",),
    )  # fmt: skip

"""The page of changes: a difference of the page between any two dates."""

from __future__ import annotations

from heldtrue.http.exchange import Page
from heldtrue.http.problems import status_of
from heldtrue.http.route import Route
from heldtrue.kernel.clock import Clock
from heldtrue.trust import nav
from heldtrue.trust.differences import AskChanges, ChangesView, UnreadableDateError, changes
from heldtrue.trust.following import Follower
from heldtrue.trust.render import Pages
from heldtrue.trust.serving import HTML, page, shown, twin

PATH = nav.CHANGES.path
LAST_MONTH = AskChanges()


def routes(follower: Follower, clock: Clock, pages: Pages) -> list[Route]:
    """Return the page and its JSON."""

    def view(asked: AskChanges = LAST_MONTH) -> ChangesView:
        now = clock.now()
        asked.span(now)
        return follower.look(lambda diary, read: changes(diary, asked, now, read))

    def html(asked: AskChanges = LAST_MONTH) -> Page:
        try:
            return shown(pages, PATH, lambda: changes_page(pages, view(asked), asked))
        except UnreadableDateError as error:
            text = f"{error.message}. Write days as 2026-11-22; the first comes before the second."
            content = pages.notice("That is no time that passed", text, at=PATH)
            return Page(content=content, content_type=HTML, status=status_of(type(error)))

    return [
        page(PATH, html, "What changed between two dates, from the log", takes=AskChanges),
        twin(f"{PATH}.json", view, "The same as JSON", ChangesView, takes=AskChanges),
    ]


def changes_page(pages: Pages, view: ChangesView, ask: AskChanges) -> bytes:
    """Return the page of a difference."""
    return pages.render(
        nav.CHANGES.template, at=PATH, twin=ask.link(f"{PATH}.json", view.page), view=view, ask=ask, states=STATES
    )


STATES = frozenset({"proven", "failing", "stale", "attested", "promised"})

"""Rows for the table of routes, and answers that a person can read whatever happened: for every page of the site."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from heldtrue.http.exchange import Page
from heldtrue.http.problems import explain, status_of
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.errors import HeldtrueError, NotFoundError, UnavailableError
from heldtrue.trust.render import Pages

HTML = "text/html; charset=utf-8"


class NoSuchPageError(NotFoundError):
    """There is nothing at this address; the navigation of the site leads to what there is."""

    code = "no-such-page"


def page(path: str, action: Callable[..., Page], summary: str, *, takes: type[msgspec.Struct] | None = None) -> Route:
    """Return the row of a page that everybody may read."""
    return _row(f"GET {path}", action, summary, takes=takes, produces="text/html")


def own_page(path: str, action: Callable[..., Page], summary: str, *, takes: type[msgspec.Struct]) -> Route:
    """Return the row of a page behind a reader's own link: no cache keeps it, and it is not compressed."""
    return _row(f"GET {path}", action, summary, takes=takes, produces="text/html", cache=CacheClass.PRIVATE)


def twin(
    path: str,
    action: Callable[..., msgspec.Struct],
    summary: str,
    gives: type[msgspec.Struct],
    *,
    takes: type[msgspec.Struct] | None = None,
) -> Route:
    """Return the row of the same as JSON: the page's path with `.json`."""
    return _row(f"GET {path}", action, summary, takes=takes, gives=gives)


def form(
    path: str,
    action: Callable[..., Page],
    summary: str,
    takes: type[msgspec.Struct],
    *,
    audits: str,
    by_source: bool = False,
) -> Route:
    """Return the row of a form's target: it takes what a browser sends without a script, and JSON.

    Empty fields are left out. Judge in the action, and answer with `acted`, so that a person reads what is wrong.
    """
    return Route(
        at=f"POST {path}", action=action, summary=summary, takes=takes, realm=Realm.PUBLIC, form=True, audits=audits,
        produces="text/html", tags=("trust",), by_source=by_source,
    )  # fmt: skip


def shown(pages: Pages, at: str, make: Callable[[], bytes]) -> Page:
    """Return the page that *make* renders; `NotFoundError` and `UnavailableError` become pages that say so."""
    try:
        return Page(content=make(), content_type=HTML)
    except NotFoundError as error:
        text = error.message or explain(type(error))
        return Page(content=pages.notice("There is no such page", text, at=at), content_type=HTML, status=404)
    except UnavailableError:
        text = "The results cannot be read at this moment. While this page says so, nothing here counts as proven."
        return Page(
            content=pages.notice("Nothing can be shown now", text, at=at), content_type=HTML, status=503,
            headers={"retry-after": "5"}, cache=CacheClass.PRIVATE,
        )  # fmt: skip


def acted(pages: Pages, at: str, act: Callable[[], bytes]) -> Page:
    """Return the page that *act* renders once it did what a form asked; an error becomes a page with what to do."""
    try:
        return Page(content=act(), content_type=HTML)
    except HeldtrueError as error:
        kind = type(error)
        if status_of(kind) >= 500:
            raise
        text = " ".join(part for part in (error.message, error.advice) if part) or explain(kind)
        return Page(content=pages.notice("That did not work", text, at=at), content_type=HTML, status=status_of(kind))


def _row(
    at: str,
    action: Callable[..., object],
    summary: str,
    *,
    takes: type[msgspec.Struct] | None = None,
    gives: type[msgspec.Struct] | None = None,
    produces: str = "application/json",
    cache: CacheClass = CacheClass.PAGE,
) -> Route:
    return Route(
        at=at, action=action, summary=summary, takes=takes, gives=gives, realm=Realm.PUBLIC, cache=cache,
        produces=produces, tags=("trust",),
    )  # fmt: skip

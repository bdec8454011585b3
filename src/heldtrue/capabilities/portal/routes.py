"""The customers' page: a frame without any data. Its script asks the API, with the session token of whoever reads it.

Nothing here knows a token: it comes in the fragment of the address, which browsers do not send.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import msgspec

from heldtrue.http.exchange import Page
from heldtrue.http.headers import HTML_POLICY
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.errors import NotFoundError

HTML = "text/html; charset=utf-8"
_TYPES = {"css": "text/css; charset=utf-8", "mjs": "text/javascript; charset=utf-8"}
_HERE = files(__package__ or "heldtrue.capabilities.portal").joinpath("static")
SHELL = _HERE.joinpath("portal.html").read_bytes()
FILES = {
    name: (_HERE.joinpath(name).read_bytes(), _TYPES[name.rpartition(".")[2]])
    for name in ("portal.css", "portal.mjs", "api.mjs", "parts.mjs", "plots.mjs", "trials.mjs", "views.mjs")
}
"""By name below `/portal/`: content and type. Read when the process starts, before it gives up its rights."""
NOT_FRAMED = "frame-ancestors 'none'"


class FilePath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the page."""

    file: str


def policy(embed_origins: Sequence[str]) -> str:
    """Return the page's content security policy: as of all pages, but the named origins may frame it."""
    return HTML_POLICY.replace(
        NOT_FRAMED, f"frame-ancestors {' '.join(embed_origins)}" if embed_origins else NOT_FRAMED
    )


def routes(embed_origins: Sequence[str]) -> list[Route]:
    """Return the table of routes; both are for everybody."""
    headers = {"content-security-policy": policy(embed_origins)}

    def shell() -> Page:
        return Page(content=SHELL, content_type=HTML, headers=headers)

    def file(asked: FilePath) -> Page:
        found = FILES.get(asked.file)
        if found is None:
            raise NotFoundError("There is no such file.")
        return Page(content=found[0], content_type=found[1])

    return [
        Route(
            at="GET /portal",
            action=shell,
            summary="The page on which a customer looks after endpoints and deliveries",
            realm=Realm.PUBLIC,
            cache=CacheClass.PAGE,
            produces="text/html",
            tags=("portal",),
        ),
        Route(
            at="GET /portal/{file}",
            action=file,
            summary="Style sheet and script of the customers' page",
            takes=FilePath,
            realm=Realm.PUBLIC,
            cache=CacheClass.PAGE,
            produces="application/octet-stream",
            tags=("portal",),
        ),
    ]

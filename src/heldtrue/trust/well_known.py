"""Files that readers' programs look for: security.txt, the OpenPGP key, the advisories as CSAF and as Atom."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from heldtrue.capabilities.disclosure import csaf, keys, publishing, securitytxt
from heldtrue.capabilities.disclosure.publishing import SecurityTxt
from heldtrue.http.exchange import Page
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.errors import NotFoundError
from heldtrue.trust.disclosure import PATH, DisclosureServices

TEXT = "text/plain; charset=utf-8"


class FilePath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file."""

    path: str


def routes(services: DisclosureServices) -> list[Route]:
    """Return the table of routes; all of them are for everybody."""
    office, operate = services.office, services.operate
    security = SecurityTxt(office)

    def security_txt() -> Page:
        with operate() as op:
            return Page(content=security.text(op).encode(), content_type=TEXT)

    def key() -> Page:
        with operate() as op:
            found = keys.active(op)
        if found is None:
            raise keys.NoKeyError("No OpenPGP key is published here.")
        return Page(content=found.public_key.encode(), content_type="application/pgp-keys")

    def csaf_file(asked: FilePath) -> Page:
        with operate() as op:
            found = publishing.csaf_files(office, op).get(asked.path)
        if found is None:
            raise NotFoundError("There is no such file; white/index.txt names those there are.")
        return Page(content=found[0], content_type=found[1])

    def atom() -> Page:
        with operate() as op:
            content = csaf.atom(publishing.publisher(office), publishing.advisories(op), op.now)
        return Page(content=content, content_type="application/atom+xml; charset=utf-8")

    return [
        _file(securitytxt.PATH, security_txt, "Where to report a vulnerability (RFC 9116)", "text/plain"),
        _file(securitytxt.KEY_PATH, key, "The OpenPGP key for reports", "application/pgp-keys"),
        _file(
            f"{csaf.ROOT}/{{path:path}}", csaf_file, "The advisories as CSAF 2.0", "application/json", takes=FilePath
        ),
        _file(f"{PATH}/advisories.atom", atom, "The advisories as a feed", "application/atom+xml"),
    ]


def _file(path: str, action: Callable[..., Page], summary: str, produces: str, *, takes: type | None = None) -> Route:
    return Route(
        at=f"GET {path}", action=action, summary=summary, takes=takes, realm=Realm.PUBLIC, cache=CacheClass.PAGE,
        produces=produces, tags=("trust",),
    )  # fmt: skip

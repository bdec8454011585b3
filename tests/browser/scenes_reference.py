"""The reference of the API and its problem types: a part of the table, rendered as the whole is."""

from __future__ import annotations

from heldtrue.capabilities.access.routes import ROUTES as ACCESS
from heldtrue.capabilities.tenants.routes import ROUTES as TENANTS
from heldtrue.http import openapi, pages
from heldtrue.trust.render import Pages

ROUTES = [*TENANTS, *ACCESS]


def scenes(_pages: Pages) -> dict[str, bytes]:
    """Return each page by path."""
    index, problems = pages.problem_pages()
    return {
        "/docs": pages.reference(ROUTES, openapi.document(ROUTES)),
        "/problems": index,
        "/problems/rate-limited": problems["rate-limited"],
    }

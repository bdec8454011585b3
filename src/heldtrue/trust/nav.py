"""The pages of the trust centre, in the order of the navigation: one row a page.

To add a page: write `templates/<subject>.html` and `<subject>.py`, as `docs/guides/adding-a-page.md` says. The subjects
of a trust centre have their rows here already; a row is linked as soon as its template is there.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """A page that readers look for."""

    label: str
    path: str
    template: str
    """The file that makes it; the page is linked once it exists."""
    beside: tuple[str, ...] = ()
    """Paths of other pages that it stands for."""


@dataclass(frozen=True, slots=True)
class Link:
    """An item as a page shows it."""

    label: str
    path: str
    current: bool


OVERVIEW = Item("Overview", "/trust", "trust.html")
CERTIFICATIONS = Item("Certifications", "/trust/certifications", "certifications.html")
SUB_PROCESSORS = Item("Sub-processors", "/trust/sub-processors", "sub_processors.html")
DOCUMENTS = Item("Documents", "/trust/documents", "documents.html")
POLICIES = Item("Policies", "/trust/policies", "policies.html")
LEGAL = Item("Legal", "/trust/legal", "legal.html")
OPERATIONS = Item(
    "Operations", "/trust/locations", "locations.html", ("/trust/retention", "/trust/contacts", "/trust/threats")
)
DISCLOSURE = Item("Disclosure", "/trust/disclosure", "disclosure.html")
FRAMEWORKS = Item("Frameworks", "/trust/frameworks", "frameworks.html")
QUESTIONS = Item("Questions", "/trust/questions", "questions.html", ("/trust/questionnaire",))
CHANGES = Item("Changes", "/trust/changes", "changes.html")
STATUS = Item("Status", "/status", "status.html")

ITEMS = (
    OVERVIEW,
    CERTIFICATIONS,
    SUB_PROCESSORS,
    DOCUMENTS,
    POLICIES,
    LEGAL,
    OPERATIONS,
    DISCLOSURE,
    FRAMEWORKS,
    QUESTIONS,
    CHANGES,
    STATUS,
)


def links(at: str, templates: Container[str]) -> list[Link]:
    """Return what the navigation of the page *at* shows: every item whose template is there.

    The item is current for its own path and for all paths below it.
    """
    below = [item for item in ITEMS if at == item.path or at in item.beside or at.startswith(f"{item.path}/")]
    here = max(below, key=lambda item: len(item.path), default=None)
    return [Link(item.label, item.path, item is here) for item in ITEMS if item.template in templates]


def paths(templates: Container[str]) -> frozenset[str]:
    """Return the paths that the navigation stands for, so that a page may lead there."""
    return frozenset(path for item in ITEMS if item.template in templates for path in (item.path, *item.beside))

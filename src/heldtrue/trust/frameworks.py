"""The framework view: criterion → claims → state, for people, for machines, and as OSCAL."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import orjson

from heldtrue.claims import frameworks, oscal
from heldtrue.claims.board import Standing
from heldtrue.claims.documents import stamp
from heldtrue.claims.frameworks import FRAMEWORKS, UNANSWERED
from heldtrue.claims.model import State
from heldtrue.http.exchange import Page
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.errors import NotFoundError
from heldtrue.trust import nav
from heldtrue.trust.render import Pages
from heldtrue.trust.serving import page, shown, twin

JSON = "application/json"


class NothingAssessedError(NotFoundError):
    """There is no signed checkpoint yet, and so nothing to report on; ask again in a minute."""

    code = "nothing-assessed"


class AnswerView(msgspec.Struct, kw_only=True):
    """A claim that answers a control."""

    id: str
    sentence: str
    state: str
    page: str


class ControlView(msgspec.Struct, kw_only=True):
    """One control, by its identifier."""

    control: str
    anchor: str
    state: str
    """Of its weakest claim."""
    claims: list[AnswerView]


class FrameworkView(msgspec.Struct, kw_only=True):
    """One framework."""

    id: str
    title: str
    tally: dict[str, int]
    """Controls by the state of their weakest claim."""
    controls: list[ControlView]
    unanswered_rows: list[str]
    """Rows of the index to which it has nothing to say."""
    unanswered_because: str


class FrameworksDocument(msgspec.Struct, kw_only=True):
    """Everything that the page says."""

    v: int
    origin: str
    at: str
    frameworks: list[FrameworkView]


class PromisedView(msgspec.Struct, kw_only=True):
    """A claim that is only promised, and why."""

    id: str
    rows: list[str]
    sentence: str
    why: str


class PromisedDocument(msgspec.Struct, kw_only=True):
    """Every claim behind which nothing stands yet."""

    v: int
    origin: str
    at: str
    promised: list[PromisedView]
    rows_without_proof: list[str]
    """Rows of which every claim is only promised."""


Look = Callable[[], Standing]


def build(standing: Standing, origin: str) -> FrameworksDocument:
    """Return the framework view of one moment."""
    known = {verdict.claim.id: verdict for verdict in standing.verdicts}
    views: list[FrameworkView] = []
    for framework in FRAMEWORKS:
        found = frameworks.lines(framework, ((v.claim.id, v.claim.frameworks, v.state) for v in standing.verdicts))
        controls = [
            ControlView(
                control=line.control,
                anchor=f"{framework.id}-{oscal.control_id(line.control)}",
                state=str(line.state),
                claims=[
                    AnswerView(
                        id=claim,
                        sentence=known[claim].claim.sentence,
                        state=str(known[claim].state),
                        page=f"/trust/claims/{claim}",
                    )
                    for claim in line.claims
                ],
            )
            for line in found
        ]
        gap = UNANSWERED[framework.id]
        views.append(
            FrameworkView(
                id=framework.id,
                title=framework.title,
                tally={str(state): sum(view.state == state for view in controls) for state in State},
                controls=controls,
                unanswered_rows=sorted(gap.rows, key=frameworks.order),
                unanswered_because=gap.why,
            )
        )
    return FrameworksDocument(v=1, origin=origin, at=stamp(standing.at), frameworks=views)


def promised(standing: Standing, origin: str) -> PromisedDocument:
    """Return what is still only promised, and why."""
    found = [verdict for verdict in standing.verdicts if verdict.state is State.PROMISED]
    proven = {row for v in standing.verdicts if v.state is not State.PROMISED for row in v.claim.rows}
    rows = {row for verdict in found for row in verdict.claim.rows}
    return PromisedDocument(
        v=1,
        origin=origin,
        at=stamp(standing.at),
        promised=[
            PromisedView(id=v.claim.id, rows=list(v.claim.rows), sentence=v.claim.sentence, why=v.reason) for v in found
        ],
        rows_without_proof=sorted(rows - proven, key=frameworks.order),
    )


def routes(look: Look, pages: Pages, release: str) -> list[Route]:
    """Return the table of routes; all of them are for everybody."""
    origin = pages.site.origin

    def view() -> Page:
        return shown(pages, nav.FRAMEWORKS.path, lambda: render(pages, build(look(), origin)))

    def publication(standing: Standing) -> oscal.Publication:
        if standing.head is None:
            raise NothingAssessedError
        return oscal.Publication(origin=origin, url=pages.site.url, release=release, at=standing.head.signed_at)

    def made(make: Callable[[Sequence[oscal.Verdict], oscal.Publication], object]) -> Page:
        standing = look()
        content = orjson.dumps(make(standing.verdicts, publication(standing)))
        return Page(content=content, content_type=JSON)

    return [
        page("/trust/frameworks", view, "From a framework's criterion to its claims and their states"),
        twin("/trust/frameworks.json", lambda: build(look(), origin), "The same as JSON", FrameworksDocument),
        twin("/trust/promised.json", lambda: promised(look(), origin), "What is only promised, and why",
             PromisedDocument),
        _oscal("component-definition", lambda: made(oscal.component_definition), "Claims as an OSCAL component"),
        _oscal("assessment-results", lambda: made(oscal.assessment_results), "Results as OSCAL assessment results"),
    ]  # fmt: skip


def render(pages: Pages, document: FrameworksDocument) -> bytes:
    """Return the page."""
    return pages.render(
        nav.FRAMEWORKS.template, at=nav.FRAMEWORKS.path, twin=f"{nav.FRAMEWORKS.path}.json", doc=document
    )


def _oscal(name: str, action: Callable[[], Page], summary: str) -> Route:
    return Route(
        at=f"GET /trust/oscal/{name}.json", action=action, summary=summary, realm=Realm.PUBLIC, cache=CacheClass.PAGE,
        produces=JSON, tags=("trust",),
    )  # fmt: skip

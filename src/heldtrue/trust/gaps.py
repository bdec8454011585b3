"""The gap analysis: criterion → claims → state → what is missing, from the framework view of one moment, as a document.

Nobody writes a word of it by hand, so that it cannot look better than the claims do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec

from heldtrue.capabilities.papers import pdf
from heldtrue.capabilities.papers.model import Block, Column, Heading, Meta, Note, Paper, Span, Table, Text, Tone, Words
from heldtrue.capabilities.room import documents, files
from heldtrue.capabilities.room.model import PDF, Level
from heldtrue.capabilities.room.services import RoomServices
from heldtrue.capabilities.room.wire import DocumentView, Publish
from heldtrue.claims import frameworks
from heldtrue.claims.board import Standing
from heldtrue.claims.frameworks import FRAMEWORKS, UNANSWERED, Framework, Line
from heldtrue.claims.model import State
from heldtrue.claims.verdict import Verdict
from heldtrue.http.exchange import Answer
from heldtrue.http.route import Realm, Route
from heldtrue.op import SystemOperation
from heldtrue.policy.permissions import Permission

NAME = "gap-analysis"
_TONES: dict[State, Tone] = {
    State.PROVEN: "good", State.ATTESTED: "good", State.STALE: "warn", State.FAILING: "bad", State.PROMISED: "quiet",
}  # fmt: skip
_CLOSED = (State.PROVEN, State.ATTESTED)
_COLUMNS = (Column("Criterion", 1.1), Column("Claims", 2.4), Column("State", 0.8), Column("Gap", 2.6))


class WriteGaps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for the gap analysis of this moment."""

    level: Level = "on-request"
    summary: Annotated[str, msgspec.Meta(max_length=1000)] = (
        "Criterion by criterion: which claims answer it, where they stand, and what is missing. Generated from the"
        " framework view."
    )


def routes(services: RoomServices, look: Callable[[], Standing], origin: str) -> list[Route]:
    """Return the route by which the operator has it written."""

    def write(op: SystemOperation, asked: WriteGaps) -> Answer:
        made = paper(look(), services.company.name, origin)
        files.put(op, services.objects, NAME, pdf.render(made), PDF)
        return documents.publish(
            op,
            Publish(
                document=NAME, title="Gap analysis", level=asked.level, kind="analysis", summary=asked.summary,
                dated=made.meta.dated.date(),
            ),
        )  # fmt: skip

    return [
        Route(
            at="POST /v1/gap-analysis", action=write, takes=WriteGaps, gives=DocumentView,
            summary="Write the gap analysis of this moment, and list it as a document",
            needs=Permission.DOCUMENT_MANAGE, audits="document.published", realm=Realm.OPERATOR, tags=("room",),
        )
    ]  # fmt: skip


def paper(standing: Standing, company: str, origin: str) -> Paper:
    """Return the analysis of one moment."""
    known = {verdict.claim.id: verdict for verdict in standing.verdicts}
    blocks: list[Block] = [
        Text(
            f"This is what {company} can show of its controls at the moment it is dated, framework by framework. Each"
            " criterion has the state of its weakest claim. A state is earned: proven by attacks that ran in time and"
            " did not succeed, attested by a dated document with an owner; failing, stale and promised are gaps."
        ),
        Text(f"The claims, their evidence and their history are public, in the log {origin}."),
    ]
    for framework in FRAMEWORKS:
        found = frameworks.lines(framework, ((v.claim.id, v.claim.frameworks, v.state) for v in standing.verdicts))
        blocks += _framework(framework, found, known)
    meta = Meta(author=company, dated=standing.at, subject="Gap analysis", reference=f"{NAME}, {origin}", wide=True)
    return Paper(title="Gap analysis", subtitle="Criterion, claims, state, gap", meta=meta, blocks=blocks)


def _framework(framework: Framework, found: Sequence[Line], known: dict[str, Verdict]) -> list[Block]:
    gaps = [line for line in found if line.state not in _CLOSED]
    blocks: list[Block] = [
        Heading(framework.title),
        Text(f"{len(found)} criteria are answered; {len(gaps)} of them have a gap."),
    ]
    if gaps:
        blocks += [Heading("Gaps", 2), Table(_COLUMNS, [_row(line, known) for line in gaps], "Gaps")]
    elif found:
        blocks.append(Note("No criterion that is answered has a gap at this moment.", "good"))
    closed = [line for line in found if line.state in _CLOSED]
    if closed:
        blocks += [Heading("Without a gap", 2), Table(_COLUMNS, [_row(line, known) for line in closed], "No gap")]
    unanswered = UNANSWERED[framework.id]
    if unanswered.rows:
        rows = ", ".join(sorted(unanswered.rows, key=frameworks.order))
        blocks.append(Text(f"Rows of the index that this framework says nothing of ({unanswered.why}): {rows}."))
    return blocks


def _row(line: Line, known: dict[str, Verdict]) -> list[Words]:
    claims = [known[claim] for claim in line.claims]
    weak = [verdict for verdict in claims if verdict.state not in _CLOSED]
    gap = " ".join(f"{verdict.claim.id}: {verdict.reason or verdict.state.value}." for verdict in weak) or "none"
    return [
        line.control, " ".join(verdict.claim.sentence for verdict in claims),
        [Span(text=line.state.value, strong=True, tone=_TONES[line.state])], gap.replace("..", "."),
    ]  # fmt: skip

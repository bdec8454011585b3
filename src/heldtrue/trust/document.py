"""The trust document: the one source of the page and of its JSON."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from heldtrue.attack import Attack
from heldtrue.capabilities.ledger.witness_routes import WitnessView
from heldtrue.claims.board import Standing
from heldtrue.claims.catalogue import Catalogue
from heldtrue.claims.documents import stamp
from heldtrue.claims.model import Claim, Run, State
from heldtrue.claims.store import HeadRow
from heldtrue.claims.verdict import AttackStanding, Verdict
from heldtrue.trust.failures import FailureView, evidence_path, failure_view
from heldtrue.trust.window import Window, whole

VERSION = 1


class RunView(msgspec.Struct, kw_only=True):
    """One published run."""

    number: int
    against: str
    outcome: str
    at: str
    took_ms: int
    result: str
    coverage: dict[str, int]
    source_sha256: str
    entry: int
    evidence: str
    """Path of the evidence with its proof."""


class AttackView(msgspec.Struct, kw_only=True):
    """One attack of a claim, and what came of it."""

    name: str
    place: str
    tries: list[str]
    latest: RunView | None
    seen_to_fail: RunView | None
    held: int
    runs: int


class DocumentView(msgspec.Struct, kw_only=True):
    """What an attested claim rests on."""

    title: str
    owner: str
    dated: str
    expires: str
    sha256: str


class LoosenedView(msgspec.Struct, kw_only=True):
    """A moment since which the claim asks for less than before."""

    entry: int
    at: str
    how: str


class Pointer(msgspec.Struct, kw_only=True):
    """The entry of the log that a state rests on."""

    attack: str
    number: int
    index: int


class ClaimView(msgspec.Struct, kw_only=True):
    """A published sentence and where it stands."""

    id: str
    rows: list[str]
    group: str
    sentence: str
    scope: str
    evidence_class: str
    frameworks: list[str]
    state: str
    reason: str
    since: str | None
    held_in_a_row: int
    continuous_since: str | None
    last_attacked: str | None
    age_s: int | None
    cadence_s: int
    max_age_s: int
    attacks: list[AttackView]
    evidence: list[Pointer]
    """The latest result of each attack."""
    document: DocumentView | None
    failures: list[FailureView]
    """The newest first, those that go on before all."""
    failure_count: int
    """How many there were; the newest are listed, and the others stay in the log."""
    loosened: list[LoosenedView]
    """When fewer attacks, a lower cadence or a greater age were put in place."""
    history: str
    page: str
    own: bool
    """The operator's own, beside those that ship."""

    @property
    def going_on(self) -> int:
        """How many failures have not ended."""
        return sum(one.ended_at is None for one in self.failures)

    @property
    def built(self) -> bool:
        """Whether anything stands behind the sentence: an attack or a document."""
        return bool(self.attacks) or self.document is not None


class GroupView(msgspec.Struct, kw_only=True):
    """A heading and its claims."""

    name: str
    about: str
    anchor: str
    claims: list[str]
    own: bool


class CheckpointView(msgspec.Struct, kw_only=True):
    """The signed checkpoint that everything here rests on."""

    origin: str
    size: int
    root: str
    signed_at: str
    note: str
    """As it was signed, with its signatures."""


class TroubleView(msgspec.Struct, kw_only=True):
    """A claim that does not hold or was not checked in time: on top, whatever is asked for."""

    id: str
    sentence: str
    state: str
    since: str | None
    reason: str
    page: str


class TrustDocument(msgspec.Struct, kw_only=True):
    """Everything that the trust page says; with many claims, one page of it."""

    v: int
    origin: str
    place: str
    at: str
    paused: bool
    checkpoint: CheckpointView | None
    witnesses: list[WitnessView]
    """Who else has seen the log, and how much of it."""
    tally: dict[str, int]
    groups: list[GroupView]
    claims: list[ClaimView]
    total: int
    """How many claims were asked for: `claims` are one page of them."""
    page: int = 1
    pages: int = 1
    next: str | None = None
    """The next page of this document."""
    asked: dict[str, str] = {}
    """What was asked for, when not everything."""
    attacked: int = 0
    """How many of all claims have attacks."""
    everything: int = 0
    """How many claims there are."""
    troubled: list[TroubleView] = []
    """The first failing claims, then the first overdue ones."""
    problems: list[str] = []
    """What the instance's own tables have otherwise than the log, in sentences; what was published counts."""

    def of(self, group: GroupView) -> list[ClaimView]:
        """Return the claims under a heading."""
        return [claim for claim in self.claims if claim.id in group.claims]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """What a trust document says beside its verdicts."""

    origin: str
    place: str
    """`live`, or `scratch` for an instance made for a test."""
    attacks: Mapping[str, Attack]


def build(
    catalogue: Catalogue,
    standing: Standing,
    publisher: Publisher,
    *,
    paused: bool,
    window: Window | None = None,
    witnesses: Sequence[WitnessView] = (),
) -> TrustDocument:
    """Return the trust document of one moment: of all claims, or of one *window* on them."""
    views = [claim_view(verdict, publisher.attacks) for verdict in standing.verdicts]
    window = window or whole(standing)
    head = standing.head
    return TrustDocument(
        v=VERSION,
        origin=publisher.origin,
        place=publisher.place,
        at=stamp(standing.at),
        paused=paused,
        checkpoint=None if head is None else _checkpoint_view(head),
        tally={str(state): window.tally[state] for state in State},
        witnesses=list(witnesses),
        groups=[
            GroupView(
                name=group.name,
                about=group.about,
                anchor=anchor(group.name),
                claims=[view.id for view in views if view.group == group.name],
                own=group.own,
            )
            for group in catalogue.groups
        ],
        claims=views,
        total=window.total,
        page=window.page,
        pages=window.pages,
        next=window.next,
        asked=dict(window.asked),
        attacked=sum(bool(claim.attacks) for claim in catalogue.claims),
        everything=len(catalogue.claims),
        troubled=[_trouble_view(verdict) for verdict in window.troubled],
        problems=list(standing.problems),
    )


def _checkpoint_view(head: HeadRow) -> CheckpointView:
    root, at = base64.b64encode(head.root).decode(), stamp(head.signed_at)
    return CheckpointView(origin=head.origin, size=head.size, root=root, signed_at=at, note=head.note)


def _trouble_view(verdict: Verdict) -> TroubleView:
    claim = verdict.claim
    return TroubleView(
        id=claim.id,
        sentence=claim.sentence,
        state=str(verdict.state),
        since=_stamp(verdict.since),
        reason=verdict.reason,
        page=f"/trust/claims/{claim.id}",
    )


def anchor(name: str) -> str:
    """Return a heading as a fragment."""
    return "".join(c if c.isalnum() else "-" for c in name.lower()).replace("--", "-")


def claim_view(verdict: Verdict, attacks: Mapping[str, Attack]) -> ClaimView:
    """Return a verdict as it is published."""
    claim = verdict.claim
    return ClaimView(
        id=claim.id,
        rows=list(claim.rows),
        group=claim.group,
        sentence=claim.sentence,
        scope=claim.scope,
        evidence_class=str(claim.evidence),
        frameworks=list(claim.frameworks),
        state=str(verdict.state),
        reason=verdict.reason,
        since=_stamp(verdict.since),
        held_in_a_row=verdict.held_in_a_row,
        continuous_since=_stamp(verdict.continuous_since),
        last_attacked=_stamp(verdict.last_attacked),
        age_s=None if verdict.age is None else max(0, int(verdict.age.total_seconds())),
        cadence_s=int(claim.cadence.total_seconds()),
        max_age_s=int(claim.max_age.total_seconds()),
        attacks=[_attack_view(standing, attacks.get(standing.attack)) for standing in verdict.attacks],
        evidence=[
            Pointer(attack=s.attack, number=s.latest.number, index=s.latest.index) for s in verdict.attacks if s.latest
        ],
        document=_document_view(claim),
        failures=[failure_view(episode, verdict) for episode in verdict.failures],
        failure_count=verdict.failure_count,
        loosened=[LoosenedView(entry=each.index, at=stamp(each.at), how=each.how) for each in verdict.loosened],
        history=verdict.history,
        page=f"/trust/claims/{claim.id}",
        own=claim.own,
    )


def run_view(run: Run) -> RunView:
    """Return a run as it is published."""
    return RunView(
        number=run.number,
        against=str(run.against),
        outcome=str(run.outcome),
        at=stamp(run.finished_at),
        took_ms=int((run.finished_at - run.started_at).total_seconds() * 1000),
        result=run.result,
        coverage=dict(run.coverage),
        source_sha256=run.source_sha256,
        entry=run.index,
        evidence=evidence_path(run.attack, run.number),
    )


def _attack_view(standing: AttackStanding, attack: Attack | None) -> AttackView:
    return AttackView(
        name=standing.attack,
        place=str(attack.place) if attack else "",
        tries=list(attack.tries) if attack else [],
        latest=run_view(standing.latest) if standing.latest else None,
        seen_to_fail=run_view(standing.seen_to_fail) if standing.seen_to_fail else None,
        held=standing.held_count,
        runs=standing.control_count,
    )


def _document_view(claim: Claim) -> DocumentView | None:
    paper = claim.document
    if paper is None:
        return None
    return DocumentView(
        title=paper.title,
        owner=paper.owner,
        dated=paper.dated.isoformat(),
        expires=paper.expires.isoformat(),
        sha256=paper.sha256,
    )


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else stamp(at)

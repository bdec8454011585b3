"""Failures as they are published: of a claim, with their evidence and what the operator said of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec

from heldtrue.claims.documents import stamp
from heldtrue.claims.model import Annotation, Episode
from heldtrue.claims.verdict import Verdict


class NoteView(msgspec.Struct, kw_only=True):
    """What the operator said of a failure, once and for good; it changes no state."""

    text: str
    at: str
    entry: int
    """Of the log."""


class FailureView(msgspec.Struct, kw_only=True):
    """A time in which the claim did not hold, or was not checked."""

    kind: str
    attack: str
    started_at: str
    ended_at: str | None
    duration_s: int
    reason: str
    evidence: str | None
    notes: list[NoteView]


def evidence_path(attack: str, number: int) -> str:
    """Return where the evidence of a run is published."""
    return f"/trust/evidence/{attack}/{number}.json"


def failure_view(episode: Episode, verdict: Verdict) -> FailureView:
    """Return a failure as it is published."""
    return _view(episode, verdict) if verdict.annotations or episode.ended_at is None else _past(episode)


@functools.lru_cache(maxsize=16_384)
def _past(episode: Episode) -> FailureView:
    """Return a failure that is over and of which nothing was said: it is the same whenever somebody looks."""
    return _view(episode, None)


def _view(episode: Episode, verdict: Verdict | None) -> FailureView:
    at = episode.started_at if verdict is None else verdict.at
    annotations, failures = ((), ()) if verdict is None else (verdict.annotations, verdict.failures)
    return FailureView(
        kind=str(episode.kind),
        attack=episode.attack,
        started_at=stamp(episode.started_at),
        ended_at=None if episode.ended_at is None else stamp(episode.ended_at),
        duration_s=max(0, int(episode.duration(at).total_seconds())),
        reason=episode.reason,
        evidence=None if episode.number is None else evidence_path(episode.attack, episode.number),
        notes=[
            NoteView(text=note.text, at=stamp(note.at), entry=note.index)
            for note in annotations
            if noted(note, failures) is episode
        ],
    )


def noted(note: Annotation, failures: Sequence[Episode]) -> Episode | None:
    """Return what a note is about: the newest failure that began by its run, or the newest overdue check before it."""
    about = [
        episode
        for episode in failures
        if episode.attack == note.attack
        and (
            episode.number is None and episode.started_at <= note.at
            if note.number is None
            else episode.number is not None and episode.number <= note.number
        )
    ]
    return max(about, key=lambda episode: episode.started_at, default=None)

"""What has changed, read from the published log alone: promises, states, failures, documents, registers.

The diary takes every entry in clear once, in order, and keeps only what changed by it, so that a difference between any
two dates costs two look-ups. What was promised when, and by which attacks, it takes from the logged schedules, as the
separate verifier does; nothing of the present catalogue or of any other table goes into it. Pure.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import msgspec

from heldtrue.capabilities.attestations.model import annotation_of, document_of
from heldtrue.claims.documents import parse_stamp, run_of
from heldtrue.claims.model import Against, Claim, State
from heldtrue.claims.record import Record
from heldtrue.claims.verdict import stand, turns

T = TypeVar("T")
INSTANT = timedelta(microseconds=1)
AGES = timedelta(days=36500)
LONGEST = 200
"""Characters of a register's value that are shown."""
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that changed."""

    at: datetime
    kind: str
    """`claim`, `state`, `document`, `note`, `register`."""
    subject: str
    """A claim, an attack, or `register/item`."""
    before: str | None
    after: str | None
    text: str
    """What is said of it: the sentence, the reason, the members that differ."""
    index: int | None
    """The entry that says so; None where time alone changed it."""


@dataclass(slots=True)
class Told:
    """A claim as the log tells it, and every sentence and state that it had: (since, value), oldest first."""

    claim: Claim
    records: dict[str, Record] = field(default_factory=dict[str, Record])
    sentences: list[tuple[datetime, str | None]] = field(default_factory=list[tuple[datetime, str | None]])
    """None: withdrawn."""
    states: list[tuple[datetime, State]] = field(default_factory=list[tuple[datetime, State]])


class Diary:
    """Everything that changed, up to the entry that was taken last."""

    def __init__(self) -> None:
        self.claims: dict[str, Told] = {}
        self.events: list[Event] = []
        self.at = datetime.min.replace(tzinfo=UTC)
        """The time of the last entry; entries are in the order of the log, which is that of their commits."""
        self._attacks: dict[str, Record] = {}
        self._registers: dict[str, Mapping[str, Any] | None] = {}
        self._claims_of: dict[str, set[str]] = {}
        self._turns: list[tuple[datetime, str]] = []
        self._next: dict[str, datetime] = {}
        self._successor = False

    def take(self, index: int, entry: bytes) -> None:
        """Take in the next entry in clear."""
        document = cast("dict[str, Any]", _decode(entry))
        kind, at = document.get("kind"), document.get("finished_at", document.get("at"))
        if isinstance(at, str):
            self.pass_to(parse_stamp(at))
        if kind == "schedule":
            self._schedule(document, index)
        elif kind in {"intent", "evidence"}:
            self._attack(document, index)
        elif kind == "attestation":
            self._attest(document, index)
        elif kind == "annotation":
            note = annotation_of(document, index)
            self._tell("note", document["attack"], None, None, note.text, index)
        elif kind == "register":
            self._register(document, index)
        elif kind == "succession":
            self._successor = True

    def pass_to(self, now: datetime) -> None:
        """Let time pass: what grows too old until *now* changes its state at that moment."""
        while self._turns and self._turns[0][0] < now:
            moment, name = heapq.heappop(self._turns)
            if self._next.get(name) != moment:
                continue  # a later one took its place
            self.at = max(self.at, moment + INSTANT)
            self._judge(name, None)
        self.at = max(self.at, now)

    def state_at(self, told: Told, at: datetime) -> State | None:
        """Return the state that a claim had; None before it was promised and after it was withdrawn."""
        if _value_at(told.sentences, at) is None:
            return None
        return _value_at(told.states, at)

    def sentence_at(self, told: Told, at: datetime) -> str | None:
        """Return how a claim was worded; None where it was not promised."""
        return _value_at(told.sentences, at)

    def between(self, start: datetime, end: datetime) -> list[Event]:
        """Return what changed after *start*, up to *end*, oldest first."""
        low, high = (bisect_right(self.events, moment, key=_when) for moment in (start, end))
        return self.events[low:high]

    def _schedule(self, document: Mapping[str, Any], index: int) -> None:
        name, claim = document["claim"], _claim(document)
        told = self.claims.setdefault(name, Told(claim))
        before = told.sentences[-1][1] if told.sentences else None
        after = None if document.get("withdrawn") else claim.sentence
        told.claim = replace(claim, document=told.claim.document)
        told.records = {attack: told.records.get(attack) or self._fresh(attack, claim) for attack in claim.attacks}
        for attack in claim.attacks:
            self._claims_of.setdefault(attack, set()).add(name)
        if before != after:
            told.sentences.append((self.at, after))
            self._tell("claim", name, before, after, after or before or "", index)
        self._judge(name, index)

    def _fresh(self, attack: str, claim: Claim) -> Record:
        """Return a record that knows what is known of the attack already."""
        known, made = self._attacks.get(attack), Record(attack, claim.max_age, claim.cadence)
        if known is not None:
            made.latest, made.held_since, made.last_number = known.latest, known.held_since, known.last_number
            made.seen_broken, made.announced = dict(known.seen_broken), dict(known.announced)
            made.episodes, made.gap = list(known.episodes), known.gap
        return made

    def _attack(self, document: Mapping[str, Any], index: int) -> None:
        name = document["attack"]
        concerned = [one for one in self._claims_of.get(name, ()) if name in self.claims[one].records]
        records = [self._attacks.setdefault(name, Record(name, AGES))]
        records += [self.claims[claim].records[name] for claim in concerned]
        for record in records:
            if document["kind"] == "intent":
                against, at = Against(document["against"]), parse_stamp(document["at"])
                record.announce(document["number"], against, at, successor=self._successor)
            else:
                record.fold(run_of(document, index))
        for claim in sorted(concerned):
            self._judge(claim, index)

    def _attest(self, document: Mapping[str, Any], index: int) -> None:
        name, paper = document["claim"], document_of(document)
        said = "withdrawn" if paper is None else f"{paper.title}, dated {paper.dated}, expires {paper.expires}"
        self._tell("document", name, None, None if paper is None else paper.sha256, said, index)
        told = self.claims.get(name)
        if told is not None:
            told.claim = replace(told.claim, document=paper)
            self._judge(name, index)

    def _register(self, document: Mapping[str, Any], index: int) -> None:
        name = f"{document['register']}/{document['item']}"
        before = self._registers.get(name)
        after = None if document.get("withdrawn") is not None else cast("dict[str, Any]", document["document"])
        self._registers[name] = after
        text = str(document["withdrawn"]) if after is None else differences(before or {}, after)
        said = [None if one is None else _title(one, document["item"]) for one in (before, after)]
        self._tell("register", name, said[0], said[1], text, index)

    def _judge(self, name: str, index: int | None) -> None:
        told = self.claims[name]
        if told.sentences and told.sentences[-1][1] is None:
            return
        stood = stand(told.claim, told.records, self.at)
        before = told.states[-1][1] if told.states else None
        if stood.state is not before:
            told.states.append((self.at, stood.state))
            self._tell("state", name, before, stood.state, stood.reason, index)
        moment = turns(told.claim, told.records, self.at)
        if moment is not None and self._next.get(name) != moment:
            self._next[name] = moment
            heapq.heappush(self._turns, (moment, name))

    def _tell(
        self, kind: str, subject: str, before: str | None, after: str | None, text: str, index: int | None
    ) -> None:
        self.events.append(
            Event(at=self.at, kind=kind, subject=subject, before=before, after=after, text=text, index=index)
        )


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return which members differ, and how: `region: EU → US; contact: (none) → dpo@example.com`."""
    names = [name for name in after if before.get(name) != after[name]] + [name for name in before if name not in after]
    if not before:
        return "; ".join(f"{name}: {_short(after[name])}" for name in names if after[name] not in (None, "", []))
    return "; ".join(f"{name}: {_short(before.get(name))} → {_short(after.get(name))}" for name in names)


def _claim(document: Mapping[str, Any]) -> Claim:
    return Claim(
        id=document["claim"],
        rows=tuple(document["rows"]),
        group="",
        sentence=document["sentence"],
        scope=document["scope"],
        attacks=tuple(document["attacks"]),
        cadence=timedelta(seconds=document["cadence_s"]),
        max_age=timedelta(seconds=document["max_age_s"]),
    )


def _title(document: Mapping[str, Any], item: str) -> str:
    return next((str(document[name]) for name in ("name", "title", "framework") if document.get(name)), item)


def _short(value: object) -> str:
    if value is None or value in ("", []):
        return "(none)"
    if isinstance(value, list):
        return ", ".join(_short(one) for one in cast("list[object]", value))[:LONGEST]
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _value_at(values: list[tuple[datetime, T]], at: datetime) -> T | None:
    found = bisect_right(values, at, key=_moment)
    return values[found - 1][1] if found else None


def _when(event: Event) -> datetime:
    return event.at


def _moment(pair: tuple[datetime, object]) -> datetime:
    return pair[0]

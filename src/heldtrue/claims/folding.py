"""Fold the log's entries, one by one and in order, into what is remembered of each claim. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import msgspec

from heldtrue.capabilities.attestations.model import Annotation, Document, annotation_of, document_of
from heldtrue.claims import documents
from heldtrue.claims.catalogue import Catalogue
from heldtrue.claims.model import Against, Claim, Run
from heldtrue.claims.record import Record
from heldtrue.claims.terms import Loosening, Terms, looser, terms_of

KEPT_ANNOTATIONS = 50
"""Of one attack; older ones stay in the log."""
KEPT_PROBLEMS = 100
_decode = msgspec.json.Decoder().decode


class Memory:
    """What all entries so far say of the claims of one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.records: dict[str, dict[str, Record]] = {
            claim.id: {name: Record(name, claim.max_age, claim.cadence) for name in claim.attacks}
            for claim in catalogue.claims
        }
        self.papers: dict[str, Document | None] = {}
        """By claim, what the log says of its document."""
        self.notes: dict[str, list[Annotation]] = {}
        """By attack, what was said of its runs."""
        self.schedules: dict[str, Terms] = {}
        """By claim, what the log says is checked how often."""
        self.loosened: dict[str, list[Loosening]] = {}
        """By claim, when that became less."""
        self.problems: list[str] = []
        self.touched: set[str] = {claim.id for claim in catalogue.claims}
        """Claims of which something new is known."""
        self.generation = 0
        self.successor = False
        self._by_attack: dict[str, list[tuple[str, Record]]] = {}
        self._index()

    def claims(self) -> Iterable[Claim]:
        """Yield the claims, each with the document that stands behind it now."""
        return (self.claim(claim) for claim in self.catalogue.claims)

    def claim(self, claim: Claim) -> Claim:
        """Return a claim with the document that the log gives it; without a word of the log, the catalogue's own."""
        if claim.id not in self.papers:
            return claim
        return replace(claim, document=self.papers[claim.id])

    def said_of(self, claim: Claim) -> tuple[Annotation, ...]:
        """Return what was said of a claim's failures, oldest first."""
        said = [note for name in claim.attacks for note in self.notes.get(name, ())]
        return tuple(sorted(said, key=lambda note: note.index))

    def loosened_of(self, claim: Claim) -> tuple[Loosening, ...]:
        """Return when a claim began to ask for less than before, oldest first."""
        return tuple(self.loosened.get(claim.id, ()))

    def take(self, generation: int, index: int, entry: bytes) -> None:
        """Take in the next entry in clear."""
        if generation != self.generation:
            self._turn(generation)
        document = cast("dict[str, Any]", _decode(entry))
        kind = document.get("kind")
        if kind == "evidence":
            self._evidence(document, index)
        elif kind == "intent":
            self._intent(document)
        elif kind == "schedule":
            self._schedule(document, index)
        elif kind == "attestation":
            self.papers[document["claim"]] = document_of(document)
            self.touched.add(document["claim"])
        elif kind == "annotation":
            notes = self.notes.setdefault(document["attack"], [])
            notes.append(annotation_of(document, index))
            del notes[:-KEPT_ANNOTATIONS]
        elif kind == "succession":
            self.successor = True

    def fold(self, run: Run) -> None:
        """Take in one run."""
        for claim, record in self._by_attack.get(run.attack, ()):
            record.fold(run)
            self.touched.add(claim)

    def run_at(self, index: int, entry: bytes) -> Run | None:
        """Return the run whose evidence an entry holds; None where it holds something else."""
        document = cast("dict[str, Any]", _decode(entry))
        return documents.run_of(document, index) if document.get("kind") == "evidence" else None

    def restore(self, other: Memory) -> None:
        """Go on from what *other* remembers."""
        self.records, self.papers, self.notes = other.records, other.papers, other.notes
        self.schedules, self.loosened = other.schedules, other.loosened
        self.generation, self.successor, self.problems = other.generation, other.successor, other.problems
        self._index()

    def _evidence(self, document: dict[str, Any], index: int) -> None:
        run = documents.run_of(document, index)
        known = self._by_attack.get(run.attack)
        if known and known[0][1].announced.get(run.number, (None, None))[0] is not run.against:
            if not (self.successor and known[0][1].last_number == 0):
                self._tell(f"Entry {index}: run {run.number} of the attack {run.attack} was never announced so.")
            if run.outcome == "held":
                return
        self.fold(run)

    def _schedule(self, document: dict[str, Any], index: int) -> None:
        """Judge what follows by the terms that the log has; note where they ask for less."""
        claim, terms, at = document["claim"], terms_of(document), documents.parse_stamp(document["at"])
        old = self.schedules.get(claim)
        if old is not None and (how := looser(old, terms)):
            self.loosened.setdefault(claim, []).append(Loosening(index=index, at=at, how=how))
        self.schedules[claim] = terms
        for record in self.records.get(claim, {}).values():
            record.retune(timedelta(seconds=terms.max_age_s), at)
        self.touched.add(claim)

    def _intent(self, document: dict[str, Any]) -> None:
        against, at = Against(document["against"]), documents.parse_stamp(document["at"])
        for claim, record in self._by_attack.get(document["attack"], ()):
            record.announce(document["number"], against, at, successor=self.successor)
            self.touched.add(claim)
            if record.gap is not None:
                self._tell(f"Run {record.gap} of the attack {record.attack} is missing from the log.")

    def _turn(self, generation: int) -> None:
        """Begin a new generation: what stands rests on it alone, as its readers see it."""
        if self.generation:
            for record in (record for records in self.records.values() for record in records.values()):
                record.begin_anew()
            self.papers.clear()
            self.touched.update(self.records)
        self.generation = generation

    def _index(self) -> None:
        self._by_attack = {}
        for claim, records in self.records.items():
            for name, record in records.items():
                self._by_attack.setdefault(name, []).append((claim, record))

    def _tell(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)
            del self.problems[:-KEPT_PROBLEMS]

"""What claims write into the log: schedules, announcements and results, each in one transaction of its own.

A crash between an announcement and its result leaves a run without one, which `recover` concludes as missing.
"""

from __future__ import annotations

import platform as machine
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from heldtrue.attack import Attack, Finding, Outcome, Place
from heldtrue.capabilities.keystore.actions import active_signing_key
from heldtrue.capabilities.keystore.evidence import log_signed
from heldtrue.capabilities.ledger.actions import append_clear
from heldtrue.claims import documents, store
from heldtrue.claims.catalogue import Catalogue
from heldtrue.claims.model import Against
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.tx import Database, SystemTx
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.ids import Entropy

TICK = timedelta(milliseconds=1)
"""The least that lies between two entries of one attack, so that the log keeps their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Writes what is promised, what is about to be tried, and what came of it."""

    database: Database
    platform: PlatformKey
    clock: Clock
    entropy: Entropy
    attacks: Mapping[str, Attack]
    origin: str
    """Name of the log; evidence is signed in its name."""
    version: str

    def recover(self, now: datetime) -> int:
        """Give every run that was announced and never completed the result `missing`; return how many.

        Runs against broken controls are left alone while they may still go on: they are started from elsewhere too.
        """
        with self.database.system() as tx:
            left = store.open_runs(tx)
        count = 0
        for row in left:
            attack = self.attacks.get(row.attack)
            patience = timedelta(minutes=5) if attack is None else attack.limit + timedelta(minutes=5)
            if row.against != Against.CONTROL and now - row.started_at < patience:
                continue
            source = attack.source_sha256 if attack else "0" * 64
            document = documents.evidence(
                attack=row.attack,
                source_sha256=source,
                number=row.number,
                against=Against(row.against),
                place=Place(row.place),
                outcome=Outcome.MISSING,
                subject=self.origin,
                coverage={"runs": 1},
                originator="recovery",
                executor=self._executor(),
                started_at=row.started_at,
                finished_at=max(now, row.started_at + TICK),
                result="The run was announced, and its process ended before it had a result.",
            )
            count += self._log_evidence(document, max(now, row.started_at + TICK))
        return count

    def publish(self, catalogue: Catalogue, now: datetime) -> int:
        """Log the schedule of every claim whose promise changed; return how many were logged."""
        published = 0
        with self.database.system() as tx:
            known = {row.claim: row.schedule for row in store.newest_schedules(tx)}
            for claim in catalogue.claims:
                document = documents.schedule(claim, self.attacks, now)
                if claim.id not in known or not documents.same_schedule(known[claim.id], document):
                    self._log_schedule(tx, claim.id, document, now)
                    published += 1
            for gone in known.keys() - {claim.id for claim in catalogue.claims}:
                if not known[gone].get("withdrawn"):
                    document = {**known[gone], "withdrawn": True, "at": documents.stamp(now)}
                    self._log_schedule(tx, gone, document, now)
                    published += 1
        return published

    def _log_schedule(self, tx: SystemTx, claim: str, document: Mapping[str, Any], now: datetime) -> None:
        leaf = append_clear(tx, "schedule", document, now, self.entropy)
        store.insert_schedule(tx, claim, leaf, document, now)

    def announce(self, attack: Attack, against: Against, place: Place) -> tuple[int, datetime]:
        """Log what is about to be tried and return its number and time; nothing is tried before this is committed."""
        with self.database.system() as tx:
            store.lock_attack(tx, attack.name)
            number = store.next_number(tx, attack.name)
            last = store.last_moment(tx, attack.name)
            now = self.clock.now()
            now = now if last is None else max(now, last + TICK)
            document = documents.intent(attack, number, against, place, now)
            leaf = append_clear(tx, "intent", document, now, self.entropy)
            store.insert_run(tx, attack.name, number, str(place), str(against), leaf, now)
        return number, now

    def conclude(
        self,
        attack: Attack,
        number: int,
        against: Against,
        place: Place,
        finding: Finding,
        originator: str,
        started: datetime,
        finished: datetime,
    ) -> None:
        """Log what came of a run."""
        document = documents.evidence(
            attack=attack.name,
            source_sha256=attack.source_sha256,
            number=number,
            against=against,
            place=place,
            outcome=finding.outcome,
            subject=self.origin,
            coverage=finding.coverage,
            originator=originator,
            executor=self._executor(),
            started_at=started,
            finished_at=finished,
            result=finding.detail,
        )
        self._log_evidence(document, finished)

    def _log_evidence(self, document: dict[str, Any], now: datetime) -> bool:
        """Sign and log a result; return False where the run has one already."""
        with self.database.system() as tx:
            store.lock_attack(tx, document["attack"])
            if store.has_result(tx, document["attack"], document["number"]):
                return False
            key = active_signing_key(tx, self.platform, "evidence", now)
            signed, leaf = log_signed(tx, key, self.origin, "evidence", document, now, self.entropy)
            store.insert_result(tx, document["attack"], document["number"], document["outcome"], leaf, signed, now)
        return True

    def _executor(self) -> str:
        return f"heldtrue {self.version}, Python {machine.python_version()}"

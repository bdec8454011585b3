"""Facts for common questions, out of the registers: each a sentence, or nothing where the register is silent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from heldtrue.capabilities.registers import certifications
from heldtrue.capabilities.registers.actions import current
from heldtrue.capabilities.registers.kinds import CERTIFICATIONS, CONTACTS, LOCATIONS, RETENTION, SUB_PROCESSORS, TESTS
from heldtrue.capabilities.registers.subprocessors import State
from heldtrue.db.tx import Database, SystemTx
from heldtrue.kernel.clock import Clock

Facts = Callable[[], Mapping[str, Sequence[str]]]
"""By the name of a register: what it says, in sentences."""


def no_facts() -> Mapping[str, Sequence[str]]:
    """Return nothing: there are no registers."""
    return {}


def facts(database: Database, clock: Clock) -> Facts:
    """Return what reads the registers anew for every page."""

    def read() -> Mapping[str, Sequence[str]]:
        now = clock.now()
        with database.system() as tx:
            return {name: list(tell(tx, now)) for name, tell in TELLERS.items()}

    return read


def _locations(tx: SystemTx, _now: datetime) -> list[str]:
    return [
        f"{one.name} in {one.country}, for {one.purpose}, operated by {one.operated_by}."
        for one in (entry.document for entry in current(tx, LOCATIONS))
    ]


def _sub_processors(tx: SystemTx, _now: datetime) -> list[str]:
    known = [entry.document for entry in current(tx, SUB_PROCESSORS)]
    active = [one for one in known if one.state is State.ACTIVE]
    told = [f"{one.name}: {one.terms.purpose} ({', '.join(one.terms.location)})." for one in active]
    waiting = len(known) - len(active)
    return [*told, f"{waiting} more announced and not active yet."] if waiting else told


def _certifications(tx: SystemTx, now: datetime) -> list[str]:
    found = [entry.document for entry in current(tx, CERTIFICATIONS)]
    return [f"{one.standard}: {certifications.standing(one, now).words}" for one in found]


def _tests(tx: SystemTx, _now: datetime) -> list[str]:
    found = sorted((entry.document for entry in current(tx, TESTS)), key=lambda one: one.dated, reverse=True)
    return [f"{one.title}, by {one.by}, dated {one.dated.isoformat()}." for one in found[:5]]


def _retention(tx: SystemTx, _now: datetime) -> list[str]:
    return [
        f"{one.data}: {one.kept_days} days from {one.begins}, and in backups {one.backups_days} days more."
        for one in (entry.document for entry in current(tx, RETENTION))
    ]


def _contacts(tx: SystemTx, _now: datetime) -> list[str]:
    return [f"{one.about}: {one.mail}" for one in (entry.document for entry in current(tx, CONTACTS))]


TELLERS: Mapping[str, Callable[[SystemTx, datetime], list[str]]] = {
    "locations": _locations,
    "sub-processors": _sub_processors,
    "certifications": _certifications,
    "tests": _tests,
    "retention": _retention,
    "contacts": _contacts,
}
"""By register."""

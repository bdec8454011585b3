"""What questionnaires and agreements rest on at one moment: claims as published, public registers, the company."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from heldtrue.capabilities.agreements import legal, levels
from heldtrue.capabilities.questionnaires.answers import Basis, ClaimFact, Facts, ItemFact
from heldtrue.capabilities.registers import actions as registers
from heldtrue.capabilities.registers import certifications, policies
from heldtrue.capabilities.registers.certifications import Certification
from heldtrue.capabilities.registers.company import Company
from heldtrue.capabilities.registers.model import Entry, Kinds
from heldtrue.capabilities.registers.policies import Policy
from heldtrue.claims.documents import stamp
from heldtrue.db.tx import Database, SystemTx
from heldtrue.kernel.clock import Clock
from heldtrue.trust.document import TrustDocument
from heldtrue.trust.routes import Look

FRESH = timedelta(seconds=60)
"""How long a rendered file serves everybody who asks: to make one takes a second of work."""
_PAGES = {
    "legal": "/trust/legal/{item}", "policies": "/trust/policies/{item}", "tests": "/trust/certifications#{item}",
    "vendors": "/trust/certifications#vendor-{item}",
    **{
        name: f"/trust/{name}#{{item}}"
        for name in ("sub-processors", "certifications", "locations", "retention", "contacts", "threats")
    },
}  # fmt: skip
"""Where an item of a register stands; registers without a page have their entries in the log alone."""
_TITLES = ("title", "name", "standard", "data", "about")
_DETAILS = ("purpose", "status", "scope", "state", "dated", "kept_days", "reviewed_on", "effective_on", "expires")
_OVER = ("review_by", "expires")
"""Days after which an item is overdue, whatever its register."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where it is read from; the wiring fills it in."""

    look: Look
    database: Database
    clock: Clock
    kinds: Kinds
    company: Company
    url: str


def facts(sources: Sources) -> tuple[Facts, TrustDocument]:
    """Return what is known now, and the trust document it was taken from."""
    standing, document = sources.look.standing(), sources.look.now()
    now = sources.clock.now()
    with sources.database.system() as tx:
        held = {name: _register(tx, sources.kinds, name, now) for name, kind in sources.kinds.items() if kind.public}
        texts = {item: legal.in_force(registers.history(tx, legal.LEGAL, item), now.date()) for item in legal.NAMES}
    held["legal"] = {item: fact for item, fact in held.get("legal", {}).items() if texts.get(item)}
    held["pages"] = {"frameworks": _framework_page(now)}
    sla = texts["sla"]
    spoken = {} if sla is None or sla.document.levels is None else levels.sentences(sla.document.levels)
    claims = {
        verdict.claim.id: ClaimFact(
            id=verdict.claim.id,
            sentence=verdict.claim.sentence,
            state=Basis(verdict.state),
            page=f"/trust/claims/{verdict.claim.id}",
            last_attacked=None if verdict.last_attacked is None else stamp(verdict.last_attacked),
        )
        for verdict in standing.verdicts
    }
    return Facts(
        at=standing.at, claims=claims, registers=held, company=profile(sources.company), schedule=spoken
    ), document


def _framework_page(now: datetime) -> ItemFact:
    """Return the page that every instance has, made anew for each reader."""
    title = "Claims by framework"
    return ItemFact(title=title, words=title, page="/trust/frameworks", recorded=now.isoformat())


def profile(company: Company) -> dict[str, str]:
    """Return what the company has stated of itself; nothing of a company that was not named."""
    if not company.named:
        return {}
    return {name: str(value) for name, value in asdict(company).items() if value}


def _register(tx: SystemTx, kinds: Kinds, name: str, now: datetime) -> dict[str, ItemFact]:
    kind = kinds[name]
    return {entry.item: fact(entry, kind.write(entry.document), now) for entry in registers.current(tx, kind)}


def fact(entry: Entry[Any], document: Mapping[str, Any], now: datetime) -> ItemFact:
    """Return what an item of a register says, in one line, and where it stands."""
    flat = {**document, **{k: v for one in document.values() if isinstance(one, dict) for k, v in one.items()}}
    title = str(next((flat[name] for name in _TITLES if flat.get(name)), entry.item))
    details = [str(flat[name]) for name in _DETAILS if flat.get(name)]
    places = flat.get("location") or flat.get("country")
    if places:
        details.append(", ".join(places) if isinstance(places, list) else str(places))
    found, over = entry.document, [date.fromisoformat(str(flat[name])) for name in _OVER if flat.get(name)]
    overdue = any(day < now.date() for day in over)
    if isinstance(found, Policy):
        overdue = not policies.is_current(found, now)
    if isinstance(found, Certification):
        details = [certifications.standing(found, now).words]
    page = _PAGES.get(entry.register, "").format(item=entry.item)
    return ItemFact(
        title=title, words=f"{title} ({'; '.join(details)})" if details else title,
        page=page, recorded=entry.recorded_at.isoformat(), overdue=overdue,
    )  # fmt: skip


class Kept:
    """Files as they were made last, by name, each made by one thread at a time and served while it is fresh."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._made: dict[str, tuple[datetime, bytes]] = {}

    def get(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return the file *name*, made anew when the last one is older than `FRESH`."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            now, last = self._clock.now(), self._made.get(name)
            if last is None or not timedelta() <= now - last[0] < FRESH:
                last = self._made[name] = (now, make())
            return last[1]

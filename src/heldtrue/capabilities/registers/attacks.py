"""Attacks on the list of sub-processors: early activation, hosts that are in no list, vendors without an opt-in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena, Probe
from heldtrue.capabilities.registers import actions, calls, subprocessors, vendors
from heldtrue.capabilities.registers.kinds import SUB_PROCESSORS
from heldtrue.capabilities.registers.rehearsal import as_probe, rehearsal
from heldtrue.capabilities.registers.standing_attacks import ATTACKS as STANDING
from heldtrue.capabilities.registers.subprocessors import Basis, NoNoticeError, NoticeRunningError, SubProcessor, Terms
from heldtrue.capabilities.registers.vendors import VendorNotPermittedError
from heldtrue.kernel.errors import ConflictError, HeldtrueError
from heldtrue.op import SystemOperation

VENDOR, HOST = "probe-vendor.invalid", "host.probe-vendor.invalid"
UNLISTED = "unlisted.probe.invalid"
TICK = timedelta(microseconds=1)
_WIDER: tuple[tuple[str, dict[str, Any]], ...] = (
    ("place", {"location": ["US"]}),
    ("kind of data", {"data": ["more"]}),
    ("purpose", {"purpose": "another"}),
)


def a_vendor(*, active: bool, optional: bool = False, **terms: Any) -> SubProcessor:
    """Return a sub-processor that does not exist."""
    said: dict[str, Any] = {"purpose": "probing", "location": ["DE"], "transfer_basis": Basis.NONE, "data": ["names"]}
    said.update(terms)
    return SubProcessor(
        name="Probe vendor", address="nowhere", contact="probe@example.invalid", hosts=[HOST],
        state=subprocessors.State.ACTIVE if active else subprocessors.State.ANNOUNCED,
        terms=Terms(**said, optional=optional),
    )  # fmt: skip


def early_activation(arena: Arena) -> Finding:
    """Activate a sub-processor without a notice, before its notice has run, to the microsecond, and when it has."""
    faults: list[str] = []
    start = arena.clock.now()
    began = start + timedelta(hours=1)
    with rehearsal(arena) as at:
        actions.put(at(start), SUB_PROCESSORS, "opening.invalid", a_vendor(active=True))
        if _activated(at(start + TICK), NoNoticeError):
            faults.append("A sub-processor that nobody announced was activated.")
        actions.put(at(began), SUB_PROCESSORS, VENDOR, a_vendor(active=False))
        for days in (0, 1, 29):
            if _activated(at(began + timedelta(days=days) + TICK), NoticeRunningError):
                faults.append(f"A sub-processor was activated on day {days} of its notice.")
        if _activated(at(began + timedelta(days=30) - TICK), NoticeRunningError):
            faults.append("A sub-processor was activated a microsecond before its notice had run.")
        for what, wider in _WIDER:
            if _activated(at(began + timedelta(days=31)), NoNoticeError, **wider):
                faults.append(f"A sub-processor was activated with another {what} than was announced.")
        if not faults and not _activated(at(began + timedelta(days=30)), ConflictError):
            raise AttackHinderedError("a sub-processor is refused for ever, so a refusal tells nothing")
    detail = "Every activation that was not announced, or came a microsecond too early, was refused."
    return judged(faults, detail, tries=9, days=30)


def _activated(op: SystemOperation, refusal: type[HeldtrueError], **terms: Any) -> bool:
    return not refused(lambda: actions.put(op, SUB_PROCESSORS, VENDOR, a_vendor(active=True, **terms)), refusal)


def unlisted_host(arena: Arena) -> Finding:
    """Compare the hosts that the house called with the list; and see that one that is in no list would be named."""
    now = arena.clock.now()
    with arena.database.system() as tx:
        faults = calls.unlisted(tx, now)
        called = len(calls.recent(tx, now))
    with rehearsal(arena) as at:
        op = at(now)
        actions.put(op, SUB_PROCESSORS, VENDOR, a_vendor(active=False))
        for host in (UNLISTED, HOST):
            calls.record(op.tx, host, "probe", now)
        told = " ".join(calls.unlisted(op.tx, now))
        faults += [f"A call of {host} would go unnoticed." for host in (UNLISTED, HOST) if host not in told]
    return judged(faults, "Every host that the house called is its own or in the list.", hosts=called, planted=2)


def without_opt_in(arena: Arena) -> Finding:
    """Send an organisation's data to an optional vendor in every way that is not its own opt-in."""
    arena.needs_sinks()
    one, two = arena.probes()
    document = SUB_PROCESSORS.write(a_vendor(active=True, optional=True))
    listed = {"entries": [{"register": SUB_PROCESSORS.name, "item": VENDOR, "document": document}]}
    faults: list[str] = []

    def tried(probe: Probe, how: str, vendor: str = VENDOR, host: str = HOST) -> None:
        if _let_through(arena, probe, vendor, host):
            faults.append(f"The gate let data go {how}.")

    tried(one, "to a vendor that is not listed")
    arena.caller.call("POST", "/v1/registers", arena.operator(), listed).expect(200)
    tried(one, "without an opt-in")
    _choose(arena, two.admin, permitted=True)
    _choose(arena, one.other_admin, permitted=True)
    tried(one, "after another organisation and another environment had opted in")
    _choose(arena, one.admin, permitted=True)
    if not faults and not _let_through(arena, one, VENDOR, HOST):
        raise AttackHinderedError("the gate lets nothing through at all, so its refusal tells nothing")
    tried(one, "to a host that is not the vendor's", host=UNLISTED)
    _choose(arena, one.admin, permitted=False)
    tried(one, "after the opt-in was taken back")
    path = f"/v1/registers/{SUB_PROCESSORS.name}/{VENDOR}?reason=probe"
    arena.caller.call("DELETE", path, arena.operator()).expect(200)
    tried(two, "to a vendor that was taken off the list")
    detail = (
        "Nothing went to an optional vendor but after an organisation's own opt-in, and not after it was taken back."
    )
    return judged(faults, detail, tries=6, organisations=2)


def _let_through(arena: Arena, probe: Probe, vendor: str, host: str) -> bool:
    with as_probe(arena, probe) as op:
        return not refused(lambda: vendors.permit(op, vendor, host), VendorNotPermittedError)


def _choose(arena: Arena, token: Any, *, permitted: bool) -> None:
    arena.caller.call("PUT", "/v1/vendors", token, {"vendor": VENDOR, "permitted": permitted}).expect(200)


def refused(act: Callable[[], object], kind: type[HeldtrueError]) -> bool:
    """Return whether *act* was refused with an error of *kind*; any other error hinders the attack."""
    try:
        act()
    except kind:
        return True
    return False


ATTACKS = (
    Attack(
        name="registers.early_activation",
        place=Place.SYNTHETIC,
        tries=(
            "Announce a sub-processor that does not exist, in a transaction that is rolled back.",
            "Activate it unannounced, on day 0, 1 and 29, and a microsecond before thirty days have passed.",
            "Activate it after thirty days with another place, other data and another purpose.",
            "All of it must be refused; exactly thirty days later, what was announced must be accepted.",
        ),
        run=early_activation,
        breaks="notice-of-no-time",
        needs=("heldtrue.capabilities.registers.subprocessors", "heldtrue.capabilities.registers.rehearsal"),
    ),
    Attack(
        name="registers.unlisted_host",
        place=Place.SYNTHETIC,
        tries=(
            "Read which hosts this instance itself called in the last thirty days.",
            "Each must be this machine, the operator's own, or of an active sub-processor that everybody gets.",
            "Write down a call of a host in no list, and of one whose notice still runs: both must be named.",
        ),
        run=unlisted_host,
        breaks="calls-not-compared",
        needs=("heldtrue.capabilities.registers.calls", "heldtrue.capabilities.registers.rehearsal"),
    ),
    Attack(
        name="registers.without_opt_in",
        place=Place.SCRATCH,
        tries=(
            "List an optional vendor on an instance made for this.",
            "Ask the gate for an organisation that has not opted in, while its other environment and another one have.",
            "Opt in, and ask for a foreign host; opt out, and ask again; take the vendor off the list, and ask again.",
            "The gate must refuse each time, and let through only what the organisation itself opted in to.",
        ),
        run=without_opt_in,
        breaks="gate-without-question",
        needs=("heldtrue.capabilities.registers.vendors", "heldtrue.capabilities.registers.rehearsal"),
        limit=timedelta(seconds=120),
    ),
    *STANDING,
)
"""Attacks on the list of sub-processors, and on what the operator says of itself."""

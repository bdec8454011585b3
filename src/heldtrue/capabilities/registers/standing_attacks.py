"""Attacks on what the operator says of itself: flattering status, stale policies, lapsed vendors, endless findings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.capabilities.registers import actions, assurance, certifications, policies
from heldtrue.capabilities.registers.assurance import Severity
from heldtrue.capabilities.registers.certifications import Certification, Form, Status
from heldtrue.capabilities.registers.kinds import CERTIFICATIONS, FINDINGS, POLICIES, TESTS, VENDORS
from heldtrue.capabilities.registers.policies import Policy, State
from heldtrue.capabilities.registers.rehearsal import rehearsal
from heldtrue.kernel.errors import BadInputError
from heldtrue.op import SystemOperation

ITEM = "probe.invalid"
DAY = timedelta(days=1)


def flattering_status(arena: Arena) -> Finding:
    """Record statuses that rest on too little, let a report expire, and compare the page with the register."""
    now = arena.clock.now()
    today = now.date()
    faults: list[str] = []
    sound = {"status": Status.CERTIFIED, "form": Form.REPORT_TYPE_2, "auditor": "x", "dated": today - 30 * DAY,
             "expires": today + 10 * DAY, "document_sha256": "0" * 64}  # fmt: skip
    flattering: tuple[tuple[str, dict[str, Any]], ...] = (
        *((f"certified without {name}", {**sound, name: None}) for name in sound if name not in {"status", "form"}),
        ("certified by oneself", {**sound, "form": Form.DECLARATION}),
        ("certified by a report that has expired", {**sound, "expires": today - DAY}),
        ("certified by a postdated report", {**sound, "dated": today + DAY}),
        ("in observation for a report of type 1", {"status": Status.IN_OBSERVATION, "form": Form.REPORT_TYPE_1,
                                                   "observed_from": today - DAY}),
        ("in observation before it began", {"status": Status.IN_OBSERVATION, "form": Form.REPORT_TYPE_2,
                                            "observed_from": today + DAY}),
    )  # fmt: skip
    with rehearsal(arena) as at:
        for what, members in flattering:
            if _recorded(at(now), _certification(today, **members)):
                faults.append(f"A standard was recorded as {what}.")
        if not _recorded(at(now), _certification(today, **sound)):
            raise AttackHinderedError("a sound report is refused as well, so a refusal tells nothing")
        [later] = [one.document for one in actions.current(at(now).tx, CERTIFICATIONS) if one.item == ITEM]
        told = certifications.standing(later, now + 12 * DAY)
        if not told.lapsed or "good until" in told.words:
            faults.append("A report that has expired does not show as lapsed.")
    shown = arena.caller.call("GET", "/trust/certifications.json").expect(200).json()["certifications"]
    for one in shown:
        over = one["expires"] is not None and date.fromisoformat(one["expires"]) < today
        if over and not one["lapsed"]:
            faults.append(f"The page shows {one['standard']} as good after {one['expires']}.")
    return judged(
        faults, "No status could be recorded that claims more than its document, and what expires shows as lapsed.",
        statuses=len(flattering), shown=len(shown),
    )  # fmt: skip


def _certification(today: date, **members: Any) -> Certification:
    given: dict[str, Any] = {"standard": "Probe", "scope": "x", "owner": "x", **members}
    return Certification(**given, stated_on=today, review_by=today + 90 * DAY)


def _recorded(op: SystemOperation, document: Certification) -> bool:
    return not refused(lambda: actions.put(op, CERTIFICATIONS, ITEM, document))


def stale_policy(arena: Arena) -> Finding:
    """Let reviews run out, put texts in force that nobody adopted, and compare the page with the register."""
    now = arena.clock.now()
    today = now.date()
    faults: list[str] = []
    with rehearsal(arena) as at:
        op = at(now)
        actions.put(op, POLICIES, ITEM, _policy(today - 400 * DAY))
        actions.put(op, POLICIES, f"fresh-{ITEM}", _policy(today))
        found = {one.name: one.state for one in policies.standings(actions.current(op.tx, POLICIES), now)}
        if found[ITEM] is not State.STALE:
            faults.append("A policy last reviewed 400 days ago shows as current.")
        if found[f"fresh-{ITEM}"] is not State.CURRENT:
            raise AttackHinderedError("a policy of today is not current either, so being stale tells nothing")
        late = now + 400 * DAY
        later = policies.standings(actions.current(op.tx, POLICIES), late)
        faults += [f"The policy {one.name} would still be current in 400 days." for one in later
                   if one.state is State.CURRENT]  # fmt: skip
        for what, document in (("ahead of time", _policy(today + DAY)), ("every two years", _policy(today, months=24))):
            if not refused(lambda one=document: actions.put(op, POLICIES, ITEM, one)):
                faults.append(f"A policy could be reviewed {what}.")
        adopted = {one.item: one.document for one in actions.current(op.tx, POLICIES)}
    shown = arena.caller.call("GET", "/trust/policies.json").expect(200).json()["policies"]
    for one in shown:
        policy = adopted.get(one["name"])
        good = policy is not None and policy.reviewed_on + timedelta(days=31 * policy.review_months) >= today
        if one["state"] == "current" and not good:
            faults.append(f"The page shows the policy {one['name']} as current, and it is not.")
    detail = "What is past its review shows as stale, what nobody adopted as not adopted, on the page too."
    return judged(faults, detail, policies=len(shown), tries=4)


def _policy(reviewed: date, months: int = 12) -> Policy:
    adopted = reviewed - 30 * DAY
    return Policy(title="Probe", owner="x", adopted_on=adopted, reviewed_on=reviewed, review_months=months, text="x",
                  text_sha256=policies.digest("x"))  # fmt: skip


def lapsed_vendor(arena: Arena) -> Finding:
    """Let a vendor's certification expire, and compare the page with the register."""
    now = arena.clock.now()
    today = now.date()
    faults: list[str] = []
    proof = {"standard": "Probe", "auditor": "x", "dated": str(today - 30 * DAY), "document_sha256": "0" * 64}
    vendor = {"name": "Probe", "service": "x", "owner": "x", "reviewed_on": str(today), "review_by": str(today + DAY)}
    with rehearsal(arena) as at:
        op = at(now)
        for item, expires in ((ITEM, today - DAY), (f"good-{ITEM}", today)):
            document = {**vendor, "needs": ["Probe"], "certifications": [{**proof, "expires": str(expires)}]}
            actions.put(op, VENDORS, item, VENDORS.read(document))
        entries = [one for one in actions.current(op.tx, VENDORS) if one.item.endswith(ITEM)]
        lapsed = [one for one in entries if assurance.vendor_faults([one], now)]
        if [one.item for one in lapsed] != [ITEM]:
            faults.append("A vendor's certification that expired yesterday counts as current.")
        if len([one for one in entries if assurance.vendor_faults([one], now + DAY)]) != 2:
            faults.append("A vendor's certification counts on the day after its last.")
    shown = arena.caller.call("GET", "/trust/certifications.json").expect(200).json()["vendors"]
    for one in (proof for vendor in shown for proof in vendor["proofs"]):
        if date.fromisoformat(one["expires"]) < today and not one["lapsed"]:
            faults.append(f"The page shows a vendor's {one['standard']} as good after {one['expires']}.")
    detail = "A vendor's certification counts to its last day and not beyond, on the page too."
    return judged(faults, detail, vendors=len(shown), tries=3)


def finding_without_date(arena: Arena) -> Finding:
    """Record a finding without a day by which it is mended, take one back, and let one run over its day."""
    now = arena.clock.now()
    today = now.date()
    faults: list[str] = []
    finding = {"test": ITEM, "title": "x", "severity": Severity.LOW.value, "found_on": str(today), "owner": "x"}
    with rehearsal(arena) as at:
        op = at(now)
        keys = actions.keyring(op, FINDINGS)
        if not refused(lambda: actions.put(op, FINDINGS, ITEM, FINDINGS.read(finding))):
            faults.append("A finding without a day by which it is mended was recorded.")
        actions.put(op, FINDINGS, ITEM, FINDINGS.read({**finding, "fix_by": str(today)}))
        if not refused(lambda: actions.withdraw(op, FINDINGS, ITEM, "probe")):
            faults.append("A finding was taken back instead of being mended.")
        tests = actions.current(op.tx, TESTS)
        findings = [one for one in actions.current(op.tx, FINDINGS, keys) if one.item == ITEM]
        if not any(
            f"{ITEM} was to be mended" in fault for fault in assurance.finding_faults(tests, findings, now + 2 * DAY)
        ):
            faults.append("A finding past its day is not told of.")
        if assurance.counted(findings, now + 2 * DAY).overdue != 1 or assurance.counted(findings, now).overdue:
            faults.append("A finding past its day is not counted as overdue.")
    with arena.database.system() as tx:
        open_now = tx.value("SELECT count(DISTINCT item) FROM heldtrue.register_sealed WHERE register = 'findings'")
    detail = "A finding has a day by which it is mended, stays on file, and is counted as overdue from the day after."
    return judged(faults, detail, tries=4, on_file=open_now)


def refused(act: Callable[[], object]) -> bool:
    """Return whether *act* was refused as unusable input."""
    try:
        act()
    except BadInputError:
        return True
    return False


_NEEDS = ("heldtrue.capabilities.registers.rehearsal",)
ATTACKS = (
    Attack(
        name="registers.flattering_status",
        place=Place.SYNTHETIC,
        tries=(
            "Record a standard as certified without auditor, date, expiry or document, by oneself, postdated, expired.",
            "Record an observation window for a report of type 1, and one that has not begun.",
            "Each must be refused; a sound report must show as lapsed from the day after its expiry.",
            "Read the public page: nothing on it may be past its date and not marked so.",
        ),
        run=flattering_status,
        breaks="status-on-demand",
        needs=(*_NEEDS, "heldtrue.capabilities.registers.certifications"),
    ),
    Attack(
        name="registers.stale_policy",
        place=Place.SYNTHETIC,
        tries=(
            "Adopt a policy that was last reviewed 400 days ago, and one of today; look at all of them in 400 days.",
            "Review a policy ahead of time, and every two years.",
            "What is past its review must be stale, the rest refused; the public page must say the same.",
        ),
        run=stale_policy,
        breaks="policies-for-ever",
        needs=(*_NEEDS, "heldtrue.capabilities.registers.policies"),
    ),
    Attack(
        name="registers.lapsed_vendor",
        place=Place.SYNTHETIC,
        tries=(
            "Record a vendor whose certification expired yesterday, and one whose expires today.",
            "The first must count as lapsed today, both tomorrow; the public page must say the same.",
        ),
        run=lapsed_vendor,
        breaks="vendors-for-ever",
        needs=(*_NEEDS, "heldtrue.capabilities.registers.assurance"),
    ),
    Attack(
        name="registers.finding_without_date",
        place=Place.SYNTHETIC,
        tries=(
            "Record a finding of a test without a day by which it is mended; withdraw one that is open.",
            "Let one run over its day: it must be told of and counted as overdue.",
        ),
        run=finding_without_date,
        breaks="findings-without-end",
        needs=(*_NEEDS, "heldtrue.capabilities.registers.assurance"),
    ),
)

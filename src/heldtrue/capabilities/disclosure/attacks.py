"""Attacks on disclosure: a report that nobody answers must show, and a reward outside its band must be refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import errors

from heldtrue.attack import Attack, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.capabilities.clocks.calendar import deadline, zone_named
from heldtrue.capabilities.disclosure import figures
from heldtrue.capabilities.disclosure.model import ACKNOWLEDGED_WITHIN
from heldtrue.db.tx import SystemTx
from heldtrue.kernel.ids import ReportId
from heldtrue.kernel.secret import Secret

PAGE = "/trust/disclosure.json"
FORM = "/trust/disclosure/report"
DAY = timedelta(days=1)
LONG_AGO = timedelta(days=30)
BANDS = {
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H": ("critical", 500_000, 1_000_000),
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N": ("high", 150_000, 500_000),
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N": ("medium", 30_000, 150_000),
    "CVSS:4.0/AV:L/AC:H/AT:P/PR:H/UI:A/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N": ("low", 5_000, 30_000),
}
"""By vector: severity, least and most in cents, as the published table has it."""
DOLLAR = 100


class _Row:
    """What the clock of a report goes by, read past the code that shows it."""

    def __init__(self, received_at: datetime, due_at: datetime, calendar: str, zone: str,
                 acknowledged_at: datetime | None) -> None:  # fmt: skip
        self.received_at = received_at
        self.due_at = due_at
        self.calendar = calendar
        self.zone = zone
        self.acknowledged_at = acknowledged_at


class _Enough(Exception):  # it rolls back what was only tried
    """What was tried is rolled back."""


def unanswered(arena: Arena) -> Finding:
    """Count by hand which reports wait beyond their time; then let one wait, in a transaction that is rolled back."""
    faults: list[str] = []
    now = arena.clock.now()
    with arena.database.system() as tx:
        rows = _rows(tx)
        counted = figures.standing(tx, now).overdue
    waiting = sum(row.acknowledged_at is None and now > row.due_at for row in rows)
    if waiting:
        faults.append(f"{waiting} reports wait beyond their business day.")
    if late := sum(_late(row, now) for row in rows):
        faults.append(f"{late} reports were acknowledged late in the last day.")
    if counted != waiting:
        faults.append(f"{waiting} reports wait beyond their time, and {counted} are counted.")
    shown = arena.caller.call("GET", PAGE).expect(200).json()["figures"]["overdue"]
    if shown not in {counted, waiting}:
        faults.append(f"{waiting} reports wait beyond their time, and the page says {shown}.")
    faults += [f"A report is due at {row.due_at}, not a business day after it came." for row in rows if _moved(row)]
    faults += _let_one_wait(arena, now, counted)
    return judged(
        faults,
        "No report waits beyond its business day, and one that did would be counted; its clock cannot be set back.",
        reports=len(rows), statements=4,
    )  # fmt: skip


def _rows(tx: SystemTx) -> list[_Row]:
    return tx.many(_Row, "SELECT received_at, due_at, calendar, zone, acknowledged_at FROM heldtrue.reports")


def _late(row: _Row, now: datetime) -> bool:
    at = row.acknowledged_at
    return at is not None and row.due_at < at and now - at < DAY


def _moved(row: _Row) -> bool:
    right = deadline(row.received_at, ACKNOWLEDGED_WITHIN, country=row.calendar, zone=zone_named(row.zone))
    return row.due_at != right


def _let_one_wait(arena: Arena, now: datetime, before: int) -> list[str]:
    """Insert a report that came long ago; it must be counted, and nobody may give it more time."""
    faults: list[str] = []
    report = ReportId.new(now, arena.entropy).value
    for forgiving in (None, "due_at = now() + interval '1 day'", "received_at = now()"):
        try:
            with arena.database.system() as tx:
                _insert(tx, report, now - LONG_AGO, arena.entropy(32))
                if forgiving is None:
                    if figures.standing(tx, now).overdue != before + 1:
                        faults.append("A report that nobody answered for 30 days is not counted as overdue.")
                elif _set(tx, report, forgiving):
                    faults.append(f"The clock of a report was set back: {forgiving.partition(' ')[0]}.")
                raise _Enough
        except (_Enough, errors.InsufficientPrivilege):
            continue
    return faults


def _insert(tx: SystemTx, report: UUID, came: datetime, digest: bytes) -> None:
    tx.execute(
        """INSERT INTO heldtrue.reports
           (report_id, state, link_digest, encrypted, calendar, zone, received_at, due_at, reporter_sealed)
           VALUES (%s, 'received', %s, false, 'US', 'UTC', %s, %s, '')""",
        (report, digest, came, deadline(came, ACKNOWLEDGED_WITHIN, country="US", zone=zone_named("UTC"))),
    )


def _set(tx: SystemTx, report: UUID, forgiving: str) -> bool:
    if forgiving.startswith("due_at"):
        return bool(
            tx.execute("UPDATE heldtrue.reports SET due_at = now() + interval '1 day' WHERE report_id = %s", (report,))
        )
    return bool(tx.execute("UPDATE heldtrue.reports SET received_at = now() WHERE report_id = %s", (report,)))


def outside_band(arena: Arena) -> Finding:
    """Report, confirm and award in each band: a dollar and a cent outside must be refused, its ends must be paid."""
    operator = arena.operator()
    faults: list[str] = []
    arena.caller.call(
        "PUT", "/v1/registers/rewards/policy", operator, *_json({"document": {"mode": "rewards"}})
    ).expect(200)
    tried = 0
    for vector, (severity, least, most) in BANDS.items():
        report = _report(arena, operator)
        tried += 1
        if _award(arena, operator, report, least) < 400:
            faults.append("A reward was recorded before the report was confirmed.")
        _act(arena, operator, report, "acknowledge", {})
        _act(arena, operator, report, "assessment", {"vector": vector})
        _act(arena, operator, report, "state", {"state": "confirmed"})
        for cents in (least - DOLLAR, least - 1, most + 1, most + DOLLAR):
            tried += 1
            if _award(arena, operator, report, cents) < 400:
                faults.append(f"{cents} cents were awarded for {severity}, outside {least} to {most}.")
        tried += 1
        if not faults and _award(arena, operator, report, most) >= 400:
            faults.append(f"The end of the band was refused for {severity}.")
    return judged(
        faults,
        "Every reward outside its published band was refused, and so was one before the report was confirmed.",
        bands=len(BANDS), awards=tried,
    )  # fmt: skip


def _report(arena: Arena, operator: Secret[str]) -> str:
    mark = f"Probe {arena.entropy(8).hex()}"
    arena.caller.call("POST", FORM, None, *_json({"title": mark, "text": "A probe of the reward bands."})).expect(200)
    listed = arena.caller.call("GET", "/v1/reports?limit=50", operator).expect(200).json()["data"]
    return next(one["id"] for one in listed if one["title"] == mark)


def _act(arena: Arena, operator: Secret[str], report: str, verb: str, asked: dict[str, Any]) -> None:
    arena.caller.call("POST", f"/v1/reports/{report}/{verb}", operator, *_json(asked)).expect(200)


def _award(arena: Arena, operator: Secret[str], report: str, cents: int) -> int:
    return arena.caller.call("POST", f"/v1/reports/{report}/reward", operator, *_json({"cents": cents})).status


def _json(value: object) -> tuple[bytes, dict[str, str]]:
    import msgspec

    return msgspec.json.encode(value), {"content-type": "application/json"}


ATTACKS = (
    Attack(
        name="disclosure.unanswered",
        place=Place.SYNTHETIC,
        tries=(
            "Count from the records which reports wait beyond their business day, and compare with the page.",
            "Work out by the calendar when each report was due.",
            "Let a report wait for 30 days in a transaction that is rolled back: it must be counted at once.",
            "Try to give it more time: the database must refuse.",
        ),
        run=unanswered,
        breaks="clock-that-forgives",
        needs=("heldtrue.capabilities.clocks.calendar", "heldtrue.capabilities.disclosure.figures"),
    ),
    Attack(
        name="disclosure.outside_band",
        place=Place.SCRATCH,
        tries=(
            "Publish the reward table, and send a report for each severity through the public form.",
            "Try to award before it is confirmed.",
            "Confirm it, and award a dollar and a cent below and above the band: each must be refused.",
            "Award the end of the band: it must be recorded.",
        ),
        run=outside_band,
        breaks="bands-off",
    ),
)

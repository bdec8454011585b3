"""Attacks on agreements: an annex that differs from its register, a text that is stale or carries no day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import msgspec

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.capabilities.agreements import annexes, legal, starters
from heldtrue.capabilities.agreements.dpa import ANNEXES
from heldtrue.capabilities.agreements.legal import LEGAL, LegalText
from heldtrue.capabilities.registers import actions as registers
from heldtrue.capabilities.registers.kinds import SUB_PROCESSORS
from heldtrue.capabilities.registers.rehearsal import rehearsal
from heldtrue.capabilities.registers.subprocessors import Basis, State, SubProcessor, Terms
from heldtrue.kernel.errors import BadInputError, ConflictError

_PARTS = ("name", "address", "contact")
_TERMS = ("purpose", "location", "transfer_basis", "data")
TEXT = "acceptable-use"


def annex_differs(arena: Arena) -> Finding:
    """Compare the agreement's annexes with the register and the claims they are made from."""
    faults: list[str] = []
    now = arena.clock.now()
    with rehearsal(arena) as at:
        for name in ("one", "two"):
            registers.put(at(now), SUB_PROCESSORS, f"annex-{name}.invalid", _vendor(name))
        registers.withdraw(at(now), SUB_PROCESSORS, "annex-two.invalid", "probe")
        op = at(now)
        faults += _differences(_rows(op), [msgspec.to_builtins(one) for one in annexes.sub_processors(op.tx)])
    states = _states(arena)
    live = arena.caller.call("GET", "/trust/legal/dpa.json").expect(200).json()
    states_after = _states(arena)
    with rehearsal(arena) as at:
        register = _rows(at(now))
    faults += _differences(register, live["annexes"]["sub_processors"])
    measures = live["annexes"]["measures"]
    for measure in measures:
        allowed = {_weakest(measure["claims"], known) for known in (states, states_after)}
        if measure["state"] not in allowed:
            faults.append(f"The measure {measure['topic']!r} is said to be {measure['state']}, and is not.")
    text = str(live["paper"])
    numbers = [number for _, one, other in ANNEXES for number in (one, other) if number != "-"]
    faults += [f"The agreement has no {number}." for number in numbers if number not in text]
    return judged(
        faults, "The annexes list what the register lists, and every measure has the state of its claims.",
        sub_processors=len(register), measures=len(measures), planted=2,
    )  # fmt: skip


def _vendor(name: str) -> SubProcessor:
    terms = Terms(purpose="probing", location=["DE"], transfer_basis=Basis.NONE, data=["names"], optional=True)
    return SubProcessor(
        name=f"Probe {name}", address="nowhere", contact="probe@example.invalid", state=State.ANNOUNCED, terms=terms
    )  # fmt: skip


def _rows(op: Any) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for entry in registers.current(op.tx, SUB_PROCESSORS):
        written = SUB_PROCESSORS.write(entry.document)
        row = {"item": entry.item, "version": entry.version, "state": written["state"]}
        row |= {part: written[part] for part in _PARTS} | {part: written["terms"][part] for part in _TERMS}
        found.append(row)
    return found


def _differences(register: list[Mapping[str, Any]], annex: list[Any]) -> list[str]:
    """Return what the annex lists otherwise than the register."""
    listed = {row["item"]: row for row in annex}
    faults = [f"The annex lists {item}, and the register does not." for item in listed.keys() - _items(register)]
    for row in register:
        other = listed.get(row["item"])
        if other is None:
            faults.append(f"The annex leaves out {row['item']}.")
        else:
            faults += [f"The annex has another {name} of {row['item']}." for name in row if row[name] != other[name]]
    return faults


def _items(rows: list[Mapping[str, Any]]) -> set[str]:
    return {row["item"] for row in rows}


def _states(arena: Arena) -> dict[str, str]:
    found = arena.caller.call("GET", "/trust.json").expect(200).json()
    return {claim["id"]: claim["state"] for claim in found["claims"]}


def _weakest(claims: list[str], states: Mapping[str, str]) -> str:
    order = ("proven", "attested", "promised", "stale", "failing")
    return max((states.get(name, "promised") for name in claims), key=order.index)


def undated_text(arena: Arena) -> Finding:
    """Publish texts without a day, with a day that is over, past their review; accept what does not hold."""
    now = arena.clock.now()
    today = now.date()
    faults: list[str] = []
    tries = 0
    sound = starters.starter(TEXT, "Probe", today, today)
    with rehearsal(arena) as at:
        for what, change in _unsound(sound, today):
            tries += 1
            if not _refused(lambda change=change: _put(at(now), change()), BadInputError):
                faults.append(f"A text {what} was published.")
        _put(at(now), sound)
        tries += len(_REPLACED)
        for what, days in _REPLACED:
            later = now + timedelta(days=3)
            late = msgspec.structs.replace(sound, text="other words", effective_on=today + timedelta(days=days))
            if not _refused(lambda late=late, later=later: _put(at(later), late), BadInputError):
                faults.append(f"A text {what} replaced one that holds.")
        if not faults:  # what was published wrongly stands in the way of the sound text
            faults += _acceptances(at(now), sound, today)
        tries += 3
    faults += _published(arena, today)
    wrong = {"item": TEXT, "version": 1_000_000, "sha256": "0" * 64, "accepted_by": "probe"}
    one, _ = arena.probes()
    if arena.caller.call("POST", "/v1/acceptances", one.admin, wrong).status < 400:
        faults.append("A version that there is not was accepted.")
    return judged(
        faults, "No text without a day, out of time or past its review was published or accepted.", tries=tries + 1,
        texts=len(legal.NAMES),
    )  # fmt: skip


_REPLACED = (("that holds from yesterday", 2), ("that holds from long ago", -300))
"""What, and its effective date in days from the first text's; tried three days later."""


def _unsound(sound: LegalText, today: date) -> list[tuple[str, Callable[[], LegalText]]]:
    written = LEGAL.write(sound)
    undated = {name: value for name, value in written.items() if name != "effective_on"}
    day = timedelta(days=1)

    def with_(**parts: Any) -> Callable[[], LegalText]:
        return lambda: msgspec.structs.replace(sound, **parts)

    return [
        ("without an effective date", lambda: LEGAL.read(undated)),
        ("reviewed tomorrow", with_(reviewed_on=today + day)),
        ("whose review was due yesterday", with_(review_by=today - day, reviewed_on=today - 9 * day)),
        ("whose review is due in two years", with_(review_by=today + 730 * day)),
        ("without words", with_(text=" ")),
    ]


def _put(op: Any, text: LegalText) -> None:
    registers.put(op, LEGAL, TEXT, text)


def _acceptances(op: Any, sound: LegalText, today: date) -> list[str]:
    history = registers.history(op.tx, LEGAL, TEXT)
    number, digest = history[-1].version, legal.digest(sound)
    faults: list[str] = []
    if legal.admit(history, number, digest, today).number != number:
        raise AttackHinderedError("a sound text cannot be accepted, so a refusal tells nothing")
    stale = sound.review_by + timedelta(days=1)
    for what, how in (
        ("past its review", (number, digest, stale)),
        ("with another hash", (number, "0" * 64, today)),
        ("of another version", (number + 1, digest, today)),
    ):
        if not _refused(lambda how=how: legal.admit(history, *how), ConflictError):
            faults.append(f"A text {what} was accepted.")
    return faults


def _published(arena: Arena, today: date) -> list[str]:
    """Return what is wrong with the texts that this instance publishes."""
    faults: list[str] = []
    for text in arena.caller.call("GET", "/trust/legal.json").expect(200).json()["data"]:
        held = text["in_force"]
        if held is None:
            continue
        if date.fromisoformat(held["effective_on"]) > today:
            faults.append(f"{text['title']} is said to be in force, and holds from {held['effective_on']}.")
        if date.fromisoformat(held["review_by"]) < today:
            faults.append(f"{text['title']} is past its review, which was due by {held['review_by']}.")
        if legal.digest(LEGAL.read(held["document"])) != held["sha256"]:
            faults.append(f"The hash of {text['title']} is not that of its words.")
    return faults


def _refused(act: Callable[[], object], *kinds: type[Exception]) -> bool:
    try:
        act()
    except kinds:
        return True
    return False


ATTACKS = (
    Attack(
        name="agreements.annex_differs",
        place=Place.SYNTHETIC,
        tries=(
            "Announce two sub-processors that do not exist and withdraw one, in a transaction that is rolled back.",
            "Make the annex then: it must list the one and not the other, with every part as recorded.",
            "Compare the published agreement's annexes with the register, and its measures with the claims' states.",
            "Look for the annexes' numbers of both decisions.",
        ),
        run=annex_differs,
        breaks="annex-of-its-own",
        needs=("heldtrue.capabilities.agreements.annexes", "heldtrue.capabilities.registers.rehearsal"),
    ),
    Attack(
        name="agreements.undated_text",
        place=Place.SYNTHETIC,
        tries=(
            "Publish a text without an effective date, with a review that lies ahead, is over, or is years away.",
            "Replace words that hold by others that hold from a day that is over.",
            "Accept a text past its review, another version, and another hash than the page shows.",
            "Read the published texts: each in force has begun, is within its review, and hashes to what it says.",
        ),
        run=undated_text,
        breaks="texts-without-days",
        needs=("heldtrue.capabilities.agreements.legal", "heldtrue.capabilities.registers.rehearsal"),
    ),
)
"""The rows of agreements."""

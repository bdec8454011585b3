"""Attacks on receipts, judged by the separate verifier: it has none of our code."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.attack.stock import retire, stock
from heldtrue_verify import receipt as independent
from heldtrue_verify.checkpoint import Roots
from heldtrue_verify.verdicts import Verdict, walk

Path = tuple[str | int, ...]


def altered(arena: Arena) -> Finding:
    """Change every value of a receipt in turn, then only the order of its members; ask the separate verifier."""
    one, _ = arena.probes()
    had = stock(arena, one)
    path = f"/v1/receipts/{had.ids['receipt_id']}/bundle"

    def fetch() -> dict[str, Any] | None:
        reply = arena.caller.call("GET", path, one.admin).expect(200, 409, 503)
        return reply.json() if reply.status == 200 else None

    bundle = arena.until("the receipt's proof", fetch)
    retire(arena, one, had)
    faults: list[str] = []
    if (verdict := _verify(arena, bundle)) is not Verdict.HOLDS:
        faults.append(f"The verifier said {verdict} of a genuine receipt.")
    if (verdict := _verify(arena, _reordered(bundle))) is not Verdict.HOLDS:
        faults.append(f"The verifier said {verdict} of a receipt whose members were only reordered.")
    changes = 0
    for part in ("receipt", "key_entry"):
        for place in _leaves(bundle[part]):
            forged = copy.deepcopy(bundle)
            _change(forged[part], place)
            changes += 1
            if _verify(arena, forged) is Verdict.HOLDS:
                faults.append(f"The verifier accepted a receipt with another {'.'.join(map(str, place))}.")
    added = copy.deepcopy(bundle)
    added["receipt"]["note"] = "added"
    changes += 1
    if _verify(arena, added) is Verdict.HOLDS:
        faults.append("The verifier accepted a receipt with a member added.")
    return judged(
        faults,
        f"The separate verifier accepted the genuine receipt, reordered too, and refused all {changes} changed ones.",
        receipts=1,
        changes=changes,
    )


def _verify(arena: Arena, bundle: dict[str, Any]) -> Verdict:
    case = independent.ReceiptCase(json.dumps(bundle).encode(), Roots.parse(arena.pin), arena.clock.now())
    return walk("receipt", independent.RECEIPT_STEPS, case).verdict


def _reordered(value: Any) -> Any:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: _reordered(members[name]) for name in reversed(list(members))}
    if isinstance(value, list):
        return [_reordered(item) for item in cast("list[Any]", value)]
    return value


def _leaves(value: Any, at: Path = ()) -> Iterator[Path]:
    """Give the place of every value that is neither object nor array."""
    if isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            yield from _leaves(inner, (*at, name))
    elif isinstance(value, list):
        for number, inner in enumerate(cast("list[Any]", value)):
            yield from _leaves(inner, (*at, number))
    else:
        yield at


def _change(value: Any, place: Path) -> None:
    for step in place[:-1]:
        value = value[step]
    old = value[place[-1]]
    if isinstance(old, bool):
        value[place[-1]] = not old
    elif isinstance(old, int):
        value[place[-1]] = old + 1
    elif isinstance(old, str):
        value[place[-1]] = _other(old)
    elif old is None:
        value[place[-1]] = "something"
    else:
        raise AttackHinderedError(f"no change is known for a {type(old).__name__}")


def _other(text: str) -> str:
    """Return a text of the same length that differs in its last digit or letter."""
    for at in range(len(text) - 1, -1, -1):
        if text[at].isalnum():
            return (
                text[:at]
                + ("1" if text[at] == "0" else "0" if text[at].isdigit() else "b" if text[at] == "a" else "a")
                + text[at + 1 :]
            )
    return text + "a"


ATTACKS = (
    Attack(
        name="receipts.altered",
        place=Place.SYNTHETIC,
        tries=(
            "Have a payload forwarded and fetch its receipt with its proofs.",
            "Reorder the members: the separate verifier must accept it, with only the log's key pinned.",
            "Change every single value in turn, those of the proof and of the key's entry too: it must refuse each.",
        ),
        run=altered,
        breaks="verifier-that-nods",
        needs=("heldtrue.attack.stock", "heldtrue_verify.receipt"),
        limit=timedelta(seconds=120),
    ),
)

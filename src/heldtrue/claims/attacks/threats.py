"""The attack on the threat model: a threat that no claim answers, and one that nobody has thought of for too long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from heldtrue.attack import Attack, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.capabilities.registers import actions, threats
from heldtrue.capabilities.registers.kinds import THREATS
from heldtrue.capabilities.registers.model import DocumentRefusedError
from heldtrue.capabilities.registers.rehearsal import rehearsal
from heldtrue.claims.catalogue import CATALOGUE

ITEM = "probe.invalid"


def threat_without_claim(arena: Arena) -> Finding:
    """Look for a threat without a claim, and see that one would be noticed."""
    now = arena.clock.now()
    claims = frozenset(claim.id for claim in CATALOGUE.claims)
    with arena.database.system() as tx:
        model = threats.model(actions.current(tx, THREATS))
    faults = threats.faults(model, claims, now)
    sound = next(iter(threats.STARTERS.values()))
    written = {**THREATS.write(sound), "dated": str(now.date()), "review_by": str(now.date() + timedelta(days=365))}
    if _read({**written, "claims": []}):
        faults.append("A threat without a claim can be recorded.")
    with rehearsal(arena) as at:
        op = at(now)
        actions.put(op, THREATS, ITEM, THREATS.read({**written, "claims": ["company.nowhere"]}))
        planted = threats.model(actions.current(op.tx, THREATS))
        if not any(ITEM in fault for fault in threats.faults(planted, claims, now)):
            faults.append("A threat that names a claim which does not exist would go unnoticed.")
    late = msgspec.structs.replace(sound, review_by=now.date() - timedelta(days=1))
    if not threats.faults({ITEM: late}, claims, now):
        faults.append("A threat past its review would go unnoticed.")
    capabilities = len({threat.capability for threat in model.values()})
    detail = "Every threat on file is answered by a claim of the catalogue, and was thought through within its term."
    return judged(faults, detail, threats=len(model), capabilities=capabilities, planted=3)


def _read(document: dict[str, Any]) -> bool:
    """Return whether the register takes *document*."""
    try:
        THREATS.read(document)
    except DocumentRefusedError:
        return False
    return True


ATTACKS = (
    Attack(
        name="registers.threat_without_claim",
        place=Place.SYNTHETIC,
        tries=(
            "Read the threat model: what ships, and what the operator recorded.",
            "Each threat must name a claim of the catalogue, and lie within its review.",
            "Plant a threat without a claim, one whose claim does not exist, one past its review: all must be noticed.",
        ),
        run=threat_without_claim,
        breaks="threats-unread",
        needs=("heldtrue.capabilities.registers.threats", "heldtrue.capabilities.registers.rehearsal"),
    ),
)

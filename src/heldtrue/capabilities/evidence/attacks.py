"""The attack on the gate: seed a violation, leave evidence out, let it expire, sign with another key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from heldtrue.attack import Attack, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.attack.caller import Reply
from heldtrue.capabilities.evidence import envelope
from heldtrue.capabilities.evidence.model import Kind
from heldtrue.crypto.signing import SigningKey, multikey
from heldtrue.kernel.secret import Secret

SUBJECT, DIGEST = "probe@1", {"sha256": "0" * 64}
REQUIRED = ["sarif", "tests", "review"]
LEFT = timedelta(seconds=8)
"""For how long evidence still holds when it is pushed to expire."""
JSON = {"content-type": "application/json"}


def gate(arena: Arena) -> Finding:
    """Require evidence, push it, then take away what makes it sound, one thing at a time: the gate must close."""
    operator, faults = arena.operator(), list[str]()
    key, other = (SigningKey.generate(arena.entropy, arena.clock.now()) for _ in range(2))
    asked = _json({"name": "probe", "public_key": multikey(key.public)})
    made = arena.caller.call("POST", "/v1/evidence/keys", operator, *asked).expect(201).json()
    pushes = Secret(str(made["credential"]))
    policy = {"document": {"required": REQUIRED, "valid_days": {"sarif": 1}}}
    arena.caller.call("PUT", "/v1/registers/gate/policy", operator, *_json(policy)).expect(200)

    def push(kind: Kind, predicate: object, by: SigningKey = key) -> Reply:
        return arena.caller.call(
            "POST", "/v1/evidence", pushes, envelope.sealed(kind, predicate, SUBJECT, DIGEST, by), JSON
        )

    def whys() -> set[str]:
        found = arena.caller.call("GET", f"/v1/gate?subject={SUBJECT}", pushes).expect(200).json()
        return set() if found["open"] else {one["why"] for one in found["blocks"]}

    def must(why: str, what: str) -> None:
        if why not in whys():
            faults.append(f"The gate is open although {what}.")

    must("missing", "no evidence was pushed")
    if push(Kind.TESTS, _TESTS, other).status < 400:
        faults.append("Evidence was taken that another key signed.")
    now = arena.clock.now()
    for kind, predicate in ((Kind.TESTS, _TESTS), (Kind.REVIEW, _review(now, 2)), (Kind.SARIF, _sarif(now, []))):
        push(kind, predicate).expect(201)
    if blocked := whys():
        faults.append(f"The gate is shut although everything is sound: {', '.join(sorted(blocked))}.")
    push(Kind.SARIF, _sarif(now + timedelta(seconds=1), [_GRAVE])).expect(201)
    must("finding", "a critical finding was pushed")
    push(Kind.REVIEW, _review(now + timedelta(seconds=1), 1)).expect(201)
    must("failed", "one person alone reviewed the change")
    expiring = _sarif(arena.clock.now() - timedelta(days=1) + LEFT, [])
    subject = "probe@2"
    arena.caller.call(
        "POST", "/v1/evidence", pushes, envelope.sealed(Kind.SARIF, expiring, subject, DIGEST, key), JSON
    ).expect(201)
    if not _expires(arena, pushes, subject):
        faults.append("The gate is open although its evidence has expired.")
    return judged(
        faults,
        "The gate closed for a critical finding, a lone reviewer, evidence that was missing and evidence that expired.",
        violations=4, pushes=7,
    )  # fmt: skip


def _expires(arena: Arena, pushes: Secret[str], subject: str) -> bool:
    """Return whether the gate says within a while that the evidence about *subject* expired."""
    over = arena.clock.now() + LEFT + timedelta(seconds=2)

    def look() -> bool | None:
        found = arena.caller.call("GET", f"/v1/gate?subject={subject}", pushes).expect(200).json()
        if "expired" in {one["why"] for one in found["blocks"]}:
            return True
        return False if arena.clock.now() > over else None

    return arena.until("the end of the evidence", look, 40.0)


_TESTS = {"result": "PASSED", "configuration": [{"name": "probe"}], "passedTests": ["probe"]}
_GRAVE = {
    "ruleId": "seeded",
    "level": "error",
    "message": {"text": "Seeded"},
    "properties": {"security-severity": "9.8"},
}


def _review(at: datetime, people: int) -> dict[str, Any]:
    reviewers = [f"reviewer {number}" for number in range(people)]
    return {"result": "PASSED", "timestamp": _at(at), "author": "author", "reviewers": reviewers}


def _sarif(at: datetime, results: list[dict[str, Any]]) -> dict[str, Any]:
    invocation = {"executionSuccessful": True, "endTimeUtc": _at(at)}
    run = {"tool": {"driver": {"name": "probe"}}, "invocations": [invocation], "results": results}
    return {"version": "2.1.0", "runs": [run]}


def _at(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(value: object) -> tuple[bytes, dict[str, str]]:
    return msgspec.json.encode(value), JSON


ATTACKS = (
    Attack(
        name="evidence.gate",
        place=Place.SCRATCH,
        tries=(
            "Require a scan, tests and a review by two, and ask the gate without any: it must be shut.",
            "Push evidence that another key signed: it must be refused.",
            "Push sound evidence: the gate must open.",
            "Push a scan with a critical finding, then a review by one: the gate must shut for each.",
            "Push a scan that is about to expire, and wait: the gate must shut.",
        ),
        run=gate,
        breaks="gate-always-open",
        limit=timedelta(seconds=120),
    ),
)

"""The decision in process, with a million keys, beside digest and look-up alone; run `python -m bench.decision`.

Microseconds of single decisions about random keys: authenticated, scoped, judged for status, expiry and organisation.
Limits and the journal are measured by `bench.edge`.
"""

from __future__ import annotations

import gc
import os
import random
import resource
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from statistics import median
from uuid import UUID

from bench.report import row, write
from heldtrue.capabilities.edge.decision import Decider
from heldtrue.capabilities.edge.facts import KeyRow
from heldtrue.capabilities.edge.model import EdgeCall, EdgePolicy, RouteRule
from heldtrue.capabilities.edge.snapshot import Anchor, Snapshot, boottime
from heldtrue.kernel.clock import SystemClock

KEYS = int(os.environ.get("KEYS", "1000000"))
ORGANISATIONS = 10_000
SAMPLE = 50_000
ROUNDS = 7
ALONE = "SHA-256 and a dict of the same keys, alone"
RULES = (
    RouteRule(frozenset({"GET"}), "/v1/orders/*", scope="orders.read"),
    RouteRule(frozenset({"POST"}), "/v1/orders", scope="orders.write"),
    RouteRule(frozenset(), "/v1/status", public=True),
)


def main() -> None:
    """Measure, print and write."""
    before = _resident()
    snapshot = fill(KEYS)
    per_key = (_resident() - before) / KEYS
    plain = dict.fromkeys(snapshot.tables.keys, True)
    decider = Decider(snapshot, SystemClock(), EdgePolicy(rules=RULES))
    chosen = random.Random(7).sample(range(KEYS), SAMPLE)
    values = [f"Bearer {token(number)}".encode() for number in chosen]
    calls = [
        EdgeCall("GET", b"/v1/orders/%d?expand=items" % (number % 977), (value,), None, "192.0.2.1", "api", "req")
        for number, value in zip(chosen, values, strict=True)
    ]
    gc.freeze()
    snapshot.agree(boottime() + 3600)
    first = _each(decider.decide, calls)
    again = [_each(decider.decide, calls) for _ in range(ROUNDS)]
    alone = [_each(lambda value: plain.get(sha256(value[7:]).digest()), values) for _ in range(ROUNDS)]
    assert all(decider.decide(call).denial is None for call in calls[:100])
    rows = []
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        reference = median(_at(took, share) for took in alone)
        rows.append(row(f"decision, {name}", median(_at(took, share) for took in again), "µs", ALONE, reference))
        rows.append(row(f"decision, {name}, the key's first use", _at(first, share), "µs", ALONE, reference))
    rows.append(row("memory of a key", per_key, "bytes"))
    write("decision", rows)


def token(number: int) -> str:
    """Return the text of a key; its checksum is not looked at, because the digest is known."""
    return f"ht_sk_live_{number:049d}"


def fill(count: int) -> Snapshot:
    """Return a snapshot of *count* keys of ten thousand organisations."""
    snapshot = Snapshot()
    tables = snapshot.tables
    tables.anchor = Anchor(1, datetime.now(UTC))
    tenants = [UUID(int=number + 1).bytes for number in range(ORGANISATIONS)]
    for tenant in tenants:
        tables.put_organisation(tenant, active=True)
    grants = [("orders.read",), ("orders.read", "orders.write"), ("invoices.read", "orders.read")]
    for number in range(count):
        digest = sha256(token(number).encode()).digest()
        tables.put_key(
            KeyRow(
                tenants[number % ORGANISATIONS],
                UUID(int=2**100 + number).bytes,
                digest,
                "live",
                "sk",
                "sender",
                None,
                grants[number % 3],
                None,
                None,
                True,
                None,
            )
        )
        if number % 50_000 == 0:
            gc.freeze()
    return snapshot


def _each(act: Callable[[object], object], given: Sequence[object]) -> list[float]:
    """Return the microseconds of each call, the shortest first."""
    clock, took = time.perf_counter_ns, [0] * len(given)
    for place, one in enumerate(given):
        began = clock()
        act(one)
        took[place] = clock() - began
    return sorted(one / 1000 for one in took)


def _at(took: Sequence[float], share: float) -> float:
    return took[min(len(took) - 1, int(len(took) * share))]


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()

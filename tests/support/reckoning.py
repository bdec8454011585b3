"""What a campaign left, looked at from outside: the log, the receipts, the ledgers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from instance import Instance, until

from heldtrue_verify import tree
from heldtrue_verify.checkpoint import Roots
from heldtrue_verify.fetch import Server
from heldtrue_verify.receipt import RECEIPT_STEPS, ReceiptCase
from heldtrue_verify.tiles import TiledLog
from heldtrue_verify.verdicts import Verdict, walk


def consistent_with(instance: Instance, pin: str, published: list[str]) -> int:
    """Assert that the tree of now extends every checkpoint that was ever published; return its size."""
    roots, now = Roots.parse(pin), datetime.now(UTC)
    newest = roots.open(instance.call("GET", "/log/checkpoint").body.decode(), now=now)
    heads = {(one.size, one.root) for text in published for one in [roots.open(text, now=now)]}
    with Server(instance.url, instance.ca_file) as server:
        entries = list(TiledLog(server, newest.size).entries(None))
    assert len(entries) == newest.size
    growing, at = tree.Frontier(), dict(heads)
    assert len(at) == len(heads), "two checkpoints of one size"
    for size, entry in enumerate(entries, 1):
        growing.append(tree.leaf_hash(entry))
        if size in at:
            assert growing.root() == at[size], f"the checkpoint at {size} is not a prefix of the log"
    assert growing.root() == newest.root
    assert len(set(entries)) == len(entries), "an entry is in the log twice"
    return newest.size


def all_logged(instance: Instance, key: str, receipts: Iterable[dict[str, Any]], pin: str, threads: int = 3) -> int:
    """Assert of each receipt that it verifies with its proofs, and is the one that was delivered; return how many."""
    shares: list[list[dict[str, Any]]] = [[] for _ in range(threads)]
    for number, receipt in enumerate(receipts):
        shares[number % threads].append(receipt)
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(lambda share: _logged(instance, key, share, Roots.parse(pin)), shares))


def _logged(instance: Instance, key: str, receipts: list[dict[str, Any]], roots: Roots) -> int:
    with contextlib.closing(instance.connect()) as connection:

        def bundle(receipt: dict[str, Any]) -> bytes | None:
            path = f"/v1/receipts/{receipt['id']}/bundle"
            connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
            answer = connection.getresponse()
            said = answer.read()
            return said if answer.status == 200 else None

        for receipt in receipts:
            said = until(lambda receipt=receipt: bundle(receipt), 30, "the receipt is in the log")
            assert json.loads(said)["receipt"] == receipt
            report = walk("receipt", RECEIPT_STEPS, ReceiptCase(said, roots, datetime.now(UTC)))
            assert report.verdict is Verdict.HOLDS, report
    return len(receipts)


def audited(instance: Instance, key: str, event: str) -> set[str]:
    """Return the subjects of every ledger entry of *event*."""
    subjects: set[str] = set()
    cursor = ""
    while True:
        page = instance.done("GET", f"/v1/audit?event={event}&limit=100{cursor}", None, key)
        subjects |= {entry["document"]["subject"] for entry in page["data"]}
        if page["next_cursor"] is None:
            return subjects
        cursor = f"&cursor={page['next_cursor']}"


def promised(instance: Instance, key: str) -> dict[str, int]:
    """Return what the delivery ledger counts, all months together."""
    months = instance.done("GET", "/v1/deliveries/ledger", None, key)["data"]
    return {name: sum(month[name] for month in months) for name in ("promised", "delivered", "failed", "pending")}


def hurried(instance: Instance, key: str) -> int:
    """Ask for what waits to be sent at once, as an operator does when a receiver is well again; return what waits."""
    waiting = instance.done("GET", "/v1/deliveries?state=pending&limit=200", None, key)["data"]
    for one in waiting:
        instance.call("POST", f"/v1/deliveries/{one['id']}/replay", None, key)  # 409: it is on its way just now
    return len(waiting)

"""A made-up log in clear: promises, attacks, failures, documents, registers, over two months."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from heldtrue.claims.documents import stamp

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WORDS = "Every listener speaks TLS 1.3 and refuses everything older."


def schedule(claim: str, sentence: str, at: datetime, attacks: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """Return the entry of a promise."""
    return {
        "v": 1, "kind": "schedule", "claim": claim, "rows": ["A1"], "sentence": sentence, "scope": "Everything.",
        "place": [], "attacks": list(attacks), "cadence_s": 3600, "max_age_s": 7200, "at": stamp(at), **more,
    }  # fmt: skip


def runs(
    attack: str, first: int, at: datetime, outcome: str = "held", against: str = "control"
) -> list[dict[str, Any]]:
    """Return the two entries of a run."""
    run = {"v": 1, "attack": attack, "number": first, "against": against, "place": "observe"}
    return [
        {**run, "kind": "intent", "at": stamp(at - timedelta(seconds=2))},
        {
            **run, "kind": "evidence", "outcome": outcome, "method": {"name": attack, "source_sha256": "a" * 64},
            "subject": "log", "coverage": {"routes": 41}, "originator": "schedule", "executor": "heldtrue",
            "started_at": stamp(at - timedelta(seconds=2)), "finished_at": stamp(at),
            "result": "3 of 41 routes answered." if outcome == "broken" else "All 41 routes refused.",
        },
    ]  # fmt: skip


def register(item: str, version: int, document: dict[str, Any], at: datetime, withdrawn: str | None = None) -> Any:
    """Return the entry of a register's version."""
    return {
        "v": 1, "kind": "register", "register": "sub-processors", "item": item, "version": version,
        "document": document, "withdrawn": withdrawn, "at": stamp(at),
    }  # fmt: skip


def a_log(now: datetime) -> Iterator[dict[str, Any]]:
    """Yield entries in order: six hours of failure ten days ago, an overdue time, a rewording, a sub-processor."""
    begin = now - 60 * DAY
    yield schedule("transport.tls", WORDS, begin, ("transport.old_tls",))
    yield schedule("company.people", "People are screened and trained.", begin)
    yield schedule("network.odd", "A promise that was given up.", begin)
    yield register("mail", 1, {"name": "Example Mail", "location": ["DE"]}, begin)
    yield from runs("transport.old_tls", 1, begin + HOUR, "broken", "broken-control")
    number, at = 2, begin + 2 * HOUR
    moments = {
        now - 20 * DAY: schedule("transport.tls", f"{WORDS[:-1]} than 1.2.", now - 20 * DAY, ("transport.old_tls",)),
        now - 15 * DAY: schedule("network.odd", "A promise that was given up.", now - 15 * DAY, withdrawn=True),
        now - 12 * DAY: register("mail", 2, {"name": "Example Mail", "location": ["IE"]}, now - 12 * DAY),
        now - 9 * DAY: register("maps", 1, {"name": "Example Maps", "location": ["US"]}, now - 9 * DAY),
        now - 3 * DAY: schedule("keys.tenant", "Each organisation has keys of its own.", now - 3 * DAY),
    }
    while at < now:
        for moment in [one for one in moments if one <= at]:
            yield moments.pop(moment)
        failing = now - 10 * DAY <= at < now - 10 * DAY + 6 * HOUR
        silent = now - 5 * DAY <= at < now - 5 * DAY + 9 * HOUR
        if not silent:
            yield from runs("transport.old_tls", number, at, "broken" if failing else "held")
            number += 1
        at += HOUR

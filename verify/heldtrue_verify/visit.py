"""One visit of a trust page: what is fetched, and what the steps find in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from heldtrue_verify.canonical import JsonObject
from heldtrue_verify.checkpoint import Checkpoint, Roots, show_time
from heldtrue_verify.comparison import claims_of
from heldtrue_verify.fetch import Server
from heldtrue_verify.paging import whole_page
from heldtrue_verify.replay import Replay, Standing
from heldtrue_verify.state import Memory
from heldtrue_verify.verdicts import ClaimLine, NothingPinnedError
from heldtrue_verify.witnessed import Seen, witness_path

LARGEST_CHECKPOINT = 2**18
TRIES = 15
"""Seconds that the witnesses get to see what the page rests on."""


@dataclass
class PageCase:
    """One visit of a page, and what the steps find."""

    server: Server
    roots: Roots | None
    memory: Memory | None
    now: datetime
    since: datetime | None = None
    """Every proven claim must have held without a gap since then."""
    wait: Callable[[float], None] = time.sleep
    page: JsonObject = field(default_factory=dict)
    html: str = ""
    signed: str = ""
    cosigned: list[str] = field(default_factory=list[str])
    """The newest checkpoint that each pinned witness cosigned, as the server shows it."""
    shown: Checkpoint = field(init=False)
    """What the log shows."""
    made_at: Checkpoint = field(init=False)
    """What the page says that it rests on."""
    seen: Seen | None = None
    """What the pinned witnesses have seen."""
    checkpoint: Checkpoint = field(init=False)
    """The largest of all; each other one must be its beginning."""
    entries: dict[int, bytes] = field(default_factory=dict[int, bytes])
    """Those in clear, by their index."""
    replay: Replay = field(init=False)
    standings: dict[tuple[int, datetime], dict[str, Standing]] = field(
        default_factory=dict[tuple[int, datetime], dict[str, Standing]]
    )
    """Where the claims stood at the size and time of each checkpoint above."""

    def known(self) -> list[Checkpoint]:
        """Give the checkpoints that this visit rests on."""
        return [self.shown, self.made_at, *([self.seen.common] if self.seen else [])]

    def stood(self, checkpoint: Checkpoint) -> dict[str, Standing]:
        """Give where the claims stood under one of these checkpoints."""
        return self.standings[checkpoint.size, checkpoint.latest]

    def lines(self) -> tuple[ClaimLine, ...]:
        """Give where each claim stands at the end of the log, once that is known."""
        return tuple(
            ClaimLine(
                name,
                standing.state.name.lower(),
                show_time(standing.since) if standing.since else "",
                standing.why,
                self.replay.schedules[name].sentence,
            )
            for name, standing in (self.stood(self.checkpoint) if self.standings else {}).items()
        )


def fetch(case: PageCase) -> str:
    """Fetch the page before the log, so that the log is never older than the page."""
    roots = roots_of(case)
    for _ in range(5):  # until the JSON is the same before and after the HTML
        case.page, case.html = whole_page(case.server)
        if claims_of(case.page) == claims_of(whole_page(case.server)[0]):
            break
    if roots.witnesses:
        _fetch_cosigned(case, roots)
    case.signed = case.server.get("/log/checkpoint", LARGEST_CHECKPOINT).decode("utf-8", "replace")
    origin, size, _ = roots.head(case.signed)
    return f"The log {origin} has {size} entries."


def _fetch_cosigned(case: PageCase, roots: Roots) -> None:
    """Fetch what each witness cosigned; they may be some seconds behind what the page rests on."""
    own = own_note(case)
    wanted = roots.head(own)[1] if own else 0
    for tried in range(TRIES):
        if tried:
            case.wait(1.0)
        found = [case.server.find(witness_path(each), LARGEST_CHECKPOINT) for each in roots.witnesses]
        case.cosigned = [note.decode("utf-8", "replace") for note in found if note is not None]
        sizes = [roots.head(note)[1] for note in case.cosigned]
        if len(sizes) < roots.needed or sum(size >= wanted for size in sizes) >= roots.needed:
            return


def own_note(case: PageCase) -> str | None:
    """Give the signed checkpoint that the page says it rests on, if it names one."""
    own = case.page.get("checkpoint")
    note = own.get("note") if isinstance(own, dict) else own
    return note if isinstance(note, str) else None


def roots_of(case: PageCase) -> Roots:
    """Give what the reader pinned; without it nothing is checked."""
    if case.roots is None:
        raise NothingPinnedError
    return case.roots

"""A whole trust page: the log under the pinned key, what it says of each claim, and whether the page says the same."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from heldtrue_verify.canonical import instant_in
from heldtrue_verify.checkpoint import Roots, show_time
from heldtrue_verify.comparison import compare, compare_evidence
from heldtrue_verify.markup import compare_html
from heldtrue_verify.replay import TENANT_ENTRY, Replay, Standing, State
from heldtrue_verify.tiles import TiledLog
from heldtrue_verify.tree import EMPTY_ROOT, Frontier, consistency_proof, extends, leaf_hash
from heldtrue_verify.verdicts import (
    DoesNotHoldError,
    MalformedError,
    Step,
    UnusableError,
)
from heldtrue_verify.visit import PageCase, fetch, own_note, roots_of
from heldtrue_verify.witnessed import require_same_time, seen_by

FRESH = timedelta(minutes=10)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
MOST_SENTENCES = 40


def _time(case: PageCase) -> list[str]:
    roots, own = roots_of(case), own_note(case)
    notes = [case.signed, *([own] if own else []), *case.cosigned]
    if roots.witnesses:
        case.seen = seen_by(roots, notes, case.now)
    operator = Roots(roots.log)
    case.shown = case.made_at = operator.open(case.signed, now=case.now)
    if own:
        case.made_at = operator.open(own, now=case.now)
    case.checkpoint = max(case.known(), key=lambda checkpoint: checkpoint.size)
    if case.seen is None:
        return [
            f"It is dated {show_time(case.shown.earliest)}, by {case.shown.clock}.",
            "No witness was pinned: nobody else vouches for this time, nor that others see the same log.",
        ]
    for what, checkpoint in (("log", case.shown), ("page", case.made_at)):
        require_same_time(case.seen, checkpoint, what)
    common = case.seen.common
    found = [f"{common.size} entries were seen by {show_time(common.earliest)}, by {common.clock}."]
    if case.checkpoint.size > common.size:
        rest = case.checkpoint.size - common.size
        found.append(
            f"The newest {rest} of {case.checkpoint.size} are not witnessed yet, and count for nothing better."
        )
    return found


def _consistency(case: PageCase) -> str:
    new, memory = case.checkpoint, case.memory
    note = memory.checkpoint() if memory else None
    if memory is None:
        return "Nothing is remembered on this machine."
    if note is None:
        memory.remember(new.note)
        return "This log is seen for the first time here; what it shows now is remembered."
    try:
        _, size, root = Roots(roots_of(case).log).head(note)
    except (DoesNotHoldError, MalformedError) as error:
        raise UnusableError(f"What was remembered in {memory.folder} is damaged: {error}") from error
    rewritten, tiles = "", TiledLog(case.server, new.size)
    if new.size < size:
        rewritten = f"it had {size} entries when last seen here, and shows {new.size} now."
    elif not extends(size, root, new.size, new.root, consistency_proof(size, new.size, tiles.range_hash)):
        rewritten = f"the {size} entries last seen here are not the beginning of the {new.size} that it shows now."
    if rewritten:
        folder = memory.keep_contradiction(note, new.note)
        raise DoesNotHoldError(f"The log was rewritten: {rewritten}", f"Both signed checkpoints are kept in {folder}.")
    memory.remember(new.note)
    return f"The {size} entries last seen here are the beginning of the {new.size} now."


def _entries(case: PageCase) -> str:
    new, witnessed = case.checkpoint, case.seen.each if case.seen else ()
    sizes = {case.shown.size, case.made_at.size, *(one.size for _, one in witnessed)}
    for memory in (case.memory, None):  # where the cache was damaged, everything is read again from the server
        frontier, case.entries, roots = Frontier(), {}, {0: EMPTY_ROOT}
        for index, entry in enumerate(TiledLog(case.server, new.size).entries(memory)):
            frontier.append(leaf_hash(entry))
            if frontier.size in sizes:
                roots[frontier.size] = frontier.root()
            if not TENANT_ENTRY.fullmatch(entry):
                case.entries[index] = entry
        if frontier.root() == new.root:
            break
    faces = [
        f"The log has two faces: {witness.name} cosigned another tree of {one.size} entries than is shown here."
        for witness, one in witnessed
        if roots.get(one.size) != one.root
    ]
    if faces:
        raise DoesNotHoldError(*faces)
    if frontier.root() != new.root:
        raise DoesNotHoldError("The entries that the server shows are not those that it signed: the root is another.")
    if any(roots.get(signed.size) != signed.root for signed in (case.shown, case.made_at)):
        raise DoesNotHoldError("The log has two faces: the page rests on another tree than the log shows.")
    return f"{new.size} entries lead to the signed root; {len(case.entries)} of them are in clear."


def _replay(case: PageCase) -> list[str]:
    case.replay = replay = Replay(case.checkpoint.origin)
    stops = sorted(case.known(), key=lambda checkpoint: checkpoint.size)
    floors = sorted(case.memory.anchors() if case.memory else [], reverse=True)
    wrong: list[str] = []
    for size in [*case.entries, case.checkpoint.size]:
        while stops and stops[0].size <= size:
            stop = stops.pop(0)
            case.standings[stop.size, stop.latest] = replay.standings(stop.latest)
            wrong += replay.postdated(stop.latest, stop.clock)
        while floors and floors[-1][0] <= size:
            replay.advance(instant_in({"at": floors.pop()[1]}, "at"))
        if size in case.entries:
            replay.take(size, case.entries[size])
    if case.memory:
        case.memory.remember_compromised(replay.compromised)
        for seen in (case.shown, *([case.seen.common] if case.seen else [])):
            case.memory.add_anchor(seen.size, f"{seen.earliest:%Y-%m-%dT%H:%M:%SZ}")
    problems = list(dict.fromkeys([*replay.problems, *replay.incomplete(case.checkpoint.latest), *wrong]))
    if problems:
        more = len(problems) - MOST_SENTENCES
        raise DoesNotHoldError(*problems[:MOST_SENTENCES], *([f"And {more} more."] if more > 0 else []))
    count = sum(len(runs) for runs in replay.runs.values())
    return [f"{count} runs of {len(replay.runs)} attacks, each announced, numbered, signed.", *replay.notes]


def _stand(case: PageCase) -> list[str]:
    standings = case.stood(case.checkpoint)
    counts = Counter(standing.state.name.lower() for standing in standings.values())
    total = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "no claims"
    found = [f"By the log alone: {total}."]
    found += [f"{c}: {s.state.name.lower()}, {s.why}." for c, s in standings.items() if s.state < State.PROMISED]
    short = [
        f"{name} has held without a gap since {show_time(s.since) if s.since else 'never'} only."
        for name, s in standings.items()
        if case.since and s.state is State.PROVEN and (s.since is None or s.since > case.since)
    ]
    if short:
        raise DoesNotHoldError(*found, *short)
    return found


def _compare(case: PageCase) -> str:
    made, witnessed = case.stood(case.made_at), list[dict[str, Standing]]()
    if case.seen:
        within = case.made_at.size <= case.seen.common.size
        witnessed = [case.stood(case.seen.common), *([made] if within else [])]
    return compare(case.page, case.replay, made, case.stood(case.checkpoint), witnessed)


def _evidence(case: PageCase) -> str:
    return compare_evidence(case.server, case.entries, case.replay, case.stood(case.made_at))


def _fresh(case: PageCase) -> str:
    known = [("page", case.made_at), ("log", case.shown), *([("witnessed log", case.seen.common)] if case.seen else [])]
    for what, checkpoint in known:
        age = case.now - checkpoint.earliest
        if age > FRESH:
            raise DoesNotHoldError(
                f"The {what}'s checkpoint is stale: {age // MINUTE} minutes old, by {checkpoint.clock}."
            )
    return f"The page rests on a checkpoint {max(0, (case.now - case.made_at.earliest) // SECOND)} seconds old."


def _same(case: PageCase) -> str:
    return compare_html(case.html, case.page)


PAGE_STEPS: tuple[Step[PageCase], ...] = (
    Step("The log's checkpoint is signed by the key you pinned", "C2SP signed-note, tlog-checkpoint", fetch),
    Step("The checkpoint is dated, and seen by the witnesses you pinned", "C2SP tlog-cosignature", _time),
    Step("The log only grew since it was last seen here", "RFC 6962 section 2.1.2, C2SP tlog-tiles", _consistency),
    Step("The entries are those that the checkpoints sign", "RFC 6962 section 2.1, C2SP tlog-tiles", _entries),
    Step(
        "Every run of every attack is announced, numbered, completed, signed, and dated when it entered the log",
        "W3C eddsa-jcs-2022",
        _replay,
        goes_on=True,
    ),
    Step("The state of each claim follows from the log", "the logged schedules and results", _stand, goes_on=True),
    Step("The page says nothing better than the log", "/trust.json", _compare, goes_on=True),
    Step("The evidence of failures is published as it was logged", "/trust/evidence", _evidence, goes_on=True),
    Step("The page and the log are fresh", "C2SP tlog-cosignature", _fresh, goes_on=True),
    Step("The page shows people what it tells machines", "/trust", _same, goes_on=True),
)

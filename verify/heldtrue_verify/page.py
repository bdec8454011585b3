"""A whole trust page: the log under the pinned key, what it says of each claim, and whether the page says the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html.parser import HTMLParser

from heldtrue_verify.canonical import JsonObject, instant_in, parse_object, text_in, texts_in
from heldtrue_verify.checkpoint import Checkpoint, Roots, show_time
from heldtrue_verify.fetch import Server
from heldtrue_verify.replay import TENANT_ENTRY, Replay, Standing, State
from heldtrue_verify.state import Memory
from heldtrue_verify.tiles import TiledLog
from heldtrue_verify.tree import EMPTY_ROOT, Frontier, consistency_proof, extends, leaf_hash
from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError, NothingPinnedError, Step, UnusableError

FRESH = timedelta(minutes=10)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
LARGEST_CHECKPOINT = 2**18


@dataclass
class PageCase:
    """One visit of a page, and what the steps find."""

    server: Server
    roots: Roots | None
    memory: Memory | None
    now: datetime
    page: JsonObject = field(default_factory=dict)
    html: str = ""
    signed: str = ""
    shown: Checkpoint = field(init=False)
    """What the log shows."""
    made_at: Checkpoint = field(init=False)
    """What the page says that it rests on."""
    checkpoint: Checkpoint = field(init=False)
    """The larger of both; the other one must be its beginning."""
    entries: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])
    replay: Replay = field(init=False)
    standings: list[dict[str, Standing]] = field(default_factory=list[dict[str, Standing]])
    """Where the claims stood when the page was made, and where they stand at the log's checkpoint."""


def _fetch(case: PageCase) -> str:
    """Fetch the page before the log, so that the log is never older than the page."""
    if case.roots is None:
        raise NothingPinnedError
    for _ in range(5):  # until the JSON is the same before and after the HTML
        case.page = parse_object(case.server.get("/trust.json"))
        case.html = case.server.get("/trust").decode("utf-8", "replace")
        if _claims(case.page) == _claims(parse_object(case.server.get("/trust.json"))):
            break
    case.signed = case.server.get("/log/checkpoint", LARGEST_CHECKPOINT).decode("utf-8", "replace")
    origin, size, _ = case.roots.head(case.signed)
    return f"The log {origin} has {size} entries."


def _time(case: PageCase) -> list[str]:
    roots = _roots(case)
    case.shown = case.made_at = roots.open(case.signed, now=case.now)
    found = [f"It is dated {show_time(case.shown.earliest)}, by {case.shown.clock}."]
    if not roots.witnesses:
        found.append("No witness was pinned: nobody else vouches for this time, nor that others see the same log.")
    own = case.page.get("checkpoint")
    own = own.get("note") if isinstance(own, dict) else own
    if isinstance(own, str):
        case.made_at = roots.open(own, now=case.now)
    case.checkpoint = max(case.shown, case.made_at, key=lambda checkpoint: checkpoint.size)
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
        _, size, root = Roots(_roots(case).log).head(note)
    except (DoesNotHoldError, MalformedError) as error:
        raise UnusableError(f"What was remembered in {memory.folder} is damaged: {error}") from error
    rewritten = ""
    if new.size < size:
        rewritten = f"it had {size} entries when last seen here, and shows {new.size} now."
    elif not extends(
        size, root, new.size, new.root, consistency_proof(size, new.size, TiledLog(case.server, new.size).range_hash)
    ):
        rewritten = f"the {size} entries last seen here are not the beginning of the {new.size} that it shows now."
    if rewritten:
        folder = memory.keep_contradiction(note, new.note)
        raise DoesNotHoldError(f"The log was rewritten: {rewritten}", f"Both signed checkpoints are kept in {folder}.")
    memory.remember(new.note)
    return f"The {size} entries last seen here are the beginning of the {new.size} now."


def _entries(case: PageCase) -> str:
    new = case.checkpoint
    for memory in (case.memory, None):  # where the cache was damaged, everything is read again from the server
        frontier, case.entries, roots = Frontier(), [], {0: EMPTY_ROOT}
        for index, entry in enumerate(TiledLog(case.server, new.size).entries(memory)):
            frontier.append(leaf_hash(entry))
            if frontier.size in (case.shown.size, case.made_at.size):
                roots[frontier.size] = frontier.root()
            if not TENANT_ENTRY.fullmatch(entry):
                case.entries.append((index, entry))
        if frontier.root() == new.root:
            break
    else:
        raise DoesNotHoldError("The entries that the server shows are not those that it signed: the root is another.")
    if any(roots.get(signed.size) != signed.root for signed in (case.shown, case.made_at)):
        raise DoesNotHoldError("The log has two faces: the page rests on another tree than the log shows.")
    return f"{new.size} entries hash to the signed root, {len(case.entries)} of them are in clear."


def _replay(case: PageCase) -> list[str]:
    case.replay = replay = Replay(case.checkpoint.origin)
    for index, entry in case.entries:
        if index >= case.made_at.size and not case.standings:
            case.standings = [replay.standings(case.made_at.latest)]
        replay.take(index, entry)
    case.standings = case.standings or [replay.standings(case.made_at.latest)]
    case.standings.append(replay.standings(case.checkpoint.latest))
    if case.memory:
        case.memory.remember_compromised(replay.compromised)
    problems = replay.problems + replay.check_times(case.checkpoint.latest)
    if problems:
        raise DoesNotHoldError(*problems)
    count = sum(len(runs) for runs in replay.runs.values())
    return [f"{count} runs of {len(replay.runs)} attacks, each announced, numbered, signed.", *replay.notes]


def _stand(case: PageCase) -> list[str]:
    counts = Counter(standing.state.name.lower() for standing in case.standings[-1].values())
    total = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "no claims"
    worse = [
        f"{c}: {s.state.name.lower()}, {s.why}." for c, s in case.standings[-1].items() if s.state < State.PROMISED
    ]
    return [f"By the log alone: {total}.", *worse]


def _compare(case: PageCase) -> str:
    wrong: list[str] = []
    claims = _claims(case.page)
    for name, claim in claims.items():
        wrong += _compare_claim(case, name, claim)
    for name, standing in case.standings[-1].items():
        if name not in claims:
            wrong.append(f"The page leaves out {name}, which by the log is {standing.state.name.lower()}.")
    if wrong:
        raise DoesNotHoldError(*wrong)
    papers = sum(claim.get("state") == "attested" for claim in claims.values())
    said = f"The page says of {len(claims)} claims nothing better than the log."
    return f"{said} {papers} are attested by documents, which no machine can check." if papers else said


def _compare_claim(case: PageCase, name: str, claim: JsonObject) -> list[str]:
    unknown = Standing(State.PROMISED, "the log has no schedule for it")
    logged = [standings.get(name, unknown) for standings in case.standings]
    best = max(logged, key=lambda standing: standing.state)
    word = text_in(claim, "state")
    if word.upper() not in State.__members__:
        return [f'The page calls {name} "{word}", which is no state.']
    said = State[word.upper()]
    wrong: list[str] = []
    if said > best.state and (said, best.state) != (State.ATTESTED, State.PROMISED):
        wrong.append(f"The page calls {name} {word}, and by the log it is {best.state.name.lower()}: {best.why}.")
    schedule = case.replay.schedules.get(name)
    if schedule and (text_in(claim, "sentence"), tuple(texts_in(claim, "rows"))) != (schedule.sentence, schedule.rows):
        wrong.append(f'The page words {name} otherwise than the log, which has: "{schedule.sentence}"')
    if claim.get("last_attacked") is not None:
        latest = max((s.last_attacked for s in logged if s.last_attacked), default=None)
        if latest is None or instant_in(claim, "last_attacked") > latest:
            wrong.append(f"The page says that {name} was attacked later than the log knows of.")
    evidence = claim.get("evidence")
    for pointer in evidence if isinstance(evidence, list) else [evidence]:
        if isinstance(pointer, dict):
            attack, number, index = text_in(pointer, "attack"), pointer.get("number"), pointer.get("index")
            if not any((run.number, run.index) == (number, index) for run in case.replay.runs.get(attack, [])):
                wrong.append(
                    f"The page names entry {index} as run {number} of the attack {attack}; in the log it is not."
                )
    return wrong


def _fresh(case: PageCase) -> str:
    for what, checkpoint in (("page", case.made_at), ("log", case.shown)):
        age = case.now - checkpoint.earliest
        if age > FRESH:
            raise DoesNotHoldError(
                f"The {what}'s checkpoint is stale: {age // MINUTE} minutes old, by {checkpoint.clock}."
            )
    return f"The page rests on a checkpoint {max(0, (case.now - case.made_at.earliest) // SECOND)} seconds old."


class _Marks(HTMLParser):
    """Collects the text of a page, and what elements with `data-claim` say in `data-state`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        marks = dict(attrs)
        if marks.get("data-claim") is not None and "data-state" in marks:
            self.found.append((str(marks["data-claim"]), str(marks["data-state"])))


def _same(case: PageCase) -> str:
    marks = _Marks()
    marks.feed(case.html)
    said = {name: text_in(claim, "state") for name, claim in _claims(case.page).items()}
    wrong = [f"The HTML shows {n} as {s}, the JSON as {said.get(n)}." for n, s in marks.found if said.get(n) != s]
    wrong += [f"The HTML does not show {name}." for name in said.keys() - dict(marks.found).keys()]
    text = " ".join(marks.text.split())
    for name, claim in _claims(case.page).items():
        if " ".join(text_in(claim, "sentence").split()) not in text:
            wrong.append(f"The HTML does not say the sentence of {name}.")
    if wrong:
        raise DoesNotHoldError(*sorted(wrong))
    return f"{len(said)} claims, the same in both."


def _roots(case: PageCase) -> Roots:
    if case.roots is None:
        raise NothingPinnedError
    return case.roots


def _claims(page: JsonObject) -> dict[str, JsonObject]:
    """Give the page's claims by their id, each of which must be there once."""
    listed = page.get("claims")
    claims = [claim for claim in listed if isinstance(claim, dict)] if isinstance(listed, list) else []
    named = {text_in(claim, "id"): claim for claim in claims}
    if not named or len(named) != len(claims):
        raise MalformedError("The page's JSON lists no claims, or one claim twice.")
    return named


PAGE_STEPS: tuple[Step[PageCase], ...] = (
    Step("The log's checkpoint is signed by the key you pinned", "C2SP signed-note, tlog-checkpoint", _fetch),
    Step("The checkpoint is dated, and seen by every witness you pinned", "C2SP tlog-cosignature", _time),
    Step("The log only grew since it was last seen here", "RFC 6962 section 2.1.2, C2SP tlog-tiles", _consistency),
    Step("The entries are those that the checkpoint signs", "RFC 6962 section 2.1, C2SP tlog-tiles", _entries),
    Step(
        "Every run of every attack is announced, numbered, completed, signed",
        "W3C eddsa-jcs-2022",
        _replay,
        goes_on=True,
    ),
    Step("The state of each claim follows from the log", "the logged schedules and results", _stand),
    Step("The page says nothing better than the log", "/trust.json", _compare, goes_on=True),
    Step("The page and the log are fresh", "C2SP tlog-cosignature", _fresh, goes_on=True),
    Step("The page shows people what it tells machines", "/trust", _same, goes_on=True),
)

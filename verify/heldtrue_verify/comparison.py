"""The page's JSON and its evidence against the log: nothing better, nothing left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from heldtrue_verify.canonical import (
    JsonObject,
    canonicalize,
    instant_in,
    object_in,
    parse_object,
    text_in,
    texts_in,
)
from heldtrue_verify.checkpoint import show_length, show_time
from heldtrue_verify.fetch import Server
from heldtrue_verify.history import changes_of
from heldtrue_verify.lapses import TICK, days, failures, in_a_row, objects, since, told
from heldtrue_verify.papers import Paper
from heldtrue_verify.replay import Replay, Standing, State
from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError

Standings = Mapping[str, Standing]
FETCHED = 20
"""The evidence of so many of the newest failures is fetched."""


def claims_of(page: JsonObject) -> dict[str, JsonObject]:
    """Give the page's claims by their id, each of which must be there once."""
    claims = objects(page.get("claims"))
    named = {text_in(claim, "id"): claim for claim in claims}
    if not named or len(named) != len(claims):
        raise MalformedError("The page's JSON lists no claims, or one claim twice.")
    return named


def compare(
    page: JsonObject, replay: Replay, made: Standings, present: Standings, witnessed: Sequence[Standings]
) -> str:
    """Refuse a page that says anything better than the log when it was made, or than the witnesses have seen."""
    claims, wrong = claims_of(page), list[str]()
    for name, claim in claims.items():
        wrong += _state(name, claim, [made, present], "by the log")
        if witnessed:
            wrong += _state(name, claim, witnessed, "in what the witnesses have seen")
        wrong += _terms(name, claim, replay)
        wrong += _times(name, claim, made.get(name), present.get(name))
        wrong += since(name, claim, [s[name] for s in (made, present) if name in s], changes_of(replay.terms[name]))
        wrong += _pointers(claim, replay)
        wrong += _runs(claim, replay) + in_a_row(name, claim, [s[name] for s in (made, present) if name in s])
        if name in made:
            changes = changes_of(replay.terms[name])
            wrong += failures(name, claim, made[name], changes) + days(name, claim, made[name], changes, page)
    wrong += [
        f"The page leaves out {name}, which by the log is {standing.state.name.lower()}."
        for name, standing in present.items()
        if name not in claims
    ]
    wrong += _tally(page, claims)
    if wrong:
        raise DoesNotHoldError(*dict.fromkeys(wrong))
    papers = sum(claim.get("state") == "attested" for claim in claims.values())
    said = f"The page says of {len(claims)} claims nothing better than the log."
    return f"{said} {papers} are attested by documents, which no machine can check." if papers else said


def _state(name: str, claim: JsonObject, logged: Sequence[Standings], where: str) -> list[str]:
    unknown = Standing(State.PROMISED, "the log has no schedule for it")
    best = max((standings.get(name, unknown) for standings in logged), key=lambda standing: standing.state)
    word = text_in(claim, "state")
    if word.upper() not in State.__members__:
        return [f'The page calls {name} "{word}", which is no state.']
    said = State[word.upper()]
    if said is State.ATTESTED and best.paper is not None and best.state is State.ATTESTED:
        return _document(name, claim, best.paper)
    if said <= best.state:
        return []
    return [f"The page calls {name} {word}, and {where} it is {best.state.name.lower()}: {best.why}."]


def _document(name: str, claim: JsonObject, paper: Paper) -> list[str]:
    """Compare the document that the page names with the log's."""
    shown = claim.get("document")
    logged = {
        "title": paper.title, "sha256": paper.sha256, "dated": str(paper.dated), "expires": str(paper.expires),
    }  # fmt: skip
    if isinstance(shown, dict) and any(shown.get(member) != value for member, value in logged.items()):
        return [f"The page shows another document of {name} than the log has, in entry {paper.index}."]
    return []


def _terms(name: str, claim: JsonObject, replay: Replay) -> list[str]:
    """Compare what is promised: the sentence, its attacks, how often, for how long; and when that became less."""
    schedule = replay.schedules.get(name)
    if schedule is None:
        return []
    wrong: list[str] = []
    if (text_in(claim, "sentence"), tuple(texts_in(claim, "rows"))) != (schedule.sentence, schedule.rows):
        wrong.append(f'The page words {name} otherwise than the log, which has: "{schedule.sentence}"')
    for member, logged in (("cadence_s", schedule.cadence), ("max_age_s", schedule.max_age)):
        said = claim.get(member)
        if schedule.attacks and isinstance(said, int) and timedelta(seconds=said) != logged:
            what = "attacked every" if member == "cadence_s" else "a result counts for"
            wrong.append(
                f"The page says of {name}: {what} {show_length(timedelta(seconds=said))}; "
                f"the log has {show_length(logged)}."
            )
    attacks = [attack.get("name") for attack in objects(claim.get("attacks"))]
    if attacks and set(attacks) != set(schedule.attacks):
        wrong.append(f"The page lists other attacks of {name} than the log schedules.")
    admitted = [loosening.get("entry") for loosening in objects(claim.get("loosened"))]
    wrong += [
        f"Entry {each.index} of {show_time(each.at)} loosened {name} ({each.how}), and the page does not say so."
        for each in replay.loosened
        if each.claim == name and each.index not in admitted
    ]
    return wrong


def _times(name: str, claim: JsonObject, made: Standing | None, present: Standing | None) -> list[str]:
    wrong: list[str] = []
    logged = [standing for standing in (made, present) if standing]
    if claim.get("last_attacked") is not None:
        latest = max((s.last_attacked for s in logged if s.last_attacked), default=None)
        if latest is None or instant_in(claim, "last_attacked") > latest:
            wrong.append(f"The page says that {name} was attacked later than the log knows of.")
    if claim.get("continuous_since") is not None:
        said = instant_in(claim, "continuous_since")
        held = min((s.since for s in logged if s.since and s.state is State.PROVEN), default=None)
        if held is None or said < held - TICK:
            gap = next((e for s in logged for e in s.episodes if e.ended_at is None or e.ended_at > said), None)
            why = f": {told(gap)}" if gap else ""
            wrong.append(f"The page says that {name} held without a gap since {show_time(said)}; it did not{why}.")
    return wrong


def _pointers(claim: JsonObject, replay: Replay) -> list[str]:
    """Name evidence that the page points at and that is not in the log."""
    wrong: list[str] = []
    evidence = claim.get("evidence")
    for pointer in evidence if isinstance(evidence, list) else [evidence]:
        if isinstance(pointer, dict):
            attack, number, index = text_in(pointer, "attack"), pointer.get("number"), pointer.get("index")
            if not any((run.number, run.index) == (number, index) for run in replay.runs.get(attack, [])):
                wrong.append(
                    f"The page names entry {index} as run {number} of the attack {attack}; in the log it is not."
                )
    return wrong


def _runs(claim: JsonObject, replay: Replay) -> list[str]:
    """Name what the page shows of single runs, or counts of them, and the log has otherwise."""
    wrong: list[str] = []
    for attack in objects(claim.get("attacks")):
        name = text_in(attack, "name")
        known = replay.runs.get(name, [])
        for view in objects([attack.get("latest"), attack.get("seen_to_fail")]):
            told = tuple(view.get(member) for member in ("number", "entry", "against", "outcome", "source_sha256"))
            if not any((run.number, run.index, run.against, run.outcome, run.source) == told for run in known):
                wrong.append(f"The page shows run {told[0]} of the attack {name} otherwise than the log.")
        held = sum(run.against == "control" and run.outcome == "held" for run in known)
        said = attack.get("held")
        if isinstance(said, int) and said > held:
            wrong.append(f"The page counts {said} runs of the attack {name} that held; the log has {held}.")
    return wrong


def _tally(page: JsonObject, claims: Mapping[str, JsonObject]) -> list[str]:
    tally = page.get("tally")
    if not isinstance(tally, dict):
        return []
    counted = {state: sum(claim.get("state") == state for claim in claims.values()) for state in tally}
    return [
        f"The page counts {tally[state]} claims as {state}, and lists {count}."
        for state, count in counted.items()
        if tally[state] != count
    ]


def compare_evidence(server: Server, entries: Mapping[int, bytes], replay: Replay, made: Standings) -> str:
    """Refuse where the evidence of a failure is not published, or not as it is in the log."""
    numbers = {(e.attack, e.number) for s in made.values() for e in s.episodes if e.number is not None}
    runs = [(a, run) for a, found in replay.runs.items() for run in found if (a, run.number) in numbers]
    logged = sorted(((run.index, attack, run.number) for attack, run in runs if run.index is not None), reverse=True)
    wrong: list[str] = []
    for index, attack, number in logged[:FETCHED]:
        data = server.find(f"/trust/evidence/{attack}/{number}.json")
        called = f"the evidence of run {number} of the attack {attack}, entry {index} of the log, which failed"
        if data is None:
            wrong.append(f"The server does not publish {called}.")
        elif canonicalize(object_in(parse_object(data), "document")) != entries[index]:
            wrong.append(f"The server does not publish {called}, as it was logged.")
    if wrong:
        raise DoesNotHoldError(*wrong)
    return f"{min(len(logged), FETCHED)} of {len(logged)} failures in the log were fetched, and are what was logged."

"""What the page says of a claim's past against the log: since when, every failure in full, and each day as it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from heldtrue_verify.canonical import JsonObject, JsonValue, instant_in, text_in
from heldtrue_verify.checkpoint import show_time
from heldtrue_verify.history import Episode
from heldtrue_verify.standing import Standing

TICK = timedelta(seconds=1)
LISTED = 100
"""So many of a claim's newest failures a page lists at least; older ones it counts."""


def since(name: str, claim: JsonObject, logged: Sequence[Standing], changes: Sequence[datetime]) -> list[str]:
    """Name a state that the page has good things last longer in, or bad ones shorter, than the log."""
    word = text_in(claim, "state")
    if claim.get("since") is None:
        return []
    said = instant_in(claim, "since")
    if word in ("failing", "stale"):
        began = [e.started_at for s in logged for e in s.episodes if e.ended_at is None and e.kind == word]
        late = bool(began) and said > min(began) + TICK and said not in changes
        return [f"The page says {name} is {word} since {show_time(said)}; it is longer."] if late else []
    began = [s.since for s in logged if s.since and s.state.name.lower() == word]
    early = bool(began) and said < min(began) - TICK
    return [f"The page says {name} is {word} since {show_time(said)}; it is not as long."] if early else []


def in_a_row(name: str, claim: JsonObject, logged: Sequence[Standing]) -> list[str]:
    """Name a count of runs that held one after the other which is higher than the log's."""
    times, most = claim.get("held_in_a_row"), max((standing.held for standing in logged), default=0)
    if not isinstance(times, int) or times <= most:
        return []
    return [f"The page says that {name} held {times} times in a row; by the log it is {most}."]


def failures(name: str, claim: JsonObject, made: Standing, changes: Sequence[datetime]) -> list[str]:
    """Name the times that a claim did not hold or was not checked, and that the page does not list, or not in full."""
    listed = objects(claim.get("failures"))
    count = claim.get("failure_count")
    fewer = (
        [f"The page counts {count} failures of {name}; the log has {len(made.episodes)}."]
        if isinstance(count, int) and count < len(made.episodes)
        else []
    )
    wrong: list[str] = []
    for episode in made.episodes[:LISTED]:
        found = next((each for each in listed if _is(each, episode)), None)
        if found is None:
            wrong.append(f"The page hides a failure of {name}: {told(episode)}.")
        elif _is_shortened(found, episode, changes):
            wrong.append(f"The page lets a failure of {name} end too early: {told(episode)}.")
    return fewer + wrong


def _is(listed: JsonObject, episode: Episode) -> bool:
    """Tell whether the page means this one."""
    same = (text_in(listed, "kind"), text_in(listed, "attack")) == (episode.kind, episode.attack)
    return same and abs(instant_in(listed, "started_at") - episode.started_at) <= TICK


def _is_shortened(listed: JsonObject, episode: Episode, changes: Sequence[datetime]) -> bool:
    """Tell whether the page has it last less long than the log: by its end, or by the length that it names."""
    if listed.get("ended_at") is None:
        return False
    ended, length = instant_in(listed, "ended_at"), listed.get("duration_s")
    if isinstance(length, int) and timedelta(seconds=length) < ended - episode.started_at - 2 * TICK:
        return True
    end = _end(episode, changes)
    return end is None or ended < end - TICK


def _end(episode: Episode, changes: Sequence[datetime]) -> datetime | None:
    """Give when it ended: what was not checked in time also ends where other terms begin, which the page admits."""
    ends = [at for at in changes if at > episode.started_at] if episode.kind == "stale" else []
    return min([*ends, *([episode.ended_at] if episode.ended_at else [])], default=None)


def days(name: str, claim: JsonObject, made: Standing, changes: Sequence[datetime], page: JsonObject) -> list[str]:
    """Name days that the page draws better than they were; one letter a day (UTC), that of the page's time last."""
    letters = claim.get("history")
    if not isinstance(letters, str) or page.get("at") is None:
        return []
    today, wrong = instant_in(page, "at").date(), list[str]()
    for episode in made.episodes:
        ended = _end(episode, changes)
        first = len(letters) - 1 - (today - episode.started_at.date()).days
        end = len(letters) - (max(0, (today - ended.date()).days) if ended else 0)
        if letters[max(0, first) : max(0, end)].strip("f" if episode.kind == "failing" else "sf"):
            wrong.append(f"The page draws days of {name} better than they were: {told(episode)}.")
    return wrong


def told(episode: Episode) -> str:
    """Say what happened, and when."""
    ended = "on" if episode.ended_at is None else f"until {show_time(episode.ended_at)}"
    what = f"the attack {episode.attack} was not run in time"
    if episode.kind == "failing":
        what = f"run {episode.number} of the attack {episode.attack} did not hold"
    return f"{what}, from {show_time(episode.started_at)} {ended}"


def objects(value: JsonValue) -> list[JsonObject]:
    """Give the objects of a list; nothing where it is none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []

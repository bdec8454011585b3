"""Counts of all claims: kept up as entries come and time passes, the same as judging every claim anew."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from tests.unit.claims.builders import DAY, HOUR, MINUTE, NOON, SOURCE, a_claim, a_run

from heldtrue.attack import Outcome
from heldtrue.capabilities.attestations.model import Document
from heldtrue.claims.board import Board
from heldtrue.claims.catalogue import Catalogue, Group
from heldtrue.claims.model import Against, Claim, State
from heldtrue.claims.overview import headlines
from heldtrue.trust.asking import Ask, Finder

TICK = timedelta(microseconds=1)


def claims(count: int) -> tuple[Claim, ...]:
    def claim(number: int) -> Claim:
        made = a_claim(*([] if number % 5 == 4 else [f"g.a{number}"]))
        names = {name: getattr(made, name) for name in made.__slots__}
        paper = Document(
            title="T",
            owner="the lead",
            dated=NOON.date(),
            expires=(NOON + (number % 3 + 1) * DAY).date(),
            sha256="0" * 64,
        )
        more = {"id": f"g.c{number}", "group": f"G{number % 3}", "document": paper if number % 10 == 4 else None}
        return Claim(**{**names, **more})

    return tuple(claim(number) for number in range(count))


def a_board(count: int) -> Board:
    return Board(Catalogue(tuple(Group(f"G{number}", "A.") for number in range(3)), claims(count)))


@pytest.mark.parametrize("seed", range(5))
def test_the_counts_are_those_of_judging_every_claim(seed: int) -> None:
    chance = random.Random(seed)
    board, now = a_board(30), NOON
    for number in range(1, 200):
        now += timedelta(minutes=chance.choice([1, 7, 30, 61, 600]))
        attack = f"g.a{chance.randrange(30)}"
        against = chance.choice([Against.CONTROL, Against.CONTROL, Against.BROKEN])
        outcome = Outcome.BROKEN if against is Against.BROKEN else chance.choice([Outcome.HELD] * 4 + [Outcome.ERROR])
        board.fold(a_run(now, outcome, number=number, against=against, attack=attack))
        board.tallies.settle(now)
        judged = {verdict.claim.id: verdict.state for verdict in board.judge(now)}
        assert board.tallies.states() == judged
        assert board.tallies.total() == {state: list(judged.values()).count(state) for state in State}


def test_a_claim_turns_stale_at_its_instant_without_anything_new() -> None:
    board = a_board(1)
    board.fold(a_run(NOON - HOUR, Outcome.BROKEN, against=Against.BROKEN, attack="g.a0", source=SOURCE))
    board.fold(a_run(NOON, attack="g.a0", number=2))
    for at, state in ((NOON, State.PROVEN), (NOON + HOUR, State.PROVEN), (NOON + HOUR + TICK, State.STALE)):
        board.tallies.settle(at)
        assert board.tallies.states() == {"g.c0": state}


def test_nothing_is_judged_again_where_nothing_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    board = a_board(100)
    board.tallies.settle(NOON)
    seen: list[str] = []
    judge = board.tallies._judge
    monkeypatch.setattr(board.tallies, "_judge", lambda name, now: (seen.append(name), judge(name, now)))
    board.tallies.settle(NOON + MINUTE)
    assert seen == []
    board.fold(a_run(NOON + MINUTE, attack="g.a7"))
    board.tallies.settle(NOON + MINUTE)
    assert seen == ["g.c7"]


def test_one_screen_has_its_page_and_what_is_in_trouble() -> None:
    board = a_board(120)
    board.fold(a_run(NOON, Outcome.BROKEN, attack="g.a101"))
    top = headlines(board, NOON)
    assert top.troubled[0].claim.id == "g.c101"
    assert sum(top.tally.values()) == 120
    finder, states = Finder(board.memory.catalogue, sheet=30), board.tallies.states()
    found = finder.find(Ask(group="G1", page="2"), states)
    assert [claim.id for claim in found.claims] == [f"g.c{n}" for n in range(91, 120, 3)]
    assert (found.total, found.pages, found.page) == (40, 2, 2)
    failing = finder.find(Ask(state=State.FAILING), states)
    assert [claim.id for claim in failing.claims] == ["g.c101"]
    assert finder.find(Ask(page="99"), states).page == 4

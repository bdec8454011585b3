"""The catalogue: every row is answered, nothing is said twice, and what is not built is not claimed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from heldtrue.attack import Place
from heldtrue.claims.attacks import ATTACKS
from heldtrue.claims.broken import CONTROLS
from heldtrue.claims.catalogue import CATALOGUE, ROWS, CatalogueError, load, span

GROUP = 'group = "G"\nabout = "A."\n'
CLAIM = '[[claim]]\nid = "g.c"\nrows = ["A1"]\nsentence = "It holds."\nscope = "All of it."\n'


def test_every_row_of_the_index_has_a_claim() -> None:
    assert len(ROWS) == 68
    assert {row for claim in CATALOGUE.claims for row in claim.rows} == set(ROWS)


def test_every_attack_that_is_named_exists_and_none_is_idle() -> None:
    assert {name for claim in CATALOGUE.claims for name in claim.attacks} == set(ATTACKS)


def test_every_attack_has_a_control_that_is_broken_on_purpose() -> None:
    assert {attack.breaks for attack in ATTACKS.values()} == set(CONTROLS)


def test_at_least_fifteen_claims_are_attacked() -> None:
    assert sum(bool(claim.attacks) for claim in CATALOGUE.claims) >= 15


def test_the_source_of_every_attack_is_hashed_with_what_it_sees_through() -> None:
    for attack in ATTACKS.values():
        assert len(attack.source_sha256) == 64
        assert any(path.endswith("attack/caller.py") for path in attack.sources)
        assert attack.run.__module__.replace(".", "/") + ".py" in attack.sources


def test_what_fills_floods_and_breaks_runs_in_scratch() -> None:
    scratch = {name for name, attack in ATTACKS.items() if attack.place is Place.SCRATCH}
    assert scratch >= {"access.flood", "intake.canary_at_rest", "access.key_at_rest"}


@pytest.mark.parametrize(("text", "length"), [("10m", 600), ("8h", 28800), ("2d", 172800)])
def test_lengths_of_time(text: str, length: int) -> None:
    assert span(text) == timedelta(seconds=length)


@pytest.mark.parametrize("text", ["", "0m", "10", "m", "-5m", "1.5h", "10s"])
def test_lengths_of_time_that_are_none(text: str) -> None:
    with pytest.raises(CatalogueError):
        span(text)


@pytest.mark.parametrize(
    "text",
    [
        GROUP + CLAIM,  # leaves rows unanswered
        GROUP + CLAIM + 'attacks = ["a.b"]\n',
        GROUP + CLAIM + 'attacks = ["a.b"]\ncadence = "2h"\nmax_age = "3h"\n',
        GROUP + CLAIM.replace("g.c", "Bad Id"),
        GROUP + CLAIM.replace("A1", "Z9"),
        GROUP + CLAIM.replace("It holds.", "It holds"),
        GROUP + CLAIM + 'state = "proven"\n',
        GROUP + CLAIM + CLAIM,
        "not toml",
    ],
)
def test_an_unsound_catalogue_is_refused(text: str) -> None:
    with pytest.raises(CatalogueError):
        load([text])


def test_a_claim_that_does_not_apply_is_only_promised() -> None:
    without = CATALOGUE.without(["network.database"])
    claim = without.get("network.database")
    assert claim is not None
    assert claim.attacks == ()
    assert sum(bool(c.attacks) for c in without.claims) == sum(bool(c.attacks) for c in CATALOGUE.claims) - 1

"""Control identifiers: each is one of its framework's, and every row has all that apply."""

from __future__ import annotations

import pytest

from heldtrue.claims.catalogue import CATALOGUE, ROWS, CatalogueError, More, load
from heldtrue.claims.frameworks import BY_ID, FRAMEWORKS, UNANSWERED, framework_of, lines, order
from heldtrue.claims.model import State


def strangers(controls: list[str]) -> list[str]:
    return [control for control in controls if framework_of(control) is None]


def test_every_identifier_is_one_of_its_framework() -> None:
    assert strangers([control for claim in CATALOGUE.claims for control in claim.frameworks]) == []


@pytest.mark.parametrize(
    "control",
    [
        "SOC 2 CC6.9", "SOC 2 CC10.1", "SOC 2 A1.4", "SOC 2 CC6", "ISO 27001:2022 A.5.38", "ISO 27001:2022 A.4.1",
        "ISO 27001:2013 A.8.24", "GDPR Art. 100", "GDPR Art. 0", "GDPR Art. 32(1)", "ASVS 5.0 V18.1.1",
        "ASVS 5.0 V9.3.1", "ASVS 4.0 V1.1.1", "CAIQ v4 IAM-17.1", "CAIQ v4 XXX-01.1", "CAIQ v4 IAM-1.1", "CC6.7",
    ],
)  # fmt: skip
def test_an_identifier_that_no_framework_has_is_seen(control: str) -> None:
    assert strangers([control]) == [control]


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.id)
def test_every_row_has_its_controls_or_stands_in_the_list_of_those_that_have_none(framework) -> None:
    answered = {
        row
        for claim in CATALOGUE.claims
        for row in claim.rows
        if any(framework_of(control) is framework for control in claim.frameworks)
    }
    assert set(ROWS) - answered == UNANSWERED[framework.id].rows


def test_every_claim_names_a_criterion_a_control_and_a_question() -> None:
    for claim in CATALOGUE.claims:
        named = {found.id for control in claim.frameworks if (found := framework_of(control))}
        assert named >= {"soc2", "iso27001", "caiq"}, claim.id


def test_no_claim_names_a_control_twice() -> None:
    assert [c.id for c in CATALOGUE.claims if len(set(c.frameworks)) != len(c.frameworks)] == []


def test_what_is_only_promised_says_why() -> None:
    assert [claim.id for claim in CATALOGUE.claims if not claim.attacks and not claim.promised] == []
    assert [claim.id for claim in CATALOGUE.claims if claim.attacks and claim.promised] == []


def test_identifiers_of_a_claim_that_there_is_not_are_refused() -> None:
    text = 'group = "G"\nabout = "A."\n[[claim]]\nid = "g.c"\nrows = ["A1"]\nsentence = "It."\nscope = "All."\n'
    with pytest.raises(CatalogueError, match=r"g\.gone"):
        load([text], {"g.gone": More(("SOC 2 CC6.1",))})


def test_a_criterion_is_as_far_as_its_weakest_claim() -> None:
    soc2 = BY_ID["soc2"]
    claims = [
        ("g.a", ("SOC 2 CC6.10", "SOC 2 CC6.2"), State.PROVEN),
        ("g.b", ("SOC 2 CC6.2", "GDPR Art. 32"), State.STALE),
        ("g.c", ("SOC 2 CC6.2", "SOC 2 A1.1"), State.ATTESTED),
    ]
    found = [(line.control, line.claims, line.state) for line in lines(soc2, claims)]
    assert found == [
        ("SOC 2 A1.1", ("g.c",), State.ATTESTED),
        ("SOC 2 CC6.2", ("g.a", "g.b", "g.c"), State.STALE),
    ]


def test_identifiers_sort_by_their_numbers() -> None:
    assert sorted(["GDPR Art. 32", "GDPR Art. 5"], key=order) == ["GDPR Art. 5", "GDPR Art. 32"]

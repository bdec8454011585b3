"""What the verifier does when the server has limits, is away for a moment, or answers what it should not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from heldtrue_verify import fetch
from heldtrue_verify.fetch import LONGEST_WAIT, PATIENCE, Server
from heldtrue_verify.verdicts import DoesNotHoldError, UnusableError

from .simulator import honest


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was waited for; nobody waits."""
    seconds: list[int] = []
    monkeypatch.setattr(fetch.time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def server(site: Any) -> Any:
    site.files = {"/log/a": b"entries"}
    with Server(site.url, site.ca_file) as one:
        yield one


def test_a_server_that_says_when_is_asked_again_then(site: Any, server: Server, waits: list[int]) -> None:
    site.later = [(429, "2"), (503, "7"), (429, "1")]
    assert server.get("/log/a") == b"entries"
    assert (waits, site.asked) == ([2, 7, 1], ["/log/a"] * 4)


@pytest.mark.parametrize("said", [None, "0", "-5", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "²"])
def test_one_that_does_not_say_how_long_is_given_a_second(
    site: Any, server: Server, waits: list[int], said: str | None
) -> None:
    site.later = [(429, said)]
    assert (server.get("/log/a"), waits) == (b"entries", [1])


def test_an_answer_that_is_not_there_after_a_wait_is_not_there(site: Any, server: Server, waits: list[int]) -> None:
    site.later = [(429, "3")]
    assert (server.find("/log/b"), waits) == (None, [3])


def test_nobody_waits_for_an_hour(site: Any, server: Server, waits: list[int]) -> None:
    site.later = [(503, "3600")]
    with pytest.raises(UnusableError, match="503 for /log/a and asks to wait 3600 seconds more"):
        server.get("/log/a")
    assert waits == []


def test_nor_for_ever(site: Any, server: Server, waits: list[int]) -> None:
    """A server that keeps a reader waiting is not one that was verified."""
    site.later = [(429, str(LONGEST_WAIT))] * 100
    with pytest.raises(UnusableError, match="try again later"):
        server.get("/log/a")
    assert 0 < sum(waits) <= PATIENCE


def test_any_other_answer_is_the_servers_failure(site: Any, server: Server, waits: list[int]) -> None:
    site.later = [(500, "1")]
    with pytest.raises(DoesNotHoldError, match="answers 500"):
        server.get("/log/a")
    assert waits == []


def test_a_whole_page_is_verified_through_the_limits_of_its_server(
    site: Any, verify: Callable[..., Any], waits: list[int]
) -> None:
    operator = honest()
    site.files = operator.page()
    site.later = [(429, "1")] * 12
    run = verify("page", site.url, "--pin", operator.log_key.vkey(), "--ca-file", site.ca_file)
    assert (run.exit, run.failed, len(waits)) == (0, [], 12)


def test_a_server_that_turns_a_reader_away_is_no_verdict(
    site: Any, verify: Callable[..., Any], waits: list[int]
) -> None:
    operator = honest()
    site.files = operator.page()
    site.later = [(429, "9999")] * 2
    run = verify("page", site.url, "--pin", operator.log_key.vkey(), "--ca-file", site.ca_file)
    assert run.exit not in {0, 1}
    assert waits == []

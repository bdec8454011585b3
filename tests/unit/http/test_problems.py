"""Errors become problem documents; a failure of ours tells nothing of the inside."""

from __future__ import annotations

import errno
import secrets
from datetime import UTC, datetime

import pytest

import heldtrue.http.idempotency  # noqa: F401 - its errors are problem types too
from heldtrue.http.exchange import TruncatedBodyError
from heldtrue.http.problems import explain, headers_of, kinds, known, problem_of, status_of
from heldtrue.kernel.errors import (
    BadInputError,
    HeldtrueError,
    IntegrityError,
    LimitedError,
    StorageFullError,
    UnavailableError,
)
from heldtrue.kernel.ids import MalformedIdError, RequestId

REQUEST = RequestId.new(datetime(2026, 11, 20, tzinfo=UTC), secrets.token_bytes)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (BadInputError, 422),
        (MalformedIdError, 422),
        (TruncatedBodyError, 400),
        (LimitedError, 429),
        (UnavailableError, 503),
        (StorageFullError, 507),
        (HeldtrueError, 500),
    ],
)
def test_the_nearest_ancestor_gives_the_status(kind: type[HeldtrueError], status: int) -> None:
    assert status_of(kind) == status


def test_a_callers_mistake_is_told_in_full() -> None:
    problem = problem_of(BadInputError("limit: Expected `int` <= 200", advice="Ask for less."), REQUEST)
    assert problem.detail == "limit: Expected `int` <= 200"
    assert problem.advice == "Ask for less."
    assert problem.type == "/problems/bad-input"
    assert problem.request == str(REQUEST)


@pytest.mark.parametrize("error", [IntegrityError("row 7 of payloads"), RuntimeError("/var/lib/x"), KeyError("dsn")])
def test_a_failure_of_ours_tells_nothing_of_the_inside(error: Exception) -> None:
    problem = problem_of(known(error), REQUEST)
    assert problem.status == 500
    assert str(error) not in repr(problem)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_recognised(number: int) -> None:
    assert isinstance(known(OSError(number, "full")), StorageFullError)


def test_a_refusal_that_passes_says_when_to_come_back() -> None:
    assert ("retry-after", "3") in headers_of(LimitedError(retry_after=2.1))
    assert ("retry-after", "1") in headers_of(LimitedError(retry_after=0.0))
    assert any(name == "retry-after" for name, _ in headers_of(UnavailableError()))


def test_every_problem_type_has_a_code_and_says_what_to_do() -> None:
    every = list(kinds())
    assert len({kind.code for kind in every}) == len(every) > 20
    for kind in every:
        assert kind.code == kind.code.lower()
        assert " " not in kind.code
        assert len(explain(kind)) > 30, kind
        status_of(kind)

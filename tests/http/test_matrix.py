"""The matrix: kind of credential × environment × role × every route of the registry, as a file that a person can read.

Whoever adds a route or changes who may use one sees this fail, reads the difference, and writes the file anew:
`make matrix`.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from matrix import Matrix, differences, measure
from whole import Whole, open_whole

from heldtrue.db.roles import at_database

GOLDEN = Path(__file__).with_name("golden") / "matrix.txt"
REWRITE = "REWRITE_MATRIX"
AGAIN = "make matrix"


@pytest.fixture(scope="module")
def whole(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[Whole]:
    name = server.create()
    with open_whole(at_database(server.roles, name), tmp_path_factory.mktemp("matrix")) as opened:
        yield opened
    server.drop(name)


@pytest.fixture(scope="module")
def matrix(whole: Whole) -> Matrix:
    return measure(whole)


def test_who_gets_what_is_as_it_was_reviewed(matrix: Matrix) -> None:
    text = str(matrix)
    if os.environ.get(REWRITE):
        GOLDEN.write_text(text, encoding="utf-8")
    kept = GOLDEN.read_text(encoding="utf-8")
    found = differences(kept, text)
    assert text == kept, "the matrix of access is another one now:\n" + "\n".join(found) + f"\nWritten anew by: {AGAIN}"


def test_the_matrix_has_every_route_of_the_registry(whole: Whole, matrix: Matrix) -> None:
    assert set(matrix.cells) == {route.at for route in whole.table}
    assert {len(row) for row in matrix.cells.values()} == {len(matrix.columns)}


def test_a_difference_is_told_by_route_and_caller(matrix: Matrix) -> None:
    text = str(matrix)
    assert differences(text, text) == ["  only the text around it"]
    opened = Matrix(
        matrix.columns, {**matrix.cells, "GET /v1/keys": {**matrix.cells["GET /v1/keys"], "nobody non": "ok"}}
    )
    assert differences(text, str(opened)) == ["  changed: GET /v1/keys, nobody non: 401 -> ok"]
    grown = Matrix(matrix.columns, {**matrix.cells, "GET /v1/peek": dict.fromkeys(matrix.cells["GET /v1/keys"], "ok")})
    assert differences(text, str(grown)) == [f"  new:     GET /v1/peek: ok for {len(matrix.columns)}"]
    assert differences(str(grown), text) == ["  gone:    GET /v1/peek"]

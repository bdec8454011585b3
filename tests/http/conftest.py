"""A house to knock at: one a module, where tests bring organisations of their own; or a fresh one."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from house import House, build_house

from heldtrue.db.tx import Database


@pytest.fixture(scope="module")
def house(module_database: Database) -> Generator[House]:
    built = build_house(module_database)
    yield built
    built.app.close()


@pytest.fixture
def fresh_house(database: Database) -> Generator[House]:
    built = build_house(database)
    yield built
    built.app.close()

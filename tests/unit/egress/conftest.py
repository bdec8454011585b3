"""What calls are made against: a receiver over real TLS."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from outside import BEHAVE, Outside, outside_of
from receiver import Receiver


@pytest.fixture(scope="session")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Generator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("outside"), dict(BEHAVE)) as one:
        yield one


@pytest.fixture
def outside(receiver: Receiver) -> Outside:
    return outside_of(receiver)

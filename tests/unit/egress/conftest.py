"""What calls are made against: a receiver over real TLS."""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from unittest.mock import patch

import pytest
from outside import BEHAVE, Outside, outside_of
from receiver import Receiver

from heldtrue.capabilities.deliveries import connector


@pytest.fixture(scope="session")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Generator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("outside"), dict(BEHAVE)) as one:
        yield one


@pytest.fixture
def outside(receiver: Receiver) -> Outside:
    return outside_of(receiver)


@pytest.fixture(scope="session", autouse=True)
def read_authorities_once() -> Generator[None]:
    """Reading the system's authorities takes longer than a call; each test would do it twice."""
    with patch.object(connector, "_context", cache(connector._context)):  # pyright: ignore[reportPrivateUsage]
        yield

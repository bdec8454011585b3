"""The lanes in which the probes run; opened once for a file of tests."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from probe_law import Lane


@pytest.fixture(scope="module")
def lanes() -> Generator[list[Lane]]:
    """Two runners, each with an outside of its own."""
    first = Lane.open()
    second = Lane.open(beside=first)
    yield [first, second]
    second.close()
    first.close()


@pytest.fixture(scope="module")
def lane() -> Generator[Lane]:
    """One runner with its outside."""
    opened = Lane.open()
    yield opened
    opened.close()

"""What a test does where a program that it needs is not installed."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def absent(what: str) -> NoReturn:
    """Skip by name, or fail where nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not installed, and in CI nothing is skipped")
    pytest.skip(f"{what} is not installed; `make test-deps` installs it")

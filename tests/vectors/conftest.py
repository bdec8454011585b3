"""Where the public test vectors lie: beside the checkout, not in it."""

from __future__ import annotations

from pathlib import Path

import pytest

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors"


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of public vectors; tests that want it skip where a checkout stands alone."""
    if not VECTORS.is_dir():
        pytest.skip(f"the public test vectors are not beside this checkout ({VECTORS})")
    return VECTORS

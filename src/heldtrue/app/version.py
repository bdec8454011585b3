"""What is installed."""

from __future__ import annotations

import platform
from importlib import metadata

RELEASE = metadata.version("heldtrue")
"""Read when the process starts: the installation may be closed to its children."""


def version() -> dict[str, str]:
    """Return the versions that a report of a fault should name."""
    return {
        "heldtrue": RELEASE,
        "heldtrue-verify": metadata.version("heldtrue-verify"),
        "python": platform.python_version(),
        "granian": metadata.version("granian"),
        "cryptography": metadata.version("cryptography"),
        "system": f"{platform.system()} {platform.release()}",
    }

"""The broker's own program: in a fresh interpreter with an empty environment, beside a copy of what it needs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

READABLE = ("/etc", "/usr", "/lib", "/lib64", "/run/systemd/resolve")
"""Of the machine: what resolves names, and whom certificates are trusted from."""


def main(arguments: list[str]) -> int:
    """Serve both sockets until SIGTERM. Nothing that may ask for TLS is imported before the copy is in the path."""
    from heldtrue.capabilities.egress.broker.serving import serve_until_asked
    from heldtrue.kernel.errors import HeldtrueError

    with os.fdopen(int(arguments[0]), "rb") as file:
        file.seek(0)
        told: dict[str, Any] = json.loads(file.read())
    _enclose(told["readable"])
    try:
        serve_until_asked(told)
    except HeldtrueError as error:
        print(f"heldtrue: the broker ended: {error.message} {error.advice}".rstrip(), file=sys.stderr)
        return 1
    return 0


def _enclose(readable: list[str]) -> None:
    """Give up every file but these, where the kernel knows how: nothing is ever written, and no key or data read."""
    from heldtrue.sandbox.jail import calls, landlock

    calls.prctl(calls.PR_SET_NO_NEW_PRIVS, 1)
    if landlock.abi() > 0:
        there = [path for path in readable if Path(path).is_dir()]
        landlock.restrict(there, [], files=True, net=False, scope=landlock.abi() >= 6)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(sys.argv[1:]))

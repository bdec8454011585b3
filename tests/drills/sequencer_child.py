"""A sequencer in a process of its own, which kills itself with SIGKILL where it is told to.

Reads one line of JSON from standard input: the roles' DSNs, the log's directory, the platform key, and `die`:
a point, and the how-manieth passing of it. Prints a line after each step, so that the parent knows how far it came.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

from heldtrue.capabilities.keystore import actions as keystore
from heldtrue.capabilities.ledger import store
from heldtrue.capabilities.ledger.sequencer import Sequencer
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.roles import RoleDsns
from heldtrue.db.tx import Database, PoolSizes
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.secret import Secret

STEPS = ("assign", "write_tiles", "sign", "publish")


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def deadly(act: Callable[..., Any], passing: int, *, after: bool) -> Callable[..., Any]:
    """Return *act* so that its call number *passing* is the process's last."""
    left = [passing]

    def acting(*args: object, **kwargs: object) -> object:
        left[0] -= 1
        if left[0] == 0 and not after:
            die()
        answer = act(*args, **kwargs)
        if left[0] == 0:
            die()
        return answer

    return acting


def main() -> None:
    told = json.loads(sys.stdin.readline())
    dsns = RoleDsns(*(Secret(told[role]) for role in ("tenant", "edge", "system")))
    platform = PlatformKey.from_bytes(Secret(bytes.fromhex(told["platform"])))
    database = Database(dsns, PoolSizes(1, 1, 2))
    with database.system() as tx:
        signer = keystore.Signers(platform).of_log(tx)
    sequencer = Sequencer(database, Path(told["log_dir"]), signer, SystemClock(), batch=64)
    point, passing = told["die"]
    match point:
        case "inside-t5":
            store.drop_pending = deadly(store.drop_pending, passing, after=False)
        case "before-t5-commit":
            store.drop_pending = deadly(store.drop_pending, passing, after=True)
        case "inside-t6":
            store.add_checkpoint = deadly(store.add_checkpoint, passing, after=True)
        case "between-files":
            Path.replace = deadly(Path.replace, passing, after=True)
        case "before-a-file-has-its-name":
            Path.replace = deadly(Path.replace, passing, after=False)
        case _:
            pass
    print("ready", flush=True)
    for _ in count() if point == "never" else range(50):
        for step in STEPS:
            getattr(sequencer, step)()
            print(step, flush=True)
            if step == point:
                passing -= 1
                if passing == 0:
                    die()


main()

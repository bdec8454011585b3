"""The runner's own program: started in a fresh interpreter of the sandbox's image, with an empty environment.

Nothing of the product is beside it but `heldtrue.kernel` and `heldtrue.sandbox`, copied where its user can read them.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

REFUSED = 78
"""Exit code where this machine cannot isolate (EX_CONFIG of sysexits.h): starting again would change nothing."""


def main(arguments: list[str]) -> int:
    """Serve jobs on the listener whose descriptor is given, until SIGTERM."""
    from heldtrue.kernel.errors import HeldtrueError
    from heldtrue.sandbox.image import Image
    from heldtrue.sandbox.levels import SandboxRefusedError
    from heldtrue.sandbox.server import serve

    told = json.loads(arguments[0])

    async def run() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        image = Image(Path(told["image"]), told["digest"], told["loader"], told["python"])
        listener = socket.socket(fileno=told["listener"])
        started = asyncio.Event()
        telling = asyncio.create_task(_tell(started, told["ready"]))
        users = frozenset[int](told["users"])
        try:
            await serve(
                listener, stop=stop, image=image, pool=told["warm"], concurrent=told["at_once"], started=started,
                users=users, broker=None if told["broker"] is None else Path(told["broker"]),
            )  # fmt: skip
        finally:
            telling.cancel()

    try:
        asyncio.run(run())
    except SandboxRefusedError as error:
        print(f"heldtrue: transforms are off: {error.message}", file=sys.stderr)
        return REFUSED
    except HeldtrueError as error:
        print(f"heldtrue: the runner ended: {error.message} {error.advice}".rstrip(), file=sys.stderr)
        return 1
    return 0


async def _tell(started: asyncio.Event, descriptor: int) -> None:
    """Tell the supervisor when jobs are taken."""
    await started.wait()
    os.write(descriptor, b"+")
    os.close(descriptor)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(sys.argv[1:]))

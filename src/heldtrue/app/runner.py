"""The runner process: customers' code, as a user of its own, without database, keys or environment.

Other children are forked and never exec'd (ADR 5); this one must not inherit the supervisor's memory, which holds the
platform key. So it is forked, copies what it needs to where its user can read, becomes that user, and execs a fresh
interpreter with two descriptors: the listener for jobs, and the pipe that says when it is ready.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from heldtrue.app import apart, runner_main
from heldtrue.app.accounts import Account, become, service_account
from heldtrue.app.boot import Home
from heldtrue.app.listener import bind_unix
from heldtrue.app.processes import Announce, Child, Ready
from heldtrue.app.settings_transforms import Transforms
from heldtrue.sandbox.client import RunnerClient
from heldtrue.sandbox.image import Image, build
from heldtrue.sandbox.jobs import Job, RunResult

SOCKET = "runner.sock"
IMAGES = "images"
CALLS = "calls.sock"
"""Where the broker takes the calls of runs, below the runner's directory: a name that is short for every kernel."""
TREE = ("__init__.py", "kernel", "sandbox")
"""What the runner needs of the product."""
PACKAGES = ("msgspec",)
"""And of others' work."""
LONGEST = 100
"""Bytes of a unix socket's path that every kernel takes (unix(7): 108 with its end)."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where jobs are handed in: bound once by the supervisor, so that none is lost while the runner is restarted."""

    listener: socket | None

    def close(self) -> None:
        """Close it in a process that does not serve it."""
        if self.listener is not None:
            self.listener.close()


@contextmanager
def listening(home: Home) -> Generator[Desk]:
    """Bind the socket for jobs, which only the service user may open; unbound when the block ends."""
    if home.settings.transforms.enabled is False:
        yield Desk(None)
        return
    owner = (home.account.uid, home.account.gid) if home.account else None
    with short(home.data.run) as folder:
        listener = bind_unix(folder / SOCKET, owner)
        (folder / SOCKET).chmod(0o600)
    desk = Desk(listener)
    try:
        yield desk
    finally:
        desk.close()
        (home.data.run / SOCKET).unlink(missing_ok=True)


@contextmanager
def short(folder: Path) -> Generator[Path]:
    """Yield a name of *folder* that is short enough for a unix socket in it."""
    if len(os.fsencode(folder)) + len(SOCKET) < LONGEST:
        yield folder
        return
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


async def run_once(home: Home, job: Job) -> RunResult:
    """Have the runner of this instance do one job; raise `RunnerUnavailableError` when it does not answer."""
    with short(home.data.run) as folder:
        client = RunnerClient(folder / SOCKET)
        try:
            return await client.run(job)
        finally:
            await client.close()


def children(home: Home, desk: Desk) -> list[Child]:
    """Return the runner; none where transforms are off."""
    settings = home.settings.transforms
    if desk.listener is None:
        return []
    account = service_account(settings.user)
    place = home.data.root / "sandbox"
    for folder in (place, place / IMAGES):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)

    def main(ready: Ready) -> int:
        return _start(home, account, place, desk, ready)

    return [Child("runner", main, None, vital=settings.required, gives_up_with=runner_main.REFUSED)]


def _start(home: Home, account: Account | None, place: Path, desk: Desk, ready: Ready) -> int:
    """Become the runner; returns only when that fails."""
    if desk.listener is None or not isinstance(ready, Announce):
        raise RuntimeError("the runner has no listener, or nobody to tell that it is ready")
    image = build(place / IMAGES)
    tree = copy(place)
    if account is not None:
        become(account)
    users = [home.account.uid] if home.account else []
    folder = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    broker = f"/proc/self/fd/{folder}/{CALLS}" if home.settings.transforms.reaches_out else None
    told = _told(home.settings.transforms, image, desk.listener, ready, users) | {"broker": broker}
    line = [*apart.interpreter(image), str(tree / "runner_main.py"), json.dumps(told)]
    apart.keep_only(desk.listener.fileno(), ready.descriptor, folder)
    os.chdir("/")
    os.execve(line[0], line, {})  # noqa: S606 - no shell, an absolute path, an empty environment


def copy(place: Path) -> Path:
    """Copy the runner's own code below *place*."""
    files = {"runner_main.py": Path(runner_main.__file__)}
    return apart.copy(place, "runner", files | apart.product(*TREE) | apart.packages(*PACKAGES))


def _told(settings: Transforms, image: Image, listener: socket, ready: Announce, users: list[int]) -> dict[str, object]:
    return {
        "listener": listener.fileno(),
        "ready": ready.descriptor,
        "image": str(image.path),
        "digest": image.digest,
        "loader": image.loader,
        "python": image.python,
        "warm": settings.warm,
        "at_once": settings.at_once,
        "users": users,
    }

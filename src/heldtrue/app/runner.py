"""The runner process: customers' code, as a user of its own, without database, keys or environment.

Other children are forked and never exec'd (ADR 5); this one must not inherit the supervisor's memory, which holds the
platform key. So it is forked, copies what it needs to where its user can read, becomes that user, and execs a fresh
interpreter with two descriptors: the listener for jobs, and the pipe that says when it is ready.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket

import heldtrue
from heldtrue.app import runner_main
from heldtrue.app.accounts import Account, become, service_account
from heldtrue.app.boot import Home
from heldtrue.app.listener import bind_unix
from heldtrue.app.processes import Announce, Child, Ready
from heldtrue.app.settings_transforms import Transforms
from heldtrue.sandbox.image import Image, build
from heldtrue.sandbox.jail.launch import arguments

SOCKET = "runner.sock"
IMAGES = "images"
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
    told = _told(home.settings.transforms, image, desk.listener, ready, users)
    line = [*interpreter(image), str(tree / "runner_main.py"), json.dumps(told)]
    _keep_only(desk.listener.fileno(), ready.descriptor)
    os.chdir("/")
    os.execve(line[0], line, {})  # noqa: S606 - no shell, an absolute path, an empty environment


def interpreter(image: Image) -> list[str]:
    """Return the command line of the image's own interpreter, by the image's own loader."""
    line = arguments(str(image.path), image.loader, image.python, "", [])
    return line[: line.index("-c")]


def copy(place: Path) -> Path:
    """Copy the runner's own code below *place* once, readable by all, into a directory named by its digest."""
    home = Path(heldtrue.__file__).parent
    files = {"runner_main.py": Path(runner_main.__file__)}
    for part in TREE:
        source = home / part
        found = [source] if source.is_file() else _sources(source)
        files |= {f"heldtrue/{one.relative_to(home)}": one for one in found}
    for package in PACKAGES:
        root = Path(importlib.import_module(package).__file__ or "").parent
        files |= {f"{package}/{one.relative_to(root)}": one for one in _sources(root)}
    contents = {name: source.read_bytes() for name, source in files.items()}
    whole = hashlib.sha256(b"".join(f"{name}\0".encode() + text + b"\0" for name, text in contents.items()))
    tree = place / f"runner-{whole.hexdigest()[:32]}"
    if not tree.exists():
        _write(contents, tree)
    return tree


def _sources(root: Path) -> list[Path]:
    return sorted(one for one in root.rglob("*") if one.suffix in {".py", ".so"})


def _write(contents: dict[str, bytes], tree: Path) -> None:
    """Write the tree under another name and rename it when it is complete."""
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=tree.parent))
    try:
        for name, text in contents.items():
            target = draft / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text)
            target.chmod(0o644)
        for folder, _, _ in os.walk(draft):
            Path(folder).chmod(0o755)
        draft.rename(tree)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    for old in tree.parent.glob("runner-*"):
        if old != tree:
            shutil.rmtree(old, ignore_errors=True)


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


def _keep_only(*kept: int) -> None:
    """Close every descriptor on exec but standard output and error, and those that are kept."""
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        with contextlib.suppress(OSError):  # the directory's own
            os.set_inheritable(descriptor, descriptor in {1, 2, *kept})
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

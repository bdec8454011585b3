"""Work on an instance that does not serve: under its lock, with its database, as its own user."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import orjson

from heldtrue.app import boot, instance, preload, processes
from heldtrue.app.boot import Ground, Home
from heldtrue.app.instance import DataDir
from heldtrue.app.settings import Settings, load
from heldtrue.db.tx import Database
from heldtrue.kernel.errors import HeldtrueError, SettingsError


@contextmanager
def stopped(path: Path, config: Path | None = None) -> Generator[tuple[Home, boot.Base]]:
    """Open the instance in *path*, which must not serve, and run its database meanwhile."""
    data = DataDir(path.expanduser().absolute())
    if not data.identity.exists():
        raise SettingsError(f"{data.root} holds no instance", advice="Name the right --data-dir.")
    home = boot.open_home(settings_of(data, config), path)
    try:
        preload.everything(home.settings)
        with boot.database(home) as base:
            yield home, base
    finally:
        home.close()


def settings_of(data: DataDir, config: Path | None) -> Settings:
    """Return an instance's settings; where key and database were at its last start is remembered."""
    settings = load(config or data.config, {}, required=config is not None)
    try:
        places = cast("dict[str, str]", orjson.loads(data.places.read_bytes()))
    except FileNotFoundError:
        return settings
    key, database = settings.platform_key or places["platform_key"], settings.database
    if database == "embedded":
        database = places["database"]
    return msgspec.structs.replace(settings, platform_key=key, database=database)


def as_service(home: Home, base: boot.Base, work: Callable[[Ground, Database], Any]) -> Any:
    """Run *work* in a child as the service user, so that what it writes is that user's; return its JSON answer.

    A refusal of ours comes back as the error that it was.
    """
    ground = Ground(home, base.dsns)

    def question() -> bytes:
        with Database(ground.dsns) as database:
            try:
                return orjson.dumps({"answer": work(ground, database)})
            except HeldtrueError as error:
                return orjson.dumps({"code": error.code, "message": error.message, "advice": error.advice})

    answer = orjson.loads(processes.ask(question, home.account, seconds=3600))
    if "answer" in answer:
        return answer["answer"]
    raise MaintenanceRefusedError(answer["message"], advice=answer["advice"])


class MaintenanceRefusedError(HeldtrueError):
    """The work was refused; the message says why."""

    code = "maintenance-refused"


def is_serving(path: Path) -> bool:
    """Return whether a copy runs on *path*."""
    return instance.holder(DataDir(path)) is not None

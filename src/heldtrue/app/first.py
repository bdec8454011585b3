"""What the first start makes, and every other start finds: signing keys, the log, the operator's credential."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import orjson

from heldtrue.app import processes, wiring
from heldtrue.app.boot import Ground
from heldtrue.capabilities.access.bootstrap import bootstrap_operator
from heldtrue.capabilities.keystore import actions as keystore
from heldtrue.capabilities.keystore.routes import vkey
from heldtrue.capabilities.ledger.generations import current
from heldtrue.kernel.secret import Secret


@dataclass(frozen=True, slots=True)
class Prepared:
    """What an operator publishes of the instance."""

    pin: str
    """The log's verifier key."""


def prepare(ground: Ground) -> Prepared:
    """Make what is missing, in a child as the service user, and return what there is.

    The operator's credential is written, through a file that is open already, before the transaction that makes it
    valid commits; a crash between leaves a dead credential, which the next start replaces.
    """
    final = ground.home.operator_file
    draft = final.with_name(f".{final.name}.new")
    final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        answer = orjson.loads(processes.ask(lambda: _make(ground, descriptor), ground.home.account))
        if os.fstat(descriptor).st_size:
            draft.replace(final)
        else:
            draft.unlink()
        _sync(final.parent)
    finally:
        os.close(descriptor)
    return Prepared(**answer)


def _make(ground: Ground, descriptor: int) -> bytes:
    home = ground.home

    def keep(secret: Secret[str]) -> None:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{secret.reveal()}\n".encode(), 0)
        os.fsync(descriptor)

    with wiring.standing(ground) as (parts, ports):
        with parts.database.system() as tx:
            keystore.ensure_signing_keys(tx, home.platform, home.identity.origin, home.clock.now(), parts.entropy)
        bootstrap_operator(ports, keep)
        with parts.database.system() as tx:
            origin = current(tx)
    return orjson.dumps({"pin": vkey(origin)})


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

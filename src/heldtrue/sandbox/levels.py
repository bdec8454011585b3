"""How well this machine can isolate, found out by trying; what it cannot do is named with the kernel's own reason."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from heldtrue.sandbox.conversation import wait_until_ready
from heldtrue.sandbox.image import Image
from heldtrue.sandbox.jail import landlock
from heldtrue.sandbox.jail.layers import ALL, NAMESPACES, NONE, Layers
from heldtrue.sandbox.jail.walls import Ceilings
from heldtrue.sandbox.zygotes import NOBODY, SandboxError, Zygote

__all__ = ["ALL", "NONE", "Found", "Layers", "Level", "SandboxRefusedError", "find"]


class Level(enum.StrEnum):
    """What stands between one customer's code and everything else."""

    FULL = "full"
    OLDER_KERNEL = "older-kernel"
    """Every namespace, Landlock for files, seccomp; without MDWE or Landlock's network and scope rules, which seccomp
    stands in for.
    """
    NO_NAMESPACES = "landlock-seccomp"
    """User namespaces are forbidden here: no process of its own, no file, no socket, but the host's process and file
    names are known.
    """
    REFUSED = "refused"


class SandboxRefusedError(SandboxError):
    """This machine cannot isolate well enough to run customers' code; the message says what is missing."""

    code = "sandbox-refused"


@dataclass(frozen=True, slots=True)
class Found:
    """A level, the layers that make it, and why the others do not stand."""

    level: Level
    layers: Layers
    missing: dict[str, str] = field(default_factory=dict[str, str])


def find(image: Image, asked: Layers, trial: Ceilings, *, uid: int = NOBODY) -> tuple[Found, Zygote]:
    """Return the best level at which walls stand, with a zygote that showed it.

    Raise `SandboxRefusedError` when there is none.
    """
    missing: dict[str, str] = {}
    layers = asked
    version = landlock.abi()
    if layers.landlock_net and version < 4:
        missing["landlock_net"] = f"the kernel has version {version} of Landlock, network rules came with 4"
    if layers.landlock_scope and version < 6:
        missing["landlock_scope"] = f"the kernel has version {version} of Landlock, scopes came with 6"
    layers = layers.without(*missing)
    while True:
        try:
            zygote = attempt(image, layers, trial, uid)
        except SandboxError as error:
            gone = _without(error.layer, layers)
            if not gone:
                raise SandboxRefusedError(error.layer, error.why) from error
            missing |= dict.fromkeys(gone, f"{error.layer}: {error.why}")
            layers = layers.without(*gone)
        else:
            break
    return Found(_level(missing), layers, missing), zygote


def attempt(image: Image, layers: Layers, trial: Ceilings, uid: int) -> Zygote:
    """Put up the walls around a child that does nothing; return the zygote that made it."""
    zygote = Zygote(image, layers, uid=uid)
    try:
        child = zygote.spawn(trial)
        try:
            wait_until_ready(child, 30)
        finally:
            child.kill()
            child.ended.exception(30)
            child.close()
    except BaseException:
        zygote.close()
        raise
    return zygote


def _without(failed: str, layers: Layers) -> tuple[str, ...]:
    """Return which layers to go without, after one of them could not stand."""
    if failed == "mdwe" and layers.mdwe:
        return ("mdwe",)
    if failed in {"user namespace", "namespaces", "root", "uts namespace"} and layers.namespaces:
        return tuple(name for name in NAMESPACES if getattr(layers, name))
    return ()


def _level(missing: dict[str, str]) -> Level:
    if not missing:
        return Level.FULL
    return Level.NO_NAMESPACES if set(missing) & set(NAMESPACES) else Level.OLDER_KERNEL

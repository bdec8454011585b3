"""A way for service users into a data directory below a private one, without opening that private one.

A clone or a temporary directory of root's is often mode 0700. The processes then see the data directory in a mount
namespace of their own, at a path whose parents they may cross; nothing changes for anybody else on the machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
from pathlib import Path

from heldtrue.kernel.errors import SettingsError

_CLONE_NEWNS = 0x20000
_MNT_DETACH = 2
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
PLACE = Path("/run/heldtrue")


def crossable(path: Path) -> bool:
    """Return whether everybody may cross each parent of *path*."""
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)


def reachable(path: Path, place: Path = PLACE) -> Path:
    """Return a path to the directory *path* that service users can follow, in a mount namespace if need be.

    Changes the namespace of this process: call it once, before any fork. Not needed and not done as an ordinary user.
    """
    if os.geteuid() != 0 or crossable(path):
        return path
    alias = place / hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    try:
        alias.mkdir(mode=0o711, parents=True, exist_ok=True)
        place.chmod(0o711)
        _bind(path, alias)
    except OSError as error:
        raise SettingsError(
            f"service users cannot cross the parents of {path}, and no private mount can be made: {error.strerror}",
            advice="Choose a data directory below /var/lib, or run `chmod o+x` on its parents.",
        ) from error
    return alias


def leave(alias: Path) -> None:
    """Take the way away again, as far as this process sees it; the next start would use what is left of it."""
    ctypes.CDLL(None).umount2(os.fsencode(alias), _MNT_DETACH)
    with contextlib.suppress(OSError):
        alias.rmdir()


def _bind(path: Path, alias: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for call, arguments in (
        (libc.unshare, (_CLONE_NEWNS,)),
        (libc.mount, (b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)),
        (libc.mount, (os.fsencode(path), os.fsencode(alias), None, ctypes.c_ulong(_MS_BIND), None)),
    ):
        if call(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

"""Programs that must not inherit the supervisor's memory: copied where their user can read, and started by exec."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import heldtrue
from heldtrue.sandbox.image import Image
from heldtrue.sandbox.jail.launch import arguments


def interpreter(image: Image, libraries: Sequence[Path] = ()) -> list[str]:
    """Return the command line of the image's own interpreter, by the image's own loader; *libraries* are looked into
    as well.
    """
    line = arguments(str(image.path), image.loader, image.python, "", [])
    line = line[: line.index("-c")]
    where = line.index("--library-path") + 1
    line[where] = ":".join([line[where], *map(str, libraries)])
    return line


def product(*parts: str) -> dict[str, Path]:
    """Return name → file of these modules and packages of ours."""
    home = Path(heldtrue.__file__).parent
    files: dict[str, Path] = {}
    for part in parts:
        source = home / part
        found = [source] if source.is_file() else sources(source)
        files |= {f"heldtrue/{one.relative_to(home)}": one for one in found}
    return files


def packages(*names: str) -> dict[str, Path]:
    """Return name → file of these installed packages and modules."""
    files: dict[str, Path] = {}
    for name in names:
        found = Path(importlib.import_module(name).__file__ or "")
        if found.name == "__init__.py":
            files |= {f"{name}/{one.relative_to(found.parent)}": one for one in sources(found.parent)}
        else:
            files[found.name] = found
    return files


def sources(root: Path) -> list[Path]:
    """Return what Python may load below *root*."""
    return sorted(one for one in root.rglob("*") if one.suffix in {".py", ".so"})


def copy(place: Path, name: str, files: Mapping[str, Path]) -> Path:
    """Copy *files* below *place* once, readable by all, into a directory named by *name* and their digest."""
    contents = {where: source.read_bytes() for where, source in files.items()}
    whole = hashlib.sha256(b"".join(f"{where}\0".encode() + text + b"\0" for where, text in contents.items()))
    tree = place / f"{name}-{whole.hexdigest()[:32]}"
    if not tree.exists():
        _write(contents, tree)
    for old in place.glob(f"{name}-*"):
        if old != tree:
            shutil.rmtree(old, ignore_errors=True)
    return tree


def _write(contents: Mapping[str, bytes], tree: Path) -> None:
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


def keep_only(*kept: int) -> None:
    """Close every descriptor on exec but standard output and error, and those that are kept."""
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        with contextlib.suppress(OSError):  # the directory's own
            os.set_inheritable(descriptor, descriptor in {1, 2, *kept})
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

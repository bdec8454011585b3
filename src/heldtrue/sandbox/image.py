"""The image: everything a run can see, copied once into a directory named by its digest.

An installation may lie where the runner's user cannot read, and a bind of it would show more than a run needs. So the
interpreter, its standard library, the shared libraries that they ask for, the sources of the jail and the guest
packages are copied, readable by all and written by nobody, and their digest is the environment's identity.
"""

from __future__ import annotations

import compileall
import hashlib
import importlib.util
import os
import platform
import py_compile
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from heldtrue.kernel.errors import UnavailableError

GUEST_PACKAGES = ("quickjs", "_quickjs", "fast_mail_parser", "pypdf", "defusedxml")
LEFT_OUT = (
    "test tests idlelib tkinter turtledemo ensurepip lib2to3 distutils pydoc_data site-packages dist-packages venv "
    "__phello__"
)
"""Of the standard library: what no transform needs."""
NO_EXTENSIONS = (
    "_tkinter _ssl _hashlib _sqlite3 _curses readline _dbm _gdbm _crypt nis ossaudiodev spwd _test xxlimited _xxtest "
    "_ctypes_test"
)
"""Extensions that would bring a library which a run without network, terminal and database does not need."""
MARK = ".complete"
OURS = "usr/lib/guest/heldtrue"


class ImageError(UnavailableError):
    """The sandbox's image could not be made; the message says which file, correct its permissions or reinstall."""

    code = "sandbox-image"


@dataclass(frozen=True, slots=True)
class Image:
    """A directory with everything a run can see."""

    path: Path
    digest: str
    loader: str
    python: str


def build(into: Path) -> Image:
    """Return the image of this installation below *into*; make it when it is not there yet."""
    interpreter = program()
    try:
        files = dict(sorted(_files(interpreter)))
        digest = _digest(files)
        loader = Path(_program_loader(interpreter)).name
        path = into / digest.removeprefix("sha256:")[:32]
        if not (path / MARK).exists():
            _copy(files, path)
        _judge(path)
    except OSError as error:
        raise ImageError(f"the sandbox's image could not be made: {error}") from error
    return Image(path, digest, loader, interpreter.name)


def program() -> Path:
    """Return the interpreter that we run in, behind any virtual environment."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def _judge(path: Path) -> None:
    """Refuse an image that somebody else could have written."""
    found = path.stat()
    if found.st_uid not in {0, os.geteuid()} or found.st_mode & 0o022:
        raise ImageError(f"{path} belongs to user {found.st_uid} or can be written by others; remove it")


def _copy(files: dict[str, Path], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=path.parent))
    try:
        for name, source in files.items():
            target = draft / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            shutil.copystat(source, target)  # the time is what a .pyc is checked against
            target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
        compileall.compile_dir(
            draft / OURS,
            ddir=f"/{OURS}",
            quiet=2,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        for name in ("mnt", "tmp"):
            (draft / name).mkdir()
        (draft / MARK).touch()
        for folder, _, _ in os.walk(draft):
            Path(folder).chmod(0o755)
        draft.rename(path)
    except OSError:
        if not (path / MARK).exists():  # else another process was faster, and its copy is the same
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _digest(files: dict[str, Path]) -> str:
    whole = hashlib.sha256(f"{platform.machine()} {platform.python_version()}\n".encode())
    for name, source in files.items():
        if not name.endswith(".pyc"):
            whole.update(f"{name} {hashlib.sha256(source.read_bytes()).hexdigest()}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def _files(interpreter: Path) -> Iterator[tuple[str, Path]]:
    """Yield (name in the image, file)."""
    yield f"usr/bin/{interpreter.name}", interpreter
    binaries = [interpreter]
    folder = f"usr/{sys.platlibdir}/python{sys.version_info.major}.{sys.version_info.minor}"
    for kind in ("stdlib", "platstdlib"):
        root = Path(sysconfig.get_path(kind, vars={"base": sys.base_prefix, "platbase": sys.base_exec_prefix}))
        for source in _tree(root):
            if source.suffix == ".so":
                if source.name.startswith(tuple(NO_EXTENSIONS.split())):
                    continue
                binaries.append(source)
            yield f"{folder}/{source.relative_to(root)}", source
    for name, source in _guest():
        if source.suffix == ".so":
            binaries.append(source)
        yield f"usr/lib/guest/{name}", source
    yield from ((f"usr/lib/{name}", source) for name, source in libraries(binaries))


def _tree(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [each for each in folders if each not in LEFT_OUT.split() and not each.startswith("config-")]
        yield from (Path(folder, name) for name in names if name.endswith((".py", ".pyc", ".so", ".pyi", ".json")))


def _guest() -> Iterator[tuple[str, Path]]:
    here = Path(__file__).parent
    for name in ("__init__.py", "sandbox/__init__.py"):
        yield f"heldtrue/{name}", here.parent / name
    for part in ("jail", "guest"):
        for source in _tree(here / part):
            if source.suffix != ".pyc":
                yield f"heldtrue/sandbox/{source.relative_to(here)}", source
    for package in GUEST_PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ImageError(f"the guest package {package} is not installed")
        origin = Path(spec.origin)
        if spec.submodule_search_locations is None:
            yield origin.name, origin
        else:
            yield from ((str(source.relative_to(origin.parent.parent)), source) for source in _tree(origin.parent))


def _program_loader(binary: Path) -> str:
    """Return the ELF interpreter that *binary* asks for (PT_INTERP)."""
    with binary.open("rb") as file:
        head = file.read(64)
        if head[:5] != b"\x7fELF\x02":
            raise ImageError(f"{binary} is not a 64-bit ELF program")
        (start,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        file.seek(start)
        table = file.read(size * count)
        for index in range(count):
            kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", table, index * size)
            if kind == 3:
                file.seek(offset)
                return file.read(length).rstrip(b"\0").decode()
    raise ImageError(f"{binary} is linked statically; use an interpreter that is not")


def libraries(binaries: list[Path]) -> Iterator[tuple[str, Path]]:
    """Ask the loader of the first of *binaries*, a program, which shared libraries they need, itself included."""
    loader = _program_loader(binaries[0])
    yield Path(loader).name, Path(loader).resolve()
    for binary in binaries:
        done = subprocess.run([loader, "--list", str(binary)], capture_output=True, text=True, env={}, check=False)
        for line in done.stdout.splitlines():
            name, arrow, rest = line.strip().partition(" => ")
            if arrow and rest.startswith("/"):
                yield name, Path(rest.rsplit(" (", 1)[0]).resolve()

"""What this machine remembers of each pinned log: the last checkpoint, compromised keys, and immutable bundles."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from heldtrue_verify.canonical import canonicalize, parse_object
from heldtrue_verify.note import VerifierKey
from heldtrue_verify.verdicts import UnusableError

MOST_ANCHORS = 1000


def default_directory() -> Path:
    """Give `$XDG_STATE_HOME/heldtrue-verify`, by default below `~/.local/state`."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".local/state") / "heldtrue-verify"


class Memory:
    """The folder of one pinned log; whatever is read from it is verified again by the caller."""

    def __init__(self, directory: Path, log: VerifierKey) -> None:
        readable = "".join(c if c.isascii() and c.isalnum() else "-" for c in log.name)[:80]
        self.folder = directory / f"{readable}+{log.id.hex()}+{log.public.hex()[:16]}"

    def checkpoint(self) -> str | None:
        """Give the last checkpoint that was seen and verified, as it was signed."""
        data = self._read("checkpoint")
        return None if data is None else data.decode()

    def remember(self, note: str) -> None:
        """Keep a verified checkpoint in place of the last one."""
        self._write("checkpoint", note.encode())

    def anchors(self) -> list[tuple[int, str]]:
        """Give what was seen before, as sizes and their checkpoints' times: what came later cannot be dated earlier."""
        data = self._read("anchors.json")
        found = parse_object(data).items() if data is not None else ()
        return [(int(size), at) for size, at in found if size.isdigit() and isinstance(at, str)]

    def add_anchor(self, size: int, at: str) -> None:
        """Keep the latest time at which the log had *size* entries; of old ones, fewer and fewer."""
        anchors = sorted({**dict(self.anchors()), size: at}.items())
        if len(anchors) > MOST_ANCHORS:
            anchors = [*anchors[: MOST_ANCHORS // 2 : 2], *anchors[MOST_ANCHORS // 2 :]]
        self._write("anchors.json", canonicalize({str(size): at for size, at in anchors}))

    def keep_contradiction(self, earlier: str, later: str) -> Path:
        """Keep two signed checkpoints that contradict each other: they are evidence against the operator."""
        self._write("contradiction-earlier", earlier.encode())
        self._write("contradiction-later", later.encode())
        return self.folder

    def compromised(self) -> dict[str, str]:
        """Give the time of compromise by Multikey, as far as the log was read here."""
        data = self._read("compromised.json")
        return {} if data is None else {key: at for key, at in parse_object(data).items() if isinstance(at, str)}

    def remember_compromised(self, keys: dict[str, str]) -> None:
        """Keep the compromised keys that the log names."""
        self._write("compromised.json", canonicalize({**keys}))

    def bundle(self, path: str) -> bytes | None:
        """Give a cached full entry bundle."""
        return self._read(path.replace("/", "-"))

    def keep_bundle(self, path: str, data: bytes) -> None:
        """Cache a full entry bundle, which never changes."""
        self._write(path.replace("/", "-"), data)

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnusableError(f"The state in {self.folder} cannot be read: {error}.") from error

    def _write(self, name: str, data: bytes) -> None:
        """Replace a file atomically; mkstemp makes it readable by its owner alone."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(self.folder / name)
            except BaseException:
                with suppress(FileNotFoundError):
                    Path(temporary).unlink()
                raise
        except OSError as error:
            raise UnusableError(f"The state in {self.folder} cannot be written: {error}.") from error

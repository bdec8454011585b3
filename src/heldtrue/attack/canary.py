"""The search for a text in every place where bytes come to rest, in every form in which they may lie there.

Another text is planted in clear in each place, in each form, and must be found in each by the same reading: a search
that cannot find is no search. The texts are held in memory only. PostgreSQL compresses what it stores, so rows are read
as values, the write-ahead log is read decoded beside raw, and compressed files are decompressed.
"""

from __future__ import annotations

import base64
import gzip
import os
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from heldtrue.attack import AttackHinderedError, Finding, judged
from heldtrue.attack.arena import Arena, Sinks

CHUNK = 1 << 23
_SLOT, _PUBLICATION, _SCHEMA = "heldtrue_canary", "heldtrue_canary", "heldtrue_canary"
_PLANTED = "planted"
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Canary:
    """A text that must not be found; it does not print."""

    text: bytes

    def __repr__(self) -> str:
        return "Canary"

    def forms(self) -> dict[str, bytes]:
        """Return the text as it may lie somewhere, whole, by the name of the form."""
        wide = self.text.decode("latin-1")
        return {
            "as it is": self.text,
            "in base64": base64.b64encode(self.text),
            "in hex": self.text.hex().encode(),
            "in UTF-16": wide.encode("utf-16-le"),
            "in UTF-16, big end first": wide.encode("utf-16-be"),
        }

    def needles(self) -> list[tuple[str, bytes]]:
        """Return what to look for: base64 at each of its three alignments without the edges, hex in both cases."""
        found: list[tuple[str, bytes]] = []
        for name, form in self.forms().items():
            if name == "in base64":
                for shift in range(3):
                    whole = base64.b64encode(bytes(shift) + self.text)
                    core = whole[4 * ((shift + 2) // 3) : len(whole) // 4 * 4 - 4]
                    found += [(name, core), (name, core.translate(bytes.maketrans(b"+/", b"-_")))]
            elif name == "in hex":
                found += [(name, form), (name, form.upper())]
            else:
                found.append((name, form))
        return found


class Searcher:
    """Looks for several texts at once and remembers where which was, never the text."""

    def __init__(self, canaries: Mapping[str, Canary]) -> None:
        direct = [(what, form, needle) for what, canary in canaries.items() for form, needle in canary.needles()]
        # what lies in a bytea column is written as hex by COPY, by a dump and by a decoder
        nested = [(what, form, needle.hex().encode()) for what, form, needle in direct if form != "in hex"]
        self._needles = direct + nested
        self._overlap = max(len(needle) for _, _, needle in self._needles)
        self.bytes = 0

    def feed(self, pieces: Iterable[bytes]) -> set[tuple[str, str]]:
        """Return which texts, in which forms, the pieces hold; a text may lie across two of them."""
        found: set[tuple[str, str]] = set()
        tail = b""
        for piece in pieces:
            self.bytes += len(piece)
            window = tail + piece
            found |= {(what, form) for what, form, needle in self._needles if needle in window}
            tail = window[-self._overlap :]
        return found


def search_everywhere(arena: Arena, secret: Mapping[str, Canary]) -> Finding:
    """Plant, and look for what was planted and for *secret*; broken when any of it lies anywhere."""
    sinks = arena.needs_sinks()
    planted = Canary(b"Planted" + base64.b32encode(arena.entropy(20)))
    searcher = Searcher({_PLANTED: planted, **secret})
    with _planting(sinks, planted) as places:
        found = {name: searcher.feed(read()) for name, read in places.items()}
    for name, seen in found.items():
        if missing := {(_PLANTED, form) for form in planted.forms()} - seen:
            forms = ", ".join(sorted(form for _, form in missing))
            raise AttackHinderedError(f"what was planted in clear in {name} was not found {forms}")
    faults = [
        f"In {name}, {what} lies {form}."
        for name, seen in found.items()
        for what, form in sorted(seen)
        if what != _PLANTED
    ]
    return judged(
        faults,
        f"Found in none of {len(places)} places, in which another text, planted in clear, was found in every form.",
        places=len(places),
        forms=len(planted.forms()),
        texts=len(secret),
        mebibytes=searcher.bytes >> 20,
    )


@contextmanager
def _planting(sinks: Sinks, canary: Canary) -> Generator[dict[str, Callable[[], Iterable[bytes]]]]:
    """Put *canary* in clear everywhere and give a reader for each place; take it away at the end."""
    forms = list(canary.forms().values())
    text = b"\n".join(b" ".join([b"x" * 64, form]) for form in forms) + b"\n"
    made: list[Path] = []
    with psycopg.connect(sinks.superuser.reveal(), autocommit=True) as admin, tempfile.TemporaryFile() as gone:
        gone.write(text)
        gone.flush()
        try:
            for name, content in _files(sinks, text):
                name.write_bytes(content)
                made.append(name)
            _plant_rows(admin, canary)
            admin.execute("ANALYZE")
            admin.execute("CHECKPOINT")
            yield {
                "rows": lambda: _rows(admin),
                "decoded write-ahead log": lambda: _decoded(admin),
                "write-ahead log": lambda: _read(sinks.cluster / "pg_wal"),
                "files of the database": lambda: _read(sinks.cluster, without="pg_wal"),
                "objects and other files": lambda: _read(sinks.data_dir, without=sinks.cluster.name),
                "dump": lambda: _dump(sinks),
                "logs": lambda: (piece for path in sinks.logs for piece in _read(path)),
                "temporary files": lambda: (piece for path in sinks.temporary for piece in _read(path)),
                "deleted files that are open": lambda: _deleted([os.getpid(), *sinks.processes()]),
            }
        finally:
            for path in made:
                path.unlink(missing_ok=True)
            admin.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(_SCHEMA)))


def begin_decoding(superuser: psycopg.Connection) -> None:
    """Keep the write-ahead log from here on for decoding; call it before anything is sent to the instance."""
    superuser.execute(sql.SQL("CREATE PUBLICATION {} FOR ALL TABLES").format(sql.Identifier(_PUBLICATION)))
    superuser.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (_SLOT,))


def _files(sinks: Sinks, text: bytes) -> list[tuple[Path, bytes]]:
    """Return what to plant in which file; one of them compressed, to be found only by decompressing it."""
    return [
        (sinks.data_dir / "objects" / "planted.gz", gzip.compress(text)),
        (sinks.temporary[0] / "planted", text),
        (sinks.logs[0] / "planted.log", text),
        (sinks.cluster / "planted", text),
    ]


def _plant_rows(admin: psycopg.Connection, canary: Canary) -> None:
    schema = sql.Identifier(_SCHEMA)
    admin.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    admin.execute(sql.SQL("CREATE TABLE {}.planted (id int PRIMARY KEY, data bytea, value text)").format(schema))
    for number, form in enumerate(canary.forms().values()):
        value = None if b"\0" in form else form.decode("latin-1") + "x" * 4000  # long enough to be stored compressed
        insert = sql.SQL("INSERT INTO {}.planted VALUES (%s, %s, %s)").format(schema)
        admin.execute(insert, (number, form, value))


def _rows(admin: psycopg.Connection) -> Generator[bytes]:
    tables = admin.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'm') AND n.nspname <> 'information_schema' AND c.relpersistence <> 't'"
        " AND n.nspname NOT LIKE 'pg_toast%%'"
    ).fetchall()
    for schema, name in tables:
        with admin.cursor() as cursor, cursor.copy(
            sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(schema, name))
        ) as rows:  # fmt: skip
            for row in rows:
                yield bytes(row)


def _decoded(admin: psycopg.Connection) -> Generator[bytes]:
    changes = admin.execute(
        "SELECT data FROM pg_logical_slot_peek_binary_changes(%s, NULL, NULL, 'proto_version', '1',"
        " 'publication_names', %s)",
        (_SLOT, _PUBLICATION),
    )
    for (change,) in changes:
        yield bytes(change)


def _dump(sinks: Sinks) -> Generator[bytes]:
    dumped = subprocess.run(
        [str(sinks.programs / "pg_dump"), "--no-sync"],
        env={**os.environ, **_environment(sinks.superuser.reveal())},
        capture_output=True,
        check=False,
    )
    if dumped.returncode != 0:
        raise AttackHinderedError(f"the dump failed: {dumped.stderr[-300:].decode(errors='replace')}")
    yield dumped.stdout


def _environment(conninfo: str) -> dict[str, str]:
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    parts = conninfo_to_dict(conninfo)
    return {variable: str(parts[name]) for name, variable in names.items() if name in parts}


def _read(place: Path, without: str | None = None) -> Generator[bytes]:
    """Give the bytes of a file, or of all files below a directory, compressed ones decompressed as well."""
    if place.is_file():
        yield from _read_file(place)
        return
    for path, folders, names in os.walk(place):
        if without is not None and without in folders:
            folders.remove(without)
        for name in names:
            file = Path(path, name)
            if file.is_file() and not file.is_symlink():
                yield from _read_file(file)


def _read_file(path: Path) -> Generator[bytes]:
    with suppress(FileNotFoundError), path.open("rb") as file:
        first = file.read(CHUNK)
        if first.startswith(_GZIP):
            with suppress(OSError, EOFError, zlib.error):
                yield gzip.decompress(path.read_bytes())
        while first:
            yield first
            first = file.read(CHUNK)
    yield b"\0" * 8  # nothing lies across two files


def _deleted(processes: Iterable[int]) -> Generator[bytes]:
    """Give the bytes of files that have no name any more and are held open (proc(5), /proc/pid/fd)."""
    for pid in processes:
        try:
            descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
        except (FileNotFoundError, PermissionError):
            continue
        for descriptor in descriptors:
            with suppress(OSError):
                if str(descriptor.readlink()).endswith(" (deleted)") and descriptor.is_file():
                    yield from _read_file(descriptor)

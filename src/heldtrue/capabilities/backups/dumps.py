"""The database's part: one snapshot, dumped and restored as streams that are sealed on their way.

PostgreSQL's own client programs write and read the dumps; no byte of them touches a disk in clear. Passwords reach
these programs through a file in memory that they inherit.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from heldtrue.capabilities.backups.model import BackupFailedError, RestoreFailedError
from heldtrue.db.binaries import Programs
from heldtrue.db.launch import clean_environment
from heldtrue.kernel.secret import Secret

CHUNK = 1 << 20
SCHEMAS = ("heldtrue", "keystore")
PASSING = ("heldtrue.edge_changes", "heldtrue.rate_buckets")
"""Tables whose rows mean something only while the instance runs; a restored key announces itself anew."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of the database: all dumps and counts are of it, whatever is written meanwhile."""

    id: str
    migration: int
    rows: dict[str, int]
    objects: list[str]
    generation: int
    log_size: int


@contextmanager
def snapshot(admin: Secret[str]) -> Generator[Snapshot]:
    """Hold a moment of the database still while the block runs."""
    with psycopg.connect(admin.reveal()) as conn:
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        may = conn.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user").fetchone()
        if may != (True,):
            raise BackupFailedError(
                "the database's administrator does not see every row",
                advice="Give the role of the `database` setting BYPASSRLS: a backup of some tenants is none.",
            )
        exported = _one(conn, sql.SQL("SELECT pg_export_snapshot()"))
        tables = conn.execute(
            """SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = ANY(%s) AND c.relkind = 'r' ORDER BY 1, 2""",
            [list(SCHEMAS)],
        ).fetchall()
        counts = {
            f"{schema}.{table}": int(
                _one(conn, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table)))
            )
            for schema, table in tables
            if f"{schema}.{table}" not in PASSING
        }
        objects = conn.execute(_OBJECTS).fetchall()
        generation = int(_one(conn, sql.SQL("SELECT coalesce(max(generation), 0) FROM heldtrue.log_origins")))
        size = _one(conn, sql.SQL("SELECT count(*) FROM heldtrue.log_entries WHERE generation = {}").format(generation))
        migration = _one(conn, sql.SQL("SELECT coalesce(max(number), 0) FROM heldtrue_meta.migrations"))
        yield Snapshot(str(exported), int(migration), counts, [row[0] for row in objects], generation, int(size))


_OBJECTS = """SELECT body_object FROM heldtrue.payloads WHERE body_object IS NOT NULL
              UNION SELECT body_object FROM heldtrue.attachments WHERE body_object IS NOT NULL ORDER BY 1"""


def still_named(admin: Secret[str], name: str) -> bool:
    """Return whether a row names the object now: one erased while a backup runs may be gone from the store."""
    with psycopg.connect(admin.reveal()) as conn:
        return name in {row[0] for row in conn.execute(_OBJECTS).fetchall()}


def counts(admin: Secret[str], tables: Iterable[str]) -> dict[str, int]:
    """Return how many rows each of *tables* has."""
    with psycopg.connect(admin.reveal()) as conn:
        return {
            name: int(_one(conn, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*name.split(".")))))
            for name in tables
        }


def dump(admin: Secret[str], programs: Programs, schema: str, of: Snapshot) -> Iterator[bytes]:
    """Yield the rows of *schema* as they were at the snapshot, in pg_dump's custom format."""
    arguments = [
        programs.path("pg_dump"), "--format=custom", "--compress=1", "--data-only", f"--schema={schema}",
        f"--snapshot={of.id}", "--no-password", *(f"--exclude-table-data={table}" for table in PASSING),
    ]  # fmt: skip
    with _client(admin, arguments, read=True) as process:
        if process.stdout is None:
            raise BackupFailedError("pg_dump gives no output")
        while chunk := process.stdout.read(CHUNK):
            yield chunk
        if process.wait() != 0:
            raise BackupFailedError(f"pg_dump failed: {_said(process)}")


def load(admin: Secret[str], programs: Programs, chunks: Iterable[bytes]) -> None:
    """Put the rows of a dump into the database, all or none; *chunks* raises where the dump is not what was made."""
    arguments = [
        programs.path("pg_restore"), "--data-only", "--exit-on-error", "--single-transaction", "--no-password",
    ]  # fmt: skip
    with _client(admin, arguments, read=False) as process:
        if process.stdin is None:
            raise RestoreFailedError("pg_restore takes no input")
        try:
            for chunk in chunks:
                process.stdin.write(chunk)
            process.stdin.close()
        except BrokenPipeError as error:
            process.wait()
            raise RestoreFailedError(f"pg_restore failed: {_said(process)}") from error
        if process.wait() != 0:
            raise RestoreFailedError(f"pg_restore failed: {_said(process)}")


@contextmanager
def _client(admin: Secret[str], arguments: list[str], *, read: bool) -> Generator[subprocess.Popen[bytes]]:
    """Run a client program; it is killed when the block raises, so that a restore that fails commits nothing."""
    parts = {name: value for name, value in conninfo_to_dict(admin.reveal()).items() if value is not None}
    password = str(parts.pop("password", ""))
    handle = os.memfd_create("pgpass")
    try:
        os.fchmod(handle, 0o600)
        escaped = password.replace("\\", "\\\\").replace(":", "\\:")
        os.write(handle, f"*:*:*:*:{escaped}\n".encode())
        place = make_conninfo("", **parts, passfile=f"/dev/fd/{handle}")
        with tempfile.TemporaryFile() as errors:  # pg_dump's messages: names of tables, no rows
            process = subprocess.Popen(
                [*arguments, f"--dbname={place}"], pass_fds=(handle,), env=clean_environment(), stderr=errors,
                stdin=subprocess.DEVNULL if read else subprocess.PIPE,
                stdout=subprocess.PIPE if read else subprocess.DEVNULL,
            )  # fmt: skip
            process.stderr = errors
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None and not pipe.closed:
                        _close(pipe)
                process.stderr = None
    finally:
        os.close(handle)


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return  # what was buffered for a program that ended; its end was judged already


def _said(process: subprocess.Popen[bytes]) -> str:
    errors = process.stderr
    if errors is None:
        return f"status {process.returncode}"
    errors.seek(0)
    return errors.read()[-1500:].decode(errors="replace").strip() or f"status {process.returncode}"


def _one(conn: psycopg.Connection, query: sql.SQL | sql.Composed) -> Any:
    row = conn.execute(query).fetchone()
    return None if row is None else row[0]

"""Numbered SQL migrations: applied in order, each in its own transaction, by the owner role, under a lock."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from heldtrue.db.roles import OWNER
from heldtrue.kernel.errors import SettingsError
from heldtrue.kernel.secret import Secret

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOCK = 0x48545F6D69677261
"""`HT_migra`: the advisory lock under which one process migrates."""

_META = """
CREATE SCHEMA IF NOT EXISTS heldtrue_meta;
CREATE TABLE IF NOT EXISTS heldtrue_meta.migrations (
  number     int PRIMARY KEY CHECK (number >= 1),
  name       text NOT NULL,
  sha256     bytea NOT NULL CHECK (length(sha256) = 32),
  applied_at timestamptz NOT NULL DEFAULT now()
);
"""


class MigrationMismatchError(SettingsError):
    """The database's schema is not one that this version made; use the version that made it, or a newer one."""

    code = "migration-mismatch"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the `migrations` directory."""

    number: int
    name: str
    text: bytes

    @property
    def sha256(self) -> bytes:
        """The digest that is remembered, so that a file edited after the fact is noticed."""
        return hashlib.sha256(self.text).digest()


@dataclass(frozen=True, slots=True)
class Applied:
    """What the database remembers of a migration."""

    number: int
    name: str
    sha256: bytes


def shipped() -> list[Migration]:
    """Return the migrations of this version in order; raise when their numbers have a gap."""
    found: list[Migration] = []
    for entry in resources.files("heldtrue.db").joinpath("migrations").iterdir():
        if match := _NAME.fullmatch(entry.name):
            found.append(Migration(int(match[1]), match[2], entry.read_bytes()))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationMismatchError("the migrations of this installation are incomplete; install it again")
    return found


def migrate(
    admin: Secret[str],
    migrations: Sequence[Migration] | None = None,
    progress: Callable[[Migration], None] = lambda _: None,
) -> list[Migration]:
    """Bring the database that *admin* names up to date and return what was applied.

    Refuses a database that is newer than this version, and one where an applied file differs from ours.
    """
    known = shipped() if migrations is None else list(migrations)
    done: list[Migration] = []
    with psycopg.connect(admin.reveal(), autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        conn.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
        conn.execute("SET search_path = pg_catalog, pg_temp")
        with conn.transaction():
            conn.execute(_META)
        applied = _applied(conn)
        _compare(applied, known)
        for migration in known[len(applied) :]:
            with conn.transaction():
                conn.execute(migration.text)
                conn.execute(
                    "INSERT INTO heldtrue_meta.migrations (number, name, sha256) VALUES (%s, %s, %s)",
                    [migration.number, migration.name, migration.sha256],
                )
            done.append(migration)
            progress(migration)
    return done


def present(admin: Secret[str]) -> int:
    """Return the number of the newest migration in the database, 0 when there is none."""
    with psycopg.connect(admin.reveal(), autocommit=True) as conn:
        row = conn.execute("SELECT to_regclass('heldtrue_meta.migrations') IS NOT NULL").fetchone()
        if row is None or not row[0]:
            return 0
        return len(_applied(conn))


def _applied(conn: psycopg.Connection) -> list[Applied]:
    with conn.cursor(row_factory=class_row(Applied)) as cursor:
        return cursor.execute("SELECT number, name, sha256 FROM heldtrue_meta.migrations ORDER BY number").fetchall()


def _compare(applied: Sequence[Applied], known: Sequence[Migration]) -> None:
    if len(applied) > len(known):
        raise MigrationMismatchError(
            f"the database is at migration {len(applied)}, this version knows {len(known)}",
            advice="Start the newer version, or restore a backup that this version made.",
        )
    for theirs, ours in zip(applied, known, strict=False):
        if (theirs.number, bytes(theirs.sha256)) != (ours.number, ours.sha256):
            raise MigrationMismatchError(
                f"migration {ours.number:04d}_{ours.name} was applied with another content than this version has",
                advice="Use the version that applied it; a migration is never edited after its release.",
            )

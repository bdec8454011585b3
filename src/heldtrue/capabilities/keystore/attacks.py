"""Attacks on keys: opened as somebody else, somewhere else, or with a key file that others can read."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString
from uuid import UUID, uuid4

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.attack.stock import retire, stock
from heldtrue.crypto import platform
from heldtrue.crypto.sealing import DataKey, key_id_of, open_sealed
from heldtrue.db.tx import TenantTx
from heldtrue.kernel.errors import HeldtrueError, SettingsError
from heldtrue.kernel.secret import Secret


@dataclass(frozen=True, slots=True)
class _Value:
    """A value sealed under a tenant key, and its right place."""

    purpose: str
    table: str
    column: str
    row: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class _Row:
    id: UUID
    sealed: bytes


@dataclass(frozen=True, slots=True)
class _TenantKey:
    key_id: UUID
    purpose: str
    wrapped: bytes


_KINDS: Sequence[tuple[str, str, str, LiteralString]] = (
    (
        "names",
        "api_keys",
        "name_sealed",
        "SELECT key_id AS id, name_sealed AS sealed FROM heldtrue.api_keys ORDER BY key_id DESC LIMIT 3",
    ),
    (
        "endpoint",
        "endpoints",
        "config",
        """SELECT endpoint_id AS id, config_sealed AS sealed FROM heldtrue.endpoints
           WHERE state <> 'deleted' ORDER BY endpoint_id DESC LIMIT 3""",
    ),
    (
        "ledger",
        "ledger_documents",
        "sealed",
        """SELECT leaf_id AS id, sealed FROM heldtrue.ledger_documents
           WHERE object_key_id IS NULL AND sealed IS NOT NULL ORDER BY leaf_id DESC LIMIT 3""",
    ),
)


def foreign_open(arena: Arena) -> Finding:
    """Open one organisation's values with another's keys, and in another row or column."""
    one, two = arena.probes()
    had = stock(arena, one)
    other = stock(arena, two)
    faults: list[str] = []
    openings = 0
    with arena.database.tenant(one.tenant, one.environment) as tx:
        keys = arena.keyring(tx, one.tenant, one.environment)
        values = _values(tx)
        for value in values:
            _must_open(lambda value=value: keys.open(value.purpose, value.table, value.column, value.row, value.sealed))
            moved = (
                (value.purpose, value.table, value.column, str(uuid4())),
                (value.purpose, value.table, value.column + "_moved", value.row),
                (value.purpose, value.table + "_moved", value.column, value.row),
            )
            for purpose, table, column, row in moved:
                openings += 1
                if _opens(lambda p=purpose, t=table, c=column, r=row, v=value: keys.open(p, t, c, r, v.sealed)):
                    faults.append(f"A value of {value.table} opened in another place.")
        contexts = [(v, keys.context_for(v.table, v.column, v.row, v.purpose)) for v in values]
    with arena.database.tenant(two.tenant, two.environment) as tx:
        foreign = arena.keyring(tx, two.tenant, two.environment)
        rows = tx.many(
            _TenantKey, "SELECT key_id, purpose, wrapped FROM keystore.tenant_keys WHERE wrapped IS NOT NULL"
        )
        for value, context in contexts:
            openings += 1
            if _opens(lambda v=value: foreign.open(v.purpose, v.table, v.column, v.row, v.sealed)):
                faults.append(f"A value of {value.table} opened for another organisation.")
            for row in rows:
                openings += 1
                stolen = DataKey(key_id_of(value.sealed), Secret(arena.platform.unwrap(row.wrapped)))
                if _opens(lambda k=stolen, c=context, v=value: open_sealed(k, c, v.sealed)):
                    faults.append(f"A value of {value.table} opened with another organisation's key for {row.purpose}.")
    retire(arena, one, had)
    retire(arena, two, other)
    return judged(
        faults,
        f"None of {len(values)} values opened for another organisation, with its keys, or in another place.",
        values=len(values),
        keys=len(rows),
        openings=openings,
    )


def foreign_environment(arena: Arena) -> Finding:
    """Open the values of one environment as the same organisation's other environment."""
    one, _ = arena.probes()
    had = stock(arena, one)
    with arena.database.tenant(one.tenant, one.environment) as tx:
        values = _values(tx)
        keys = arena.keyring(tx, one.tenant, one.environment)
        for value in values:
            _must_open(lambda value=value: keys.open(value.purpose, value.table, value.column, value.row, value.sealed))
    with arena.database.tenant(one.tenant, one.other_environment) as tx:
        other = arena.keyring(tx, one.tenant, one.other_environment)
        faults = [
            f"A value of {value.table} opened in another environment."
            for value in values
            if _opens(lambda v=value: other.open(v.purpose, v.table, v.column, v.row, v.sealed))
        ]
    retire(arena, one, had)
    return judged(
        faults,
        f"None of {len(values)} values of one environment opened in the other of the same organisation.",
        values=len(values),
        openings=len(values),
    )


def exposed_key_file(arena: Arena) -> Finding:
    """Offer the instance key files that it must refuse, and one that it must take."""
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as made:
        home = Path(made)
        data = home / "data"
        (data / "keys").mkdir(parents=True)
        instance = arena.instance_id
        sound = home / "sound.key"
        platform.create(f"file:{sound}", instance, data, arena.entropy, arena.clock.now())
        text = sound.read_bytes()
        tries: dict[str, str] = {}
        for mode in (0o644, 0o640, 0o604, 0o660, 0o602):
            tries[f"one of mode {mode:04o}"] = _put(home / f"{mode:o}.key", text, mode)
        tries["one inside the data directory"] = _put(data / "keys" / "inside.key", text, 0o600)
        (home / "link.key").symlink_to(data / "keys" / "inside.key")
        tries["a link into the data directory"] = f"file:{home / 'link.key'}"
        stranger = home / "stranger.key"
        platform.create(f"file:{stranger}", uuid4(), data, arena.entropy, arena.clock.now())
        tries["another instance's"] = f"file:{stranger}"
        tries["a truncated one"] = _put(home / "short.key", text[:-20], 0o600)
        tries["an empty one"] = _put(home / "empty.key", b"", 0o600)
        tries["one named by a relative path"] = "file:sound.key"
        tries["one behind a scheme that does not exist"] = f"http:{sound}"
        for what, uri in tries.items():
            if _loads(uri, instance, data):
                faults.append(f"The instance took {what}.")
        if not _loads(f"file:{sound}", instance, data):
            faults.append("The instance refused a sound key file.")
    return judged(
        faults,
        "Every key file that others can read, that lies beside the data, or that is another's was refused.",
        files=len(tries) + 1,
    )


def _put(path: Path, content: bytes, mode: int) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return f"file:{path}"


def _loads(uri: str, instance: UUID, data: Path) -> bool:
    try:
        platform.load(uri, instance, data)
    except SettingsError:
        return False
    return True


def _values(tx: TenantTx) -> list[_Value]:
    found = [
        _Value(purpose, table, column, str(row.id), row.sealed)
        for purpose, table, column, query in _KINDS
        for row in tx.many(_Row, query)
    ]
    if {value.table for value in found} != {table for _, table, _, _ in _KINDS}:
        raise AttackHinderedError("sealed values are not where they are expected")
    return found


def _must_open(opening: Callable[[], bytes]) -> None:
    try:
        opening()
    except HeldtrueError as error:
        raise AttackHinderedError(f"a value did not open in its right place: {error.message}") from error


def _opens(opening: Callable[[], bytes]) -> bool:
    try:
        opening()
    except HeldtrueError:
        return False
    return True


ATTACKS = (
    Attack(
        name="keystore.foreign_open",
        place=Place.SYNTHETIC,
        tries=(
            "Take values that one organisation had sealed, and make sure that they open for it.",
            "Open them in another row, another column and another table.",
            "Open them as another organisation, and with each of its keys directly: nothing may open.",
        ),
        run=foreign_open,
        breaks="one-key-for-all",
        needs=("heldtrue.attack.stock",),
    ),
    Attack(
        name="keystore.foreign_environment",
        place=Place.SYNTHETIC,
        tries=(
            "Take values that an organisation had sealed in one environment.",
            "Open them as the same organisation in its other environment: nothing may open.",
        ),
        run=foreign_environment,
        breaks="environment-not-bound",
        needs=("heldtrue.attack.stock",),
    ),
    Attack(
        name="keystore.exposed_key_file",
        place=Place.OBSERVE,
        tries=(
            "Make key files that others can read, that lie beside the data, that are another instance's, or cut.",
            "Offer each to the code that loads the platform key: it must refuse.",
            "A sound one must be taken.",
        ),
        run=exposed_key_file,
        breaks="any-key-file",
    ),
)

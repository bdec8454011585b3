"""Attacks on what is written down: left out, rewritten, or shown differently than it was signed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import psycopg
from psycopg import sql

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.attack.sql import as_role, table, touched
from heldtrue.attack.stock import in_order, operators, registered, request, served, stock
from heldtrue.capabilities.ledger import actions, store
from heldtrue.db.tx import TenantTx
from heldtrue.http.route import Realm, Route
from heldtrue.kernel.errors import HeldtrueError
from heldtrue.kernel.ids import LeafId, TenantId
from heldtrue_verify.checkpoint import Roots
from heldtrue_verify.tiles import WIDTH, TiledLog, read_bundle, tile_path
from heldtrue_verify.tree import consistency_proof, extends, leaf_hash
from heldtrue_verify.verdicts import VerifyError

APPEND_ONLY = (
    "log_origins",
    "log_entries",
    "log_checkpoints",
    "log_cosignatures",
    "attack_runs",
    "attack_results",
    "claim_schedules",
    "attestations",
    "annotations",
)
SAMPLE = 48
"""Bundles of 256 entries that one run rehashes; where the log is longer, they are drawn at random."""
OLDER = 8


@dataclass(frozen=True, slots=True)
class _Leaf:
    leaf_id: UUID


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    size: int
    root: bytes


def rewrite(arena: Arena) -> Finding:
    """Change, remove and truncate what is logged, as each of the application's roles; everything is rolled back."""
    dsns, faults, statements = arena.database.dsns, list[str](), 0
    for role, dsn in (("heldtrue_tenant", dsns.tenant), ("heldtrue_edge", dsns.edge), ("heldtrue_system", dsns.system)):
        with as_role(dsn) as conn:
            for name in (*APPEND_ONLY, "log_pending", "ledger_documents"):
                for what, statement in _rewrites(conn, f"heldtrue.{name}"):
                    statements += 1
                    count = touched(conn, statement)
                    if count is not None and (count or what == "truncate"):
                        faults.append(f"As {role}, a {what} of {name} was let through.")
    with as_role(dsns.system) as conn:
        statements += 1
        leaf = LeafId.new(arena.clock.now(), arena.entropy).value
        conn.execute(
            "INSERT INTO heldtrue.log_pending (leaf_id, entry, created_at) VALUES (%s, %s, now())", (leaf, b"probe")
        )
        if touched(conn, "DELETE FROM heldtrue.log_pending WHERE leaf_id = %s", (leaf,)):
            faults.append("As heldtrue_system, an entry that waits for the log was dropped.")
    return judged(
        faults,
        f"All {statements} statements that would have changed or removed something logged were refused.",
        roles=3,
        tables=len(APPEND_ONLY) + 2,
        statements=statements,
    )


def _rewrites(conn: psycopg.Connection, name: str) -> list[tuple[str, sql.Composed]]:
    """Return what to try on a table; a column that holds no erasable document is the one to change."""
    column = conn.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        " AND attname NOT IN ('tenant_id', 'sealed') ORDER BY attnum DESC LIMIT 1",
        (name,),
    ).fetchone()
    if column is None:
        raise AttackHinderedError(f"{name} has no column to change")
    tries = [
        ("update", sql.SQL("UPDATE {0} SET {1} = {1}").format(table(name), sql.Identifier(column[0]))),
        ("truncate", sql.SQL("TRUNCATE {} CASCADE").format(table(name))),
    ]
    if not name.endswith("log_pending"):  # what is in the log already may leave the queue
        tries.append(("delete", sql.SQL("DELETE FROM {}").format(table(name))))
    return tries


def forked_tree(arena: Arena) -> Finding:
    """Download the log as anybody can, rehash it, and compare with checkpoints that were signed before."""
    roots = Roots.parse(arena.pin)
    with arena.database.system() as tx:
        older = tx.many(
            _Checkpoint,
            "SELECT size, root FROM heldtrue.log_checkpoints WHERE generation = (SELECT max(generation) FROM"
            " heldtrue.log_origins) AND size > 0 ORDER BY random() LIMIT %s",
            (OLDER,),
        )
    faults: list[str] = []
    server = Published(arena)
    try:
        _, size, root = roots.head(server.get("/log/checkpoint").decode())
    except VerifyError as error:
        return judged([f"The checkpoint does not hold: {error}"], "", entries=0, checkpoints=1)
    log = TiledLog(server, size)  # pyright: ignore[reportArgumentType] - it only gets and finds
    entries = 0
    try:
        if log.range_hash(0, size) != root:
            faults.append(f"The tiles do not hash to the signed root of {size} entries.")
        for one in older:
            if one.size <= size and not extends(
                one.size, one.root, size, root, consistency_proof(one.size, size, log.range_hash)
            ):
                faults.append(f"The checkpoint of {one.size} entries is not a prefix of the one of {size}.")
        entries = _rehash(arena, server, log, size, faults)
    except VerifyError as error:
        faults.append(f"The published log cannot be read: {error}")
    return judged(
        faults,
        f"{entries} of {size} entries hash to their tiles, the tiles to the signed root, and {len(older)} earlier "
        "checkpoints are its prefixes.",
        entries=entries,
        size=size,
        checkpoints=len(older) + 1,
    )


def _rehash(arena: Arena, server: Published, log: TiledLog, size: int, faults: list[str]) -> int:
    """Compare entries with the hashes of level 0, the newest bundle always among them; return how many."""
    bundles = (size + WIDTH - 1) // WIDTH
    chosen = set(range(bundles))
    if bundles > SAMPLE:
        drawn = arena.entropy(8 * SAMPLE)
        chosen = {int.from_bytes(drawn[at : at + 8]) % bundles for at in range(0, len(drawn), 8)} | {bundles - 1}
    entries = 0
    for number in sorted(chosen):
        width = min(WIDTH, size - number * WIDTH)
        partial = server.find("/log/" + tile_path("entries", number, width)) if width < WIDTH else None
        found = read_bundle(partial or server.get("/log/" + tile_path("entries", number)))[:width]
        for place, entry in enumerate(found):
            entries += 1
            index = number * WIDTH + place
            if leaf_hash(entry) != log.range_hash(index, index + 1):
                faults.append(f"Entry {index} is not what the tree was made of.")
    return entries


class Published:
    """The log as it is served, for the separate verifier's reader of tiles."""

    def __init__(self, arena: Arena) -> None:
        self._caller = arena.caller

    def get(self, path: str, largest: int = 0) -> bytes:
        """Fetch what must be there."""
        del largest
        return self._caller.call("GET", path).expect(200).body

    def find(self, path: str, largest: int = 0) -> bytes | None:
        """Fetch what may be there."""
        del largest
        reply = self._caller.call("GET", path).expect(200, 404)
        return reply.body if reply.status == 200 else None


def unrecorded_call(arena: Arena) -> Finding:
    """Call every route once and look for the entry of each call in the ledger of its caller."""
    arena.needs_sinks()
    one, _ = arena.probes()
    had = stock(arena, one)
    asked = {"upstream": "probe-ledger", "overlap_seconds": 0}
    key = arena.caller.call("POST", "/v1/upstream-keys", arena.operator(), asked).expect(201).json()
    had.ids["upstream_key_id"] = key["id"]
    had.ids.update(registered(arena, one))
    had.ids |= {"upstream_key_id": key["id"], **operators(arena)}
    calls: list[tuple[Route, str, int]] = []
    for route in in_order(arena.api):
        token = arena.operator() if route.realm is Realm.OPERATOR else one.admin
        reply = served(arena, request(route, had.ids), token)
        identity = reply.header("request-id")
        if identity is None:
            raise AttackHinderedError(f"{route.at} answered without a Request-Id")
        if reply.status >= 500 or reply.status == 401:
            raise AttackHinderedError(f"{route.at} answered {reply.status}: it was not really called")
        calls.append((route, identity, reply.status))
    recorded: dict[str, set[str]] = {}
    for tenant, environment in ((one.tenant, one.environment), _operator(arena)):
        with arena.database.tenant(tenant, environment) as tx:
            _collect(arena, tx, tenant, environment, recorded)
    faults = [
        f"The call of {route.at}, answered with {status}, left no entry {route.audits}."
        for route, identity, status in calls
        if not (recorded.get(identity) if status >= 400 else {route.audits} & recorded.get(identity, set()))
    ]
    return judged(
        faults,
        f"Each of {len(calls)} calls left its entry in the ledger, those that were refused among them.",
        routes=len(arena.api),
        served=sum(status < 400 for _, _, status in calls),
        calls=len(calls),
        entries=sum(len(events) for events in recorded.values()),
    )


def _operator(arena: Arena) -> tuple[TenantId, str]:
    own = arena.caller.call("GET", "/v1/self", arena.operator()).expect(200).json()
    return TenantId.parse(own["organisation_id"]), own["environment"]


def _collect(arena: Arena, tx: TenantTx, tenant: TenantId, environment: str, found: dict[str, set[str]]) -> None:
    """Open the newest documents of an organisation's ledger and note which request each is about."""
    keys = arena.keyring(tx, tenant, environment)
    for row in tx.many(_Leaf, "SELECT leaf_id FROM heldtrue.ledger_documents ORDER BY leaf_id DESC LIMIT 1500"):
        stored = store.document(tx, LeafId(row.leaf_id))
        if stored is None:
            continue
        try:
            document, _ = actions.open_document(keys, stored)
        except HeldtrueError:
            continue
        identity = document.get("request")
        if isinstance(identity, str):
            found.setdefault(identity, set()).add(document["event"])


ATTACKS = (
    Attack(
        name="ledger.unrecorded_call",
        place=Place.SCRATCH,
        tries=(
            "On an instance made for this: call every route once, with something of its kind where there is one.",
            "Open the caller's ledger and look for the entry with the request's id.",
            "Every call that was served must have left the entry that its route declares; a refused one, its refusal.",
        ),
        run=unrecorded_call,
        breaks="recorder-that-forgets",
        needs=("heldtrue.attack.stock",),
        parts=("runner",),
        limit=timedelta(seconds=120),
    ),
    Attack(
        name="ledger.rewrite",
        place=Place.SYNTHETIC,
        tries=(
            "Log in to the database as each of the application's own roles.",
            "Change, remove and truncate every table of the log and of the evidence, and drop an entry that waits.",
            "Every statement must be refused; every transaction is rolled back.",
        ),
        run=rewrite,
        breaks="log-unguarded",
        needs=("heldtrue.attack.sql",),
    ),
    Attack(
        name="ledger.forked_tree",
        place=Place.OBSERVE,
        tries=(
            "Download the checkpoint and check its signature with the pinned key.",
            "Download tiles and entries, and hash them up to the signed root.",
            "Take checkpoints that were signed before, and check that each is a prefix of this one.",
        ),
        run=forked_tree,
        breaks="entries-altered-on-the-way",
        needs=("heldtrue_verify.tiles", "heldtrue_verify.tree"),
    ),
)

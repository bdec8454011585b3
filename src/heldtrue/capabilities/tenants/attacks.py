"""Attacks on the wall between organisations: by routes, and by SQL that forgets whose it asks for."""

from __future__ import annotations

from datetime import timedelta

import psycopg
from psycopg import errors, sql

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena, Probe
from heldtrue.attack.sql import as_role, table, touched
from heldtrue.attack.stock import Stock, in_order, request, retire, served, stock
from heldtrue.http.route import Realm
from heldtrue.kernel.secret import Secret


def foreign_routes(arena: Arena) -> Finding:
    """Replay every route about one organisation's things as another, and as its own other environment."""
    one, two = arena.probes()
    had = stock(arena, one)
    faults: list[str] = []
    strangers = {"another organisation": two.admin, "its own other environment": one.other_admin}
    before = arena.caller.requests
    for route in in_order(tuple(r for r in arena.api if r.realm is Realm.TENANT)):
        for who, token in strangers.items():
            asked = request(route, had.ids)
            reply = asked.send(arena.caller, token)
            named = "{" in route.path
            if named and reply.status not in {403, 404}:
                faults.append(f"{route.at} answered {reply.status} to {who}.")
            leaked = [mark for mark in had.marks if mark.encode() in reply.body]
            own = str(one.tenant) if who.startswith("its") else ""
            if reply.status < 400 and any(mark != own and not mark.startswith(own or "\0") for mark in leaked):
                faults.append(f"{route.at} told {who} something of this organisation.")
            if had.marks[0].encode() in reply.body:
                faults.append(f"{route.at} told {who} a text of this organisation.")
    for what, token in (("payload_id", two.admin), ("endpoint_id", two.admin)):
        found = arena.caller.call("GET", f"/v1/deliveries?{what}={had.ids[what]}", token)
        if found.status == 200 and found.json()["data"]:
            faults.append(f"GET /v1/deliveries listed another organisation's deliveries by {what}.")
    faults += _changed(arena, one, had)
    if not faults:
        _must_serve(arena, one, had)
    requests = arena.caller.requests - before
    retire(arena, one, had)
    return judged(
        faults,
        "Every route refused the ids of another organisation and of another environment, and nothing was changed.",
        routes=len(arena.api),
        strangers=len(strangers),
        requests=requests,
    )


def _must_serve(arena: Arena, probe: Probe, had: Stock) -> None:
    """Make the same requests as the owner: what is refused to everybody is no refusal of strangers."""
    for route in in_order(tuple(r for r in arena.api if r.realm is Realm.TENANT)):
        reply = served(arena, request(route, had.ids), probe.admin)
        if reply.status >= 400 and reply.status != 409:
            raise AttackHinderedError(f"{route.at} answered {reply.status} to the owner as well")


def _changed(arena: Arena, probe: Probe, had: Stock) -> list[str]:
    """Return what a stranger managed to change."""
    ids, faults = had.ids, list[str]()
    payload = arena.caller.call("GET", f"/v1/payloads/{ids['payload_id']}", probe.admin)
    if payload.status != 200 or payload.json()["state"] == "erased":
        faults.append("A stranger erased a payload.")
    endpoint = arena.caller.call("GET", f"/v1/endpoints/{ids['endpoint_id']}", probe.admin)
    if endpoint.status != 200 or endpoint.json()["state"] != "enabled":
        faults.append("A stranger disabled or deleted an endpoint.")
    keys = arena.caller.call("GET", "/v1/keys?limit=100", probe.admin).expect(200).json()["data"]
    if not any(key["id"] == ids["key_id"] and key["state"] == "active" for key in keys):
        faults.append("A stranger revoked or rolled a key.")
    return faults


_TENANT_TABLES = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('heldtrue', 'keystore') ORDER BY 1"""
SEALED = (
    "name_sealed",
    "config_sealed",
    "secrets_sealed",
    "meta_sealed",
    "body_sealed",
    "excerpt_sealed",
    "code_sealed",
    "note_sealed",
    "result_sealed",
    "logs_sealed",
    "error_sealed",
    "reason_sealed",
    "response_sealed",
    "sealed",
    "answer",
)
READABLE = {
    ("heldtrue_system", "heldtrue.organisations", "name_sealed"),  # the operator lists organisations by name
    ("heldtrue_system", "heldtrue.objections", "reason_sealed"),  # written to the operator
    ("heldtrue_system", "heldtrue.objections", "response_sealed"),  # written by the operator
    ("heldtrue_system", "heldtrue.idempotency", "answer"),  # the operator's own answers are repeated from there
}
"""What a role other than the tenant's may read, still sealed."""


def foreign_rows(arena: Arena) -> Finding:
    """Ask every table as each of the application's roles, without and with another organisation's setting."""
    one, two = arena.probes()
    had = stock(arena, one)
    faults: list[str] = []
    statements = 0
    dsns = arena.database.dsns
    with as_role(dsns.tenant) as conn:
        names = [row[0] for row in conn.execute(_TENANT_TABLES).fetchall()]
        filled = [name for name in names if _rows(conn, name, one, one)]
        if len(filled) < len(names) // 2:
            raise AttackHinderedError(f"only {len(filled)} of {len(names)} tables hold a row to be protected")
    for who, setting in (("no organisation set", None), ("another organisation set", two)):
        with as_role(dsns.tenant) as conn:
            for name in names:
                statements += 4
                faults += _trespass(conn, name, who, setting, one)
    for role, dsn in (("heldtrue_edge", dsns.edge), ("heldtrue_system", dsns.system)):
        found, tried = _sealed_columns(dsn, role, names)
        faults += found
        statements += tried
    retire(arena, one, had)
    return judged(
        faults,
        f"{len(names)} tables showed no row of another organisation and let none be changed, whoever asked.",
        tables=len(names),
        filled=len(filled),
        statements=statements,
    )


def _rows(conn: psycopg.Connection, name: str, asker: Probe | None, owner: Probe) -> int:
    """Return how many rows of *owner* the tenant role sees in *name* with *asker* set."""
    _set(conn, asker)
    conn.execute("SAVEPOINT look")
    try:
        query = sql.SQL("SELECT count(*) FROM {} WHERE tenant_id = %s").format(table(name))
        found = conn.execute(query, (owner.tenant.value,)).fetchone()
    except errors.InsufficientPrivilege:
        found = (0,)
    conn.execute("ROLLBACK TO SAVEPOINT look")
    return found[0] if found else 0


def _set(conn: psycopg.Connection, probe: Probe | None) -> None:
    tenant = "" if probe is None else str(probe.tenant.value)
    environment = "" if probe is None else probe.environment
    conn.execute(
        "SELECT set_config('heldtrue.tenant', %s, true), set_config('heldtrue.environment', %s, true)",
        (tenant, environment),
    )


def _trespass(conn: psycopg.Connection, name: str, who: str, asker: Probe | None, owner: Probe) -> list[str]:
    """Read, change, remove and forge rows of *owner* in one table; each is undone."""
    faults: list[str] = []
    if seen := _rows(conn, name, asker, owner):
        faults.append(f"With {who}, {name} showed {seen} rows of another organisation.")
    _set(conn, asker)
    everything = sql.SQL("SELECT 1 FROM {} WHERE %s::uuid IS NULL OR tenant_id <> %s").format(table(name))
    mine = None if asker is None else asker.tenant.value
    if touched(conn, everything, (mine, mine)):
        faults.append(f"With {who}, a query that forgets its organisation found rows in {name}.")
    columns = {
        row[0]
        for row in conn.execute(
            "SELECT column_name FROM information_schema.column_privileges WHERE table_schema || '.' || table_name = %s"
            " AND privilege_type = 'UPDATE' AND grantee = current_user",
            (name,),
        ).fetchall()
    }
    for column in sorted(columns)[:1]:
        change = sql.SQL("UPDATE {0} SET {1} = {1} WHERE tenant_id = %s").format(table(name), sql.Identifier(column))
        if touched(conn, change, (owner.tenant.value,)):
            faults.append(f"With {who}, rows of another organisation in {name} were changed.")
    if touched(conn, sql.SQL("DELETE FROM {} WHERE tenant_id = %s").format(table(name)), (owner.tenant.value,)):
        faults.append(f"With {who}, rows of another organisation in {name} were removed.")
    return faults


def _sealed_columns(dsn: Secret[str], role: str, names: list[str]) -> tuple[list[str], int]:
    """Read every sealed column as a role that is no organisation's."""
    faults: list[str] = []
    tried = 0
    with as_role(dsn) as conn:
        for name in names:
            columns = conn.execute(
                "SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n"
                " ON n.oid = c.relnamespace WHERE n.nspname || '.' || c.relname = %s AND a.attnum > 0",
                (name,),
            ).fetchall()
            for (column,) in columns:
                if column not in SEALED or (role, name, column) in READABLE:
                    continue
                tried += 1
                query = sql.SQL("SELECT {} FROM {} LIMIT 1").format(sql.Identifier(column), table(name))
                if touched(conn, query) is not None:
                    faults.append(f"The role {role} may read {name}.{column}.")
    return faults, tried


ATTACKS = (
    Attack(
        name="tenants.foreign_routes",
        place=Place.SYNTHETIC,
        tries=(
            "Give one organisation one thing of every kind.",
            "Call every route about each as another organisation, and as its own other environment.",
            "Every answer must be a refusal with nothing in it, and afterwards everything must be as it was.",
        ),
        run=foreign_routes,
        breaks="row-security-off",
        needs=("heldtrue.attack.stock",),
        limit=timedelta(seconds=120),
    ),
    Attack(
        name="tenants.foreign_rows",
        place=Place.SYNTHETIC,
        tries=(
            "Log in to the database as each of the application's own roles.",
            "Read, change and remove rows of every table with no organisation set, and with another one set.",
            "No row may show or change; every transaction is rolled back.",
        ),
        run=foreign_rows,
        breaks="row-security-off",
        needs=("heldtrue.attack.stock", "heldtrue.attack.sql"),
    ),
)

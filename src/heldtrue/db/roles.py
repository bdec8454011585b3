"""The roles of the database: an owner nobody can be, and three that log in and may only do their part.

Everything here is idempotent and runs at each start. Passwords are random, set anew each time, and handed to the
processes in memory; the server keeps SCRAM verifiers only, computed on our side.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from heldtrue.kernel.errors import SettingsError
from heldtrue.kernel.ids import Entropy
from heldtrue.kernel.secret import Secret

OWNER = "heldtrue_owner"
TENANT = "heldtrue_tenant"
EDGE = "heldtrue_edge"
SYSTEM = "heldtrue_system"
LOGINS = (TENANT, EDGE, SYSTEM)
ROLES = (OWNER, *LOGINS)


@dataclass(frozen=True, slots=True)
class RoleDsns:
    """Where and as whom to connect, one DSN a role."""

    tenant: Secret[str]
    edge: Secret[str]
    system: Secret[str]


def establish(admin: Secret[str], entropy: Entropy) -> RoleDsns:
    """Make the roles as they must be, give them new passwords and return their DSNs.

    *admin* may create roles in the server; a superuser is not needed.
    """
    passwords = {role: Secret(entropy(32).hex()) for role in LOGINS}
    with psycopg.connect(admin.reveal(), autocommit=True) as conn, conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtext('heldtrue.roles'))")
        for role in ROLES:
            _ensure(conn, role)
        for role, password in passwords.items():
            verifier = conn.pgconn.encrypt_password(password.reveal().encode(), role.encode(), b"scram-sha-256")
            conn.execute(
                sql.SQL("ALTER ROLE {} LOGIN NOINHERIT PASSWORD {}").format(sql.Identifier(role), verifier.decode())
            )
        _refuse_power(conn)
        _admit(conn)
    return dsns_for(admin, passwords)


def dsns_for(admin: Secret[str], passwords: dict[str, Secret[str]]) -> RoleDsns:
    """Return the roles' DSNs to the database that *admin* names."""
    base = admin.reveal()
    tenant, edge, system = (
        Secret(make_conninfo(base, user=role, password=passwords[role].reveal())) for role in LOGINS
    )
    return RoleDsns(tenant=tenant, edge=edge, system=system)


def at_database(dsns: RoleDsns, name: str) -> RoleDsns:
    """Return *dsns* pointing at the database *name* of the same server."""
    return RoleDsns(
        *(Secret(make_conninfo(one.reveal(), dbname=name)) for one in (dsns.tenant, dsns.edge, dsns.system))
    )


def admit(admin: Secret[str]) -> None:
    """Let the roles into the database that *admin* names, and nobody else."""
    with psycopg.connect(admin.reveal(), autocommit=True) as conn, conn.transaction():
        _admit(conn)


def _ensure(conn: psycopg.Connection, role: str) -> None:
    if conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
        conn.execute(
            sql.SQL("CREATE ROLE {} NOLOGIN NOCREATEDB NOCREATEROLE CONNECTION LIMIT -1").format(sql.Identifier(role))
        )


def _refuse_power(conn: psycopg.Connection) -> None:
    """Raise when a role can pass by row-level security or become another (a role may predate us)."""
    strong = conn.execute(
        """SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)
           AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)""",
        [list(ROLES)],
    ).fetchall()
    member = conn.execute(
        """SELECT m.rolname FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member WHERE m.rolname = ANY(%s)""",
        [list(ROLES)],
    ).fetchall()
    if found := sorted({str(row[0]) for row in strong + member}):
        raise SettingsError(
            f"the database roles {', '.join(found)} hold more than they may",
            advice="Take superuser, BYPASSRLS, CREATEROLE, CREATEDB, REPLICATION and all memberships from them.",
        )


def _admit(conn: psycopg.Connection) -> None:
    database = sql.Identifier(conn.info.dbname)
    superuser = conn.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if superuser != (True,):
        conn.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(OWNER)))  # so that it may SET ROLE
    conn.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    conn.execute(sql.SQL("GRANT CONNECT, CREATE ON DATABASE {} TO {}").format(database, sql.Identifier(OWNER)))
    for role in LOGINS:
        conn.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, sql.Identifier(role)))
    conn.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")

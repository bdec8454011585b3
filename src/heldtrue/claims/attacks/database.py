"""Attacks on the way to the database: where it listens, and how it would be reached elsewhere."""

from __future__ import annotations

import contextlib
import socket

import psycopg
from psycopg.conninfo import make_conninfo

from heldtrue.attack import Attack, Finding, Place, broken, judged
from heldtrue.attack.arena import Arena
from heldtrue.attack.sql import as_role
from heldtrue.db import dsn
from heldtrue.kernel.errors import SettingsError

UNVERIFIED = (
    "host=db.example.com dbname=heldtrue user=heldtrue",
    "host=db.example.com dbname=heldtrue user=heldtrue sslmode=disable",
    "host=db.example.com dbname=heldtrue user=heldtrue sslmode=allow",
    "host=db.example.com dbname=heldtrue user=heldtrue sslmode=prefer",
    "host=db.example.com dbname=heldtrue user=heldtrue sslmode=require",
    "host=db.example.com dbname=heldtrue user=heldtrue sslmode=verify-ca sslrootcert=system",
    "host=127.0.0.1 dbname=heldtrue user=heldtrue sslmode=prefer",
    "host=localhost dbname=heldtrue user=heldtrue",
    "hostaddr=192.0.2.7 dbname=heldtrue user=heldtrue sslmode=verify-full sslrootcert=system",
    "host=/run/postgresql,db.example.com dbname=heldtrue user=heldtrue",
    "host=/run/postgresql hostaddr=192.0.2.7 dbname=heldtrue user=heldtrue",
    "host=db.example.com dbname=heldtrue user=heldtrue sslmode=verify-full",
    "host=db.example.com dbname=heldtrue sslmode=verify-full sslrootcert=system ssl_min_protocol_version=TLSv1",
    "postgresql://heldtrue@db.example.com/heldtrue",
    "postgresql://heldtrue@db.example.com/heldtrue?sslmode=require",
    "postgresql://heldtrue@[2001:db8::7]/heldtrue?sslmode=prefer",
    "service=production dbname=heldtrue",
    "dbname=heldtrue user=heldtrue",
)
"""Ways to name a database elsewhere that would not prove who answers."""
VERIFIED = (
    "host=db.example.com dbname=heldtrue user=heldtrue sslmode=verify-full sslrootcert=system",
    "host=/run/postgresql dbname=heldtrue user=heldtrue",
)
_LISTEN = "0A"


def remote_unverified(_arena: Arena) -> Finding:
    """Name a database elsewhere in every way that leaves out part of the proof."""
    faults: list[str] = []
    for text in UNVERIFIED:
        with contextlib.suppress(SettingsError):
            dsn.admitted(text)
            faults.append(f"The setting {text!r} was accepted.")
    for text in VERIFIED:
        try:
            dsn.admitted(text)
        except SettingsError:
            faults.append(f"The sound setting {text!r} was refused.")
    return judged(
        faults,
        "Every setting that would not verify the server in full was refused; sound ones were not.",
        settings=len(UNVERIFIED) + len(VERIFIED),
    )


def network(arena: Arena) -> Finding:
    """Ask the server where it listens, then try to log in to it at every port that listens on this machine."""
    own = arena.database.dsns.tenant
    with as_role(own) as conn:
        row = conn.execute("SELECT current_setting('listen_addresses'), current_setting('port')").fetchone()
        listens, port = row if row is not None else ("unknown", "5432")
    if listens:
        return broken(f"The database is set to listen on {listens!r}.", ports=0, logins=0)
    ports = sorted(_listening() | {int(port)})
    faults: list[str] = []
    for number in ports:
        if _admits(own.reveal(), number):
            faults.append(f"The database let its own role in over the network, at port {number}.")
    return judged(
        faults,
        "The database is set to listen nowhere, and at none of the ports that listen here it let its own role in.",
        ports=len(ports),
        logins=len(ports),
    )


def _listening() -> set[int]:
    """Return the TCP ports that anything on this machine listens on (proc(5), /proc/net/tcp)."""
    found: set[int] = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/net/{name}", encoding="ascii") as table:  # noqa: PTH123
            for line in table.readlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    found.add(int(fields[1].rpartition(":")[2], 16))
    return found


def _admits(own: str, port: int) -> bool:
    """Return whether a login as our own role succeeds over TCP; first ask in one packet whether it is PostgreSQL."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0) as link:
            link.settimeout(1.0)
            link.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")  # SSLRequest (PostgreSQL protocol, section 54.7)
            if link.recv(1) not in {b"S", b"N"}:
                return False
    except OSError:
        return False
    try:
        with psycopg.connect(make_conninfo(own, host="127.0.0.1", port=port, connect_timeout=2)):
            return True
    except psycopg.Error:
        return False


ATTACKS = (
    Attack(
        name="database.network",
        place=Place.OBSERVE,
        tries=(
            "Ask the database on which addresses it listens.",
            "Find every port that anything on the machine listens on, and ask each whether it is a database.",
            "Log in there with the application's own role: nobody may let it in.",
        ),
        run=network,
        breaks="database-on-tcp",
        needs=("heldtrue.attack.sql",),
    ),
    Attack(
        name="database.remote_unverified",
        place=Place.OBSERVE,
        tries=(
            "Name a database on another machine without TLS, unverified, half verified, or through a side door.",
            "Each must be refused before anything is connected to.",
            "A setting that verifies in full must be accepted.",
        ),
        run=remote_unverified,
        breaks="any-dsn",
    ),
)

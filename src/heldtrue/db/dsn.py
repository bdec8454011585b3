"""The operator's own database server: judge its DSN before anything is sent there.

A connection that leaves this process's machine, or could, is refused unless it authenticates the server:
`sslmode=verify-full` (PostgreSQL 18, section 32.19.1). Unix sockets need none.
"""

from __future__ import annotations

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from heldtrue.kernel.errors import SettingsError
from heldtrue.kernel.secret import Secret

_FORBIDDEN = ("service", "servicefile", "passfile", "options")
"""Parameters by which a file or a string elsewhere could change what was judged here."""


class InsecureDsnError(SettingsError):
    """The database would be reached without proof of who it is; write `sslmode=verify-full` and `sslrootcert`."""

    code = "insecure-dsn"


def admitted(dsn: str) -> Secret[str]:
    """Return *dsn* as it will be used, or raise with what to write instead.

    Accepts `postgresql://` URIs and `key=value` strings. Nothing of the environment (PGHOST, PGSSLMODE) is relied on:
    host and sslmode must be in the DSN itself.
    """
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    except ProgrammingError as error:
        raise SettingsError(
            "the database DSN cannot be read",
            advice="Write postgresql://USER@HOST/NAME?sslmode=verify-full&sslrootcert=/path/ca.pem",
        ) from error
    for name in _FORBIDDEN:
        if name in parts:
            raise SettingsError(f"the database DSN sets {name}, which is not used", advice=f"Remove {name} from it.")
    hosts = [host for field in ("host", "hostaddr") for host in parts.get(field, "").split(",") if field in parts]
    if not hosts or not all(hosts):
        raise SettingsError("the database DSN names no host", advice="Add host=NAME, or host=/path of the unix socket.")
    if any(not _is_socket(host) for host in hosts):
        _demand_verification(parts, hosts)
    if "dbname" not in parts:
        raise SettingsError("the database DSN names no database", advice="Add dbname=NAME.")
    return Secret(make_conninfo("", **parts))


def _is_socket(host: str) -> bool:
    return host.startswith(("/", "@"))


def _demand_verification(parts: dict[str, str], hosts: list[str]) -> None:
    where = ", ".join(host for host in hosts if not _is_socket(host))
    if parts.get("sslmode") != "verify-full":
        raise InsecureDsnError(
            f"the connection to {where} would not verify the server (sslmode is {parts.get('sslmode', 'not set')})",
            advice="Add sslmode=verify-full and sslrootcert=/path/to/ca.pem (or sslrootcert=system) to the DSN; "
            "for a server on this machine use its unix socket: host=/run/postgresql",
        )
    if "sslrootcert" not in parts:
        raise InsecureDsnError(
            f"the connection to {where} names no certificate authority",
            advice="Add sslrootcert=/path/to/ca.pem, or sslrootcert=system for the machine's own store.",
        )
    if "hostaddr" in parts and "host" not in parts:
        raise InsecureDsnError(
            "the database DSN gives an address without the name that the certificate must carry",
            advice="Add host=NAME beside hostaddr.",
        )
    if parts.get("sslnegotiation") not in {None, "postgres", "direct"} or parts.get("gssencmode") == "require":
        raise InsecureDsnError(f"the connection to {where} would not use TLS", advice="Remove gssencmode.")
    parts["gssencmode"] = "disable"  # else a Kerberos-encrypted connection would count as encrypted, unverified
    parts.setdefault("ssl_min_protocol_version", "TLSv1.2")
    if parts["ssl_min_protocol_version"] in {"TLSv1", "TLSv1.1"}:
        raise InsecureDsnError("TLS below 1.2 is not used", advice="Remove ssl_min_protocol_version.")

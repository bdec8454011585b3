"""What the embedded server is told: safe, quiet about data, and small; written anew at each start."""

from __future__ import annotations

from collections.abc import Mapping

PORT = "5432"
"""Part of the socket's name; nothing listens on a port."""

# No statement, parameter or row ever reaches the log: ERROR ranks below LOG here, and terse drops DETAIL, which
# quotes rows. Durability is PostgreSQL's default, written down so that nobody has to look it up.
CONFIGURATION = {
    "listen_addresses": "",
    "port": PORT,
    "max_connections": "100",
    "shared_buffers": "128MB",
    "dynamic_shared_memory_type": "posix",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_wal_size": "512MB",
    "min_wal_size": "64MB",
    "password_encryption": "scram-sha-256",
    "unix_socket_permissions": "0777",  # the directory is the door; see EmbeddedServer
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "logging_collector": "off",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "jit": "off",
    "autovacuum_naptime": "15s",  # a new instance's first statistics: without them a tenant's whole table is read
}

HBA = "# written at each start\nlocal all all scram-sha-256\nlocal replication all reject\n"
"""Who may connect and how: passwords over the socket, for everybody, the superuser included."""


def written(settings: Mapping[str, str]) -> str:
    """Return *settings* as the text of `postgresql.conf`."""
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in sorted(settings.items())]
    return "\n".join(["# written at each start", *lines, ""])

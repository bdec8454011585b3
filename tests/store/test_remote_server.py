"""A PostgreSQL server elsewhere: over TLS that is verified both ways, with an administrator who is no superuser."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from certificates import key_and_cert, write
from psycopg.conninfo import make_conninfo

from heldtrue.db import launch
from heldtrue.db.dsn import admitted
from heldtrue.db.embedded import SERVICE_USER
from heldtrue.db.launch import RunAs, create_service_user
from heldtrue.db.migrate import migrate
from heldtrue.db.roles import establish
from heldtrue.db.tx import Database, PoolSizes
from heldtrue.kernel.errors import SettingsError
from heldtrue.kernel.secret import Secret


def _programs() -> Path | None:
    """Return programs built with TLS: the distribution's; the bundled ones have none, as a socket needs none."""
    for home in sorted(Path("/usr/lib/postgresql").glob("*"), reverse=True):
        if (home / "bin" / "initdb").exists():
            return home / "bin"
    return None


PROGRAMS = _programs()
pytestmark = pytest.mark.skipif(
    PROGRAMS is None, reason="no PostgreSQL with TLS on this machine: apt install postgresql"
)


@dataclass(frozen=True)
class Remote:
    admin: str
    files: Path

    def dsn(self, **changes: str) -> str:
        return make_conninfo(self.admin, **changes)


@pytest.fixture(scope="module")
def remote() -> Generator[Remote]:
    home = Path(tempfile.mkdtemp(prefix="heldtrue-remote-"))
    home.chmod(0o711)
    who = RunAs()
    if os.geteuid() == 0:
        user = create_service_user(SERVICE_USER)
        who = RunAs(user.pw_uid, user.pw_gid)
    cluster = home / "data"
    cluster.mkdir(mode=0o700)
    authority = key_and_cert("authority", None)
    write(home, "ca", *authority)
    write(home, "stranger", *key_and_cert("stranger", None))
    write(home, "client", *key_and_cert("operator", authority))
    write(cluster, "server", *key_and_cert("localhost", authority, host=True))
    shutil.copy(home / "ca.pem", cluster / "ca.pem")
    files = list(cluster.iterdir())
    secret = secrets.token_hex(16)
    staged = home / "staged"
    shutil.move(cluster, staged)
    cluster.mkdir(mode=0o700)
    (home / "password").write_text(secret)
    for path in (cluster, home / "password"):
        os.chown(path, -1 if who.uid is None else who.uid, -1)
    made = launch.run(
        who, cluster,
        [str(PROGRAMS / "initdb"), "-D", str(cluster), "-U", "root_of_it", "--auth=scram-sha-256", "--encoding=UTF8",
         f"--pwfile={home / 'password'}", "--locale=C"],
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    for name in [path.name for path in files]:
        shutil.move(staged / name, cluster / name)
        os.chown(cluster / name, -1 if who.uid is None else who.uid, -1)
    (cluster / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    options = {
        "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "shared_buffers": "16MB",
        "ssl": "on", "ssl_cert_file": "server.pem", "ssl_key_file": "server.key", "ssl_ca_file": "ca.pem",
    }  # fmt: skip
    server = subprocess.Popen(
        launch.command(
            who, cluster,
            [str(PROGRAMS / "postgres"), "-D", str(cluster), *(f"--{k}={v}" for k, v in options.items())],
            dies_with_us=signal.SIGQUIT,
        ),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=launch.clean_environment(),
    )  # fmt: skip
    base = make_conninfo(
        host="localhost", hostaddr="127.0.0.1", port=port, dbname="heldtrue", user="operator", password=secret,
        sslmode="verify-full", sslrootcert=str(home / "ca.pem"), sslcert=str(home / "client.pem"),
        sslkey=str(home / "client.key"),
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                with psycopg.connect(
                    make_conninfo(base, user="root_of_it", dbname="postgres"), autocommit=True
                ) as conn:
                    conn.execute(f"CREATE ROLE operator LOGIN CREATEROLE PASSWORD '{secret}'")
                    conn.execute("CREATE DATABASE heldtrue OWNER operator")
                break
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                assert server.poll() is None
        yield Remote(base, home)
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(30)
        shutil.rmtree(home)


def test_the_whole_schema_comes_up_without_a_superuser_over_verified_tls(remote):
    admin = admitted(remote.admin)
    roles = establish(admin, secrets.token_bytes)
    migrate(admin)
    with Database(roles, PoolSizes(1, 1, 1)) as database:
        database.ping()
        with database.system() as tx:
            assert tx.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
            assert tx.value("SELECT current_user") == "heldtrue_system"


def test_a_connection_in_clear_is_refused_by_us_and_by_the_server(remote):
    clear = remote.dsn(sslmode="disable")
    with pytest.raises(SettingsError, match="would not verify"):
        admitted(clear)
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(clear)


def test_a_connection_without_a_client_certificate_is_refused(remote):
    without = remote.dsn(sslcert="/nonexistent/c", sslkey="/nonexistent/k")
    with pytest.raises(psycopg.OperationalError, match="client certificate"):
        psycopg.connect(admitted(without).reveal())


def test_a_server_of_another_authority_gets_no_password(remote):
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(admitted(remote.dsn(sslrootcert=str(remote.files / "stranger.pem"))).reveal())


def test_a_server_of_another_name_gets_no_password(remote):
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        psycopg.connect(admitted(remote.dsn(host="db.example.org")).reveal())


def test_a_role_that_holds_too_much_is_refused(remote):
    admin = remote.dsn(user="root_of_it")
    establish(Secret(remote.admin), secrets.token_bytes)
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute("ALTER ROLE heldtrue_tenant BYPASSRLS")
        with pytest.raises(SettingsError, match="heldtrue_tenant hold more than they may"):
            establish(Secret(remote.admin), secrets.token_bytes)
        conn.execute("ALTER ROLE heldtrue_tenant NOBYPASSRLS")
    establish(Secret(remote.admin), secrets.token_bytes)

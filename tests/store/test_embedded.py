"""The embedded server starts after whatever came before, once, and ends with us."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import heldtrue
from heldtrue.db import launch
from heldtrue.db.embedded import AlreadyRunningError, EmbeddedServer
from heldtrue.db.migrate import migrate
from heldtrue.db.roles import establish
from heldtrue.db.tx import Database, OutcomeUnknownError, PoolSizes
from heldtrue.kernel.errors import SettingsError, UnavailableError
from heldtrue.kernel.ids import TenantId

SMALL = {"shared_buffers": "16MB", "max_connections": "30"}
ROOT = os.geteuid() == 0


@pytest.fixture
def home(server) -> Generator[Path]:
    """A directory that a service user can pass through, unlike pytest's own, with the programs already in it."""
    path = Path(tempfile.mkdtemp(prefix="heldtrue-embedded-"))
    path.chmod(0o711)
    for programs in server.embedded.home.glob("bin-*"):
        (path / "pg").mkdir(mode=0o711)
        shutil.copytree(programs, path / "pg" / programs.name, copy_function=os.link, symlinks=True)
    yield path
    shutil.rmtree(path)


def remember(dsn: str, what: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS kept (what text)")
        conn.execute("INSERT INTO kept VALUES (%s)", [what])


def kept(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as conn:
        return [row[0] for row in conn.execute("SELECT what FROM kept").fetchall()]


def shared_memory(pid: int) -> set[Path]:
    """Return the segments of shared memory that the process maps."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {Path(line.split()[-1]) for line in lines if "/dev/shm/PostgreSQL" in line}


def wait_gone(pid: int, patience: float = 15.0) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], patience)[0])
    finally:
        os.close(handle)


def test_what_was_committed_survives_a_restart(home):
    server = EmbeddedServer(home, tuning=SMALL)
    remember(server.start().reveal(), "before")
    server.stop()
    assert launch.processes_in(server.cluster, "postgres") == []
    with EmbeddedServer(home, tuning=SMALL) as again:
        assert again.alive()
        assert kept(again.start().reveal()) == ["before"]


def test_it_listens_on_a_private_socket_with_scram_and_checksums(home):
    with EmbeddedServer(home, tuning=SMALL) as server:
        dsn = server.start().reveal()
        with psycopg.connect(dsn) as conn:
            show = {
                name: conn.execute(sql.SQL("SHOW {}").format(sql.Identifier(name))).fetchone()
                for name in ("listen_addresses", "data_checksums", "server_encoding", "fsync", "synchronous_commit",
                             "full_page_writes", "password_encryption")
            }  # fmt: skip
        assert {name: row[0] for name, row in show.items()} == {
            "listen_addresses": "", "data_checksums": "on", "server_encoding": "UTF8", "fsync": "on",
            "synchronous_commit": "on", "full_page_writes": "on", "password_encryption": "scram-sha-256",
        }  # fmt: skip
        assert Path(conninfo_to_dict(dsn)["host"]).stat().st_mode & 0o777 == 0o700
        for wrong in (make_conninfo(dsn, password="guess"), make_conninfo(dsn, user="postgres")):
            with pytest.raises(psycopg.OperationalError, match="authentication failed"):
                psycopg.connect(wrong)


def test_killing_the_postmaster_loses_nothing(home):
    with EmbeddedServer(home, tuning=SMALL) as server:
        dsn = server.start().reveal()
        remember(dsn, "acknowledged")
        busy = psycopg.connect(dsn)  # a backend that may outlive its postmaster for a moment
        busy.execute("SELECT 1")
        held = shared_memory(server.pid)
        assert held
        os.kill(server.pid, signal.SIGKILL)
        server._postmaster.wait()
        assert not server.alive()
        assert kept(server.start().reveal()) == ["acknowledged"]
        assert not any(segment.exists() for segment in held), "what the killed server held is freed"
        busy.close()


def kill_the_recovery(server: EmbeddedServer) -> bool:
    """SIGKILL a process of the server, and then the one that recovers from that; False where it was too quick."""
    titled = {title: pid for pid in launch.processes_in(server.cluster, "postgres") for title in [cmdline(pid)]}
    os.kill(next(pid for title, pid in titled.items() if "checkpointer" in title), signal.SIGKILL)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        for pid in launch.processes_in(server.cluster, "postgres"):
            if cmdline(pid).startswith("postgres: startup"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    return True
    return False


def cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("ascii", "replace")
    except OSError:
        return ""


def test_a_server_whose_recovery_was_killed_is_found_stuck_and_started_again(home):
    with EmbeddedServer(home, tuning=SMALL) as server:
        remember(server.start().reveal(), "acknowledged")
        assert not server.stuck()
        assert any(kill_the_recovery(server) for _ in range(5)), "no recovery was caught in the act"
        end = time.monotonic() + 20
        while server.alive() and not (server.stuck() and server.stuck()) and time.monotonic() < end:
            if reachable(server):
                break
        if server.alive() and not reachable(server):
            assert server.stuck()
            server.abandon()
        if not server.alive():
            server.start()
        assert kept(server.start().reveal()) == ["acknowledged"]
        assert not server.stuck()


def test_a_child_forked_meanwhile_does_not_keep_the_lock(home):
    with EmbeddedServer(home, tuning=SMALL) as server:
        server.start()
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        try:
            server.stop()
            server.start()
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        assert server.alive()


def reachable(server: EmbeddedServer) -> bool:
    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(server.start().reveal(), connect_timeout=3).close()
        return True
    return False


STARTER = """
    import sys, pathlib
    from heldtrue.db.embedded import EmbeddedServer
    server = EmbeddedServer(pathlib.Path(sys.argv[1]), tuning={"shared_buffers": "16MB", "max_connections": "30"})
    print(server.start().reveal(), flush=True)
    print(server.pid, flush=True)
    sys.stdin.read()
    server.stop()
"""


def a_supervisor(home: Path, python: str = sys.executable, *before: str, env: dict[str, str] | None = None):
    return subprocess.Popen(
        [*before, python, "-c", textwrap.dedent(STARTER), str(home)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
    )  # fmt: skip


def test_killing_the_supervisor_leaves_no_server_and_loses_nothing(home):
    with a_supervisor(home) as supervisor:
        dsn, pid = supervisor.stdout.readline().strip(), int(supervisor.stdout.readline())
        remember(dsn, "acknowledged")
        supervisor.kill()
    assert wait_gone(pid)
    with EmbeddedServer(home, tuning=SMALL) as server:
        assert kept(server.start().reveal()) == ["acknowledged"]


def test_a_restart_does_not_wait_for_the_killed_supervisors_server(home):
    with a_supervisor(home) as supervisor:
        dsn = supervisor.stdout.readline().strip()
        remember(dsn, "acknowledged")
        supervisor.kill()
        supervisor.wait()
        with EmbeddedServer(home, tuning=SMALL) as server:
            assert kept(server.start().reveal()) == ["acknowledged"]


def test_a_server_that_outlived_its_supervisor_is_ended_first(home):
    first = EmbeddedServer(home, tuning=SMALL)
    remember(first.start().reveal(), "before")
    first.stop()
    orphan = subprocess.Popen(
        launch.command(
            first._who, first.cluster, [first.programs.path("postgres"), "-D", str(first.cluster)], dies_with_us=None
        ),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while not (first.cluster / "postmaster.pid").exists() and time.monotonic() < deadline:
        select.select([], [], [], 0.02)
    with EmbeddedServer(home, tuning=SMALL) as server:
        assert orphan.wait(10) is not None
        assert kept(server.start().reveal()) == ["before"]
        assert len({p for p in launch.processes_in(server.cluster, "postgres") if _parent(p) == os.getpid()}) == 1


def _parent(pid: int) -> int | None:
    """Return whose child *pid* is; None when it ended meanwhile."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def test_a_stale_pid_file_that_names_somebody_else_is_no_obstacle(home):
    first = EmbeddedServer(home, tuning=SMALL)
    remember(first.start().reveal(), "before")
    first.stop()
    stranger = subprocess.Popen(
        launch.command(first._who, Path("/"), ["/bin/sleep", "60"], dies_with_us=signal.SIGKILL)
    )
    try:
        (first.cluster / "postmaster.pid").write_text(f"{stranger.pid}\n{first.cluster}\n{int(time.time())}\n5432\n")
        first._give_away(first.cluster / "postmaster.pid")
        with EmbeddedServer(home, tuning=SMALL) as server:
            assert kept(server.start().reveal()) == ["before"]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_crash_while_the_cluster_was_made_is_made_good(home):
    with EmbeddedServer(home, tuning=SMALL) as first:
        cluster = first.cluster
    cluster.rename(cluster.with_suffix(".new"))
    shutil.rmtree(cluster.with_suffix(".new") / "global")
    with EmbeddedServer(home, tuning=SMALL) as server:
        remember(server.start().reveal(), "after")
    assert not cluster.with_suffix(".new").exists()


def test_there_are_never_two(home):
    with EmbeddedServer(home, tuning=SMALL) as server:
        with pytest.raises(AlreadyRunningError, match="another process"):
            EmbeddedServer(home, tuning=SMALL).start()
        assert server.alive()


def test_a_long_path_still_has_a_socket(home):
    deep = home / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    for part in (deep, deep.parent):
        part.chmod(0o711)
    with EmbeddedServer(deep, tuning=SMALL) as server:
        dsn = server.start().reveal()
        place = Path(conninfo_to_dict(dsn)["host"])
        assert len(str(place)) < 60
        assert place.stat().st_mode & 0o777 == 0o700
        remember(dsn, "here")
    shutil.rmtree(place)


def test_a_cluster_of_another_major_version_is_not_touched(home):
    (home / "pg" / "data-12").mkdir(parents=True)
    with pytest.raises(SettingsError, match="another major version"):
        EmbeddedServer(home, tuning=SMALL).start()


def test_no_value_reaches_the_servers_log(home):
    canary = f"canary-{secrets.token_hex(8)}"
    with EmbeddedServer(home, tuning=SMALL) as server:
        with psycopg.connect(server.start().reveal(), autocommit=True) as conn:
            conn.execute("CREATE TABLE t (a text PRIMARY KEY CHECK (length(a) > 3), b int)")
            conn.execute("INSERT INTO t VALUES (%s)", [canary])
            for query, params in (
                ("INSERT INTO t VALUES (%s)", [canary]),
                ("INSERT INTO t (a, b) VALUES ('xxxx', %s::int)", [canary]),
                (f"SELECT '{canary}' FROM nowhere", None),
                (f"SELECT '{canary}'::uuid", None),
                (f"DO $$ BEGIN RAISE WARNING '{canary}'; END $$", None),
            ):
                with pytest.raises(psycopg.Error) if "DO" not in query else conn.transaction():
                    conn.execute(query, params)
        log = server.log
        assert canary not in log.read_text()
        assert "ready to accept connections" in log.read_text()


def test_the_superusers_secret_is_ours_alone_and_the_roles_secrets_are_nowhere(home):
    with EmbeddedServer(home, tuning=SMALL) as server:
        admin = server.start()
        roles = establish(admin, secrets.token_bytes)
        secret = home / "pg" / "superuser"
        assert secret.stat().st_mode & 0o777 == 0o600
        assert secret.stat().st_uid == os.geteuid()
        if ROOT:
            assert server._who.uid not in {None, 0, os.geteuid()}
            assert server.cluster.stat().st_uid == server._who.uid
        words = [conninfo_to_dict(one.reveal())["password"] for one in (roles.tenant, roles.edge, roles.system)]
        assert len(set(words)) == 3
        with psycopg.connect(admin.reveal(), autocommit=True) as conn:
            conn.execute("CHECKPOINT")
        for path in (
            path for path in home.rglob("*") if path.is_file() and f"/bin-{server.programs.version}/" not in str(path)
        ):
            content = path.read_bytes()
            for word in words:
                assert word.encode() not in content, path


def test_the_roles_passwords_are_new_at_each_start(home):
    with EmbeddedServer(home, tuning=SMALL) as server:
        admin = server.start()
        old, new = establish(admin, secrets.token_bytes), establish(admin, secrets.token_bytes)
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            psycopg.connect(old.tenant.reveal())
        psycopg.connect(new.tenant.reveal()).close()


@pytest.fixture
def running(home) -> Generator[tuple[EmbeddedServer, Database]]:
    with EmbeddedServer(home, tuning=SMALL) as server:
        admin = server.start()
        roles = establish(admin, secrets.token_bytes)
        migrate(admin)
        with Database(roles, PoolSizes(3, 2, 2), patience=1.0) as database:
            yield server, database


def test_pools_come_back_with_the_server(running):
    server, database = running
    database.ping()
    os.kill(server.pid, signal.SIGKILL)
    server._postmaster.wait()
    with pytest.raises(UnavailableError):
        database.ping()
    server.start()
    deadline = time.monotonic() + 20
    while True:
        try:
            database.ping()
            break
        except UnavailableError:
            assert time.monotonic() < deadline


def test_a_server_that_restarts_unnoticed_costs_no_request(running):
    server, database = running
    database.ping()
    server.stop()
    server.start()
    database.ping()


def test_a_database_that_goes_away_in_the_middle_is_said_to_be_unavailable(running):
    server, database = running
    tenant = TenantId.parse("org_" + "0" * 32)
    with pytest.raises(UnavailableError) as caught, database.tenant(tenant, "live") as tx:  # noqa: PT012
        tx.execute("SELECT 1")
        os.kill(server.pid, signal.SIGKILL)
        server._postmaster.wait()
        while True:
            tx.execute("SELECT pg_sleep(0.05)")
    assert not isinstance(caught.value, OutcomeUnknownError)


def test_a_commit_whose_answer_is_lost_is_said_to_be_unknown(running):
    server, database = running
    with pytest.raises(OutcomeUnknownError), database.system() as tx:  # noqa: PT012
        tx.execute("SELECT 1")
        os.kill(server.pid, signal.SIGKILL)
        server._postmaster.wait()
        wait_gone(tx._conn.info.backend_pid)


def test_clients_of_a_group_may_enter_and_nobody_else(home):
    group = "daemon"
    if not ROOT:
        pytest.skip("only root gives the socket's directory to a group")
    with EmbeddedServer(home, client_group=group, tuning=SMALL) as server:
        place = Path(conninfo_to_dict(server.start().reveal())["host"]).stat()
        assert (place.st_mode & 0o777, place.st_gid) == (0o710, __import__("grp").getgrnam(group).gr_gid)


def test_a_directory_that_the_service_user_cannot_reach_is_refused_with_advice(home):
    if not ROOT:
        pytest.skip("only root starts the server as another user")
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(SettingsError, match="cannot reach") as caught:
        EmbeddedServer(closed / "data", tuning=SMALL).start()
    assert "chmod o+x" in caught.value.advice
    assert not (closed / "data" / "pg" / "data-18").exists()


def _ordinary_python(user: str) -> str | None:
    """Return an interpreter of our version that *user* may run; a virtual environment may lie below /root."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in filter(None, [sys.executable, shutil.which(version, path="/usr/bin:/usr/local/bin")]):
        tried = subprocess.run([*_as(user), candidate, "-c", "import ssl"], capture_output=True, check=False)
        if tried.returncode == 0:
            return candidate
    return None


def _as(user: str) -> list[str]:
    """Become *user*; `env` in between, because setpriv's own exec still has root's capabilities."""
    return ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", "env"]


def test_an_ordinary_user_starts_it_as_well(home):
    if not ROOT:
        pytest.skip("the whole session runs as an ordinary user")
    user = "nobody"
    python = _ordinary_python(user)
    if python is None:
        pytest.skip(f"no interpreter of this version that user {user} may run")
    data = home / "data"
    data.mkdir()
    os.chown(data, pwd.getpwnam(user).pw_uid, -1)
    paths = [Path(next(iter(heldtrue.__path__))).parent, *(Path(p) for p in sys.path if p.endswith("site-packages"))]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, paths)), "HOME": "/nonexistent"}
    with a_supervisor(data, python, *_as(user), env=env) as one:
        dsn, pid = one.stdout.readline().strip(), int(one.stdout.readline())
        assert Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam(user).pw_uid
        remember(dsn, "as an ordinary user")
        assert kept(dsn) == ["as an ordinary user"]
        one.stdin.close()
        assert one.wait(30) == 0
    assert wait_gone(pid)

"""What every test may ask for: a real PostgreSQL, one per session, and a fresh database of it for each test."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from heldtrue.db.embedded import EmbeddedServer
from heldtrue.db.migrate import migrate
from heldtrue.db.roles import RoleDsns, admit, at_database, establish
from heldtrue.db.tx import Database, PoolSizes
from heldtrue.kernel.ids import TenantId
from heldtrue.kernel.secret import Secret

_TEMPLATE = "template_heldtrue"
_numbers = itertools.count(1)


class Server:
    """The session's server: its superuser's DSN, its roles' DSNs, and databases on demand."""

    def __init__(self, embedded: EmbeddedServer, admin: Secret[str]) -> None:
        self.embedded = embedded
        self.admin = admin
        self.roles: RoleDsns = establish(admin, secrets.token_bytes)
        self.run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
        template = self.admin_of(_TEMPLATE)
        admit(template)
        migrate(template)

    def admin_of(self, name: str) -> Secret[str]:
        """Return the superuser's DSN to the database *name*."""
        return Secret(make_conninfo(self.admin.reveal(), dbname=name))

    def run(self, statement: sql.Composed) -> None:
        """Run one statement as superuser, outside any test's database."""
        with psycopg.connect(self.admin.reveal(), autocommit=True) as conn:
            conn.execute(statement)

    def create(self, template: str = _TEMPLATE) -> str:
        """Create a database from the migrated template (or from another) and return its name."""
        name = f"t{next(_numbers)}_{secrets.token_hex(3)}"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")  # twice as fast here as through the WAL
        self.run(create.format(sql.Identifier(name), sql.Identifier(template)))
        admit(self.admin_of(name))
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is still connected."""
        self.run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def open(self, name: str) -> Database:
        """Return pools, small ones, to the database *name*."""
        return Database(at_database(self.roles, name), PoolSizes(tenant=6, edge=3, system=6))


def pytest_terminal_summary() -> None:
    """Leave the names of the skips that count as failures to `tools/run-tests`."""
    if target := os.environ.get("FAILED_TESTS_FILE"):
        with Path(target).open("a") as names:
            names.writelines(f"{test}\n" for test, _ in _refused_skips())


@pytest.fixture(scope="session")
def server() -> Generator[Server]:
    """One embedded server for the session, in a directory that the service user can pass through."""
    home = Path(tempfile.mkdtemp(prefix="heldtrue-tests-"))
    home.chmod(0o711)
    embedded = EmbeddedServer(home)
    try:
        yield Server(embedded, embedded.start())
    finally:
        embedded.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def database_name(server: Server) -> Generator[str]:
    """The name of a fresh, migrated database."""
    name = server.create()
    yield name
    server.drop(name)


@pytest.fixture
def database(server: Server, database_name: str) -> Generator[Database]:
    """A fresh, migrated database, seen through the application's roles."""
    opened = server.open(database_name)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def module_database(server: Server) -> Generator[Database]:
    """A migrated database shared by the tests of one module."""
    name = server.create()
    opened = server.open(name)
    yield opened
    opened.close()
    server.drop(name)


@pytest.fixture
def superuser(server: Server, database_name: str) -> Generator[psycopg.Connection]:
    """A superuser's connection to the same database as `database`, for raw SQL; row-level security does not bind it."""
    with psycopg.connect(server.admin_of(database_name).reveal(), autocommit=True) as conn:
        yield conn


MakeTenant = Callable[..., TenantId]


@pytest.fixture
def make_tenant() -> MakeTenant:
    """`make_tenant(database, environment='live', kind='customer')`: insert an organisation with one environment."""

    def make(database: Database, environment: str = "live", kind: str = "customer") -> TenantId:
        now = datetime.now(UTC)
        tenant = TenantId.new(now, secrets.token_bytes)
        with database.system() as tx:
            tx.execute(
                "INSERT INTO heldtrue.organisations (tenant_id, kind, name_sealed, created_at) VALUES (%s, %s, %s, %s)",
                [tenant.value, kind, b"sealed", now],
            )
            tx.execute(
                "INSERT INTO heldtrue.environments (tenant_id, environment, created_at) VALUES (%s, %s, %s)",
                [tenant.value, environment, now],
            )
        return tenant

    return make


@pytest.fixture
def tenant_pair(database: Database, make_tenant: MakeTenant) -> tuple[TenantId, TenantId]:
    """Two organisations, each with the environment `live`."""
    return make_tenant(database), make_tenant(database)


# ---------------------------------------------------------------- the longest files first: both cores end together

_LONGEST = ("test_journey_kill9.py", "test_claims_broken.py", "test_supervisor.py", "test_command_line.py")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the order is otherwise as it was shuffled."""
    items.sort(key=lambda item: _LONGEST.index(item.path.name) if item.path.name in _LONGEST else len(_LONGEST))


# ---------------------------------------------------------------- in CI a skipped test is a failed run

_skipped: list[tuple[str, str]] = []


def _may_skip(reason: str) -> bool:
    """Return whether CI may go without a test: the vectors' folder is absent, or the run has no root."""
    return "vectors" in reason or (os.geteuid() != 0 and "root" in reason)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped, and why; say what failed at once, and leave its name to `tools/run-tests`."""
    if report.failed and (target := os.environ.get("FAILED_TESTS_FILE")) and "PYTEST_XDIST_WORKER" not in os.environ:
        with Path(target).open("a") as names:
            names.write(f"{report.nodeid}\n")
        print(f"\nfailed: {report.nodeid}", flush=True)
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skipped.append((report.nodeid, reason))


def _refused_skips() -> list[tuple[str, str]]:
    """Return what was skipped and why, as far as CI does not go without it."""
    return [(test, reason) for test, reason in _skipped if not _may_skip(reason)] if os.environ.get("CI") else []


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run in CI that passed only because it left something out."""
    refused = _refused_skips()
    if refused and exitstatus == pytest.ExitCode.OK:
        for test, reason in refused:
            print(f"\nskipped in CI: {test}: {reason}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

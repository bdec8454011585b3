"""A database elsewhere is reached with proof of who it is, or not at all."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from heldtrue.db.dsn import InsecureDsnError, admitted
from heldtrue.kernel.errors import SettingsError

FULL = "sslmode=verify-full&sslrootcert=/etc/ca.pem"


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://app@db.example.org/heldtrue",
        "postgresql://app@127.0.0.1/heldtrue",
        "postgresql://app@localhost/heldtrue",
        "postgresql://app@[::1]/heldtrue",
        *(
            f"postgresql://app@db.example.org/heldtrue?sslrootcert=/etc/ca.pem&sslmode={mode}"
            for mode in ("disable", "allow", "prefer", "require", "verify-ca")
        ),
        "postgresql://app@db.example.org/heldtrue?sslmode=verify-full",
        "host=/run/postgresql,db.example.org dbname=heldtrue",
        "hostaddr=10.0.0.1 dbname=heldtrue sslmode=verify-full sslrootcert=/etc/ca.pem",
        f"postgresql://app@db.example.org/heldtrue?{FULL}&ssl_min_protocol_version=TLSv1",
        f"postgresql://app@db.example.org/heldtrue?{FULL}&gssencmode=require",
    ],
)
def test_a_connection_that_does_not_verify_is_refused_with_what_to_write(dsn):
    with pytest.raises(InsecureDsnError) as caught:
        admitted(dsn)
    assert caught.value.advice


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://app:secret@db.example.org:5433/heldtrue?{FULL}",
        "postgresql://app@db.example.org/heldtrue?sslmode=verify-full&sslrootcert=system",
        f"postgresql://app@a.example.org,b.example.org/heldtrue?{FULL}&sslcert=/c.pem&sslkey=/k.pem",
        "host=/run/postgresql dbname=heldtrue user=app",
        "postgresql://app@%2Frun%2Fpostgresql/heldtrue",
    ],
)
def test_a_connection_that_verifies_or_stays_here_is_admitted(dsn):
    used = conninfo_to_dict(admitted(dsn).reveal())
    assert used["dbname"] == "heldtrue"
    if not used["host"].startswith("/"):
        assert (used["sslmode"], used["gssencmode"], used["ssl_min_protocol_version"]) == (
            "verify-full",
            "disable",
            "TLSv1.2",
        )


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "dbname=heldtrue",
        "host=/run/postgresql",
        "postgresql://[broken",
        "host=/run dbname=h service=x",
        "host=/run dbname=h options='-c role=postgres'",
        "no_such_parameter=1",
    ],
)
def test_what_cannot_be_judged_is_refused(dsn):
    with pytest.raises(SettingsError):
        admitted(dsn)


def test_the_environment_does_not_weaken_what_was_judged(monkeypatch):
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGHOST", "/run/postgresql")
    with pytest.raises(InsecureDsnError):
        admitted("postgresql://app@db.example.org/heldtrue")
    with pytest.raises(SettingsError, match="names no host"):
        admitted("dbname=heldtrue")


def test_a_password_is_not_in_the_message():
    with pytest.raises(InsecureDsnError) as caught:
        admitted("postgresql://app:hunter2@db.example.org/heldtrue")
    assert "hunter2" not in str(caught.value) + caught.value.advice + repr(
        admitted("host=/run dbname=h password=hunter2")
    )

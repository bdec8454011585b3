"""Whoever carries the whole data directory away, root's files included, has nothing without the platform key."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from instance import HELDTRUE, Instance, until
from psycopg import sql

from heldtrue.db.embedded import EmbeddedServer

CANARY = "canary-7Qm2xVtKpR9wLs4Z"

pytestmark = pytest.mark.drill


@pytest.fixture
def robbed(tmp_path: Path) -> Generator[tuple[Instance, Path, str]]:
    """An instance that held a canary everywhere a customer may write one, and the copy that a thief made of it."""
    instance = Instance(tmp_path, ("--demo", "--no-claims"))
    try:
        instance.start()
        key = instance.organisation(f"Organisation {CANARY}")
        instance.done("POST", "/v1/keys", {"name": f"Key {CANARY}", "role": "reader"}, key)
        hook = {"url": f"https://127.0.0.1:9/{CANARY}", "description": f"Endpoint {CANARY}"}
        instance.done("POST", "/v1/endpoints", hook, key)
        small = instance.done("POST", "/v1/payloads", {"note": CANARY}, key)
        large = instance.call(
            "POST", "/v1/payloads", CANARY.encode() * 40_000, key, {"Content-Type": "text/plain"}
        ).json()  # fmt: skip
        for made in (small, large):
            path = f"/v1/payloads/{made['id']}"
            until(lambda path=path: instance.done("GET", path, None, key)["state"] == "forwarded", 30, "forwarded")
            assert CANARY.encode() in instance.call("GET", f"{path}/content", None, key).body
        instance.kill_tree()
        loot = tmp_path / "loot"
        copy(instance.data, loot)
        yield instance, loot, key
    finally:
        instance.stop()


def copy(data: Path, to: Path) -> None:
    """Copy a data directory as a thief with root would, owners included."""
    subprocess.run(["cp", "-a", data, to], check=True)


def found_in_files(root: Path, needles: list[bytes]) -> list[str]:
    """Return the files below *root* that hold one of *needles*."""
    return [
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]


def found_in_rows(superuser: str, needles: list[bytes]) -> list[str]:
    """Return the columns of every table that hold one of *needles*, as values, so compressed pages hide nothing."""
    found: list[str] = []
    with psycopg.connect(superuser, dbname="heldtrue") as conn:
        columns = conn.execute(
            """SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns
               WHERE table_schema IN ('heldtrue', 'keystore')"""
        ).fetchall()
        for schema, table, column, kind in columns:
            cell = sql.Identifier(column) if kind == "bytea" else sql.SQL("{}::text").format(sql.Identifier(column))
            select = sql.SQL("SELECT {} FROM {}.{}").format(cell, sql.Identifier(schema), sql.Identifier(table))
            for (value,) in conn.execute(select):
                raw = value if isinstance(value, bytes) else str(value).encode()
                if any(needle in raw for needle in needles):
                    found.append(f"{schema}.{table}.{column}")
        assert len(columns) > 80
    return found


def test_the_stolen_directory_shows_nothing_and_does_not_start(robbed: tuple[Instance, Path, str]) -> None:
    instance, loot, key = robbed
    needles = [CANARY.encode(), CANARY.encode("utf-16-le"), key.encode(), key.rsplit("_", 1)[1].encode()]
    assert not found_in_files(loot, needles)
    (loot / "planted").write_text(f"in clear: {CANARY}")
    assert found_in_files(loot, needles) == ["planted"]

    opened = Path(tempfile.mkdtemp())
    opened.chmod(0o755)
    copy(loot, opened / "data")
    with EmbeddedServer(opened / "data") as server:  # the thief has the superuser's secret too
        superuser = server.start().reveal()
        assert not found_in_rows(superuser, needles)
        with psycopg.connect(superuser, dbname="heldtrue", autocommit=True) as conn:
            conn.execute("CREATE TABLE heldtrue.planted AS SELECT repeat(%s, 5000) AS clear", (CANARY,))
        assert found_in_rows(superuser, needles) == ["heldtrue.planted.clear"]

    shutil.rmtree(opened)

    own = loot.parent / "thief" / "platform.key"
    own.parent.mkdir(mode=0o700)
    for given in (None, (instance.keys / "platform.key").read_text().splitlines()):
        if given is not None:  # the right shape and the right instance, with another key in it
            own.write_text("\n".join([*given[:-1], given[-1][::-1]]) + "\n")
            own.chmod(0o600)
        command = [HELDTRUE, "up", "--data-dir", loot, "--listen", f"127.0.0.1:{instance.port}"]
        refused = subprocess.run(
            [*command, "--platform-key", f"file:{own}"], capture_output=True, text=True, timeout=60, check=False
        )
        assert refused.returncode != 0
        assert "key" in refused.stderr + refused.stdout
        assert CANARY not in refused.stderr + refused.stdout

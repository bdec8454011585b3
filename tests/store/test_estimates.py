"""What a batch reads is what it asks for, however much the organisation has stored and however few the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from payload_house import PayloadHouse, build_payload_house, found_house
from psycopg import sql

from heldtrue.capabilities.deliveries import claiming, queue, recording, sender, settling
from heldtrue.capabilities.deliveries.book import Book
from heldtrue.capabilities.deliveries.claiming import ClaimRow
from heldtrue.capabilities.deliveries.dialer import Response
from heldtrue.capabilities.intake import store as intake
from heldtrue.db.tx import Database, SystemTx, TenantTx
from heldtrue.kernel.ids import TenantId

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
STORED, OTHERS = 5_000, 3_000
"""Rows of the organisation that is looked at, and organisations that have one each."""
BATCH = 20
FEW = 10 * BATCH
PREPARED = 12
FRESH = {
    "heldtrue.deliveries": ["delivery_id"],
    "heldtrue.receipts": ["receipt_id", "payload_id", "link_digest"],
    "heldtrue.payloads": ["payload_id"],
    "keystore.object_keys": ["key_id"],
}
"""Tables that grow with what is stored, and what differs from row to row."""
MADE: dict[str, LiteralString] = {"link_digest": "sha256(gen_random_uuid()::text::bytea)"}


def test_of_every_organisation_a_tenth_of_the_table_is_assumed(superuser: psycopg.Connection) -> None:
    found = superuser.execute(
        """SELECT c.oid::regclass::text, a.attname, a.attoptions FROM pg_class c
           JOIN pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'tenant_id' AND NOT t.attisdropped
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('tenant_id', 'environment')
           WHERE n.nspname IN ('heldtrue', 'keystore') AND c.relkind = 'r'"""
    ).fetchall()
    assumed = {"tenant_id": ["n_distinct=10"], "environment": ["n_distinct=1"]}
    assert [(table, column) for table, column, options in found if options != assumed[column]] == []
    assert {table for table, _, _ in found} >= set(FRESH)


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Generator[PayloadHouse]:
    built = build_payload_house(found_house(database), tmp_path)
    yield built
    built.house.app.close()


@pytest.fixture
def claims(place: PayloadHouse, superuser: psycopg.Connection) -> list[ClaimRow]:
    """Claim deliveries of an organisation that owns most rows of tables which thousands of others share."""
    place.register("https://receiver.example/hook", concurrency=64)
    for number in range(BATCH):
        assert place.send(json.dumps({"n": number}).encode()).status == 202
    place.engine().step_forward()
    claims = place.worker().claim(BATCH, {}, BATCH)
    assert len(claims) == BATCH
    superuser.execute("SET session_replication_role = replica")  # rows that stand for themselves: no triggers, no keys
    for table in FRESH:
        _clone(superuser, table, STORED, keep=True)
        _clone(superuser, table, OTHERS)
    superuser.execute("ANALYZE")
    return claims


def _clone(conn: psycopg.Connection, table: str, count: int, *, keep: bool = False) -> None:
    """Insert copies of a row under new ids, of its organisation or each of one of its own."""
    fresh = [*FRESH[table], *([] if keep else ["tenant_id"])]
    made = sql.SQL(", ").join(
        sql.SQL("{}, " + MADE.get(column, "gen_random_uuid()")).format(sql.Literal(column)) for column in fresh
    )
    conn.execute(
        sql.SQL(
            """INSERT INTO {table} OVERRIDING SYSTEM VALUE
               SELECT (jsonb_populate_record(s.one, jsonb_build_object({made}))).*
               FROM (SELECT t FROM {table} t LIMIT 1) s (one), generate_series(1, {count})"""
        ).format(table=sql.Identifier(*table.split(".")), made=made, count=sql.Literal(count))
    )


def read(tx: TenantTx | SystemTx, work: Callable[[], object]) -> int:
    """Return how many rows the tables gave up to *work*."""
    before = _fetched(tx)
    work()
    return _fetched(tx) - before


def _fetched(tx: TenantTx | SystemTx) -> int:
    return int(
        tx.value(
            """SELECT sum(coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0)) FROM pg_stat_xact_user_tables
               WHERE schemaname IN ('heldtrue', 'keystore')"""
        )
    )


def test_a_batch_is_prepared_and_recorded_by_its_keys(
    place: PayloadHouse, claims: list[ClaimRow], superuser: psycopg.Connection
) -> None:
    """Also over a connection that keeps plans from the work of an organisation which has one row of each."""
    small = superuser.execute(
        "SELECT tenant_id, delivery_id, fence FROM heldtrue.deliveries WHERE tenant_id <> %s", (place.tenant.value,)
    ).fetchone()
    assert small is not None
    _make_plans(place.database, *small)
    worker, services = place.worker(), place.services
    with worker.operation((place.tenant.value, "live")) as op:
        assert op.tx.value("SELECT count(*) FROM heldtrue.deliveries") == STORED + BATCH
        book, ready = Book(), list[sender.Prepared]()
        prepared = read(op.tx, lambda: ready.extend(sender.prepare(op, claims, services.objects, services.urls, book)))
        assert (len(ready), prepared in range(BATCH, FEW)) == (BATCH, True), prepared
        outcomes = [sender.Outcome(one, NOON, Response(status=200, excerpt=b"ok")) for one in ready]
        counted: list[int] = []
        recorded = read(op.tx, lambda: counted.append(recording.record(op, outcomes)))
        assert (counted, recorded in range(BATCH, FEW)) == ([BATCH], True), recorded


def _make_plans(database: Database, tenant: UUID, delivery: UUID, fence: int) -> None:
    """Ask often enough, as one organisation, that the driver prepares the statements and the server keeps one plan."""
    for number in range(1, PREPARED + 1):
        with database.tenant(TenantId(tenant), "live") as tx:
            assert list(queue.of(tx, {delivery: fence})) == list(queue.fenced_many(tx, {delivery: fence})) == [delivery]
            attempt = queue.AttemptRow(uuid4(), number, NOON, 3, 500, None, None)
            settling.record(tx, tenant, "live", [settling.Settled(delivery, attempt, "pending", number, NOON, None)])


def test_what_is_forwarded_of_a_backlog_that_the_planner_has_not_heard_of_is_found_by_its_keys(
    place: PayloadHouse, superuser: psycopg.Connection
) -> None:
    """Statistics say that nothing is accepted and not forwarded, and thousands are."""
    assert place.send().status == 202
    superuser.execute("SET session_replication_role = replica")
    superuser.execute("UPDATE heldtrue.payloads SET state = 'forwarded', forwarded_at = now()")
    _clone(superuser, "heldtrue.payloads", STORED, keep=True)
    superuser.execute("ANALYZE")
    superuser.execute("UPDATE heldtrue.payloads SET state = 'accepted', forwarded_at = NULL")
    [(spot, payloads)] = place.worker().waiting([], BATCH).items()
    found = [payload.value for payload in payloads]
    with place.database.tenant(TenantId(spot[0]), spot[1]) as tx:
        claimed: list[intake.PayloadRow] = []
        looked = read(tx, lambda: claimed.extend(intake.claim_accepted(tx, found)))
        assert (len(claimed), looked in range(BATCH, FEW)) == (BATCH, True), looked
        marked = read(tx, lambda: intake.mark_forwarded(tx, found, NOON))
        assert marked in range(BATCH, FEW), marked


def test_a_claim_of_a_backlog_that_the_planner_has_not_heard_of_walks_through_a_batch(
    place: PayloadHouse, superuser: psycopg.Connection
) -> None:
    """Statistics say that nothing is pending, and thousands are."""
    place.register("https://receiver.example/hook", concurrency=64)
    assert place.send().status == 202
    place.engine().step_forward()
    [first] = place.worker().claim(1, {}, 1)
    superuser.execute("SET session_replication_role = replica")
    superuser.execute("UPDATE heldtrue.deliveries SET state = 'delivered', due_at = NULL, settled_at = now()")
    _clone(superuser, "heldtrue.deliveries", STORED, keep=True)
    superuser.execute("ANALYZE")
    superuser.execute(
        "UPDATE heldtrue.deliveries SET state = 'pending', due_at = created_at, settled_at = NULL, lease_until = NULL"
    )
    due = place.services.clock.now()
    with place.database.system() as tx:
        found: list[ClaimRow] = []
        room = {first.endpoint_id: BATCH}
        looked = read(
            tx, lambda: found.extend(claiming.claim(tx, due, lease_until=due, limit=BATCH, room=room, each=0))
        )
    assert (len(found), looked in range(BATCH, FEW)) == (BATCH, True), looked

"""Documents of organisations: committed to in the log, sealed in their own rows, erased without breaking a proof."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from heldtrue.capabilities.keystore import actions as keystore
from heldtrue.capabilities.ledger import actions, generations, model, proofs, routes
from heldtrue.capabilities.ledger.actions import DocumentErasedError
from heldtrue.capabilities.ledger.proof import LogProof
from heldtrue.capabilities.ledger.routes import AuditQuery, LeafPath
from heldtrue.capabilities.ledger.tiles import NoSuchTileError
from heldtrue.crypto.keyring import KeyCache, KeyDestroyedError, TenantKeyring
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.sealing import SealBrokenError
from heldtrue.db.keystore import TxKeyRecords
from heldtrue.db.tx import Database
from heldtrue.http.exchange import Page
from heldtrue.http.route import Route
from heldtrue.http.router import Router
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import CryptoKeyId, LeafId, RequestId, TenantId
from heldtrue.kernel.secret import Secret
from heldtrue.op import Actor, AuditEvent, Operation

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ORIGIN = "heldtrue.example/log"
PLATFORM = PlatformKey(CryptoKeyId.new(NOON, secrets.token_bytes), Secret(secrets.token_bytes(32)))
CACHE = KeyCache()


@contextmanager
def operation(database: Database, tenant: TenantId, environment: str = "live") -> Generator[Operation]:
    now = datetime.now(UTC)
    with database.tenant(tenant, environment) as tx:
        keys = TenantKeyring(PLATFORM, TxKeyRecords(tx), CACHE, tenant, environment, secrets.token_bytes, now)
        actor = Actor(kind="key", tenant=tenant, environment=environment)
        request = RequestId.new(now, secrets.token_bytes)

        def record(event: AuditEvent) -> LeafId:
            return actions.append_audit(tx, keys, tenant, environment, actor, request, now, secrets.token_bytes, event)

        yield Operation(
            actor=actor, tenant=tenant, environment=environment, now=now, entropy=secrets.token_bytes, tx=tx,
            keys=keys, record=record, request=request,
        )  # fmt: skip


@pytest.fixture
def sequence(database: Database, tmp_path: Path) -> Callable[[], int]:
    with database.system() as tx:
        keystore.ensure_signing_keys(tx, PLATFORM, ORIGIN, NOON, secrets.token_bytes)
    return keystore.sequencer(database, tmp_path / "log", PLATFORM, SystemClock()).step


def entry_of(database: Database, leaf: LeafId) -> bytes:
    with database.system() as tx:
        return proofs.entry_of(tx, leaf)


def test_what_happened_is_read_back_and_proven(
    database: Database, tenant_pair: tuple[TenantId, TenantId], sequence: Callable[[], int]
) -> None:
    with operation(database, tenant_pair[0]) as op:
        leaf = op.record(AuditEvent(event="key.issued", subject="key_1", detail={"role": "sender"}))
    sequence()
    with operation(database, tenant_pair[0]) as op:
        proven = routes.prove_audit(op, LeafPath(leaf_id=str(leaf)))
        origin = generations.current(op.tx)
    assert proven.document["event"] == "key.issued"
    assert proven.document["subject"] == "key_1"
    assert proven.document["detail"] == {"role": "sender"}
    assert proven.document["outcome"] == "ok"
    assert proven.document["tenant"] == str(tenant_pair[0])
    found = LogProof.parse(proven.proof)
    assert found.extra is not None
    # What a stranger does: commitment from document and salt, entry from commitment, inclusion of the entry.
    committed = hmac.digest(found.extra, b"heldtrue/commit/v1\0" + model.canonical(proven.document), "sha256")
    entry = b'{"c":"' + base64.b64encode(committed) + b'","kind":"tenant","v":1}'
    assert entry == entry_of(database, leaf)
    found.verify(entry, origin.origin, origin.public)


def test_a_refused_request_is_recorded_as_denied(database: Database, tenant_pair: tuple[TenantId, TenantId]) -> None:
    with operation(database, tenant_pair[0]) as op:
        leaf = op.record(AuditEvent(event="request.refused", detail={"code": "denied", "status": 403}))
        assert actions.read_document(op, leaf)[0]["outcome"] == "denied"


def test_the_entry_shows_nothing_of_the_document_or_its_owner(
    database: Database, tenant_pair: tuple[TenantId, TenantId], sequence: Callable[[], int]
) -> None:
    with operation(database, tenant_pair[0]) as op:
        leaves = [op.record(AuditEvent(event="key.issued", subject="key_1")) for _ in range(2)]
    sequence()
    first, second = (entry_of(database, leaf) for leaf in leaves)
    assert first != second, "the same event twice is two commitments"
    for entry in (first, second):
        assert set(model.parse_entry(entry)) == {"v", "kind", "c"}
        for part in (b"key", tenant_pair[0].value.hex.encode()):
            assert part not in entry


def test_the_stored_document_is_sealed(
    database: Database, tenant_pair: tuple[TenantId, TenantId], superuser: psycopg.Connection
) -> None:
    with operation(database, tenant_pair[0]) as op:
        op.record(AuditEvent(event="key.issued", subject="canary-5471"))
    rows = superuser.execute("SELECT sealed FROM heldtrue.ledger_documents").fetchall()
    assert len(rows) == 1
    assert b"canary-5471" not in rows[0][0]


def test_an_erased_document_leaves_its_proof_valid(
    database: Database, tenant_pair: tuple[TenantId, TenantId], sequence: Callable[[], int]
) -> None:
    with operation(database, tenant_pair[0]) as op:
        leaf = op.record(AuditEvent(event="key.issued"))
    sequence()
    with operation(database, tenant_pair[0]) as op:
        proven = routes.prove_audit(op, LeafPath(leaf_id=str(leaf)))
        actions.erase(op, leaf)
    with operation(database, tenant_pair[0]) as op:
        with pytest.raises(DocumentErasedError):
            actions.read_document(op, leaf)
        origin = generations.current(op.tx)
        listed = routes.list_audit(op, AuditQuery())
    LogProof.parse(proven.proof).verify(entry_of(database, leaf), origin.origin, origin.public)
    assert [(each.leaf_id, each.document) for each in listed.data] == [(str(leaf), None)]


def test_a_document_of_an_object_goes_with_the_objects_key(
    database: Database, tenant_pair: tuple[TenantId, TenantId]
) -> None:
    with operation(database, tenant_pair[0]) as op:
        key = op.keys.new_object_key()
        leaf = op.record(AuditEvent(event="payload.taken", subject="pay_1", object_key=key.id))
        other = op.record(AuditEvent(event="payload.listed"))
    with operation(database, tenant_pair[0]) as op:
        assert actions.read_document(op, leaf)[0]["subject"] == "pay_1"
        op.keys.destroy(key.id)
    with operation(database, tenant_pair[0]) as op:
        with pytest.raises(KeyDestroyedError):
            actions.read_document(op, leaf)
        assert actions.read_document(op, other)[0]["event"] == "payload.listed"
        gone = {each.leaf_id: each.document is None for each in routes.list_audit(op, AuditQuery()).data}
        assert gone == {str(leaf): True, str(other): False}


def test_nobody_reads_or_erases_the_document_of_another(
    database: Database, make_tenant: Callable[..., TenantId], tenant_pair: tuple[TenantId, TenantId]
) -> None:
    ours, theirs = tenant_pair
    with database.system() as tx:
        tx.execute(
            "INSERT INTO heldtrue.environments (tenant_id, environment, created_at) VALUES (%s, 'test', %s)",
            [ours.value, NOON],
        )
    with operation(database, ours) as op:
        leaf = op.record(AuditEvent(event="key.issued"))
    for tenant, environment in ((theirs, "live"), (ours, "test")):
        with operation(database, tenant, environment) as op:
            for act in (actions.read_document, actions.erase):
                with pytest.raises(NotFoundError):
                    act(op, leaf)
            assert routes.list_audit(op, AuditQuery()).data == []
    with operation(database, ours) as op:
        actions.read_document(op, leaf)


def test_the_list_is_newest_first_in_pages_and_by_event(
    database: Database, tenant_pair: tuple[TenantId, TenantId]
) -> None:
    for turn in range(7):
        with operation(database, tenant_pair[0]) as op:
            op.record(AuditEvent(event="even" if turn % 2 == 0 else "odd", subject=str(turn)))
    seen: list[str] = []
    cursor = None
    with operation(database, tenant_pair[0]) as op:
        for _ in range(3):
            page = routes.list_audit(op, AuditQuery(limit=3, cursor=cursor))
            seen += [(each.document or {})["subject"] for each in page.data]
            cursor = page.next_cursor
        assert cursor is None
        odd = routes.list_audit(op, AuditQuery(event="odd"))
        assert [(each.document or {})["subject"] for each in odd.data] == ["5", "3", "1"]
    stamps = [int(each) for each in seen]
    assert stamps == sorted(stamps, reverse=True)
    assert sorted(stamps) == list(range(7))


def test_a_crash_before_the_commit_leaves_neither_document_nor_entry(
    database: Database, tenant_pair: tuple[TenantId, TenantId], superuser: psycopg.Connection
) -> None:
    def crash() -> None:
        with operation(database, tenant_pair[0]) as op:
            op.record(AuditEvent(event="key.issued"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash()
    for table in ("ledger_documents", "log_pending"):
        [(count,)] = superuser.execute(f"SELECT count(*) FROM heldtrue.{table}".encode()).fetchall()
        assert count == 0


def test_the_operators_act_lands_in_the_ledger_of_the_organisation_it_touched(
    database: Database, tenant_pair: tuple[TenantId, TenantId]
) -> None:
    operator, customer = tenant_pair
    now = datetime.now(UTC)
    with database.system() as tx:
        keys = TenantKeyring(PLATFORM, TxKeyRecords(tx), CACHE, customer, "live", secrets.token_bytes, now)
        actor = Actor(kind="key", tenant=operator, environment="live")
        leaf = actions.append_audit(
            tx, keys, customer, "live", actor, None, now, secrets.token_bytes, AuditEvent(event="key.issued")
        )
    with operation(database, customer) as op:
        document, _ = actions.read_document(op, leaf)
    assert document["actor"]["organisation"] == str(operator)
    assert document["tenant"] == str(customer)


# ---------------------------------------------------------------- the files


def answer(table: list[Route], path: str) -> Page:
    match = Router(table).find(path.encode(), path)
    route, _ = match.routes["GET"]
    found = {name: int(value) if name == "generation" else value for name, value in match.path.items()}
    page = route.action() if route.takes is None else route.action(route.takes(**found))
    assert isinstance(page, Page)
    return page


def test_the_log_is_served_as_files(database: Database, tmp_path: Path, sequence: Callable[[], int]) -> None:
    table = routes.routes(tmp_path / "log")
    with pytest.raises(routes.NothingPublishedError):
        answer(table, "/log/checkpoint")
    sequence()
    assert answer(table, "/log/checkpoint").content.startswith(ORIGIN.encode() + b"\n4\n")
    assert len(answer(table, "/log/tile/0/000.p/4").content) == 128
    assert b'"kind":"key"' in answer(table, "/log/tile/entries/000.p/4").content


@pytest.mark.parametrize(
    "path",
    ["0/000", "0/000.p/5", "0/001", "1/000", "0/../../checkpoint", "../checkpoint", "0/000.p/4/..", "entries/x000/000",
     "0/%2e%2e/checkpoint", "", "0/000.p/4\0"],
)  # fmt: skip
def test_nothing_but_tiles_is_served(
    database: Database, tmp_path: Path, sequence: Callable[[], int], path: str
) -> None:
    sequence()
    (tmp_path / "log" / "secret").write_text("not for you")
    [route] = [each for each in routes.routes(tmp_path / "log") if each.at == "GET /log/tile/{path:path}"]
    with pytest.raises(NoSuchTileError):
        route.action(routes.TilePath(path=path))


def test_a_tampered_row_does_not_open(
    database: Database, tenant_pair: tuple[TenantId, TenantId], superuser: psycopg.Connection
) -> None:
    with operation(database, tenant_pair[0]) as op:
        first, second = (op.record(AuditEvent(event="key.issued", subject=each)) for each in "ab")
    superuser.execute(
        """UPDATE heldtrue.ledger_documents SET sealed =
           (SELECT sealed FROM heldtrue.ledger_documents WHERE leaf_id = %s) WHERE leaf_id = %s""",
        [first.value, second.value],
    )
    with operation(database, tenant_pair[0]) as op:
        assert actions.read_document(op, first)
        with pytest.raises(SealBrokenError):
            actions.read_document(op, second)

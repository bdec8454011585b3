"""Receipts per second: signed, verified, and issued into the database; run `python -m bench.receipts`.

The reference is one Ed25519 signature (or verification) of 64 bytes by `cryptography` alone: no receipt is without.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.report import Row, rate, row, write
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.endpoint_model import RegisterEndpoint
from heldtrue.capabilities.deliveries.endpoints import register_endpoint
from heldtrue.capabilities.deliveries.message import Urls
from heldtrue.capabilities.deliveries.worker import Worker, WorkerServices
from heldtrue.capabilities.intake.actions import accept
from heldtrue.capabilities.intake.model import Limits, Meta, Origin, Taken
from heldtrue.capabilities.intake.objects import LocalObjects
from heldtrue.capabilities.intake.stream import PartSink
from heldtrue.capabilities.keystore.actions import Signers, ensure_signing_keys
from heldtrue.capabilities.receipts.model import Forwarded, document, verification_method
from heldtrue.crypto.canonical import canonicalize_entry
from heldtrue.crypto.integrity import attach_proof, verify_proof
from heldtrue.crypto.keyring import KeyCache
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.sealing import DataKey
from heldtrue.crypto.signing import SigningKey
from heldtrue.db.embedded import EmbeddedServer
from heldtrue.db.migrate import migrate
from heldtrue.db.roles import admit, establish
from heldtrue.db.tx import Database, PoolSizes
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.ids import CryptoKeyId, EndpointId, PayloadId, ReceiptId, TenantId
from heldtrue.kernel.secret import Secret

ORIGIN = "bench.example/log"
SIGN = "cryptography, one Ed25519 signature"
VERIFY = "cryptography, one Ed25519 verification"
PAYLOADS = 320
BATCH = 64


def main() -> None:
    """Measure, print and write."""
    now = datetime.now(UTC)
    raw = Ed25519PrivateKey.generate()
    message = secrets.token_bytes(64)
    signature, public = raw.sign(message), raw.public_key()
    signs = rate(_times(lambda: raw.sign(message)))
    verifies = rate(_times(lambda: public.verify(signature, message)))
    key = SigningKey.generate(secrets.token_bytes, now)
    signed = _receipt(key, now)
    rows = [
        row("sign a receipt", rate(_times(lambda: _receipt(key, now))), "receipts/s", SIGN, signs),
        row("verify a receipt", rate(_times(lambda: verify_proof(signed, key.public))), "receipts/s", VERIFY, verifies),
        *_issued(signs),
    ]
    write("receipts", rows)


def _times(once: Callable[[], object], count: int = 20) -> Callable[[], int]:
    def work() -> int:
        for _ in range(count):
            once()
        return count

    return work


def _receipt(key: SigningKey, now: datetime) -> dict[str, Any]:
    what = Forwarded(
        tenant=TenantId.new(now, secrets.token_bytes),
        environment="live",
        payload=PayloadId.new(now, secrets.token_bytes),
        received_at=now,
        source="http",
        size=1024,
        meta=Meta(content_type="application/json", sha256="0" * 64, jcs_sha256="1" * 64),
        attachments=(),
        ordinal=0,
        endpoint=EndpointId.new(now, secrets.token_bytes),
    )
    plain = document(ReceiptId.new(now, secrets.token_bytes), ORIGIN, what, now)
    signed = attach_proof(plain, key, now, verification_method(ORIGIN, key.public))
    canonicalize_entry(signed)
    return signed


def _issued(reference: float) -> list[Row]:
    """Return how fast payloads are accepted (T1) and receipts issued with delivery, ledger and audit entry (T2)."""
    home = Path(tempfile.mkdtemp(prefix="heldtrue-bench-"))
    home.chmod(0o711)
    server = EmbeddedServer(home / "pg")
    try:
        admin = server.start()
        dsns = establish(admin, secrets.token_bytes)
        admit(admin)
        migrate(admin)
        with Database(dsns, PoolSizes(2, 1, 2)) as database:
            return _through_the_database(database, home, reference)
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _through_the_database(database: Database, home: Path, reference: float) -> list[Row]:
    clock = SystemClock()
    now = clock.now()
    platform = PlatformKey(CryptoKeyId.new(now, secrets.token_bytes), Secret(secrets.token_bytes(32)))
    tenant = TenantId.new(now, secrets.token_bytes)
    with database.system() as tx:
        ensure_signing_keys(tx, platform, ORIGIN, now, secrets.token_bytes)
        tx.execute(
            "INSERT INTO heldtrue.organisations (tenant_id, kind, name_sealed, created_at)"
            " VALUES (%s, 'customer', '', %s)",
            (tenant.value, now),
        )
        tx.execute("INSERT INTO heldtrue.environments VALUES (%s, 'live', %s)", (tenant.value, now))
    objects = LocalObjects(home / "objects")
    worker = Worker(
        WorkerServices(
            database=database,
            platform=platform,
            cache=KeyCache(),
            clock=clock,
            entropy=secrets.token_bytes,
            objects=objects,
            signers=Signers(platform),
            origin=ORIGIN,
            urls=Urls("https://bench.example"),
        )
    )
    place = (tenant.value, "live")
    with worker.operation(place) as op:
        register_endpoint(op, RegisterEndpoint(url="https://receiver.example/in"), AllowList())
    body = b'{"text":"' + b"x" * 1000 + b'"}'
    begun = time.perf_counter()
    payloads = [_accept(worker, objects, tenant, body) for _ in range(PAYLOADS)]
    accepted = PAYLOADS / (time.perf_counter() - begun)
    begun = time.perf_counter()
    done = sum(worker.forward(place, payloads[at : at + BATCH]) for at in range(0, PAYLOADS, BATCH))
    issued = done / (time.perf_counter() - begun)
    assert done == PAYLOADS
    return [
        row("accept a payload of 1 KiB (T1), one at a time", accepted, "payloads/s"),
        row(f"issue a receipt and delivery (T2), {BATCH} a transaction", issued, "receipts/s", SIGN, reference),
    ]


def _accept(worker: Worker, objects: LocalObjects, tenant: TenantId, body: bytes) -> PayloadId:
    now = datetime.now(UTC)
    key, payload = DataKey.generate(secrets.token_bytes, now), PayloadId.new(now, secrets.token_bytes)
    context = Origin(tenant, "live", payload).body(0)
    sink = PartSink(objects, key, context, Limits(), entropy=secrets.token_bytes, content_type="application/json")
    sink.write(body)
    taken = Taken(body=sink.finish())
    with worker.operation((tenant.value, "live")) as op:
        accept(op, payload, key, taken, tls=None, source="http")
    return payload


if __name__ == "__main__":
    main()

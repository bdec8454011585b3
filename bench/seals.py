"""Seals and openings per second, beside the same bytes through `cryptography` alone; run `python -m bench.seals`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.report import rate, row, write
from heldtrue.crypto.sealing import Context, DataKey, Opener, Sealer, open_sealed, seal

KIB = 1024
MIB = 1024 * KIB
SIZES = ((KIB, "1 KiB"), (64 * KIB, "64 KiB"))
COBBLESTONE = "cryptography, Cobblestone-256 alone"
GCM = "cryptography, AES-256-GCM with one key"


def main() -> None:
    """Measure, print and write."""
    key = DataKey.generate(secrets.token_bytes, datetime.now(UTC))
    context = Context("live", uuid4(), "payloads", "body", str(uuid4()), "object")
    raw_key, raw_context = secrets.token_bytes(32), b"context"
    gcm = AESGCM(raw_key)
    rows = []
    for size, label in SIZES:
        plain = secrets.token_bytes(size)
        sealed = seal(key, context, plain)
        assert open_sealed(key, context, sealed) == plain

        def raw_seal(plain: bytes = plain) -> bytes:
            encryptor = Cobblestone256Encryptor(raw_key, raw_context)
            return encryptor.update(plain) + encryptor.finalize()

        raw_sealed = raw_seal()

        def raw_open(raw_sealed: bytes = raw_sealed) -> bytes:
            decryptor = Cobblestone256Decryptor(raw_key, raw_context)
            return decryptor.update(raw_sealed) + decryptor.finalize()

        seals = rate(_times(lambda plain=plain: seal(key, context, plain)))
        rows.append(row(f"seal {label}", seals, "seals/s", COBBLESTONE, rate(_times(raw_seal))))
        one_key = rate(_times(lambda plain=plain: gcm.encrypt(secrets.token_bytes(12), plain, raw_context)))
        rows.append(row(f"seal {label}, a key per message", seals, "seals/s", GCM, one_key))
        opens = rate(_times(lambda sealed=sealed: open_sealed(key, context, sealed)))
        rows.append(row(f"open {label}", opens, "openings/s", COBBLESTONE, rate(_times(raw_open))))
    piece = secrets.token_bytes(256 * KIB)
    gcm_stream = rate(lambda: len(gcm.encrypt(bytes(12), piece, None))) / MIB
    rows.append(row("seal a stream", rate(lambda: _stream(key, context, piece)) / MIB, "MiB/s", GCM, gcm_stream))
    sealer = Sealer(key, context)
    whole = sealer.start() + sealer.update(piece * 16) + sealer.finish()
    rows.append(row("open a stream", rate(lambda: _open(key, context, whole)) / MIB, "MiB/s", GCM, gcm_stream))
    write("seals", rows)


def _times(once: Callable[[], object], count: int = 50) -> Callable[[], int]:
    def work() -> int:
        for _ in range(count):
            once()
        return count

    return work


def _stream(key: DataKey, context: Context, piece: bytes) -> int:
    sealer = Sealer(key, context)
    sealer.start()
    for _ in range(16):
        sealer.update(piece)
    sealer.finish()
    return 16 * len(piece)


def _open(key: DataKey, context: Context, sealed: bytes) -> int:
    opener = Opener(key, context)
    size = 0
    for at in range(0, len(sealed), 256 * KIB):
        size += len(opener.update(sealed[at : at + 256 * KIB]))
    return size + len(opener.finish())


if __name__ == "__main__":
    main()

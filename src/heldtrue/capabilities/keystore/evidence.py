"""Sign a document with the evidence key and log it in clear: what the operator says of something that was tried."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from heldtrue.capabilities.ledger import actions as ledger
from heldtrue.crypto.integrity import attach_proof
from heldtrue.crypto.signing import SigningKey, multikey
from heldtrue.db.tx import SystemTx
from heldtrue.kernel.ids import Entropy, LeafId


def log_signed(
    tx: SystemTx, key: SigningKey, origin: str, kind: str, document: Mapping[str, Any], now: datetime, entropy: Entropy
) -> tuple[dict[str, Any], LeafId]:
    """Return *document* signed in the name of the log *origin*, and the leaf under which it enters the log."""
    signed = attach_proof(dict(document), key, now, f"https://{origin}#{multikey(key.public)}")
    return signed, ledger.append_clear(tx, kind, signed, now, entropy)

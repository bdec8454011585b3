"""Succession: a log that cannot go on is followed by a new one, which says at its beginning what is lost."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from heldtrue.capabilities.keystore import actions, store
from heldtrue.capabilities.keystore.model import Purpose, StoredKey
from heldtrue.capabilities.ledger import generations, model
from heldtrue.capabilities.ledger.generations import Opening, Succession
from heldtrue.capabilities.ledger.model import Kind
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.states import KeyState
from heldtrue.db.tx import Database, SystemTx
from heldtrue.kernel.ids import Entropy


def succeed(
    database: Database,
    log_dir: Path,
    platform: PlatformKey,
    now: datetime,
    entropy: Entropy,
    old_checkpoint: str | None = None,
) -> Succession:
    """Open a new origin with a new log key, and return what it says of the old one.

    One transaction: the old log key is retired; the new origin's entries begin with the succession (the old log's final
    checkpoint and the range that is lost of it), go on with the entries of all keys, so that receipts signed from now
    on are proven under the new log key alone, and with entries that no checkpoint of the old log covers. Only then
    does the old log move aside on disk. *old_checkpoint* is a later checkpoint than the one on disk, where somebody
    kept one. Stop the worker before; it goes on under the new key when it is started. After a crash, run it again.
    """
    with database.system() as tx:
        store.lock(tx)
        succession = generations.interrupted(tx, log_dir, old_checkpoint)
        if succession is None:
            succession = _open_next(tx, log_dir, platform, now, entropy, old_checkpoint)
    generations.clear_way(log_dir, succession.old_origin, succession.generation - 1)
    return succession


def _open_next(
    tx: SystemTx, log_dir: Path, platform: PlatformKey, now: datetime, entropy: Entropy, kept: str | None
) -> Succession:
    old = generations.last_word(tx, log_dir, kept)
    opening = Opening(tx, old.origin.generation + 1, now, entropy)
    opening.add(Kind.SUCCESSION, model.succession_document(old.origin.origin, old.text, old.lost_from, old.lost_to))
    former = store.active(tx, Purpose.LOG)
    if former is not None:
        actions.retire(tx, former, now, opening.add)
    made = actions.make(tx, platform, Purpose.LOG, now, entropy, opening.add)
    for purpose in (Purpose.RECEIPT, Purpose.EVIDENCE, Purpose.SESSION):
        for key in store.all_of(tx, purpose):
            if key.leaf_id is not None and (key.accept_until is None or key.accept_until > now):
                _log_again(key, now, opening)
    return opening.close(old, made.id)


def _log_again(key: StoredKey, now: datetime, opening: Opening) -> None:
    """Log what counts of *key* under the new log key: that it signed, and where it is so, that it no longer does."""
    opening.add(Kind.KEY, key.entry("activated", now))
    if key.state == KeyState.DEACTIVATED:
        opening.add(Kind.KEY, key.entry("deactivated", key.sign_until or now))
    if key.compromised_at is not None:
        opening.add(Kind.KEY, key.entry("compromised", key.compromised_at))

"""Make, use, rotate and give up signing keys; each change of one is an entry in the log, in the same transaction."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from heldtrue.capabilities.keystore import model, store
from heldtrue.capabilities.keystore.model import NoSigningKeyError, Purpose, StoredKey
from heldtrue.capabilities.ledger import actions as ledger
from heldtrue.capabilities.ledger import generations, proofs
from heldtrue.capabilities.ledger.model import Kind, parse_entry
from heldtrue.capabilities.ledger.sequencer import Sequencer
from heldtrue.crypto.guarded import Guarded
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.signing import SigningKey
from heldtrue.crypto.states import KeyState, advance
from heldtrue.db.tx import Database, SystemTx, TenantTx
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.errors import ConflictError, NotFoundError
from heldtrue.kernel.ids import CryptoKeyId, Entropy, LeafId
from heldtrue.kernel.secret import Secret

Logger = Callable[[str, Mapping[str, Any]], LeafId]
"""Log an entry in clear: kind and document."""


class LogKeyFixedError(ConflictError):
    """An origin keeps its log key; a new key comes with a new origin, by `heldtrue log succeed`."""

    code = "log-key-fixed"


def ensure_signing_keys(tx: SystemTx, platform: PlatformKey, origin: str, now: datetime, entropy: Entropy) -> None:
    """Make whatever is missing of the log itself and of a key for each purpose; leave the rest alone.

    An instance that was made before a purpose existed gets its key at its next start. *origin* is fixed
    at first start; raise `OriginFixedError` where the log was opened under another one.
    """
    store.lock(tx)
    for purpose in Purpose:
        if store.active(tx, purpose) is None:
            key = make(tx, platform, purpose, now, entropy, _pending(tx, now, entropy))
            if purpose is Purpose.LOG:
                generations.open_first(tx, origin, key.id, now)
    generations.check_base(tx, origin)


class Signers(Guarded):
    """Unwrapped signing keys of a process; whether one may sign is asked of the database every time."""

    __slots__ = ("_keys", "_lock", "_platform")

    def __init__(self, platform: PlatformKey) -> None:
        self._platform = platform
        self._lock = threading.Lock()
        self._keys: OrderedDict[UUID, SigningKey] = OrderedDict()

    def active(self, tx: TenantTx | SystemTx, purpose: str, now: datetime) -> SigningKey:
        """Return the key that signs for *purpose* at *now*; raise `NoSigningKeyError` where none may."""
        row = store.active(tx, Purpose(purpose))
        if row is None:
            raise NoSigningKeyError(f"there is no active {purpose} key")
        row.admit(now)
        return self._unwrapped(row)

    def of_log(self, tx: TenantTx | SystemTx) -> SigningKey:
        """Return the key of the log's present generation."""
        row = store.by_id(tx, generations.current(tx).key_id)
        if row is None or not KeyState(row.state).protects:
            raise NoSigningKeyError("the log's key does not sign")
        return self._unwrapped(row)

    def _unwrapped(self, row: StoredKey) -> SigningKey:
        with self._lock:
            key = self._keys.get(row.key_id)
            if key is None:
                if row.wrapped is None:
                    raise NoSigningKeyError("the key was destroyed")
                key = self._keys[row.key_id] = SigningKey(row.id, Secret(self._platform.unwrap(row.wrapped)))
                if len(self._keys) > 16:
                    self._keys.popitem(last=False)
            return key


def active_signing_key(tx: TenantTx | SystemTx, platform: PlatformKey, purpose: str, now: datetime) -> SigningKey:
    """Return the key that signs for *purpose* at *now*, unwrapped for this one use; see `Signers.active`."""
    return Signers(platform).active(tx, purpose, now)


def sequencer(database: Database, log_dir: Path, platform: PlatformKey, clock: Clock) -> Sequencer:
    """Return the sequencer of the log's present generation."""
    with database.system() as tx:
        signer = Signers(platform).of_log(tx)
    return Sequencer(database, log_dir, signer, clock)


def rotate(tx: SystemTx, platform: PlatformKey, purpose: str, now: datetime, entropy: Entropy) -> StoredKey:
    """Put a new key in the place of the active one, which signs nothing any more; return the new one.

    Both changes are entries in the log. Raise `LogKeyFixedError` for the log's own key.
    """
    if Purpose(purpose) is Purpose.LOG:
        raise LogKeyFixedError
    store.lock(tx)
    old = store.active(tx, purpose)
    if old is not None:
        retire(tx, old, now, _pending(tx, now, entropy))
    return make(tx, platform, Purpose(purpose), now, entropy, _pending(tx, now, entropy))


def rotate_due(tx: SystemTx, platform: PlatformKey, now: datetime, entropy: Entropy) -> list[StoredKey]:
    """Rotate every key whose term ends within a day; return the new ones. Called by the worker, hourly."""
    due = [purpose for purpose in (Purpose.RECEIPT, Purpose.EVIDENCE) if _ends_soon(tx, purpose, now)]
    made = [rotate(tx, platform, purpose, now, entropy) for purpose in due]
    return [*made, *_rotate_session(tx, platform, now, entropy)]


def announce_session(tx: SystemTx, platform: PlatformKey, now: datetime, entropy: Entropy) -> StoredKey:
    """Make the next session key, published from now on and signing later; return it, or the one that waits already."""
    store.lock(tx)
    waiting = store.announced(tx, Purpose.SESSION)
    if waiting is not None:
        return waiting
    key = SigningKey.generate(entropy, now)
    starts = now + model.ANNOUNCED
    until, accept = model.term(Purpose.SESSION, starts)
    wrapped = platform.wrap(key.seed.reveal())
    state = KeyState.PRE_ACTIVATION.value
    row = StoredKey(key.id.value, Purpose.SESSION.value, state, key.public, wrapped, starts, until, accept, None, None)
    store.add(tx, row)
    return row


def _rotate_session(tx: SystemTx, platform: PlatformKey, now: datetime, entropy: Entropy) -> list[StoredKey]:
    """Let an announced session key sign once its time has come; announce one while the present key's term ends."""
    store.lock(tx)
    waiting = store.announced(tx, Purpose.SESSION)
    if waiting is None:
        return [announce_session(tx, platform, now, entropy)] if _ends_soon(tx, Purpose.SESSION, now) else []
    if now < waiting.not_before:
        return []
    log = _pending(tx, now, entropy)
    old = store.active(tx, Purpose.SESSION)
    if old is not None:
        retire(tx, old, now, log)
    advance(KeyState(waiting.state), KeyState.ACTIVE)
    row = replace(waiting, state=KeyState.ACTIVE.value, leaf_id=log(Kind.KEY, waiting.entry("activated", now)).value)
    store.activate(tx, row)
    return [row]


def _ends_soon(tx: SystemTx, purpose: Purpose, now: datetime) -> bool:
    key = store.active(tx, purpose)
    return key is not None and key.sign_until is not None and key.sign_until - model.AHEAD <= now


def compromise(tx: SystemTx, platform: PlatformKey, key: CryptoKeyId, now: datetime, entropy: Entropy) -> LeafId:
    """Declare a key known to a stranger from *now* on: only what entered the log before counts.

    An active key is replaced in the same transaction. The log's own active key is not: raise `LogKeyFixedError`, and
    let `heldtrue log succeed` come first.
    """
    store.lock(tx)
    row = store.by_id(tx, key.value)
    if row is None:
        raise NotFoundError(f"there is no signing key {key}")
    was_active = row.state == KeyState.ACTIVE
    if was_active and row.purpose == Purpose.LOG:
        raise LogKeyFixedError("the key still signs the log", advice="Run `heldtrue log succeed` first.")
    until, accept = model.retired(row, now) if was_active else (row.sign_until, row.accept_until)
    state = advance(KeyState(row.state), KeyState.COMPROMISED)
    store.change(tx, row, state, until, accept, now)
    log = _pending(tx, now, entropy)
    leaf = log(Kind.KEY, replace(row, sign_until=until, accept_until=accept).entry("compromised", now))
    if was_active:
        make(tx, platform, Purpose(row.purpose), now, entropy, log)
    return leaf


def make(
    tx: SystemTx, platform: PlatformKey, purpose: Purpose, now: datetime, entropy: Entropy, log: Logger
) -> StoredKey:
    """Make the active key of *purpose* and log it."""
    key = SigningKey.generate(entropy, now)
    until, accept = model.term(purpose, now)
    wrapped = platform.wrap(key.seed.reveal())
    row = StoredKey(
        key.id.value, purpose.value, KeyState.ACTIVE.value, key.public, wrapped, now, until, accept, None, None
    )
    row = replace(row, leaf_id=log(Kind.KEY, row.entry("activated", now)).value)
    store.add(tx, row)
    return row


def retire(tx: SystemTx, key: StoredKey, now: datetime, log: Logger) -> None:
    """Let *key* sign nothing any more, and log it."""
    until, accept = model.retired(key, now)
    state = advance(KeyState(key.state), KeyState.DEACTIVATED)
    store.change(tx, key, state, until, accept, key.compromised_at)
    log(Kind.KEY, replace(key, sign_until=until, accept_until=accept).entry("deactivated", now))


def key_entry(tx: TenantTx | SystemTx, key: CryptoKeyId, beside: LeafId) -> tuple[dict[str, Any], LeafId]:
    """Return the entry that says what *key* is, and its leaf, in the same generation of the log as *beside*.

    So one pinned log key proves both. Raise `NotYetLoggedError` until both are in the log.
    """
    row = store.by_id(tx, key.value)
    if row is None or row.leaf_id is None:
        raise NotFoundError(f"there is no signing key {key} with an entry in the log")
    generation, leaf = proofs.generation_of(tx, beside), LeafId(row.leaf_id)
    if proofs.generation_of(tx, leaf) == generation:
        return parse_entry(proofs.entry_of(tx, leaf)), leaf
    for again, entry in generations.opening_entries(tx, generation):
        found = parse_entry(entry)
        if found["kind"] == Kind.KEY and found["id"] == str(key) and found["event"] == "activated":
            return found, again
    raise NotFoundError(f"the log has no entry of the key {key} in the generation of {beside}")


def _pending(tx: SystemTx, now: datetime, entropy: Entropy) -> Logger:
    def log(kind: str, document: Mapping[str, Any]) -> LeafId:
        return ledger.append_clear(tx, kind, document, now, entropy)

    return log

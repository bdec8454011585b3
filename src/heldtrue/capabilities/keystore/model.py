"""Keys that sign for this instance: what each is for, how long it signs, and how long its signatures are accepted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from heldtrue.capabilities.ledger import model as ledger
from heldtrue.crypto.signing import multikey
from heldtrue.crypto.states import KeyState
from heldtrue.kernel.errors import UnavailableError
from heldtrue.kernel.ids import CryptoKeyId

RECEIPT_TERM = timedelta(days=90)
"""A receipt key signs for a quarter (docs/spec/receipts.md)."""
RECEIPT_GRACE = timedelta(days=90)
"""So long after it a receipt of its may still enter the log."""
AHEAD = timedelta(days=1)
"""A key is rotated so long before its term is over."""
SESSION_TERM = timedelta(days=90)
"""A session key signs for a quarter (docs/spec/session-tokens.md)."""
SESSION_GRACE = timedelta(minutes=20)
"""So long after it stopped signing a session key is published and accepted: the longest token's life, and a margin."""
ANNOUNCED = timedelta(minutes=30)
"""So long a session key is published before it signs; every cached copy of the key set has it by then."""


class NoSigningKeyError(UnavailableError):
    """No key may sign for this purpose now; the worker rotates keys in time, look whether it runs."""

    code = "no-signing-key"


class Purpose(StrEnum):
    """What a key signs."""

    LOG = "log"
    RECEIPT = "receipt"
    EVIDENCE = "evidence"
    SESSION = "session"


def accepts(state: str, accept_until: datetime | None, now: datetime) -> bool:
    """Return whether a signature of a session key in *state* is accepted at *now*, and the key published.

    A key that will sign soon is among them, so that everybody knows it before its first token comes.
    """
    if state not in {KeyState.PRE_ACTIVATION, KeyState.ACTIVE, KeyState.DEACTIVATED}:
        return False
    return accept_until is None or now < accept_until


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A signing key as stored; fields are the columns of `keystore.signing_keys`."""

    key_id: UUID
    purpose: str
    state: str
    public: bytes
    wrapped: bytes | None = field(repr=False)
    not_before: datetime
    sign_until: datetime | None
    accept_until: datetime | None
    leaf_id: UUID | None
    compromised_at: datetime | None

    @property
    def id(self) -> CryptoKeyId:
        """The key's id as a type of its own."""
        return CryptoKeyId(self.key_id)

    def admit(self, now: datetime) -> None:
        """Return if the key may sign at *now*; raise `NoSigningKeyError` otherwise."""
        if not KeyState(self.state).protects or now < self.not_before:
            raise NoSigningKeyError(f"the {self.purpose} key {self.id} does not sign: it is {self.state}")
        if self.sign_until is not None and now >= self.sign_until:
            raise NoSigningKeyError(f"the {self.purpose} key {self.id} signed until {ledger.instant(self.sign_until)}")

    def entry(self, event: str, at: datetime) -> dict[str, Any]:
        """Return the document of the key's entry in the log."""
        return ledger.key_document(
            event=event,
            id=str(self.id),
            purpose=self.purpose,
            public=multikey(self.public),
            not_before=self.not_before,
            sign_until=self.sign_until,
            accept_until=self.accept_until,
            at=at,
        )


def term(purpose: Purpose, not_before: datetime) -> tuple[datetime | None, datetime | None]:
    """Return until when a new key signs and until when inclusion is accepted; None: until it is rotated, for ever."""
    if purpose not in _GRACE:
        return None, None
    until = not_before + (SESSION_TERM if purpose is Purpose.SESSION else RECEIPT_TERM)
    return until, until + _GRACE[purpose]


def retired(key: StoredKey, now: datetime) -> tuple[datetime, datetime | None]:
    """Return the same two instants for *key* when it is retired at *now*: never later than they were."""
    until = now if key.sign_until is None else min(now, key.sign_until)
    grace = _GRACE.get(Purpose(key.purpose))
    return until, None if grace is None else until + grace


_GRACE = {Purpose.RECEIPT: RECEIPT_GRACE, Purpose.SESSION: SESSION_GRACE}

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


class NoSigningKeyError(UnavailableError):
    """No key may sign for this purpose now; the worker rotates keys in time, look whether it runs."""

    code = "no-signing-key"


class Purpose(StrEnum):
    """What a key signs."""

    LOG = "log"
    RECEIPT = "receipt"
    EVIDENCE = "evidence"


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
    if purpose is not Purpose.RECEIPT:
        return None, None
    return not_before + RECEIPT_TERM, not_before + RECEIPT_TERM + RECEIPT_GRACE


def retired(key: StoredKey, now: datetime) -> tuple[datetime, datetime | None]:
    """Return the same two instants for *key* when it is retired at *now*: never later than they were."""
    until = now if key.sign_until is None else min(now, key.sign_until)
    return until, until + RECEIPT_GRACE if key.purpose == Purpose.RECEIPT else None

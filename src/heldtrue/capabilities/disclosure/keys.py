"""The published OpenPGP key: made or brought by the operator, used to sign security.txt and to encrypt copies."""

from __future__ import annotations

from heldtrue.capabilities.disclosure import pgp, store
from heldtrue.capabilities.disclosure.office import PURPOSE, Office, keyring
from heldtrue.capabilities.disclosure.store import KeyRow
from heldtrue.capabilities.disclosure.wire import MakeKey, PublishedKey
from heldtrue.http.exchange import Answer
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.secret import Secret
from heldtrue.op import SystemOperation

_TABLE, _COLUMN = "disclosure_keys", "secret_sealed"


class NoKeyError(NotFoundError):
    """No OpenPGP key is published; make one with `heldtrue disclosure key`."""

    code = "no-disclosure-key"


def make(office: Office, op: SystemOperation, asked: MakeKey) -> Answer:
    """Publish a new key, or one that is brought, in place of the one before."""
    if asked.public_key is None:
        key, secret = pgp.generate(office.name, office.mail, asked.days, op.now)
        sealed = keyring(op).seal(PURPOSE, _TABLE, _COLUMN, key.fingerprint, secret.reveal().encode())
    else:
        key, sealed = pgp.read(asked.public_key, op.now), None
    row = KeyRow(key.fingerprint, key.armoured, sealed, op.now, key.expires_at, None)
    store.publish_key(op.tx, row)
    return Answer(body=_shown(row), subject=row.fingerprint, detail={"held_here": sealed is not None})


def show(op: SystemOperation) -> PublishedKey:
    """Return the key that is published."""
    row = store.active_key(op.tx)
    if row is None:
        raise NoKeyError
    return _shown(row)


def active(op: SystemOperation) -> KeyRow | None:
    """Return the key that is published and has not expired."""
    row = store.active_key(op.tx)
    return None if row is None or row.expires_at <= op.now else row


def encrypted(op: SystemOperation, text: str) -> str | None:
    """Return *text* encrypted to the published key; None where there is none."""
    row = active(op)
    return None if row is None else pgp.encrypt(row.public_key, text)


def signed(op: SystemOperation, text: str) -> str | None:
    """Return *text* clear-signed with the published key; None where its secret half is not here."""
    row = active(op)
    return None if row is None or row.secret_sealed is None else pgp.clear_sign(_secret(op, row), text)


def opened(op: SystemOperation, message: str) -> str | None:
    """Return what an encrypted message says by any key that was ever held here; None where none opens it."""
    for row in store.keys(op.tx):
        if row.secret_sealed is not None:
            found = pgp.decrypt(_secret(op, row), message)
            if found is not None:
                return found
    return None


def _secret(op: SystemOperation, row: KeyRow) -> Secret[str]:
    sealed = row.secret_sealed or b""
    return Secret(keyring(op).open(PURPOSE, _TABLE, _COLUMN, row.fingerprint, sealed).decode())


def _shown(row: KeyRow) -> PublishedKey:
    return PublishedKey(
        fingerprint=row.fingerprint, public_key=row.public_key, made_at=row.made_at, expires_at=row.expires_at,
        held_here=row.secret_sealed is not None,
    )  # fmt: skip

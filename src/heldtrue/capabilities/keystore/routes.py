"""The keys that everybody may know: `/.well-known/heldtrue.json` and `/.well-known/jwks.json`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from heldtrue.capabilities.keystore import store
from heldtrue.capabilities.keystore.model import Purpose, StoredKey, accepts
from heldtrue.capabilities.ledger import generations
from heldtrue.capabilities.ledger.model import instant
from heldtrue.capabilities.ledger.note import ED25519, VerifierKey
from heldtrue.capabilities.ledger.witness import Witness
from heldtrue.crypto.jws import encode_part
from heldtrue.crypto.signing import multikey
from heldtrue.db.tx import Database, SystemTx, TenantTx
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.ids import LeafId


class PublishedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A signing key's public half, and when it signs."""

    id: str
    public: str
    """Multikey: `z` + base58btc(0xed01 ‖ 32 bytes)."""
    state: str
    not_before: str
    sign_until: str | None
    """It signs nothing from then on; null: until it is rotated."""
    accept_until: str | None
    """What it signed counts if the log took it in before then; null: for ever."""
    compromised_at: str | None
    leaf_id: str | None
    """The key's entry in the log."""


class PublishedLog(msgspec.Struct, frozen=True, kw_only=True):
    """A generation of the log: what its checkpoints say of themselves, and the key to check them by."""

    origin: str
    log_key: str
    opened_at: str
    path: str
    """Where it is served."""


class PublishedKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Origin and keys of this instance. A verifier takes the log's key from elsewhere and compares."""

    origin: str
    log_key: str
    """Verifier key: `name+hex8+base64(type ‖ public key)`."""
    receipt_keys: list[PublishedKey]
    evidence_keys: list[PublishedKey]
    witnesses: list[str]
    """Verifier keys of who cosigns the log; a reader pins those that he trusts, taken from the witnesses themselves."""
    former_logs: list[PublishedLog]


class Jwk(msgspec.Struct, frozen=True, kw_only=True):
    """A public key as RFC 8037 writes it."""

    kid: str
    x: str
    kty: str = "OKP"
    crv: str = "Ed25519"
    alg: str = "Ed25519"
    use: str = "sig"


class JwkSet(msgspec.Struct, frozen=True, kw_only=True):
    """Public keys (RFC 7517, section 5)."""

    keys: list[Jwk]


def published(tx: TenantTx | SystemTx, watched: Sequence[Witness] = ()) -> PublishedKeys:
    """Return everything that this instance publishes of its keys."""
    *former, current = generations.every(tx)
    return PublishedKeys(
        origin=current.origin,
        log_key=vkey(current),
        receipt_keys=[_shown(key) for key in store.all_of(tx, Purpose.RECEIPT)],
        evidence_keys=[_shown(key) for key in store.all_of(tx, Purpose.EVIDENCE)],
        witnesses=[each.vkey for each in watched],
        former_logs=[
            PublishedLog(
                origin=each.origin,
                log_key=vkey(each),
                opened_at=instant(each.opened_at),
                path=f"/log/{each.generation}/",
            )
            for each in former
        ],
    )


def vkey(origin: generations.Origin) -> str:
    """Return the verifier key that a stranger pins for *origin*."""
    return str(VerifierKey(origin.origin, ED25519, origin.public))


def jwks(tx: TenantTx | SystemTx, now: datetime) -> JwkSet:
    """Return the keys whose session tokens are accepted at *now* or soon, as a JWK set; no key of another purpose.

    A token signed by a receipt or evidence key could otherwise pass for a session where somebody verifies by this set.
    """
    return JwkSet(
        keys=[
            Jwk(kid=str(key.id), x=encode_part(key.public))
            for key in store.all_of(tx, Purpose.SESSION)
            if accepts(key.state, key.accept_until, now)
        ]
    )


def routes(database: Database, clock: Clock, watched: Sequence[Witness] = ()) -> list[Route]:
    """Return the routes of the published keys."""

    def show_keys() -> PublishedKeys:
        with database.system() as tx:
            return published(tx, watched)

    def show_jwks() -> JwkSet:
        with database.system() as tx:
            return jwks(tx, clock.now())

    return [
        Route(
            at="GET /.well-known/heldtrue.json", action=show_keys, gives=PublishedKeys, realm=Realm.PUBLIC,
            cache=CacheClass.PAGE, summary="Origin, log key, receipt keys with validity, witnesses.", tags=("log",),
        ),
        Route(
            at="GET /.well-known/jwks.json", action=show_jwks, gives=JwkSet, realm=Realm.PUBLIC,
            cache=CacheClass.PAGE, summary="Public keys of session tokens, as a JWK set.", tags=("sessions",),
        ),
    ]  # fmt: skip


def _shown(key: StoredKey) -> PublishedKey:
    return PublishedKey(
        id=str(key.id),
        public=multikey(key.public),
        state=key.state,
        not_before=instant(key.not_before),
        sign_until=None if key.sign_until is None else instant(key.sign_until),
        accept_until=None if key.accept_until is None else instant(key.accept_until),
        compromised_at=None if key.compromised_at is None else instant(key.compromised_at),
        leaf_id=None if key.leaf_id is None else str(LeafId(key.leaf_id)),
    )

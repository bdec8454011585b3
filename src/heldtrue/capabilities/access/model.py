"""API keys (docs/spec/api-keys.md): what is remembered of them, and when they are admitted. No SQL, no HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from heldtrue.capabilities.access.restrictions import UNRESTRICTED, Restrictions
from heldtrue.crypto import tokens
from heldtrue.crypto.tokens import KeyType
from heldtrue.http.credential import UnknownCredentialError
from heldtrue.kernel.errors import BadInputError, ConflictError, DeniedError, NotFoundError, UnauthenticatedError
from heldtrue.kernel.ids import Entropy, KeyId, TenantId
from heldtrue.kernel.secret import Secret
from heldtrue.policy.permissions import GRANTS, Permission, Role, allowed

LONGEST_OVERLAP = timedelta(days=7)
ROTATION = timedelta(days=365)
"""After a year a key's holder is reminded to roll it, and each year again."""


class UnknownKeyError(UnknownCredentialError):
    """The key has the right shape, but is none of this instance; check where it was issued."""

    code = "unknown-key"


class KeyExpiredError(UnauthenticatedError):
    """The key's lifetime is over; its holder must use the one that it was rolled to, or ask for another."""

    code = "key-expired"


class KeyRevokedError(UnauthenticatedError):
    """The key was revoked, and stays so; ask the organisation's administrator for another."""

    code = "key-revoked"


class OrganisationClosedError(UnauthenticatedError):
    """The key's organisation is closed; ask the operator."""

    code = "organisation-closed"


class KeyNotFoundError(NotFoundError):
    """There is no such key in this organisation and environment; `GET /v1/keys` lists those there are."""

    code = "key-not-found"


class NoSuchScopeError(BadInputError):
    """The scopes ask for what the role does not have, or leave nothing; choose among the role's permissions."""

    code = "no-such-scope"


class NotInFutureError(BadInputError):
    """An expiry is a moment to come; send a later one."""

    code = "not-in-future"


class OutlivesIssuerError(DeniedError):
    """A key that ends makes only keys that end no later; send an earlier `expires_at`, or none."""

    code = "outlives-issuer"


class KeyNotLiveError(ConflictError):
    """The key is revoked or expired, so it cannot be rolled; issue a new one."""

    code = "key-not-live"


class RollUnderWayError(ConflictError):
    """Two keys are live already: one of them was rolled, and its overlap runs; revoke the older one, or wait."""

    code = "roll-under-way"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is remembered of a key; the secret is not here."""

    id: KeyId
    tenant: TenantId
    environment: str
    type: KeyType
    role: Role
    scopes: frozenset[Permission] | None
    digest: bytes
    last4: str
    state: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None
    rolled_to: UUID | None = None
    restrictions: Restrictions = UNRESTRICTED
    leaked_at: datetime | None = None

    @property
    def rotate_by(self) -> datetime:
        """When the key is a year old, and another should take its place."""
        return self.created_at + ROTATION

    def rotation_due(self, now: datetime) -> bool:
        """Return whether the key still works at *now*, is older than a year, and has no successor."""
        return self.shown_state(now) == "active" and self.rolled_to is None and now >= self.rotate_by

    def shown_state(self, now: datetime) -> str:
        """Return `active`, `expired` or `revoked`, as it is at *now*."""
        if self.state == "active" and self.expires_at is not None and now >= self.expires_at:
            return "expired"
        return self.state

    def permissions(self) -> frozenset[Permission]:
        """Return what the key may do."""
        return allowed(self.role, self.scopes)

    def revoked(self, now: datetime) -> ApiKey:
        """Return the key revoked at *now*; one that was revoked before keeps its moment."""
        return self if self.state == "revoked" else replace(self, state="revoked", revoked_at=now)

    def leaked(self, now: datetime, *, revoke: bool) -> ApiKey:
        """Return the key as it is once it is known to be public; a publishable one is so by intent and lives on."""
        known = self if self.leaked_at is not None else replace(self, leaked_at=now)
        return known.revoked(now) if revoke and self.type == "sk" else known

    def rolled(
        self, now: datetime, overlap: timedelta, entropy: Entropy, predecessors: Sequence[ApiKey]
    ) -> tuple[ApiKey, Secret[str], ApiKey]:
        """Return this key with its end set, the secret of its successor, and the successor.

        The successor has the same role, scopes, restrictions and length of life. This key lives for *overlap* longer,
        never past the end that it had. At most two are live: while a predecessor's overlap runs, or this key's own,
        another roll is refused.
        """
        if not timedelta() <= overlap <= LONGEST_OVERLAP:
            raise BadInputError(f"An overlap lasts from 0 to {LONGEST_OVERLAP.days} days.")
        if self.shown_state(now) != "active":
            raise KeyNotLiveError
        if self.rolled_to is not None or any(one.shown_state(now) == "active" for one in predecessors):
            raise RollUnderWayError
        lifetime = None if self.expires_at is None else self.expires_at - self.created_at
        secret, successor = mint(
            self.tenant, self.environment, now, entropy,
            role=self.role, scopes=self.scopes, expires_at=None if lifetime is None else now + lifetime,
            restrictions=self.restrictions,
        )  # fmt: skip
        end = now + overlap if self.expires_at is None else min(self.expires_at, now + overlap)
        return replace(self, expires_at=end, rolled_to=successor.id.value), secret, successor


def end_of(own: ApiKey, asked: datetime | None) -> datetime | None:
    """Return when a key ends that the key *own* makes: when *asked*, else when *own* does, None for neither.

    Raise `OutlivesIssuerError` for an end after its maker's.
    """
    if own.expires_at is None or asked is None:
        return asked or own.expires_at
    if asked > own.expires_at:
        raise OutlivesIssuerError(f"This key ends at {own.expires_at.isoformat()}; the other may not end later.")
    return asked


def judge_scopes(role: Role, scopes: Sequence[Permission] | None) -> frozenset[Permission] | None:
    """Return *scopes* as a set when they narrow *role*; raise `NoSuchScopeError` otherwise. None: the whole role."""
    if scopes is None:
        return None
    chosen = frozenset(scopes)
    beyond = sorted(chosen - GRANTS[role])
    if beyond:
        raise NoSuchScopeError(f"The role {role.value} does not have {', '.join(beyond)}.")
    if not chosen:
        raise NoSuchScopeError("Without any scope the key could do nothing.")
    return chosen


def mint(
    tenant: TenantId,
    environment: str,
    now: datetime,
    entropy: Entropy,
    *,
    role: Role,
    scopes: frozenset[Permission] | None = None,
    expires_at: datetime | None = None,
    restrictions: Restrictions = UNRESTRICTED,
) -> tuple[Secret[str], ApiKey]:
    """Return the secret of a fresh key, and the key; raise `NotInFutureError` for an expiry that is over."""
    if expires_at is not None and expires_at <= now:
        raise NotInFutureError
    type_: KeyType = "pk" if role is Role.PUBLISHABLE else "sk"
    secret = tokens.mint(type_, environment, entropy)
    text = secret.reveal()
    key = ApiKey(
        KeyId.new(now, entropy), tenant, environment, type_, role, scopes, tokens.digest(text), tokens.last4(text),
        "active", now, expires_at, restrictions=restrictions,
    )  # fmt: skip
    return secret, key

"""Minting and revoking session tokens: the customer's server asks with its secret key, its user's browser gets one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from heldtrue.capabilities.access import actions, store
from heldtrue.capabilities.access.model import KeyExpiredError
from heldtrue.capabilities.access.restrictions import judge_grants, may_give_grants
from heldtrue.capabilities.access.sessions import (
    LONGEST_LIFE,
    NEVER_IN_SESSION,
    USUAL_LIFE,
    NotInSessionError,
    SessionClaims,
    sign_session,
)
from heldtrue.capabilities.access.wire import Grants
from heldtrue.capabilities.keystore.actions import Signers
from heldtrue.capabilities.keystore.model import Purpose
from heldtrue.http.exchange import Answer
from heldtrue.http.route import Route
from heldtrue.kernel.ids import SessionId
from heldtrue.kernel.secret import Secret
from heldtrue.op import Operation
from heldtrue.policy.decide import may_give
from heldtrue.policy.permissions import Permission

Visible = Annotated[str, msgspec.Meta(pattern="^[!-~]{1,200}$(?!\n)")]
"""`$` alone would let a line feed at the end pass."""


class MintSession(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a session token for one of your users."""

    subject: Annotated[Visible, msgspec.Meta(description="Your own name for the user; 1 to 200 visible ASCII letters.")]
    permissions: Annotated[list[Permission], msgspec.Meta(description="What of this API it may do, as you may.")] = []
    grants: Grants = []
    ttl_seconds: Annotated[
        int, msgspec.Meta(ge=1, le=int(LONGEST_LIFE.total_seconds()), description="How long it works.")
    ] = int(USUAL_LIFE.total_seconds())
    audience: Annotated[Visible, msgspec.Meta(description="Who is to accept it; null: this instance.")] | None = None


class MintedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session token; give it to the browser and keep it nowhere."""

    id: str
    """The session, as `sid` in the token."""
    token: Secret[str]
    subject: str
    permissions: list[str]
    grants: list[str]
    audience: str
    expires_at: datetime


class RevokedSessions(msgspec.Struct, frozen=True, kw_only=True):
    """All session tokens of the environment that were minted before are refused."""

    generation: int
    revoked_at: datetime


@dataclass(frozen=True, slots=True)
class SessionServices:
    """What minting needs beside an operation."""

    signers: Signers
    issuer: str


def routes(services: SessionServices) -> list[Route]:
    """Return the routes of session tokens."""
    return [
        Route(
            at="POST /v1/sessions", action=_minting(services), takes=MintSession, gives=MintedSession,
            needs=Permission.SESSION_MINT, audits="session.minted", bears_secret=True,
            summary="Mint a session token for one of your users",
        ),
        Route(
            at="DELETE /v1/sessions", action=revoke_sessions, gives=RevokedSessions,
            needs=Permission.SESSION_REVOKE, audits="session.revoked", changes_access=True,
            summary="Revoke all session tokens of your environment, at once and for good",
        ),
    ]  # fmt: skip


def _minting(services: SessionServices) -> Callable[[Operation, MintSession], Answer]:
    def mint_session(op: Operation, asked: MintSession) -> Answer:
        """Mint a session token for a user of the caller's; it cannot do more than the key that minted it."""
        claims = _claims(op, asked)
        audience = services.issuer if asked.audience is None else asked.audience
        key = services.signers.active(op.tx, Purpose.SESSION, op.now)
        token = sign_session(key, services.issuer, audience, claims, op.now)
        body = MintedSession(
            id=claims.sid,
            token=Secret(token),
            subject=claims.subject,
            permissions=sorted(claims.permissions),
            grants=sorted(claims.grants),
            audience=audience,
            expires_at=claims.expires_at,
        )
        return Answer(body=body, detail={"generation": claims.generation, "signed_by": str(key.id)})

    return mint_session


def _claims(op: Operation, asked: MintSession) -> SessionClaims:
    permissions, grants = frozenset(asked.permissions), judge_grants(asked.grants)
    may_give(op.actor.permissions, permissions)
    never = sorted(permissions & NEVER_IN_SESSION)
    if never:
        raise NotInSessionError(f"A session token may not do {', '.join(never)}.")
    key = actions.caller_key(op)
    may_give_grants(key.role, key.restrictions.grants, grants)
    return SessionClaims(
        sid=str(SessionId.new(op.now, op.entropy)),
        subject=asked.subject,
        tenant=op.tenant,
        environment=op.environment,
        generation=store.generation(op.tx, op.tenant, op.environment),
        key=key.id,
        permissions=permissions,
        grants=grants,
        expires_at=_end(op.now, timedelta(seconds=asked.ttl_seconds), key.expires_at),
    )


def _end(now: datetime, life: timedelta, key_expires_at: datetime | None) -> datetime:
    """Return when a token ends, in whole seconds: never later than the key that minted it."""
    issued_at = int(now.timestamp())
    end = issued_at + int(life.total_seconds())
    if key_expires_at is not None:
        end = min(end, int(key_expires_at.timestamp()))
    if end <= issued_at:
        raise KeyExpiredError("The key ends within this second, and so would the token.")
    return datetime.fromtimestamp(end, UTC)


def revoke_sessions(op: Operation) -> RevokedSessions:
    """Revoke every session token of the caller's environment, by a new generation."""
    return RevokedSessions(
        generation=store.next_generation(op.tx, op.tenant, op.environment, op.now), revoked_at=op.now
    )

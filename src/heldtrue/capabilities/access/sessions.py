"""Session tokens (docs/spec/session-tokens.md): what they say, and the one way to judge them. No SQL, no HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from heldtrue.capabilities.access.restrictions import GRANT, MOST_GRANTS
from heldtrue.crypto.canonical import JsonValue, canonicalize
from heldtrue.crypto.jws import ED25519, MalformedJwsError, parse_object, sign_jws, verify_jws
from heldtrue.crypto.signing import SigningKey
from heldtrue.kernel.errors import DeniedError, UnauthenticatedError
from heldtrue.kernel.ids import KeyId, MalformedIdError, SessionId, TenantId
from heldtrue.policy.permissions import Permission

LONGEST_LIFE = timedelta(minutes=15)
"""From `iat` to `exp`, at most."""
USUAL_LIFE = timedelta(minutes=5)
CLOCK_LEEWAY = timedelta(seconds=5)
"""How far `iat` and `nbf` may lie ahead, for machines whose clocks differ. An expiry has no leeway."""
NEVER_IN_SESSION = frozenset(
    {
        Permission.KEY_ISSUE,
        Permission.KEY_ISSUE_ANY,
        Permission.KEY_REVOKE,
        Permission.SESSION_MINT,
        Permission.SESSION_REVOKE,
    }
)
"""What would outlive the session, or end others: a token in a browser makes and ends no credential."""
TYPE = "JWT"

_ENVIRONMENT = re.compile(r"[a-z0-9]{1,16}")
_SUBJECT = re.compile(r"[\x21-\x7e]{1,200}")
"""Visible ASCII, fit for a header."""


class MalformedSessionError(UnauthenticatedError):
    """The session token does not say what ours say; send it exactly as it was issued."""

    code = "malformed-session"


class ForeignSessionError(UnauthenticatedError):
    """The session token was not issued by this instance, or not for it; mint one here, for this audience."""

    code = "foreign-session"


class SessionExpiredError(UnauthenticatedError):
    """The session token's time is over, or not yet come; ask your own server for another one."""

    code = "session-expired"


class SessionRevokedError(UnauthenticatedError):
    """All session tokens of the environment were revoked after this one was minted; ask for another one."""

    code = "session-revoked"


class NotInSessionError(DeniedError):
    """A session token may not make, roll or revoke credentials; leave these permissions out."""

    code = "not-in-session"


@dataclass(frozen=True, slots=True)
class SessionClaims:
    """What a verified session token says. Its generation is judged against the present one at each use."""

    sid: str
    subject: str
    """The customer's own name for its user."""
    tenant: TenantId
    environment: str
    generation: int
    key: KeyId
    """The key that minted it."""
    permissions: frozenset[Permission]
    grants: frozenset[str]
    """The customer's own scope names."""
    expires_at: datetime

    def admit(self, generation: int, now: datetime) -> None:
        """Return if the token is good at *now*, the environment's generation being *generation*; raise otherwise."""
        if now >= self.expires_at:
            raise SessionExpiredError
        if self.generation != generation:
            raise SessionRevokedError


@dataclass(frozen=True, slots=True)
class SessionVerifier:
    """Judges session tokens of one issuer for one audience."""

    keys: Callable[[str], bytes | None]
    """The Ed25519 public key that is accepted now under a `kid`, 32 bytes; None for any other."""
    issuer: str
    audience: str

    def verify(self, token: str, now: datetime) -> SessionClaims:
        """Return what *token* says if it is ours, for us, and good at *now*; about 150 µs.

        Raises what is an `UnauthenticatedError`: a `MalformedJwsError` and its kin for the signature (see
        `crypto.jws`), then MalformedSessionError, ForeignSessionError, SessionExpiredError.
        """
        header, payload = verify_jws(token, self._key_of, (ED25519,))
        if header.get("typ") != TYPE or "cty" in header:
            raise MalformedSessionError(f"the token's type is not {TYPE}")
        try:
            said = parse_object(payload, "payload")
        except MalformedJwsError as error:
            raise MalformedSessionError(error.message) from error
        if said.get("iss") != self.issuer or said.get("aud") != self.audience:
            raise ForeignSessionError
        expires_at = _judge_times(said, now)
        return _claims(said, expires_at)

    def _key_of(self, kid: str | None) -> bytes | None:
        return None if kid is None else self.keys(kid)


def issuer_of(origin: str) -> str:
    """Return the `iss` of an instance: its origin as a URL. It is the usual `aud` too."""
    return f"https://{origin}"


def sign_session(key: SigningKey, issuer: str, audience: str, claims: SessionClaims, issued_at: datetime) -> str:
    """Return the token that says *claims*, signed by the instance's session key."""
    said: dict[str, JsonValue] = {
        "iss": issuer,
        "aud": audience,
        "sub": claims.subject,
        "sid": claims.sid,
        "org": str(claims.tenant),
        "env": claims.environment,
        "key": str(claims.key),
        "perms": [*sorted(permission.value for permission in claims.permissions)],
        "grants": [*sorted(claims.grants)],
        "gen": claims.generation,
        "iat": int(issued_at.timestamp()),
        "exp": int(claims.expires_at.timestamp()),
    }
    return sign_jws(key, {"typ": TYPE}, canonicalize(said))


def _judge_times(said: dict[str, JsonValue], now: datetime) -> datetime:
    """Return the end of a token's life: whole seconds, at most 15 minutes after its issue, still to come."""
    issued_at, expires_at = _moment(said, "iat"), _moment(said, "exp")
    starts_at = _moment(said, "nbf") if "nbf" in said else issued_at
    if not timedelta() < expires_at - issued_at <= LONGEST_LIFE:
        raise MalformedSessionError(f"a token lives for {LONGEST_LIFE.seconds // 60} minutes at most")
    if max(issued_at, starts_at) > now + CLOCK_LEEWAY or now >= expires_at:
        raise SessionExpiredError
    return expires_at


def _claims(said: dict[str, JsonValue], expires_at: datetime) -> SessionClaims:
    generation, environment, subject = said.get("gen"), _text(said, "env"), _text(said, "sub")
    if type(generation) is not int or generation < 0:
        raise MalformedSessionError("gen is not a generation")
    if not _ENVIRONMENT.fullmatch(environment) or not _SUBJECT.fullmatch(subject):
        raise MalformedSessionError("env or sub is not what we write there")
    grants = _texts(said, "grants")
    if len(grants) > MOST_GRANTS or not all(GRANT.fullmatch(grant) for grant in grants):
        raise MalformedSessionError("grants are not scope names")
    try:
        return SessionClaims(
            sid=str(SessionId.parse(_text(said, "sid"))),
            subject=subject,
            tenant=TenantId.parse(_text(said, "org")),
            environment=environment,
            generation=generation,
            key=KeyId.parse(_text(said, "key")),
            permissions=frozenset(Permission(name) for name in _texts(said, "perms")) - NEVER_IN_SESSION,
            grants=grants,
            expires_at=expires_at,
        )
    except (MalformedIdError, ValueError) as error:
        raise MalformedSessionError("an id or a permission in the token is none of ours") from error


def _moment(said: dict[str, JsonValue], name: str) -> datetime:
    value = said.get(name)
    if type(value) is not int or not 0 <= value < 2**33:
        raise MalformedSessionError(f"{name} is not a time in whole seconds")
    return datetime.fromtimestamp(value, UTC)


def _text(said: dict[str, JsonValue], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str):
        raise MalformedSessionError(f"{name} is not a text")
    return value


def _texts(said: dict[str, JsonValue], name: str) -> frozenset[str]:
    value = said.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise MalformedSessionError(f"{name} is not a list of texts")
    return frozenset(cast("list[str]", value))

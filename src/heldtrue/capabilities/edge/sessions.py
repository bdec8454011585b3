"""Session tokens at the edge: verified once, then remembered by digest; judged at every use."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from heldtrue.capabilities.access.sessions import ForeignSessionError, SessionClaims
from heldtrue.capabilities.edge.facts import KeyFacts
from heldtrue.capabilities.edge.model import Caller
from heldtrue.capabilities.edge.snapshot import Tables
from heldtrue.http.credential import UnknownCredentialError

REMEMBERED = 20_000
"""Verified tokens that a process remembers, about 1.5 kB each."""


class UnknownSessionError(UnknownCredentialError):
    """The session token was minted by a key, or in a generation, that is not known; ask for another one."""

    code = "unknown-session"


class Verifier(Protocol):
    """Verifies session tokens."""

    def verify(self, token: str, now: datetime) -> SessionClaims:
        """Return what *token* says; raise what is an `UnauthenticatedError`."""
        ...


class _Seen(NamedTuple):
    claims: SessionClaims
    facts: KeyFacts
    caller: Caller
    signing: object
    """The signing keys that there were; with others, the signature is verified again."""


class SessionDesk:
    """Judges session tokens of one process; used from one thread."""

    def __init__(self, verifier: Verifier, remembered: int = REMEMBERED) -> None:
        self._verifier = verifier
        self._remembered = remembered
        self._seen: dict[bytes, _Seen] = {}

    def identify(self, tables: Tables, digest: bytes, token: str, now: datetime) -> tuple[Caller, KeyFacts]:
        """Return whom *token* names, and the key that minted it, which the caller of this has to judge.

        The signature costs 150 µs, so it is remembered until the token ends or the signing keys change. Expiry and
        generation are judged each time.
        """
        seen = self._seen.get(digest)
        if seen is None or seen.signing is not tables.signing or tables.by_id.get(seen.facts.id) is not seen.facts:
            seen = self._verify(tables, token, now)
            self._remember(digest, seen, now)
        claims, facts = seen.claims, seen.facts
        tenant = facts.organisation.tenant.value.bytes
        generation = tables.sessions.get((tenant, claims.environment), 0)
        if claims.generation > generation:
            raise UnknownSessionError
        claims.admit(generation, now)
        return seen.caller, facts

    def _verify(self, tables: Tables, token: str, now: datetime) -> _Seen:
        signing = tables.signing  # before: if they change meanwhile, it is verified again next time
        claims = self._verifier.verify(token, now)
        facts = tables.by_id.get(claims.key.value.bytes)
        if facts is None:
            raise UnknownSessionError
        profile = facts.profile
        if claims.tenant != facts.organisation.tenant or claims.environment != profile.environment:
            raise ForeignSessionError
        caller = Caller(
            "session", "session", claims.tenant, claims.environment, claims.key, profile.role, claims.subject,
            claims.sid, claims.permissions & profile.permissions, claims.grants,
        )  # fmt: skip
        return _Seen(claims, facts, caller, signing)

    def _remember(self, digest: bytes, seen: _Seen, now: datetime) -> None:
        if len(self._seen) >= self._remembered:
            self._seen = {key: one for key, one in self._seen.items() if one.claims.expires_at > now}
            while len(self._seen) >= self._remembered:
                del self._seen[next(iter(self._seen))]
        self._seen[digest] = seen

"""The decision: may this credential, from there, do that? In memory, in microseconds, and no wherever in doubt.

Judged in the order of docs/spec/api-keys.md: shape, checksum, snapshot, status, environment, scope, limit. The snapshot
is asked first, because a digest that is in it has the right shape; only what is not in it is looked at more closely, to
tell a mistyped credential from an unknown one. Nothing but the caller itself is remembered between two calls: status,
expiry, organisation, origin, address, environment, scope and limits are judged every time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from heldtrue.capabilities.access.model import (
    KeyExpiredError,
    KeyRevokedError,
    OrganisationClosedError,
    UnknownKeyError,
)
from heldtrue.capabilities.edge.facts import KeyFacts
from heldtrue.capabilities.edge.limits import DEFAULT, Admission
from heldtrue.capabilities.edge.model import (
    STALE_AFTER,
    AddressRefusedError,
    Caller,
    EdgeCall,
    EdgePolicy,
    EnvironmentRefusedError,
    MissingScopeError,
    NoRouteError,
    NotPublishableError,
    OriginRefusedError,
    RouteRule,
    StaleFeedError,
)
from heldtrue.capabilities.edge.rules import Rules
from heldtrue.capabilities.edge.sessions import SessionDesk, Verifier
from heldtrue.capabilities.edge.snapshot import Snapshot, boottime
from heldtrue.crypto import tokens
from heldtrue.http.credential import bearer
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.errors import DeniedError
from heldtrue.kernel.ids import KeyId, TenantId


class Admits(Protocol):
    """Counts a call against its limits."""

    def admit(self, tenant: TenantId, key: KeyId, route_class: str) -> Admission | None:
        """Return whether the call is within its limits; None when that has to be asked elsewhere first."""
        ...


@dataclass(slots=True)
class Decision:
    """What became of one call, until its limits are settled and it is on record."""

    caller: Caller | None
    rule: RouteRule | None
    denial: DeniedError | None = None
    """Why the caller may not do this; counted against its limits all the same."""
    admission: Admission | None = None
    """None: no limit applies, or it `waits`."""
    waits: bool = False
    """Whether the limiter has to ask elsewhere before it can tell."""


class Decider:
    """The one place where credentials are judged; one a process."""

    def __init__(
        self,
        snapshot: Snapshot,
        clock: Clock,
        policy: EdgePolicy | None = None,
        *,
        limiter: Admits | None = None,
        sessions: Verifier | None = None,
        boot: Callable[[], float] = boottime,
    ) -> None:
        """Judge by *snapshot*; without *sessions* no session token is known, without *limiter* nobody is limited."""
        policy = policy or EdgePolicy()
        self._snapshot = snapshot
        self._clock = clock
        self._rules = Rules(policy.rules)
        self._open = not policy.rules
        self._environments = policy.environments
        self._limiter = limiter
        self._sessions = None if sessions is None else SessionDesk(sessions)
        self._boot = boot

    def identify(self, token: str, *, origin: str | None = None, address: str = "") -> Caller:
        """Return who holds *token*, used from *origin* and *address*; microseconds.

        Raise `StaleFeedError` when the snapshot is older than 5 s, and what is an `UnauthenticatedError` when it is
        nobody who may come in.
        """
        return self._identify(token.encode("utf-8", "surrogatepass"), origin, address)

    def decide(self, call: EdgeCall) -> Decision:
        """Return what becomes of *call*.

        Raise what is a `BadInputError` for a request that could be read in two ways, and what `identify` raises. A
        caller that is known and may not do this is a decision with a `denial`, because it is put on record.
        """
        rule = self._rules.of(call.method, call.target)
        values = call.authorization
        if not values and rule is not None and rule.public:
            return Decision(None, rule)
        facts = None
        if len(values) == 1 and (value := values[0])[:7] == b"Bearer ":  # written as nearly all are
            snapshot = self._snapshot
            if self._boot() - snapshot.agreed_at <= STALE_AFTER:
                facts = snapshot.tables.keys.get(sha256(value[7:]).digest())
        if facts is None:
            caller = self._identify(bearer(values), call.origin, call.address)
        else:
            caller = self._admit(facts, call.origin, call.address)
        decision = Decision(caller, rule, self._deny(caller, rule))
        return decision if self._limiter is None else self.limit(decision)

    def limit(self, decision: Decision) -> Decision:
        """Count a decision against its caller's limits; call it again after the limiter has asked elsewhere."""
        caller, rule, limiter = decision.caller, decision.rule, self._limiter
        if caller is not None and limiter is not None:
            route_class = DEFAULT if rule is None else rule.route_class
            decision.admission = limiter.admit(caller.tenant, caller.key, route_class)
            decision.waits = decision.admission is None
        return decision

    def _identify(self, token: bytes, origin: str | None, address: str) -> Caller:
        snapshot = self._snapshot
        if self._boot() - snapshot.agreed_at > STALE_AFTER:
            raise StaleFeedError
        digest = sha256(token).digest()
        facts = snapshot.tables.keys.get(digest)
        return self._session(digest, token.decode("latin-1")) if facts is None else self._admit(facts, origin, address)

    def _admit(self, facts: KeyFacts, origin: str | None, address: str) -> Caller:
        """Return the holder of a key that is live, used from where it may be used; raise otherwise."""
        if facts.revoked or facts.ends is not None or not facts.organisation.active:
            self._judge(facts)
        profile = facts.profile
        if profile.bound:
            if profile.origins is not None and not profile.origins.admit(origin):
                raise OriginRefusedError
            if profile.networks is not None and not profile.networks.admit(address):
                raise AddressRefusedError
        return facts.caller or facts.meet()

    def _judge(self, facts: KeyFacts) -> None:
        """Return when a key is live and its organisation active; raise otherwise."""
        if not facts.organisation.active:
            raise OrganisationClosedError
        if facts.revoked:
            raise KeyRevokedError
        if facts.ends is not None and self._clock.now() >= facts.ends:
            raise KeyExpiredError

    def _session(self, digest: bytes, token: str) -> Caller:
        if self._sessions is not None and token.count(".") == 2:
            tables = self._snapshot.tables
            caller, minted_by = self._sessions.identify(tables, digest, token, self._clock.now())
            self._judge(minted_by)
            return caller
        tokens.parse(token)
        raise UnknownKeyError

    def _deny(self, caller: Caller, rule: RouteRule | None) -> DeniedError | None:
        """Return why *caller* may not do what *rule* is for; None when it may."""
        if self._environments and caller.environment not in self._environments:
            return EnvironmentRefusedError(f"This is for {' and '.join(sorted(self._environments))}.")
        if rule is None:
            if not self._open:
                return NoRouteError()
            return None if caller.type == "sk" else NotPublishableError()
        if rule.public:
            return None
        if caller.type != "sk" and not rule.publishable:
            return NotPublishableError()
        scope = rule.scope
        return None if scope is None or scope in caller.grants else _missing(scope)


def _missing(scope: str) -> MissingScopeError:
    return MissingScopeError(f"This credential does not hold {scope}.")

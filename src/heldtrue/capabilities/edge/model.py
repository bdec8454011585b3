"""What a door asks, what it is answered, and the operator's rules in between. No SQL, no HTTP server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from heldtrue.kernel.errors import DeniedError, UnauthenticatedError, UnavailableError
from heldtrue.kernel.ids import KeyId, TenantId
from heldtrue.policy.permissions import Permission, Role

if TYPE_CHECKING:
    from heldtrue.capabilities.edge.limits import LimitPolicies

STALE_AFTER = 5.0
"""Seconds without an agreement with the database after which nobody is let in."""


class StaleFeedError(UnavailableError):
    """Whether the credential still holds cannot be known at present, so nobody is let in; try again shortly."""

    code = "feed-stale"


class EdgeFailedError(UnavailableError):
    """The request could not be judged, so it is refused; try again, and tell the operator the request id."""

    code = "edge-failed"


# A key used from elsewhere says nothing of who calls: it may be a stolen copy. So it counts as no credential (401), is
# counted among the strangers, and cannot make its organisation's log grow.
class OriginRefusedError(UnauthenticatedError):
    """The key may not be used from this web origin; its organisation's administrator names those that may."""

    code = "origin-refused"


class AddressRefusedError(UnauthenticatedError):
    """The key may not be used from this address; its organisation's administrator names those that may."""

    code = "address-refused"


class EnvironmentRefusedError(DeniedError):
    """This door is for other environments than the credential's; use one of the environment that is named."""

    code = "environment-refused"


class MissingScopeError(DeniedError):
    """The credential does not hold the scope that this route asks for; use one that does."""

    code = "missing-scope"


class NoRouteError(DeniedError):
    """No rule of the edge opens this method and path; the operator adds one under `[[edge.routes]]`."""

    code = "no-route"


class NotPublishableError(DeniedError):
    """Publishable keys and session tokens may not use this route; call it from your server, with a secret key."""

    code = "not-publishable"


class EdgeCall(msgspec.Struct, frozen=True, gc=False):
    """What a door knows of one request; nothing of it is believed yet."""

    method: str
    target: bytes
    """The request target as it was received: path and query, still encoded."""
    authorization: tuple[bytes, ...]
    """Every value of `Authorization`, in order."""
    origin: str | None
    address: str
    """The client's address, trusted proxies peeled off; empty when unknown, and then keys bound to one are refused."""
    host: str
    request: str
    """The request's id, `req_…`."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a credential says that the caller is."""

    kind: str
    """`key` or `session`."""
    type: str
    """`sk`, `pk` or `session`."""
    tenant: TenantId
    environment: str
    key: KeyId
    """Of a session: the key that minted it."""
    role: Role
    subject: str
    """The key's id, or the session's `sub`."""
    session: str | None
    """The session's `sid`."""
    permissions: frozenset[Permission]
    grants: frozenset[str]
    """The organisation's own scope names."""


@dataclass(frozen=True, slots=True)
class RouteRule:
    """What one route of the upstream asks of its callers."""

    methods: frozenset[str]
    """Empty: any method."""
    pattern: str
    """`/v1/orders/*`: `*` stands for one segment, `/**` at the end for any rest, also none."""
    scope: str | None = None
    """The organisation's own scope name that the caller must hold."""
    route_class: str = "default"
    """The class of limits."""
    public: bool = False
    """Admitted without a credential; one that is sent is judged all the same."""
    publishable: bool = False
    """Publishable keys and session tokens may use it."""


@dataclass(frozen=True, slots=True)
class EdgePolicy:
    """The operator's rules for what is behind the edge."""

    rules: tuple[RouteRule, ...] = ()
    """None: every live secret key is admitted everywhere. Some: what matches none of them is refused."""
    environments: frozenset[str] = frozenset()
    """The environments whose credentials are admitted; empty: any."""
    limits: Mapping[str, LimitPolicies] = field(default_factory=dict[str, "LimitPolicies"])
    """Limits by class of routes."""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a door does with one request."""

    allowed: bool
    status: int
    """200 when allowed; else what the client must see: 400, 401, 403, 429 or 503."""
    code: str
    """The problem's code; empty when allowed."""
    detail: str
    advice: str
    caller: Caller | None
    """None for strangers, and for whom a public route admits without a credential."""
    rule: RouteRule | None
    headers: tuple[tuple[str, str], ...]
    """For the client: `ratelimit`, `ratelimit-policy`, `retry-after`, `www-authenticate`."""

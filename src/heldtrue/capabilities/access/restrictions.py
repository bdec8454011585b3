"""What narrows a key beside its role: the customer's own scope names, web origins, networks. No SQL, no HTTP."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from heldtrue.kernel.errors import BadInputError, DeniedError
from heldtrue.policy.permissions import Role

MOST_GRANTS = 64
MOST_ORIGINS = 64
MOST_ADDRESSES = 64
GRANT = re.compile(r"[a-z][a-z0-9_.:-]{0,63}")
"""A scope name of the customer's own API, as `orders.read`."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HTTPS = re.compile(rf"https://(?:\*\.(?={_LABEL}\.))?{_LABEL}(?:\.{_LABEL})*(?::([1-9][0-9]{{0,4}}))?")
_LOCAL = re.compile(r"http://(?:localhost|127\.0\.0\.1|\[::1\])(?::([1-9][0-9]{0,4}))?")


class MalformedGrantError(BadInputError):
    """A scope name is 1 to 64 of a-z, 0-9 and `_.:-`, begins with a letter, and stands once; send others."""

    code = "malformed-grant"


class MalformedOriginError(BadInputError):
    """An origin is `https://app.example.com`, `https://*.example.com` or `http://localhost:3000`, without a path."""

    code = "malformed-origin"


class MalformedNetworkError(BadInputError):
    """An address is a network as `192.0.2.0/24` or `2001:db8::/32`, or one address, with no bits beside its prefix."""

    code = "malformed-network"


class GrantEscalationError(DeniedError):
    """A key gives only scope names that it has itself, unless it is an administrator's without any; ask for fewer."""

    code = "grant-escalation"


class LooserKeyError(DeniedError):
    """A key that is bound to origins or networks makes only keys that are bound to some of them; name these."""

    code = "looser-key"


@dataclass(frozen=True, slots=True)
class Restrictions:
    """What a key is for beside its role; kept when it is rolled."""

    grants: frozenset[str] = frozenset()
    """The customer's own scope names that it hands up to the customer's own API; empty: none."""
    origins: tuple[str, ...] = ()
    """Web origins that it may be used from; empty: any, and no origin at all."""
    addresses: tuple[str, ...] = ()
    """Networks that it may be used from; empty: any."""


UNRESTRICTED = Restrictions()


def judge(grants: Sequence[str], origins: Sequence[str], addresses: Sequence[str]) -> Restrictions:
    """Return what was asked for, checked and in its one form; raise what is a `BadInputError`."""
    return Restrictions(judge_grants(grants), judge_origins(origins), judge_addresses(addresses))


def may_give_grants(role: Role, has: frozenset[str], gives: frozenset[str]) -> None:
    """Return when a key of *role* that *has* these scope names may hand out *gives*; raise `GrantEscalationError`.

    An administrator's key without any scope name speaks for the whole organisation and may hand out every one. Any
    other key hands out what it has.
    """
    if role is Role.ADMIN and not has:
        return
    beyond = sorted(gives - has)
    if beyond:
        raise GrantEscalationError(f"This key may not give {', '.join(beyond)}, which it does not have.")


def may_give(role: Role, has: Restrictions, gives: Restrictions) -> None:
    """Return when a key of *role* restricted as *has* may make one restricted as *gives*; raise otherwise.

    Raise `GrantEscalationError` as `may_give_grants` does, and `LooserKeyError` where the other key could be used from
    an origin or a network from where this one cannot.
    """
    may_give_grants(role, has.grants, gives.grants)
    if has.origins and not (gives.origins and set(gives.origins) <= set(has.origins)):
        raise LooserKeyError(f"This key is bound to {', '.join(has.origins)}; bind the other to some of these.")
    if has.addresses and not (gives.addresses and all(_within(one, has.addresses) for one in gives.addresses)):
        raise LooserKeyError(f"This key is bound to {', '.join(has.addresses)}; bind the other to some of these.")


def _within(network: str, others: Sequence[str]) -> bool:
    inner = ip_network(network)
    return any(inner.version == outer.version and inner.subnet_of(outer) for outer in map(ip_network, others))  # pyright: ignore[reportArgumentType]


def judge_grants(grants: Sequence[str]) -> frozenset[str]:
    """Return *grants* as a set; raise `MalformedGrantError` where one is no scope name or stands twice."""
    for grant in grants:
        if not GRANT.fullmatch(grant):
            raise MalformedGrantError(f"{grant[:80]!r} is not a scope name.")
    chosen = frozenset(grants)
    if len(chosen) != len(grants) or len(chosen) > MOST_GRANTS:
        raise MalformedGrantError(f"Send up to {MOST_GRANTS} scope names, each once.")
    return chosen


def judge_origins(origins: Sequence[str]) -> tuple[str, ...]:
    """Return *origins* in the form in which a browser sends them (RFC 6454, section 6.2), sorted, each once."""
    if len(origins) > MOST_ORIGINS:
        raise MalformedOriginError(f"Send up to {MOST_ORIGINS} origins.")
    return tuple(sorted({_origin(origin) for origin in origins}))


def judge_addresses(addresses: Sequence[str]) -> tuple[str, ...]:
    """Return *addresses* as networks in canonical form (RFC 4632; RFC 5952), sorted, each once."""
    if len(addresses) > MOST_ADDRESSES:
        raise MalformedNetworkError(f"Send up to {MOST_ADDRESSES} networks.")
    return tuple(sorted({_network(address) for address in addresses}))


def _origin(text: str) -> str:
    lower = text.lower()
    secure = _HTTPS.fullmatch(lower)
    found = secure or _LOCAL.fullmatch(lower)
    if found is None or len(lower) > 300:
        raise MalformedOriginError(f"{text[:80]!r} is not an origin that a key can be bound to.")
    port = found[1]
    if port is None:
        return lower
    if int(port) > 65535:
        raise MalformedOriginError(f"{text[:80]!r} has a port that does not exist.")
    usual = "443" if secure else "80"
    return lower.removesuffix(f":{usual}") if port == usual else lower


def _network(text: str) -> str:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise MalformedNetworkError(f"{text[:80]!r} is not a network: {error}") from error
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None:
        raise MalformedNetworkError(f"{text[:80]!r} is an IPv4 address in disguise; write it as one.")
    if getattr(network.network_address, "scope_id", None):
        raise MalformedNetworkError(f"{text[:80]!r} names an interface, which means nothing elsewhere.")
    return str(network)

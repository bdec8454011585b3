"""How much each organisation, key and class of routes may use. Pure data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from heldtrue.http.limits import Rate
from heldtrue.kernel.ids import TenantId

DEFAULT = "default"
"""The class of routes of whatever names no other."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one subject may use: so many at once, so many a second, and, where set, so many an hour in the long run."""

    burst: int
    per_second: float
    per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One limit of a call."""

    name: str
    """As in `RateLimit-Policy`."""
    per: str
    """Whom it is about: `organisation` or `key`."""
    rate: Rate


@dataclass(frozen=True, slots=True)
class LimitPolicies:
    """Every limit that a call of one class of routes must pass."""

    policies: tuple[Policy, ...]

    @classmethod
    def of(cls, *, organisation: Allowance | None, key: Allowance | None, **classes: Allowance) -> LimitPolicies:
        """Return the limits of organisation and key, and of the *classes* of routes, which organisations share."""
        found: list[Policy] = []
        for name, per, allowance in (
            ("organisation", "organisation", organisation),
            ("key", "key", key),
            *((f"class-{name}", "organisation", one) for name, one in classes.items()),
        ):
            if allowance is None:
                continue
            found.append(Policy(name, per, Rate(allowance.burst, allowance.per_second)))
            if allowance.per_hour is not None:
                found.append(Policy(f"{name}-hour", per, Rate(allowance.per_hour, allowance.per_hour / 3600)))
        return cls(tuple(found))


PolicySource = Callable[[TenantId, str], LimitPolicies]
"""The limits of an organisation for a class of routes."""


def by_class(
    organisation: Allowance, key: Allowance, classes: Mapping[str, Allowance] | None = None
) -> dict[str, LimitPolicies]:
    """Return the limits by class of routes, the same for every organisation; `DEFAULT` is always there."""
    plain = LimitPolicies.of(organisation=organisation, key=key)
    found = {
        name: LimitPolicies.of(organisation=organisation, key=key, **{name: one})
        for name, one in (classes or {}).items()
    }
    return {DEFAULT: plain, **found}


def shared_by_all(limits: Mapping[str, LimitPolicies]) -> PolicySource:
    """Return the same limits for every organisation; a class that has none of its own has those of `DEFAULT`."""
    plain = limits[DEFAULT]
    return lambda _tenant, route_class: limits.get(route_class, plain)

"""From the section `[edge]` to the rules that decisions are made by."""

from __future__ import annotations

from heldtrue.app.settings_edge import Edge, EdgeRate
from heldtrue.capabilities.edge.allowances import DEFAULT, Allowance, LimitPolicies
from heldtrue.capabilities.edge.model import EdgePolicy, RouteRule


def policy_of(edge: Edge) -> EdgePolicy:
    """Return the rules and limits that the settings name."""
    rules = tuple(
        RouteRule(
            methods=route.parts[0],
            pattern=route.parts[1],
            scope=route.scope,
            route_class=route.route_class,
            public=route.public,
            publishable=route.publishable,
        )
        for route in edge.routes
    )
    organisation, key = _allowance(edge.limits.organisation), _allowance(edge.limits.key)
    limits = {DEFAULT: LimitPolicies.of(organisation=organisation, key=key)}
    for name, rate in edge.limits.classes.items():
        limits[name] = LimitPolicies.of(organisation=organisation, key=key, **{name: _allowance(rate)})
    return EdgePolicy(rules=rules, environments=frozenset(edge.environments), limits=limits)


def _allowance(rate: EdgeRate) -> Allowance:
    return Allowance(rate.burst, rate.per_second, rate.per_hour)

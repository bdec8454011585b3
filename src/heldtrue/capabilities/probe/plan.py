"""What will be sent, route by route, before anything is: pure, so that a dry run shows exactly it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from heldtrue.capabilities.probe.file import ProbeFile
from heldtrue.capabilities.probe.inventory import ApiRoute
from heldtrue.capabilities.probe.model import METHODS, Check, Unmade
from heldtrue.capabilities.probe.values import Owner, Value, Values, target
from heldtrue.capabilities.probe.wallet import Who

PATHS = (Check.SLASH, Check.DOUBLE, Check.CASE, Check.ENCODED, Check.SEMICOLON, Check.SUFFIX)
OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")


@dataclass(frozen=True, slots=True)
class Shot:
    """One request that is meant to be refused."""

    check: Check
    who: Who
    method: str
    owner: Owner = Owner.A
    variant: Check | None = None
    override: str = ""
    """The method that the override headers name."""
    parameter: str = ""
    """The query parameter that carries a's credential."""


@dataclass(slots=True)
class RoutePlan:
    """What is tried on one route."""

    route: ApiRoute
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])
    baseline: Who = Who.A
    shots: list[Shot] = field(default_factory=list[Shot])
    compares: bool = False
    """Whether b's own answer is asked for as well, to tell what is a's alone."""
    last: bool = False
    """The good credential's request ends what the others are about, so it is sent last."""
    before: bool = False
    """Whether a reading route at the same path shows what a writing one did."""
    unmade: dict[Check, Unmade] = field(default_factory=dict[Check, Unmade])
    not_judged: Unmade | None = None
    why: str = ""
    bodies: Mapping[Owner, bytes] = field(default_factory=dict[Owner, bytes])

    def target(self, owner: Owner, variant: Check | None = None) -> str:
        """Return path and query with that organisation's values."""
        return target(self.route, self.values, owner, variant)

    @property
    def requests(self) -> int:
        """About how many requests it takes."""
        if self.not_judged is not None:
            return 0
        return 1 + self.compares + len(self.shots) + 2 * self.before


def plan(
    routes: Iterable[ApiRoute], file: ProbeFile, values: Values, allowed: frozenset[str], has: Callable[[Who], bool]
) -> list[RoutePlan]:
    """Return what is tried on each of *routes*; *has* tells which credentials there are."""
    listed = list(routes)
    readable = {route.path for route in listed if route.method == "GET"}
    made = [_route(route, file, values, allowed, has, route.path in readable) for route in listed]
    return sorted(made, key=lambda one: METHODS.index(one.route.method))


def _route(
    route: ApiRoute,
    file: ProbeFile,
    values: Values,
    allowed: frozenset[str],
    has: Callable[[Who], bool],
    readable: bool,
) -> RoutePlan:
    found = RoutePlan(route, values.of_route(route))
    found.not_judged, found.why = _set_aside(route, file, found.values, allowed)
    if found.not_judged is not None:
        return found
    found.bodies = bodies(route, file)
    admin = route.is_in(file.admin)
    found.baseline = Who.ADMIN if admin and has(Who.ADMIN) else Who.A
    safe = route.method in {"GET", "HEAD", "OPTIONS"}
    found.compares = route.method == "GET" and not admin and all(value.b or value.a for value in found.values.values())
    found.last = route.method == "DELETE"
    found.before = not safe and readable
    found.shots = [*_credentials(route, file), *_across(found, admin), *_roles(route, has, admin)]
    if route.method == "GET":
        found.shots += _bent(Who.NOBODY)
    for shot in list(found.shots):
        if not has(shot.who):
            found.shots.remove(shot)
            if shot.who is not Who.UNSIGNED:
                found.unmade[shot.check] = Unmade.NO_CREDENTIAL
    _say_what_is_missing(found, file, admin)
    return found


def _set_aside(
    route: ApiRoute, file: ProbeFile, values: Mapping[str, Value], allowed: frozenset[str]
) -> tuple[Unmade | None, str]:
    if route.is_in(file.skip):
        return Unmade.LEFT_OUT, "the probe's file leaves it out"
    if route.public or route.is_in(file.public):
        return Unmade.PUBLIC, "takes no credential on purpose"
    if route.method not in allowed:
        return Unmade.METHOD, f"{route.method} is not allowed; allow it with --allow-method {route.method}"
    missing = [name for name, value in values.items() if value.a is None]
    if missing:
        return Unmade.NO_VALUE, f"no value of a for {missing[0]}; write [parameters.{missing[0]}]"
    if route.takes_body and route.body is None and route.at not in file.bodies:
        return Unmade.NO_BODY, f'no example body; write [bodies."{route.at}"]'
    return None, ""


def bodies(route: ApiRoute, file: ProbeFile) -> dict[Owner, bytes]:
    """Return the bodies that are sent, by whose things they name; empty where none is."""
    given: Any = file.bodies.get(route.at)
    if given is None:
        return {} if route.body is None else {Owner.A: route.body.encode(), Owner.B: route.body.encode()}
    pair = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    if set(pair) == {"a", "b"}:
        return {Owner.A: json.dumps(pair["a"]).encode(), Owner.B: json.dumps(pair["b"]).encode()}
    return {owner: json.dumps(given).encode() for owner in (Owner.A, Owner.B)}


def _credentials(route: ApiRoute, file: ProbeFile) -> list[Shot]:
    """Return the shots without a credential, with bad ones, and with a good one in the wrong place."""
    who = {
        Check.NO_CREDENTIAL: Who.NOBODY, Check.MALFORMED: Who.NONSENSE, Check.ALTERED: Who.ALTERED,
        Check.UNSIGNED: Who.UNSIGNED, Check.EXPIRED: Who.EXPIRED, Check.REVOKED: Who.REVOKED,
    }  # fmt: skip
    shots = [Shot(check, one, route.method) for check, one in who.items()]
    return shots + [Shot(Check.QUERY, Who.NOBODY, route.method, parameter=name) for name in file.send.query]


def _across(found: RoutePlan, admin: bool) -> list[Shot]:
    """Return the shots with b's credential on a's things."""
    distinct = [name for name, value in found.values.items() if value.distinct]
    named = found.bodies.get(Owner.A) != found.bodies.get(Owner.B)
    if admin or not (distinct or named):
        return []
    shots = [Shot(Check.OTHER, Who.B, found.route.method)]
    if len(distinct) > 1:
        shots.append(Shot(Check.MIXED, Who.B, found.route.method, Owner.MIXED))
    return shots


def _roles(route: ApiRoute, has: Callable[[Who], bool], admin: bool) -> list[Shot]:
    """Return the shots of a lower role on an administrator's route, its path bent as well."""
    if not admin:
        return []
    lower = Who.LOWER if has(Who.LOWER) or not has(Who.ADMIN) else Who.A
    shots = [Shot(Check.ROLE, lower, route.method)]
    if route.method == "GET" and (has(Who.LOWER) or has(Who.ADMIN)):
        shots += [Shot(variant, lower, "GET", variant=variant) for variant in PATHS]
    return shots


def _bent(who: Who) -> list[Shot]:
    """Return the shots that try to pass by the judge: by method, by override, by path. Safe methods only."""
    return [
        Shot(Check.HEAD, who, "HEAD"),
        Shot(Check.METHOD_CASE, who, "get"),
        Shot(Check.OVERRIDE, who, "GET", override="OPTIONS"),
        Shot(Check.OVERRIDE, who, "OPTIONS", override="GET"),
        *(Shot(variant, who, "GET", variant=variant) for variant in PATHS),
    ]


def _say_what_is_missing(found: RoutePlan, file: ProbeFile, admin: bool) -> None:
    if not file.send.query:
        found.unmade[Check.QUERY] = Unmade.LEFT_OUT
    if found.values and not admin and Check.OTHER not in {shot.check for shot in found.shots}:
        found.unmade[Check.OTHER] = Unmade.NO_VALUE


def rows(plans: Sequence[RoutePlan]) -> list[dict[str, Any]]:
    """Return the plan as a table: one line a route."""
    return [
        {
            "route": one.route.at,
            "target": "" if one.not_judged else one.target(Owner.A),
            "requests": one.requests,
            "checks": [str(check) for check in dict.fromkeys(shot.check for shot in one.shots)],
            "not_judged": None if one.not_judged is None else str(one.not_judged),
            "why": one.why,
        }
        for one in plans
    ]

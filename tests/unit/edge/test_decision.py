"""The decision: only what is well in every respect is admitted, and it is judged anew every time."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from edgekeys import NOON, Ring, call

from heldtrue.capabilities.access.model import (
    KeyExpiredError,
    KeyRevokedError,
    OrganisationClosedError,
    UnknownKeyError,
)
from heldtrue.capabilities.edge.decision import Decider
from heldtrue.capabilities.edge.model import (
    STALE_AFTER,
    AddressRefusedError,
    EdgePolicy,
    EnvironmentRefusedError,
    MissingScopeError,
    NoRouteError,
    NotPublishableError,
    OriginRefusedError,
    RouteRule,
    StaleFeedError,
)
from heldtrue.crypto import tokens
from heldtrue.crypto.tokens import MalformedTokenError
from heldtrue.http.credential import DuplicateCredentialError, MissingCredentialError
from heldtrue.kernel.errors import UnauthenticatedError
from heldtrue.policy.permissions import Permission, Role

TICK = timedelta(microseconds=1)
ANY: frozenset[str] = frozenset()
READ = RouteRule(frozenset({"GET"}), "/v1/orders/*", scope="orders.read")
WIDGET = RouteRule(ANY, "/v1/widget", publishable=True)
PUBLIC = RouteRule(ANY, "/v1/status", public=True)


@pytest.fixture
def ring() -> Ring:
    return Ring()


def decider(ring: Ring, **policy: Any) -> Decider:
    return Decider(ring.snapshot, ring.clock, EdgePolicy(**policy), boot=ring.boot)


# ---------------------------------------------------------------- who it is


def test_a_live_key_is_its_holder(ring: Ring) -> None:
    caller = decider(ring).identify(ring.key(role="sender", grants=("orders.read",)))
    assert (caller.kind, caller.type, caller.tenant, caller.environment) == ("key", "sk", ring.tenant, "live")
    assert caller.subject == str(caller.key)
    assert caller.session is None
    assert caller.permissions == {Permission.SELF_READ, Permission.PAYLOAD_SEND}
    assert caller.grants == {"orders.read"}


def test_a_key_dies_at_the_instant_it_expires(ring: Ring) -> None:
    secret, judge = ring.key(ends=NOON), decider(ring)
    ring.clock.at = NOON - TICK
    judge.identify(secret)
    ring.clock.at = NOON
    with pytest.raises(KeyExpiredError):
        judge.identify(secret)


def test_a_revoked_key_is_not_admitted_even_before_its_expiry(ring: Ring) -> None:
    with pytest.raises(KeyRevokedError):
        decider(ring).identify(ring.key(active=False, ends=NOON + TICK))


def test_a_closed_organisation_has_no_callers(ring: Ring) -> None:
    secret, judge = ring.key(), decider(ring)
    judge.identify(secret)
    ring.tables.put_organisation(ring.tenant.value.bytes, active=False)
    with pytest.raises(OrganisationClosedError):
        judge.identify(secret)


@pytest.mark.parametrize(("active", "organisation", "expired"), list(product([True, False], repeat=3)))
def test_only_what_is_well_in_every_respect_is_admitted(
    ring: Ring, active: bool, organisation: bool, expired: bool
) -> None:
    tenant = ring.organisation(active=organisation)
    secret = ring.key(tenant=tenant.value.bytes, active=active, ends=NOON if expired else NOON + TICK)
    if (active, organisation, expired) == (True, True, False):
        assert decider(ring).identify(secret).tenant == tenant
    else:
        with pytest.raises(UnauthenticatedError):
            decider(ring).identify(secret)


def test_scopes_narrow_and_never_widen(ring: Ring) -> None:
    secret = ring.key(role="admin", scopes=("payload.read", "key.issue.any", "of.a.later.version"))
    assert decider(ring).identify(secret).permissions == {Permission.PAYLOAD_READ}


@pytest.mark.parametrize("role", [role.value for role in Role])
def test_a_publishable_key_may_only_send_whatever_role_is_written_beside_it(ring: Ring, role: str) -> None:
    secret = ring.key(type="pk", role=role)
    assert decider(ring).identify(secret).permissions <= {Permission.PAYLOAD_SEND}


def test_a_role_of_a_later_version_is_nobody(ring: Ring) -> None:
    with pytest.raises(UnknownKeyError):
        decider(ring).identify(ring.key(role="auditor"))


def test_a_mistyped_key_is_told_from_an_unknown_one(ring: Ring) -> None:
    secret = ring.key()
    mistyped = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    with pytest.raises(MalformedTokenError):
        decider(ring).identify(mistyped)
    with pytest.raises(UnknownKeyError):
        decider(ring).identify(tokens.mint("sk", "live", bytes).reveal())


@pytest.mark.parametrize(
    "variant", [str.upper, str.lower, str.swapcase, lambda text: text + " ", lambda text: "\0" + text]
)
def test_a_key_has_one_spelling(ring: Ring, variant: Any) -> None:
    with pytest.raises(MalformedTokenError):
        decider(ring).identify(variant(ring.key()))


def test_a_surrogate_is_no_key(ring: Ring) -> None:
    with pytest.raises(MalformedTokenError):
        decider(ring).identify("\ud800")


# ---------------------------------------------------------------- from where


def test_a_bound_key_is_good_from_its_origins_only(ring: Ring) -> None:
    secret = ring.key(type="pk", role="publishable", origins=("https://app.example.com", "https://*.example.org"))
    judge = decider(ring)
    for good in ("https://app.example.com", "https://a.example.org"):
        judge.identify(secret, origin=good)
    bad = (
        None, "null", "", "https://example.com", "https://app.example.com.evil.test", "http://app.example.com",
        "https://app.example.com:8443", "https://example.org", "https://a.b.example.org", "https://.example.org",
        "https://*.example.org", "http://a.example.org", "https://APP.example.com",
    )  # fmt: skip
    for origin in bad:
        with pytest.raises(OriginRefusedError):
            judge.identify(secret, origin=origin)


def test_a_bound_key_is_good_from_its_networks_only(ring: Ring) -> None:
    secret = ring.key(addresses=("192.0.2.0/24", "2001:db8::/32"))
    judge = decider(ring)
    for good in ("192.0.2.255", "2001:db8:1::1", "::ffff:192.0.2.9"):
        judge.identify(secret, address=good)
    for bad in ("", "192.0.3.1", "2001:db9::1", "::ffff:192.0.3.1", "192.0.2", "192.0.2.1, 10.0.0.1", "localhost"):
        with pytest.raises(AddressRefusedError):
            judge.identify(secret, address=bad)


# ---------------------------------------------------------------- how old the snapshot is


def test_nobody_is_admitted_by_a_snapshot_older_than_five_seconds(ring: Ring) -> None:
    secret, judge = ring.key(), decider(ring, rules=(PUBLIC, READ))
    ring.boot.at += STALE_AFTER
    judge.identify(secret)
    ring.boot.at += 0.001
    with pytest.raises(StaleFeedError):
        judge.identify(secret)
    with pytest.raises(StaleFeedError):
        judge.decide(call(secret))
    with pytest.raises(StaleFeedError):
        judge.identify("nonsense")
    ring.snapshot.agree(ring.boot.at)
    judge.identify(secret)


def test_nobody_is_admitted_before_the_first_agreement() -> None:
    fresh = Ring()
    fresh.snapshot.agreed_at = float("-inf")
    with pytest.raises(StaleFeedError):
        decider(fresh).identify(fresh.key())


# ---------------------------------------------------------------- what it may do


def test_without_rules_secret_keys_are_admitted_everywhere_and_others_nowhere(ring: Ring) -> None:
    judge = decider(ring)
    assert judge.decide(call(ring.key())).denial is None
    assert isinstance(judge.decide(call(ring.key(type="pk"))).denial, NotPublishableError)


def test_with_rules_what_matches_none_is_refused(ring: Ring) -> None:
    decision = decider(ring, rules=(READ,)).decide(call(ring.key(grants=("orders.read",)), "/v1/other"))
    assert isinstance(decision.denial, NoRouteError)
    assert decision.caller is not None


def test_the_scope_is_judged_every_time(ring: Ring) -> None:
    judge = decider(ring, rules=(READ,))
    allowed = judge.decide(call(ring.key(grants=("orders.read", "x"))))
    assert (allowed.denial, allowed.rule) == (None, READ)
    assert isinstance(judge.decide(call(ring.key(grants=("orders.write",)))).denial, MissingScopeError)
    secret = ring.key(grants=("orders.read",))
    assert judge.decide(call(secret)).denial is None
    known = ring.tables.keys[tokens.digest(secret)]
    ring.tables.put_key(ring.row(secret, id=known.id))
    assert isinstance(judge.decide(call(secret)).denial, MissingScopeError)


def test_publishable_keys_need_a_rule_that_says_so(ring: Ring) -> None:
    judge = decider(ring, rules=(READ, WIDGET))
    secret = ring.key(type="pk", grants=("orders.read",))
    assert judge.decide(call(secret, "/v1/widget")).denial is None
    assert isinstance(judge.decide(call(secret)).denial, NotPublishableError)
    assert judge.decide(call(ring.key(), "/v1/widget")).denial is None


def test_the_environment_is_judged(ring: Ring) -> None:
    judge = decider(ring, environments=frozenset({"live"}))
    assert judge.decide(call(ring.key())).denial is None
    assert isinstance(judge.decide(call(ring.key(environment="test"))).denial, EnvironmentRefusedError)


def test_a_public_route_takes_strangers_and_no_bad_credential(ring: Ring) -> None:
    judge = decider(ring, rules=(PUBLIC, READ))
    assert judge.decide(call(None, "/v1/status")).caller is None
    assert judge.decide(call(ring.key(type="pk"), "/v1/status")).denial is None
    with pytest.raises(KeyRevokedError):
        judge.decide(call(ring.key(active=False), "/v1/status"))
    with pytest.raises(MissingCredentialError):
        judge.decide(call(None))


# ---------------------------------------------------------------- how it is written


def judged(ring: Ring, *values: bytes) -> object:
    request = call(None)
    return (
        decider(ring)
        .decide(
            type(request)(request.method, request.target, values, None, request.address, request.host, request.request)
        )
        .caller
    )


def test_the_scheme_is_bearer_in_any_case(ring: Ring) -> None:
    secret = ring.key().encode()
    for value in (b"Bearer " + secret, b"bearer " + secret, b"BEARER  " + secret + b" "):
        assert judged(ring, value) is not None


@pytest.mark.parametrize("values", [(), (b"",), (b"Bearer",), (b"Bearer ",), (b"Basic cHJvYmU=",), (b"Bearer\tx",)])
def test_what_is_no_bearer_token_is_no_credential(ring: Ring, values: tuple[bytes, ...]) -> None:
    with pytest.raises(MissingCredentialError):
        judged(ring, *values)


def test_two_credentials_are_refused_even_when_they_are_the_same(ring: Ring) -> None:
    good = b"Bearer " + ring.key().encode()
    with pytest.raises(DuplicateCredentialError):
        judged(ring, good, good)
    with pytest.raises(MalformedTokenError):
        judged(ring, good + b", " + good)

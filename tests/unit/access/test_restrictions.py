"""What a key may be bound to, in the one form in which it is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from house import seeded

from heldtrue.capabilities.access import model
from heldtrue.capabilities.access.model import ROTATION
from heldtrue.capabilities.access.restrictions import (
    MOST_GRANTS,
    GrantEscalationError,
    LooserKeyError,
    MalformedGrantError,
    MalformedNetworkError,
    MalformedOriginError,
    Restrictions,
    judge_addresses,
    judge_grants,
    judge_origins,
    may_give,
    may_give_grants,
)
from heldtrue.kernel.ids import TenantId
from heldtrue.policy.permissions import Role

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
ENTROPY = seeded("restrictions")
TENANT = TenantId.new(NOON, ENTROPY)


def a_key(role: Role = Role.ADMIN, **more: object) -> model.ApiKey:
    return model.mint(TENANT, "live", NOON, ENTROPY, role=role, **more)[1]  # type: ignore[arg-type]


@pytest.mark.parametrize("grant", ["orders.read", "a", "x" * 64, "billing:invoice_lines.read-all"])
def test_a_scope_name_is_the_customers_own(grant: str) -> None:
    assert judge_grants([grant]) == {grant}


@pytest.mark.parametrize("grant", ["", "Orders", "1st", "orders read", "x" * 65, "orders,read", "ordérs", "orders\n"])
def test_what_is_no_scope_name_is_refused(grant: str) -> None:
    with pytest.raises(MalformedGrantError):
        judge_grants(["fine", grant])


def test_scope_names_stand_once_and_are_not_too_many() -> None:
    assert len(judge_grants([f"g{n}" for n in range(MOST_GRANTS)])) == MOST_GRANTS
    for grants in (["a", "a"], [f"g{n}" for n in range(MOST_GRANTS + 1)]):
        with pytest.raises(MalformedGrantError):
            judge_grants(grants)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://App.Example.COM:443", "https://app.example.com"),
        ("https://app.example.com:8443", "https://app.example.com:8443"),
        ("https://*.example.com", "https://*.example.com"),
        ("https://*.example.com:8443", "https://*.example.com:8443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://localhost:80", "http://localhost"),
        ("http://127.0.0.1:5173", "http://127.0.0.1:5173"),
        ("https://192.0.2.7", "https://192.0.2.7"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_kept_as_a_browser_sends_it(asked: str, kept: str) -> None:
    assert judge_origins([asked]) == (kept,)


@pytest.mark.parametrize(
    "origin",
    ["", "*", "null", "https://*", "https://*.", "https://*.com", "https://a.*.example.com", "https://*app.example.com",
     "http://app.example.com", "https://app.example.com/", "https://app.example.com/path", "https://u@app.example.com",
     "https://app.example.com?x", "https://app.example.com:0", "https://app.example.com:99999", "ftp://app.example.com",
     "https://app..example.com", "https://-app.example.com", "https://app.example.com.", "app.example.com",
     "https://bücher.example", "https://app.example.com\n", "http://localhost.attacker.example",
     f"https://{'a' * 64}.example"],
)  # fmt: skip
def test_what_is_no_origin_of_somebodys_own_is_refused(origin: str) -> None:
    with pytest.raises(MalformedOriginError):
        judge_origins([origin])


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
        ("2001:DB8:0::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_a_network_is_kept_in_its_canonical_form(asked: str, kept: str) -> None:
    assert judge_addresses([asked]) == (kept,)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "192.0.2.7/24",
        "192.0.2.256",
        "192.0.2",
        "010.0.0.1",
        "::ffff:192.0.2.7",
        "fe80::1%eth0",
        "example.com",
        " ::1",
    ],
)
def test_what_is_no_network_is_refused(address: str) -> None:
    with pytest.raises(MalformedNetworkError):
        judge_addresses([address])


def test_lists_are_sorted_each_once() -> None:
    assert judge_addresses(["192.0.2.7", "10.0.0.0/8", "192.0.2.7/32"]) == ("10.0.0.0/8", "192.0.2.7/32")
    assert judge_origins(["https://b.example.com", "https://a.example.com", "https://b.example.com:443"]) == (
        "https://a.example.com",
        "https://b.example.com",
    )


def test_an_administrators_key_without_scope_names_hands_out_every_one() -> None:
    may_give_grants(Role.ADMIN, frozenset(), frozenset({"orders.read"}))


@pytest.mark.parametrize("role", [Role.SENDER, Role.READER, Role.PUBLISHABLE, Role.OPERATOR])
def test_any_other_key_without_scope_names_hands_out_none(role: Role) -> None:
    may_give_grants(role, frozenset(), frozenset())
    with pytest.raises(GrantEscalationError, match=r"orders\.read"):
        may_give_grants(role, frozenset(), frozenset({"orders.read"}))


def test_a_key_with_scope_names_hands_out_only_those() -> None:
    has = frozenset({"orders.read", "orders.write"})
    may_give_grants(Role.ADMIN, has, frozenset({"orders.read"}))
    with pytest.raises(GrantEscalationError):
        may_give_grants(Role.ADMIN, has, frozenset({"orders.read", "billing"}))


def test_a_rolled_key_keeps_what_it_is_bound_to() -> None:
    bound = Restrictions(frozenset({"orders.read"}), ("https://app.example.com",), ("10.0.0.0/8",))
    _, _, successor = a_key(restrictions=bound).rolled(NOON, timedelta(hours=1), ENTROPY, [])
    assert successor.restrictions == bound


def test_a_year_old_key_is_due_while_it_works_and_has_no_successor() -> None:
    key = a_key()
    assert not key.rotation_due(NOON + ROTATION - TICK)
    assert key.rotation_due(NOON + ROTATION)
    assert not key.revoked(NOON).rotation_due(NOON + ROTATION)
    rolled, _, _ = key.rolled(NOON + ROTATION, timedelta(days=7), ENTROPY, [])
    assert not rolled.rotation_due(NOON + ROTATION)
    assert not a_key(expires_at=NOON + ROTATION).rotation_due(NOON + ROTATION)


def test_a_leaked_secret_key_is_revoked_by_policy_and_keeps_its_first_moment() -> None:
    told = a_key().leaked(NOON, revoke=False)
    assert (told.state, told.leaked_at) == ("active", NOON)
    ended = told.leaked(NOON + TICK, revoke=True)
    assert (ended.state, ended.leaked_at, ended.revoked_at) == ("revoked", NOON, NOON + TICK)
    assert ended.leaked(NOON + 2 * TICK, revoke=True) == ended


def test_a_publishable_key_is_public_already_and_lives_on() -> None:
    told = a_key(Role.PUBLISHABLE).leaked(NOON, revoke=True)
    assert (told.state, told.leaked_at) == ("active", NOON)


@pytest.mark.parametrize(
    ("has", "gives", "allowed"),
    [
        (Restrictions(), Restrictions(), True),
        (Restrictions(), Restrictions(addresses=("10.0.0.0/8",)), True),
        (Restrictions(addresses=("10.0.0.0/8",)), Restrictions(), False),
        (Restrictions(addresses=("10.0.0.0/8",)), Restrictions(addresses=("10.1.0.0/16", "10.2.3.4/32")), True),
        (Restrictions(addresses=("10.0.0.0/8",)), Restrictions(addresses=("10.1.0.0/16", "192.0.2.0/24")), False),
        (Restrictions(addresses=("10.0.0.0/8",)), Restrictions(addresses=("0.0.0.0/0",)), False),
        (Restrictions(addresses=("::/0",)), Restrictions(addresses=("10.0.0.0/8",)), False),
        (Restrictions(origins=("https://a.example",)), Restrictions(), False),
        (Restrictions(origins=("https://a.example",)), Restrictions(origins=("https://b.example",)), False),
        (Restrictions(origins=("https://a.example", "https://b")), Restrictions(origins=("https://a.example",)), True),
    ],
    ids=[str(n) for n in range(10)],
)  # fmt: skip
def test_a_bound_key_makes_no_looser_one(has: Restrictions, gives: Restrictions, allowed: bool) -> None:
    if allowed:
        may_give(Role.ADMIN, has, gives)
    else:
        with pytest.raises(LooserKeyError):
            may_give(Role.ADMIN, has, gives)


def test_a_key_that_ends_makes_none_that_ends_later() -> None:
    ending = a_key(expires_at=NOON + timedelta(days=1))
    end = NOON + timedelta(days=1)
    assert model.end_of(ending, None) == model.end_of(ending, end) == end
    assert model.end_of(ending, NOON) == NOON
    with pytest.raises(model.OutlivesIssuerError):
        model.end_of(ending, end + TICK)
    assert model.end_of(a_key(), None) is None
    assert model.end_of(a_key(), end) == end

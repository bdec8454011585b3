"""When a key is admitted, and what becomes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from house import seeded

from heldtrue.capabilities.access import model
from heldtrue.capabilities.access.model import (
    ApiKey,
    KeyNotLiveError,
    NoSuchScopeError,
    NotInFutureError,
    RollUnderWayError,
)
from heldtrue.crypto import tokens
from heldtrue.kernel.errors import BadInputError
from heldtrue.kernel.ids import TenantId
from heldtrue.policy.permissions import GRANTS, Permission, Role

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
ENTROPY = seeded("access")
TENANT = TenantId.new(NOON, ENTROPY)


def a_key(expires_at: datetime | None = None, role: Role = Role.ADMIN) -> ApiKey:
    return model.mint(TENANT, "live", NOON, ENTROPY, role=role, expires_at=expires_at)[1]


def test_the_operator_holds_nothing_of_any_organisations_data() -> None:
    customers = frozenset().union(*(GRANTS[role] for role in Role if role is not Role.OPERATOR))
    assert GRANTS[Role.OPERATOR] & customers == {Permission.SELF_READ}


def test_the_secret_is_nowhere_in_the_key() -> None:
    secret, key = model.mint(TENANT, "live", NOON, ENTROPY, role=Role.PUBLISHABLE)
    text = secret.reveal()
    assert text.startswith("ht_pk_live_")
    assert text not in repr(key)
    assert key.digest == tokens.digest(text)
    assert text.endswith(key.last4)


def test_an_expiry_is_to_come() -> None:
    with pytest.raises(NotInFutureError):
        a_key(expires_at=NOON)


def test_scopes_are_of_the_role_and_not_empty() -> None:
    assert model.judge_scopes(Role.READER, None) is None
    with pytest.raises(NoSuchScopeError, match=r"payload\.send"):
        model.judge_scopes(Role.READER, [Permission.PAYLOAD_SEND])
    with pytest.raises(NoSuchScopeError):
        model.judge_scopes(Role.READER, [])


def test_a_rolled_key_lives_through_the_overlap_and_no_longer() -> None:
    old, _, new = a_key().rolled(NOON, HOUR, ENTROPY, [])
    assert old.shown_state(NOON + HOUR - TICK) == "active"
    assert old.shown_state(NOON + HOUR) == "expired"
    assert new.expires_at is None
    assert old.rolled_to == new.id.value
    assert (new.role, new.scopes, new.environment) == (old.role, old.scopes, old.environment)


def test_an_overlap_never_reaches_past_the_original_expiry() -> None:
    key = a_key(expires_at=NOON + HOUR)
    old, _, new = key.rolled(NOON + HOUR / 2, 24 * HOUR, ENTROPY, [])
    assert old.expires_at == NOON + HOUR
    assert new.expires_at == NOON + HOUR / 2 + HOUR


def test_at_most_two_are_live() -> None:
    old, _, new = a_key().rolled(NOON, HOUR, ENTROPY, [])
    with pytest.raises(RollUnderWayError):
        old.rolled(NOON, HOUR, ENTROPY, [])
    with pytest.raises(RollUnderWayError):
        new.rolled(NOON, HOUR, ENTROPY, [old])
    new.rolled(NOON + HOUR, HOUR, ENTROPY, [old])
    new.rolled(NOON, HOUR, ENTROPY, [old.revoked(NOON)])


def test_a_dead_key_is_not_rolled() -> None:
    with pytest.raises(KeyNotLiveError):
        a_key().revoked(NOON).rolled(NOON, HOUR, ENTROPY, [])
    with pytest.raises(KeyNotLiveError):
        a_key(expires_at=NOON + HOUR).rolled(NOON + HOUR, HOUR, ENTROPY, [])


@pytest.mark.parametrize("overlap", [-TICK, timedelta(days=7) + TICK])
def test_an_overlap_has_bounds(overlap: timedelta) -> None:
    with pytest.raises(BadInputError):
        a_key().rolled(NOON, overlap, ENTROPY, [])


def test_revoking_again_keeps_the_moment() -> None:
    once = a_key().revoked(NOON)
    assert once.revoked(NOON + HOUR) == once

"""Session tokens at the edge: the signature is remembered, and everything else judged at every use."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from edgekeys import NOON, Ring, call

from heldtrue.capabilities.access.model import KeyExpiredError, KeyRevokedError, OrganisationClosedError
from heldtrue.capabilities.access.sessions import (
    ForeignSessionError,
    SessionClaims,
    SessionExpiredError,
    SessionRevokedError,
    SessionVerifier,
    sign_session,
)
from heldtrue.capabilities.edge.decision import Decider
from heldtrue.capabilities.edge.facts import SigningRow
from heldtrue.capabilities.edge.model import EdgePolicy, NotPublishableError, RouteRule
from heldtrue.capabilities.edge.sessions import SessionDesk, UnknownSessionError
from heldtrue.crypto import tokens
from heldtrue.crypto.signing import SigningKey
from heldtrue.kernel.errors import UnauthenticatedError
from heldtrue.kernel.ids import KeyId, SessionId, TenantId
from heldtrue.policy.permissions import Permission

ISSUER = "https://log.example.test"
MINUTE = timedelta(minutes=1)
WIDGET = RouteRule(frozenset(), "/v1/widget", scope="orders.read", publishable=True)


class Counting:
    """A verifier that counts."""

    def __init__(self, verifier: SessionVerifier) -> None:
        self.verifier, self.verified = verifier, 0

    def verify(self, token: str, now: Any) -> SessionClaims:
        self.verified += 1
        return self.verifier.verify(token, now)


class Desk:
    def __init__(self) -> None:
        self.ring = Ring()
        self.signer = SigningKey.generate(secrets.token_bytes, NOON)
        self.ring.tables.put_signing([self.row()])
        self.secret = self.ring.key(role="admin")
        self.facts = self.ring.tables.keys[tokens.digest(self.secret)]
        public = self.ring.snapshot.public_key
        self.verifier = Counting(SessionVerifier(lambda kid: public(kid, self.ring.clock.at), ISSUER, ISSUER))
        self.decider = Decider(
            self.ring.snapshot,
            self.ring.clock,
            EdgePolicy(rules=(WIDGET,)),
            sessions=self.verifier,
            boot=self.ring.boot,
        )
        self.claims = SessionClaims(
            sid=str(SessionId.new(NOON, secrets.token_bytes)), subject="user-7", tenant=self.ring.tenant,
            environment="live", generation=0, key=self.facts.meet().key,
            permissions=frozenset({Permission.PAYLOAD_READ}), grants=frozenset({"orders.read"}),
            expires_at=NOON + 5 * MINUTE,
        )  # fmt: skip

    def row(self, **changed: Any) -> SigningRow:
        return replace(SigningRow(self.signer.id.value, "active", self.signer.public, None), **changed)

    def token(self, **changed: Any) -> str:
        return sign_session(self.signer, ISSUER, ISSUER, replace(self.claims, **changed), NOON)


def test_a_session_is_bound_to_its_organisation_its_scopes_and_the_key_that_minted_it() -> None:
    desk = Desk()
    caller = desk.decider.identify(desk.token())
    assert (caller.kind, caller.type, caller.tenant, caller.environment) == (
        "session",
        "session",
        desk.ring.tenant,
        "live",
    )
    assert (caller.subject, caller.session, caller.key) == ("user-7", desk.claims.sid, desk.claims.key)
    assert caller.permissions == {Permission.PAYLOAD_READ}
    assert caller.grants == {"orders.read"}


def test_a_session_needs_a_route_for_publishable_credentials() -> None:
    desk = Desk()
    assert desk.decider.decide(call(desk.token(), "/v1/widget")).denial is None
    plain = Decider(desk.ring.snapshot, desk.ring.clock, sessions=desk.verifier, boot=desk.ring.boot)
    assert isinstance(plain.decide(call(desk.token(), "/v1/widget")).denial, NotPublishableError)


def test_the_signature_is_verified_once_and_the_rest_every_time() -> None:
    desk = Desk()
    token = desk.token()
    for _ in range(3):
        desk.decider.identify(token)
    assert desk.verifier.verified == 1
    desk.ring.tables.sessions[desk.ring.tenant.value.bytes, "live"] = 1
    with pytest.raises(SessionRevokedError):
        desk.decider.identify(token)
    desk.decider.identify(desk.token(generation=1))
    desk.ring.tables.sessions.clear()
    desk.ring.clock.at = NOON + 5 * MINUTE
    with pytest.raises(SessionExpiredError):
        desk.decider.identify(token)


def test_what_becomes_of_the_key_that_minted_it_becomes_of_the_session() -> None:
    desk = Desk()
    token = desk.token()
    desk.decider.identify(token)
    for changed, error in (
        ({"active": False}, KeyRevokedError),
        ({"ends": NOON}, KeyExpiredError),
        ({"environment": "test"}, ForeignSessionError),
    ):
        desk.ring.tables.put_key(desk.ring.row(desk.secret, id=desk.facts.id, role="admin", **changed))
        with pytest.raises(error):
            desk.decider.identify(token)
    desk.ring.tables.put_key(desk.ring.row(desk.secret, id=desk.facts.id, role="admin"))
    desk.decider.identify(token)
    desk.ring.tables.put_organisation(desk.ring.tenant.value.bytes, active=False)
    with pytest.raises(OrganisationClosedError):
        desk.decider.identify(token)
    desk.ring.tables.put_organisation(desk.ring.tenant.value.bytes, active=True)
    desk.ring.tables.drop_key(desk.facts.id)
    with pytest.raises(UnknownSessionError):
        desk.decider.identify(token)


def test_a_session_can_do_no_more_than_the_key_that_minted_it() -> None:
    desk = Desk()
    desk.ring.tables.put_key(desk.ring.row(desk.secret, id=desk.facts.id, role="sender"))
    asked = frozenset({Permission.PAYLOAD_SEND, Permission.PAYLOAD_ERASE})
    assert desk.decider.identify(desk.token(permissions=asked)).permissions == {Permission.PAYLOAD_SEND}


def test_a_signing_key_that_is_not_accepted_any_more_ends_what_it_signed() -> None:
    desk = Desk()
    token = desk.token()
    desk.decider.identify(token)
    desk.ring.tables.put_signing([desk.row(state="compromised")])
    with pytest.raises(UnauthenticatedError):
        desk.decider.identify(token)
    desk.ring.tables.put_signing([desk.row(state="deactivated", accept_until=NOON + MINUTE)])
    desk.decider.identify(token)


def test_a_token_of_another_organisation_than_its_keys_is_foreign() -> None:
    desk = Desk()
    for changed in ({"tenant": TenantId.new(NOON, secrets.token_bytes)}, {"environment": "test"}):
        with pytest.raises(ForeignSessionError):
            desk.decider.identify(desk.token(**changed))
    with pytest.raises(UnknownSessionError):
        desk.decider.identify(desk.token(key=KeyId.new(NOON, secrets.token_bytes)))


def test_what_is_remembered_of_tokens_is_bounded() -> None:
    desk = Desk()
    remembering = SessionDesk(desk.verifier, remembered=3)
    for number in range(5):
        token = desk.token(subject=f"user-{number}")
        remembering.identify(desk.ring.tables, tokens.digest(token), token, NOON)
    assert len(remembering._seen) == 3


def test_without_a_verifier_no_session_is_known() -> None:
    desk = Desk()
    with pytest.raises(UnauthenticatedError):
        Decider(desk.ring.snapshot, desk.ring.clock, boot=desk.ring.boot).identify(desk.token())


def test_a_generation_that_is_not_known_yet_is_unknown_and_an_earlier_one_is_revoked() -> None:
    desk = Desk()
    place = (desk.ring.tenant.value.bytes, "live")
    ahead = desk.token(generation=2)
    with pytest.raises(UnknownSessionError):
        desk.decider.identify(ahead)
    desk.ring.tables.sessions[place] = 2
    desk.decider.identify(ahead)
    desk.ring.tables.sessions[place] = 3
    with pytest.raises(SessionRevokedError):
        desk.decider.identify(ahead)

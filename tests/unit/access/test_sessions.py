"""What a session token must say to be believed: each claim wrong, beside the sound twin it was made of."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from house import seeded

from heldtrue.capabilities.access.sessions import (
    CLOCK_LEEWAY,
    LONGEST_LIFE,
    NEVER_IN_SESSION,
    ForeignSessionError,
    MalformedSessionError,
    SessionClaims,
    SessionExpiredError,
    SessionRevokedError,
    SessionVerifier,
    issuer_of,
    sign_session,
)
from heldtrue.crypto.jws import UnknownSignerError, decode_part, sign_jws
from heldtrue.crypto.signing import SigningKey
from heldtrue.kernel.errors import UnauthenticatedError
from heldtrue.kernel.ids import KeyId, SessionId, TenantId
from heldtrue.policy.permissions import Permission

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ENTROPY = seeded("sessions")
KEY = SigningKey.generate(ENTROPY, NOON)
ISSUER = issuer_of("log.example.com")
VERIFIER = SessionVerifier({str(KEY.id): KEY.public}.get, ISSUER, ISSUER)
CLAIMS = SessionClaims(
    sid=str(SessionId.new(NOON, ENTROPY)),
    subject="user-7",
    tenant=TenantId.new(NOON, ENTROPY),
    environment="live",
    generation=3,
    key=KeyId.new(NOON, ENTROPY),
    permissions=frozenset({Permission.RECEIPT_READ}),
    grants=frozenset({"orders.read"}),
    expires_at=NOON + timedelta(minutes=5),
)
SECOND = timedelta(seconds=1)
ABSENT = object()


def a_token(header: dict[str, Any] | None = None, **changed: Any) -> str:
    """Return a soundly signed token with some claims changed; `ABSENT` leaves one out."""
    sound = sign_session(KEY, ISSUER, ISSUER, CLAIMS, NOON)
    said = json.loads(decode_part(sound.split(".")[1])) | changed
    payload = {name: value for name, value in said.items() if value is not ABSENT}
    return sign_jws(KEY, {"typ": "JWT"} if header is None else header, json.dumps(payload).encode())


def test_a_sound_token_says_what_was_minted() -> None:
    assert VERIFIER.verify(sign_session(KEY, ISSUER, ISSUER, CLAIMS, NOON), NOON) == CLAIMS
    assert VERIFIER.verify(a_token(), NOON) == CLAIMS


AT = int(NOON.timestamp())
MALFORMED: dict[str, dict[str, Any]] = {
    "no iat": {"iat": ABSENT},
    "no exp": {"exp": ABSENT},
    "exp a text": {"exp": str(AT + 60)},
    "exp a fraction": {"exp": AT + 60.5},
    "exp true": {"exp": True},
    "exp beyond any time": {"exp": 2**40},
    "exp before iat": {"exp": AT - 1},
    "lives too long": {"exp": AT + 901},
    "lives for ever": {"iat": 0},
    "nbf null": {"nbf": None},
    "no org": {"org": ABSENT},
    "org of another kind": {"org": str(CLAIMS.key)},
    "org a list": {"org": [str(CLAIMS.tenant)]},
    "no env": {"env": ABSENT},
    "env with a slash": {"env": "live/../test"},
    "env in capitals": {"env": "LIVE"},
    "no sid": {"sid": ABSENT},
    "sid of another kind": {"sid": "ses_7"},
    "no sub": {"sub": ABSENT},
    "sub empty": {"sub": ""},
    "sub with a line break": {"sub": "user\r\nx-admin: yes"},
    "sub not ASCII": {"sub": "usér"},
    "sub too long": {"sub": "u" * 201},
    "no key": {"key": ABSENT},
    "key of another kind": {"key": "7"},
    "no perms": {"perms": ABSENT},
    "perms a text": {"perms": "receipt.read"},
    "perms unknown": {"perms": ["root"]},
    "perms of numbers": {"perms": [1]},
    "no grants": {"grants": ABSENT},
    "grants with a space": {"grants": ["orders read"]},
    "grants too many": {"grants": [f"g{n}" for n in range(65)]},
    "no gen": {"gen": ABSENT},
    "gen true": {"gen": True},
    "gen negative": {"gen": -1},
    "gen a text": {"gen": "3"},
}
FOREIGN: dict[str, dict[str, Any]] = {
    "no iss": {"iss": ABSENT},
    "another issuer": {"iss": "https://log.example.net"},
    "the issuer and more": {"iss": f"{ISSUER}/"},
    "the issuer in a list": {"iss": [ISSUER]},
    "no aud": {"aud": ABSENT},
    "another audience": {"aud": "https://shop.example"},
    "the audience in a list": {"aud": [ISSUER]},
    "the audience and another": {"aud": [ISSUER, "https://shop.example"]},
    "the audience's beginning": {"aud": ISSUER[:-1]},
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_what_is_not_said_as_we_say_it_is_refused(fault: str) -> None:
    with pytest.raises(MalformedSessionError):
        VERIFIER.verify(a_token(**MALFORMED[fault]), NOON)


@pytest.mark.parametrize("fault", FOREIGN)
def test_what_was_minted_elsewhere_or_for_somebody_else_is_refused(fault: str) -> None:
    with pytest.raises(ForeignSessionError):
        VERIFIER.verify(a_token(**FOREIGN[fault]), NOON)


@pytest.mark.parametrize("typ", [None, "jwt", "JOSE", "at+jwt"])
def test_another_type_of_token_is_refused(typ: str | None) -> None:
    header = {} if typ is None else {"typ": typ}
    with pytest.raises(MalformedSessionError):
        VERIFIER.verify(a_token(header), NOON)
    with pytest.raises(MalformedSessionError):
        VERIFIER.verify(a_token({"typ": "JWT", "cty": "JWT"}), NOON)


@pytest.mark.parametrize("payload", [b"{}x", b"[]", b'{"sub":"a","sub":"b"}', b"\xff", b""])
def test_a_payload_that_two_readers_may_read_differently_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedSessionError):
        VERIFIER.verify(sign_jws(KEY, {"typ": "JWT"}, payload), NOON)


def test_a_claim_that_stands_twice_is_refused_though_it_is_soundly_signed() -> None:
    sound = decode_part(a_token().split(".")[1])
    twice = sound[:-1] + b',"sub":"user-8"}'
    with pytest.raises(MalformedSessionError, match="twice"):
        VERIFIER.verify(sign_jws(KEY, {"typ": "JWT"}, twice), NOON)


def test_a_token_dies_at_the_instant_it_expires() -> None:
    token = a_token()
    VERIFIER.verify(token, CLAIMS.expires_at - timedelta(microseconds=1))
    with pytest.raises(SessionExpiredError):
        VERIFIER.verify(token, CLAIMS.expires_at)


def test_the_longest_life_is_a_quarter_of_an_hour() -> None:
    VERIFIER.verify(a_token(exp=AT + int(LONGEST_LIFE.total_seconds())), NOON)


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_from_the_future_is_refused_beyond_what_clocks_may_differ(claim: str) -> None:
    token = a_token(**{claim: AT})
    VERIFIER.verify(token, NOON - CLOCK_LEEWAY)
    with pytest.raises(SessionExpiredError):
        VERIFIER.verify(token, NOON - CLOCK_LEEWAY - SECOND)


def test_a_key_that_is_no_longer_accepted_verifies_nothing() -> None:
    keys = {str(KEY.id): KEY.public}
    verifier = SessionVerifier(keys.get, ISSUER, ISSUER)
    token = a_token()
    verifier.verify(token, NOON)
    keys.clear()
    with pytest.raises(UnknownSignerError):
        verifier.verify(token, NOON)


def test_a_permission_that_no_session_has_is_not_given_even_if_it_was_signed() -> None:
    token = a_token(perms=[*sorted(NEVER_IN_SESSION), "receipt.read"])
    assert VERIFIER.verify(token, NOON).permissions == {Permission.RECEIPT_READ}


def test_another_generation_is_refused_whether_earlier_or_later() -> None:
    CLAIMS.admit(3, NOON)
    for generation in (2, 4):
        with pytest.raises(SessionRevokedError):
            CLAIMS.admit(generation, NOON)
    with pytest.raises(SessionExpiredError):
        CLAIMS.admit(3, CLAIMS.expires_at)


def test_every_refusal_is_one_of_a_missing_credential() -> None:
    for changed in ({"aud": "x"}, {"sub": ""}, {"exp": AT + 1, "iat": AT}):
        with pytest.raises(UnauthenticatedError):
            VERIFIER.verify(a_token(**changed), NOON + 2 * SECOND)
    assert replace(CLAIMS, subject="user-8") != CLAIMS

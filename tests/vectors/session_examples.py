"""The worked examples of docs/spec/session-tokens.md and docs/spec/leak-reports.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from heldtrue.capabilities.access.sessions import SessionClaims, SessionVerifier, issuer_of, sign_session
from heldtrue.crypto.jws import decode_part, encode_part
from heldtrue.crypto.signing import SigningKey
from heldtrue.kernel.errors import UnauthenticatedError
from heldtrue.kernel.ids import CryptoKeyId, KeyId, SessionId, TenantId
from heldtrue.kernel.secret import Secret
from heldtrue.policy.permissions import Permission

AT = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
ISSUER = issuer_of("trust.example.org")


def _same(number: int) -> Callable[[int], bytes]:
    return lambda count: bytes([number]) * count


SESSION_KEY = SigningKey(
    CryptoKeyId.new(AT, _same(12)), Secret(hashlib.sha256(b"an example, not a session key").digest())
)
CLAIMS = SessionClaims(
    sid=str(SessionId.new(AT, _same(13))),
    subject="user-7",
    tenant=TenantId.new(AT, _same(3)),
    environment="prod",
    generation=2,
    key=KeyId.new(AT, _same(14)),
    permissions=frozenset({Permission.SELF_READ, Permission.RECEIPT_READ}),
    grants=frozenset({"orders.read"}),
    expires_at=AT + timedelta(minutes=5),
)
VERIFIER = SessionVerifier({str(SESSION_KEY.id): SESSION_KEY.public}.get, ISSUER, ISSUER)


def token() -> str:
    return sign_session(SESSION_KEY, ISSUER, ISSUER, CLAIMS, AT)


def session_key() -> str:
    from tests.vectors.examples import lines

    return lines(
        ("seed", SESSION_KEY.seed.reveal().hex()),
        ("public key", SESSION_KEY.public.hex()),
        ("kid", str(SESSION_KEY.id)),
    )


def session_said() -> str:
    from tests.vectors.examples import pretty

    header, payload, _ = token().split(".")
    return "\n".join(pretty(json.loads(decode_part(part))) for part in (header, payload))


def session_steps() -> str:
    from tests.vectors.examples import wrapped

    header, payload, signature = token().split(".")
    parts = [
        ("header", decode_part(header).decode()),
        ("header in base64url", header),
        ("payload in base64url", payload),
        ("Ed25519 over header.payload", decode_part(signature).hex()),
        ("the token", token()),
    ]
    return "\n\n".join(f"{name}:\n{wrapped(text)}" for name, text in parts)


def session_jwks() -> str:
    from tests.vectors.examples import pretty

    x = encode_part(SESSION_KEY.public)
    kid = str(SESSION_KEY.id)
    return pretty({"keys": [{"kid": kid, "x": x, "kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "use": "sig"}]})


def session_refused() -> str:
    from tests.vectors.examples import lines

    header, payload, signature = token().split(".")
    none = encode_part(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    embedded = encode_part(json.dumps({"alg": "Ed25519", "kid": str(SESSION_KEY.id), "jwk": {}}).encode())
    other = replace(CLAIMS, expires_at=AT + timedelta(hours=1))
    tried = [
        ("the token at 09:34:59", token(), AT + timedelta(seconds=299)),
        ("the token at 09:35:00", token(), AT + timedelta(seconds=300)),
        ("two parts of it", f"{header}.{payload}", AT),
        ("without its signature", f"{header}.{payload}.", AT),
        ("with padding", f"{token()}==", AT),
        ("alg none", f"{none}.{payload}.", AT),
        ("a key in the header", f"{embedded}.{payload}.{signature}", AT),
        ("living an hour", sign_session(SESSION_KEY, ISSUER, ISSUER, other, AT), AT),
        ("for another audience", sign_session(SESSION_KEY, ISSUER, "https://shop.example", CLAIMS, AT), AT),
    ]
    rows: list[tuple[str, object]] = []
    for what, text, now in tried:
        try:
            rows.append((what, f"accepted, for {VERIFIER.verify(text, now).subject}"))
        except UnauthenticatedError as error:
            rows.append((what, error.code))
    return lines(*rows)


EXAMPLES: dict[str, Callable[[], str]] = {
    "session-key": session_key,
    "session-said": session_said,
    "session-steps": session_steps,
    "session-jwks": session_jwks,
    "session-refused": session_refused,
}

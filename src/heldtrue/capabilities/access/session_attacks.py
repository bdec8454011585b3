"""Attacks on session tokens: every way to make one that nobody minted, or to use one where it does not belong."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.attack.stock import in_order, request
from heldtrue.capabilities.access.sessions import SessionClaims, issuer_of, sign_session
from heldtrue.capabilities.keystore.actions import Signers
from heldtrue.crypto import tokens
from heldtrue.crypto.jws import decode_part, encode_part
from heldtrue.crypto.signing import SigningKey
from heldtrue.http.route import Realm
from heldtrue.kernel.errors import UnauthenticatedError
from heldtrue.kernel.ids import KeyId, SessionId, TenantId
from heldtrue.policy.permissions import Permission

MAY = frozenset({Permission.SELF_READ, Permission.RECEIPT_READ})
SELF = "/v1/self"
MOST_PAGES = 100
LATEST = 5.0
"""Seconds after which a revocation has reached every process."""
_LINK = re.compile(rb"(?:href|src)=\"(/[^\"#?]*)")
_KEY = re.compile(rb"ht_(?:sk|pk)_[a-z0-9]{1,16}_[0-9A-Za-z]{49}")
_SECRETS = {
    "a token": re.compile(rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{40,}"),
    "a webhook secret": re.compile(rb"wh(?:sec|sk)_[A-Za-z0-9+/]{40,}"),
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}


@dataclass(frozen=True, slots=True)
class _Forge:
    """What tokens are made of: the instance's own keys, and one of a stranger."""

    issuer: str
    signing: SigningKey
    receipts: SigningKey
    stranger: SigningKey

    def sound(self, claims: SessionClaims, lives: timedelta, **elsewhere: str) -> str:
        """Return a token soundly signed by the instance's own key, whatever it says."""
        issuer = elsewhere.get("issuer", self.issuer)
        audience = elsewhere.get("audience", self.issuer)
        return sign_session(self.signing, issuer, audience, claims, claims.expires_at - lives)

    def headed(self, sound: str, key: SigningKey, **header: Any) -> str:
        """Return the content of *sound* under another header, signed by *key*."""
        start = f"{encode_part(json.dumps({'typ': 'JWT', **header}).encode())}.{sound.split('.')[1]}"
        return f"{start}.{encode_part(key.sign(start.encode()))}"


def session_tokens(arena: Arena) -> Finding:
    """Use a sound token, then every kind of unsound one; revoke the sound one; search what is published for secrets."""
    one, two = arena.probes()
    minted = _minted(arena, one.admin)
    sound: str = minted["token"]
    claims, forge = _claims_of(sound), _forge(arena)
    arena.until("the sound token", lambda: arena.caller.call("GET", SELF, sound).status == 200 or None)
    faults: list[str] = []
    bad = {**_wrongly_said(arena, forge, claims, two.tenant, one.other_environment), **_wrongly_signed(forge, sound)}
    for what, token in bad.items():
        status = arena.caller.call("GET", SELF, token).status
        if status != 401:
            faults.append(f"A token {what} was answered {status}.")
    faults += _beyond(arena, sound)
    arena.caller.call("DELETE", "/v1/sessions", one.admin).expect(200)
    if not _refused_within(arena, sound, LATEST):
        faults.append(f"A token was accepted {LATEST:.0f} seconds after it was revoked.")
    pages, found = _published_secrets(arena, sound)
    return judged(
        [*faults, *found],
        f"{len(bad)} kinds of unsound tokens were refused beside a sound one, which did what it was minted for, "
        f"nothing else, and nothing after its revocation; {pages} published pages hold no secret.",
        tokens=len(bad) + 2,
        routes=len(arena.api),
        pages=pages,
    )


def _minted(arena: Arena, admin: Any) -> dict[str, Any]:
    asked = {"subject": "probe", "permissions": sorted(MAY), "ttl_seconds": 300}
    return arena.caller.call("POST", "/v1/sessions", admin, asked).expect(200).json()


def _claims_of(token: str) -> SessionClaims:
    said: Mapping[str, Any] = json.loads(decode_part(token.split(".")[1]))
    return SessionClaims(
        sid=said["sid"], subject=said["sub"], tenant=TenantId.parse(said["org"]), environment=said["env"],
        generation=said["gen"], key=KeyId.parse(said["key"]), permissions=MAY, grants=frozenset(),
        expires_at=datetime.fromtimestamp(said["exp"], UTC),
    )  # fmt: skip


def _forge(arena: Arena) -> _Forge:
    now = arena.clock.now()
    with arena.database.system() as tx:
        signers = Signers(arena.platform)
        signing, receipts = signers.active(tx, "session", now), signers.active(tx, "receipt", now)
    return _Forge(issuer_of(arena.origin), signing, receipts, SigningKey.generate(arena.entropy, now))


def _wrongly_said(
    arena: Arena, forge: _Forge, claims: SessionClaims, foreign: TenantId, environment: str
) -> dict[str, str]:
    """Return tokens that the instance's own key signed, each saying something that must not be believed."""
    now, minute = arena.clock.now(), timedelta(minutes=1)
    fresh = replace(claims, expires_at=now + 5 * minute, sid=str(SessionId.new(now, arena.entropy)))
    return {
        "that has expired": forge.sound(replace(fresh, expires_at=now - timedelta(seconds=1)), minute),
        "that lives for an hour": forge.sound(replace(fresh, expires_at=now + 60 * minute), 60 * minute),
        "from the future": forge.sound(replace(fresh, expires_at=now + 10 * minute), 5 * minute),
        "of another organisation": forge.sound(replace(fresh, tenant=foreign), 5 * minute),
        "of another environment": forge.sound(replace(fresh, environment=environment), 5 * minute),
        "of a key that does not exist": forge.sound(replace(fresh, key=KeyId.new(now, arena.entropy)), 5 * minute),
        "of another generation": forge.sound(replace(fresh, generation=fresh.generation + 1), 5 * minute),
        "for another audience": forge.sound(fresh, 5 * minute, audience="https://elsewhere.invalid"),
        "of another issuer": forge.sound(fresh, 5 * minute, issuer="https://elsewhere.invalid"),
    }


def _wrongly_signed(forge: _Forge, sound: str) -> dict[str, str]:
    """Return tokens that say what the sound one says, none of them signed as it is."""
    header, payload, signature = sound.split(".")
    kid, stranger = str(forge.signing.id), forge.stranger
    none = encode_part(json.dumps({"alg": "none", "typ": "JWT", "kid": kid}).encode())
    mac_header = encode_part(json.dumps({"alg": "HS256", "typ": "JWT", "kid": kid}).encode())
    mac = hmac.digest(forge.signing.public, f"{mac_header}.{payload}".encode(), hashlib.sha256)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode_part(stranger.public)}
    other = json.loads(decode_part(payload)) | {"sub": "somebody-else"}
    return {
        "without a signature": f"{header}.{payload}.",
        "with the algorithm none": f"{none}.{payload}.",
        "signed with the public key as a secret": f"{mac_header}.{payload}.{encode_part(mac)}",
        "signed by a stranger under our key's name": forge.headed(sound, stranger, alg="Ed25519", kid=kid),
        "signed by a stranger under its own name": forge.headed(sound, stranger, alg="Ed25519", kid=str(stranger.id)),
        "that brings its own key": forge.headed(sound, stranger, alg="Ed25519", kid=kid, jwk=jwk),
        "signed by the key of receipts": forge.headed(sound, forge.receipts, alg="Ed25519", kid=str(forge.receipts.id)),
        "under another algorithm's name": forge.headed(sound, forge.signing, alg="EdDSA", kid=kid),
        "without a key's name": forge.headed(sound, forge.signing, alg="Ed25519"),
        "with another content": f"{header}.{encode_part(json.dumps(other).encode())}.{signature}",
        "with padding": f"{sound}==",
    }


def _beyond(arena: Arena, sound: str) -> list[str]:
    """Try the sound token on every route that it was not minted for."""
    ids = {name: "probe" for route in arena.api for name in re.findall(r"\{(\w+)", route.path)}
    faults: list[str] = []
    for route in in_order(arena.api):
        if route.needs in MAY:
            continue
        asked = request(route, ids)
        body = b"{" if asked.body is not None and not route.streams else asked.body
        status = arena.caller.call(asked.method, asked.path, sound, body, asked.headers).status
        if status != 403:
            faults.append(f"{route.at} answered {status} to a token that was not minted for it.")
    return faults


def _refused_within(arena: Arena, token: str, seconds: float) -> bool:
    """Return whether the token is refused after so many seconds at the latest."""
    end = time.monotonic() + seconds
    while arena.caller.call("GET", SELF, token).status != 401:
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _published_secrets(arena: Arena, token: str) -> tuple[int, list[str]]:
    """Read every public page and what it links to here; return how many, and which hold something like a secret."""
    waiting = [r.path for r in arena.routes if r.realm is Realm.PUBLIC and r.method == "GET" and "{" not in r.path]
    seen: set[str] = set()
    faults: list[str] = []
    while waiting and len(seen) < MOST_PAGES:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        body = arena.caller.call("GET", path).body
        faults += [f"{path} holds {what}." for what in _secrets_in(body, token)]
        waiting += [link.decode("ascii", "replace") for link in _LINK.findall(body)]
    if len(seen) < 5:
        raise AttackHinderedError("there are hardly any public pages to search")
    return len(seen), faults


def _secrets_in(body: bytes, token: str) -> list[str]:
    found = [what for what, pattern in _SECRETS.items() if pattern.search(body)]
    if token.rpartition(".")[2].encode() in body:
        found.append("the token of this run")
    for text in _KEY.findall(body):
        try:
            tokens.parse(text.decode())
        except UnauthenticatedError:
            continue
        found.append("an API key")
    return found


ATTACKS = (
    Attack(
        name="access.session_tokens",
        place=Place.SYNTHETIC,
        tries=(
            "Mint a token as a company's server would, and use it: it works for what it was minted for only.",
            "Use tokens that expired or live too long, of another company, environment, issuer or audience.",
            "Use tokens without a signature, with another algorithm, with a key of their own, signed by another key.",
            "Revoke the company's tokens: the sound one must be refused.",
            "Search every public page for a key, a token or a secret.",
        ),
        run=session_tokens,
        breaks="session-signature-unread",
        needs=("heldtrue.attack.stock", "heldtrue.capabilities.access.sessions", "heldtrue.crypto.jws"),
        limit=timedelta(seconds=120),
    ),
)

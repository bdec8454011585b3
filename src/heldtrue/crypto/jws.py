"""JSON Web Signatures in compact form (RFC 7515) with Ed25519 only (RFC 9864; RFC 8037 calls it EdDSA).

One text for one token, one meaning for one header, no parameter that could bring a key, and the signature checked where
every other one of the product is, `crypto.signing.verify`, which also refuses keys of small order.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection, Mapping

from heldtrue.crypto.canonical import JsonValue, canonicalize, parse_strict
from heldtrue.crypto.signing import SIGNATURE_SIZE, SigningKey, verify
from heldtrue.kernel.errors import BadInputError, UnauthenticatedError

ED25519 = "Ed25519"
"""The fully specified name (RFC 9864, section 2.2): it says the curve, so it cannot be confused."""
EDDSA = "EdDSA"
"""The older name of the same (RFC 8037, section 3.1); accepted only by who pins it."""
LONGEST = 16_384
"""Letters of a token; a longer one is not looked into."""

KeyOf = Callable[[str | None], bytes | None]
"""Return the Ed25519 public key of a `kid` (None: the header names none); None when there is none."""

_PART = re.compile(r"[A-Za-z0-9_-]*")
_NAMES = frozenset({"alg", "typ", "cty", "kid"})
"""Header parameters that are understood. Whatever else could bring a key or change the rules is refused."""


class MalformedJwsError(UnauthenticatedError):
    """The token is not a JWS in compact form, to the letter of RFC 7515; send it exactly as it was issued."""

    code = "malformed-jws"


class ForbiddenAlgorithmError(UnauthenticatedError):
    """The token names an algorithm that is not accepted here, whatever its signature; only Ed25519 is."""

    code = "forbidden-algorithm"


class UnknownSignerError(UnauthenticatedError):
    """The token names no key that is accepted now; mint another one."""

    code = "unknown-signer"


class ForgedSignatureError(UnauthenticatedError):
    """The token's signature does not belong to its content; mint another one."""

    code = "forged-signature"


def sign_jws(key: SigningKey, header: Mapping[str, JsonValue], payload: bytes) -> str:
    """Return *payload* signed in compact form; `alg` and `kid` are added to *header* (RFC 7515, section 5.1)."""
    protected = canonicalize({**header, "alg": ED25519, "kid": str(key.id)})
    signed = f"{encode_part(protected)}.{encode_part(payload)}"
    return f"{signed}.{encode_part(key.sign(signed.encode('ascii')))}"


def verify_jws(token: str, key_of: KeyOf, algorithms: Collection[str]) -> tuple[dict[str, JsonValue], bytes]:
    """Return header and payload of *token* (RFC 7515, section 5.2) when one of *algorithms* verifies it.

    The algorithm is the verifier's choice: what the header says is only compared with it, before any key is looked up.
    The key is the verifier's too: a header that brings one, names where to fetch one, or holds any parameter beside
    `alg`, `typ`, `cty` and `kid` is refused. Parts are base64url without padding, space or stray bits.

    Raises: MalformedJwsError, ForbiddenAlgorithmError, UnknownSignerError, ForgedSignatureError.
    """
    if not algorithms or not {ED25519, EDDSA}.issuperset(algorithms):
        raise ValueError(f"this verifier checks Ed25519 only, not {sorted(algorithms)}")
    if len(token) > LONGEST:
        raise MalformedJwsError("the token is too long")
    parts = token.split(".")
    if len(parts) != 3:
        raise MalformedJwsError("a token has three parts, with a full stop between them")
    header = _header(decode_part(parts[0]))
    if header["alg"] not in algorithms:
        raise ForbiddenAlgorithmError
    kid = header.get("kid")
    public = key_of(kid if isinstance(kid, str) else None)
    if public is None:
        raise UnknownSignerError
    payload, signature = decode_part(parts[1]), decode_part(parts[2])
    if len(signature) != SIGNATURE_SIZE or not verify(public, signature, f"{parts[0]}.{parts[1]}".encode("ascii")):
        raise ForgedSignatureError
    return header, payload


def encode_part(data: bytes) -> str:
    """Return *data* in base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_part(text: str) -> bytes:
    """Return the bytes of base64url without padding; raise `MalformedJwsError` for what another text would mean too."""
    if not _PART.fullmatch(text):
        raise MalformedJwsError("a part holds a letter that base64url does not have")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise MalformedJwsError("a part has a length that base64url cannot have") from error
    if encode_part(data) != text:
        raise MalformedJwsError("a part ends in bits that mean nothing")
    return data


def parse_object(data: bytes, what: str) -> dict[str, JsonValue]:
    """Return the JSON object *data*; raise `MalformedJwsError` for anything that two readers could read differently."""
    try:
        value = parse_strict(data)
    except BadInputError as error:
        raise MalformedJwsError(f"the {what} is not sound JSON: {error.message}") from error
    if not isinstance(value, dict):
        raise MalformedJwsError(f"the {what} is not a JSON object")
    return value


def _header(data: bytes) -> dict[str, JsonValue]:
    header = parse_object(data, "header")
    beyond = sorted(header.keys() - _NAMES)
    if beyond:
        raise MalformedJwsError(f"the header holds {beyond[0][:40]!r}, which is not accepted here")
    if "alg" not in header or not all(isinstance(value, str) for value in header.values()):
        raise MalformedJwsError("the header names its algorithm, and all its parameters are strings")
    return header

"""API keys as text: `ht_<sk|pk>_<environment>_<43 base62><6 base62 CRC-32>`, and unguessable link tokens."""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from dataclasses import dataclass
from typing import Literal, cast

from heldtrue.crypto import base62
from heldtrue.crypto.digest import sha256
from heldtrue.kernel.errors import BadInputError, UnauthenticatedError
from heldtrue.kernel.ids import Entropy
from heldtrue.kernel.secret import Secret

KeyType = Literal["sk", "pk"]
SECRET_BYTES = 32
SECRET_LETTERS = 43
CHECKSUM_LETTERS = 6

_ENVIRONMENT = re.compile(r"[a-z0-9]{1,16}")
_SHAPE = re.compile(r"ht_(sk|pk)_([a-z0-9]{1,16})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})")
_LINK_LABEL = b"heldtrue/link/v1\0"


class MalformedTokenError(UnauthenticatedError):
    """The credential is not an API key of ours, or a letter of it is wrong; copy the whole key again."""

    code = "malformed-token"


@dataclass(frozen=True, slots=True)
class ParsedToken:
    """What a key's text says of itself; whether it is known, and may do anything, is judged elsewhere."""

    type: KeyType
    environment: str


def mint(type_: KeyType, environment: str, entropy: Entropy) -> Secret[str]:
    """Return a fresh API key of 32 random bytes for *environment*."""
    if not _ENVIRONMENT.fullmatch(environment):
        raise BadInputError("an environment's name is 1 to 16 of a-z and 0-9")
    secret = base62.encode(int.from_bytes(entropy(SECRET_BYTES)), SECRET_LETTERS)
    body = f"ht_{type_}_{environment}_{secret}"
    return Secret(body + checksum(body))


def checksum(body: str) -> str:
    """Return the six letters that end a key: CRC-32/ISO-HDLC of all ASCII bytes before them."""
    return base62.encode(zlib.crc32(body.encode("ascii")), CHECKSUM_LETTERS)


def parse(text: str) -> ParsedToken:
    """Return what *text* says of itself; raise `MalformedTokenError` for a wrong shape, then for a wrong checksum."""
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise MalformedTokenError("the credential does not have the shape of an API key")
    type_, environment, secret, check = shape.groups()
    if checksum(text[:-CHECKSUM_LETTERS]) != check or base62.decode(secret) >> (8 * SECRET_BYTES):
        raise MalformedTokenError("a letter of the API key is wrong: its checksum does not match")
    return ParsedToken(cast("KeyType", type_), environment)


def digest(text: str) -> bytes:
    """Return what is stored of a key: the 32 bytes of SHA-256 over the whole string."""
    return sha256(text.encode())


def last4(text: str) -> str:
    """Return the last four characters, by which its holder tells it from others."""
    return text[-4:]


def link_token(key: Secret[bytes], subject: bytes) -> str:
    """Return the 43 letters of the unguessable link to *subject*: HMAC-SHA256 under *key*, the same each time."""
    mac = hmac.digest(key.reveal(), _LINK_LABEL + subject, hashlib.sha256)
    return base62.encode(int.from_bytes(mac), SECRET_LETTERS)

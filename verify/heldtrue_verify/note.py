"""Signed notes and verifier keys (C2SP signed-note), Ed25519 (0x01) and cosignatures (0x04, C2SP tlog-cosignature)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError

SIGNER, COSIGNER = 0x01, 0x04
MOST_SIGNATURES = 64
_VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")
_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


def from_base64(text: str) -> bytes:
    """Decode standard base64 (RFC 4648 section 4), refusing any other spelling of the same bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("This is not base64.") from error
    if base64.b64encode(data).decode() != text:
        raise MalformedError("This base64 is not in its one canonical spelling.")
    return data


def signature_holds(public: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether *signature* is an Ed25519 signature (RFC 8032) of *message* by *public*."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A key that the reader trusts, under its name."""

    name: str
    type: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `name+hex8+base64(type ‖ public key)`; the key id must fit the rest."""
        match = _VKEY.fullmatch(text.strip())
        if match is None:
            raise MalformedError("A verifier key is written name+hash+base64.")
        material = from_base64(match[3])
        if len(material) != 33 or material[0] not in (SIGNER, COSIGNER):
            raise MalformedError("The verifier key is not an Ed25519 key of type 0x01 or 0x04.")
        key = cls(match[1], material[0], material[1:])
        if key.id.hex() != match[2]:
            raise MalformedError("The verifier key's hash does not fit its name and key: it was mistyped.")
        return key

    @property
    def id(self) -> bytes:
        """Give the first four bytes of SHA-256(name ‖ newline ‖ type ‖ public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.type]) + self.public).decode()}"


@dataclass(frozen=True, slots=True)
class Note:
    """A text and the signatures below it; nothing in it may be believed before `signatures_by`."""

    text: str
    signatures: tuple[tuple[str, bytes], ...]

    @classmethod
    def parse(cls, whole: str) -> Note:
        """Split a signed note at its last empty line."""
        if any(c < " " and c != "\n" for c in whole):
            raise MalformedError("A signed note has no control characters but newlines.")
        text, separator, tail = whole.rpartition("\n\n")
        if not separator or not tail.endswith("\n"):
            raise MalformedError("A signed note is a text, an empty line, and signature lines.")
        signatures: list[tuple[str, bytes]] = []
        for line in tail[:-1].split("\n"):
            match = _LINE.fullmatch(line)
            if match is None or len(value := from_base64(match[2])) <= 4:
                raise MalformedError("A signature line of the note is malformed.")
            signatures.append((match[1], value))
        if len(signatures) > MOST_SIGNATURES:
            raise MalformedError(f"The note has more than {MOST_SIGNATURES} signatures.")
        return cls(text + "\n", tuple(signatures))

    def signatures_by(self, key: VerifierKey) -> list[int]:
        """Give the time of each signature by *key*, 0 for type 0x01; other keys' lines are ignored.

        One wrong signature under a known key refuses the whole note.
        """
        times: list[int] = []
        for name, value in self.signatures:
            if name != key.name or value[:4] != key.id:
                continue
            time, message, signature = 0, self.text.encode(), value[4:]
            if key.type == COSIGNER:
                time, signature = int.from_bytes(value[4:12], "big"), value[12:]
                message = f"cosignature/v1\ntime {time}\n".encode() + message
            if not signature_holds(key.public, signature, message):
                raise DoesNotHoldError(f"A signature under the name and key id of {key.name} is wrong.")
            times.append(time)
        return times

"""Signed notes (C2SP signed-note): text, signature lines, verifier keys; Ed25519 cosignatures (tlog-cosignature)."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from heldtrue.crypto.signing import SigningKey, verify
from heldtrue.kernel.errors import BadInputError, IntegrityError

ED25519 = 0x01
COSIGNATURE = 0x04
SIGNATURE_LIMIT = 64
"""A verifier accepts at least 16 (signed-note, "Format")."""

_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
_LINE = re.compile("— ([^ +]+) ([A-Za-z0-9+/]+={0,2})")


class MalformedNoteError(BadInputError):
    """The text is not a signed note; take it again from its source, byte for byte."""

    code = "malformed-note"


class NoteRefusedError(IntegrityError):
    """No key that is known signed this note, or a known key's signature is wrong; do not believe it."""

    code = "note-refused"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A name and a public key, as `name+hex8+base64(type ‖ public key)`."""

    name: str
    type: int
    public: bytes

    @property
    def id(self) -> bytes:
        """SHA-256(name ‖ 0x0A ‖ type ‖ public key)[:4]."""
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:4]

    def __str__(self) -> str:
        material = base64.b64encode(bytes([self.type]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Return the key written as *text*; raise `MalformedNoteError` where id and key disagree."""
        name, _, rest = text.partition("+")
        digits, _, material = rest.partition("+")
        data = decode_base64(material)
        if not is_name(name) or len(data) != 33 or data[0] not in {ED25519, COSIGNATURE}:
            raise MalformedNoteError(f"{text[:120]!r} is not a verifier key")
        key = cls(name, data[0], data[1:])
        if key.id.hex() != digits:
            raise MalformedNoteError(f"the id in {text[:120]!r} is not that of its key")
        return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line; `blob` is what follows the key's id."""

    name: str
    key_id: bytes
    blob: bytes

    def __str__(self) -> str:
        return f"— {self.name} {base64.b64encode(self.key_id + self.blob).decode()}\n"

    @property
    def time(self) -> datetime:
        """When a cosignature was made; only meaningful for a verified one of type 0x04."""
        return datetime.fromtimestamp(struct.unpack(">Q", self.blob[:8])[0], UTC)


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    @classmethod
    def parse(cls, data: str | bytes) -> Note:
        """Return the note in *data*; raise `MalformedNoteError` for anything that strays from the format."""
        try:
            whole = data.decode() if isinstance(data, bytes) else data
        except UnicodeDecodeError as error:
            raise MalformedNoteError("a note is UTF-8") from error
        if _CONTROL.search(whole):
            raise MalformedNoteError("a note has no control characters but newlines")
        text, blank, lines = whole.rpartition("\n\n")
        if not blank or not lines.endswith("\n"):
            raise MalformedNoteError("a note is a text, an empty line and signature lines, each ending in a newline")
        found = lines[:-1].split("\n")
        if len(found) > SIGNATURE_LIMIT:
            raise MalformedNoteError(f"the note has more than {SIGNATURE_LIMIT} signatures")
        return cls(text + "\n", tuple(_signature(line) for line in found))

    def verified(self, keys: Iterable[VerifierKey]) -> list[Signature]:
        """Return the signatures by *keys*; raise where none is, or where one of theirs does not hold."""
        known = {(key.name, key.id): key for key in keys}
        held: list[Signature] = []
        for signature in self.signatures:
            key = known.get((signature.name, signature.key_id))
            if key is None:
                continue
            if not holds(key, self.text, signature):
                raise NoteRefusedError(f"the signature of {key.name} does not hold")
            held.append(signature)
        if not held:
            raise NoteRefusedError
        return held


def is_name(name: str) -> bool:
    """Return whether *name* can name a key: not empty, no space of any kind, no plus."""
    return bool(name) and "+" not in name and not any(each.isspace() for each in name) and not _CONTROL.search(name)


def holds(key: VerifierKey, text: str, signature: Signature) -> bool:
    """Return whether *signature* over *text* is by *key*, by the rules of the key's type."""
    if key.type == ED25519:
        return len(signature.blob) == 64 and verify(key.public, signature.blob, text.encode())
    if len(signature.blob) != 72:
        return False
    seconds = int.from_bytes(signature.blob[:8], "big")
    return seconds < 2**63 and verify(key.public, signature.blob[8:], _cosigned(text, seconds))


def sign(text: str, name: str, key: SigningKey) -> Signature:
    """Sign *text* as the log does (type 0x01); deterministic, so the same text always gets the same line."""
    return Signature(name, VerifierKey(name, ED25519, key.public).id, key.sign(text.encode()))


def cosign(text: str, name: str, key: SigningKey, now: datetime) -> Signature:
    """Sign *text* and the time (type 0x04, tlog-cosignature, "Ed25519 signed message")."""
    seconds = int(now.timestamp())
    blob = struct.pack(">Q", seconds) + key.sign(_cosigned(text, seconds))
    return Signature(name, VerifierKey(name, COSIGNATURE, key.public).id, blob)


def both(name: str, public: bytes) -> Sequence[VerifierKey]:
    """Return the two verifier keys under which one Ed25519 key of ours signs: plain, and with the time."""
    return VerifierKey(name, ED25519, public), VerifierKey(name, COSIGNATURE, public)


def decode_base64(text: str) -> bytes:
    """Return the bytes of standard, padded, canonical base64; raise `MalformedNoteError` for any other."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedNoteError(f"{text[:80]!r} is not base64") from error
    if base64.b64encode(data).decode() != text:
        raise MalformedNoteError(f"{text[:80]!r} is not canonical base64")
    return data


def _signature(line: str) -> Signature:
    match = _LINE.fullmatch(line)
    if match is None or not is_name(match[1]):
        raise MalformedNoteError(f"{line[:120]!r} is not a signature line")
    data = decode_base64(match[2])
    if len(data) < 5:
        raise MalformedNoteError("a signature is an id of four bytes and at least one more")
    return Signature(match[1], data[:4], data[4:])


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()

"""Sealing: C2SP chunked encryption with AES-256-GCM ("Cobblestone-256"), bound to the place where the bytes lie.

A sealed value is `HTS | alg u8 | key id 16 | version u32be` followed by the ciphertext of c2sp.org/chunked-encryption.
Header and place are the context of its key derivation, so that bytes moved to another row do not open.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from heldtrue.crypto.guarded import Guarded
from heldtrue.kernel.errors import IntegrityError
from heldtrue.kernel.ids import CryptoKeyId, Entropy
from heldtrue.kernel.secret import Secret

MAGIC = b"HTS"
COBBLESTONE_256 = 1
KEY_VERSION = 1
_HEADER = struct.Struct(">3sB16sI")
_U32 = struct.Struct(">I")
HEADER_SIZE = _HEADER.size
"""24 bytes before the ciphertext."""
DATA_KEY_SIZE = 32


class SealBrokenError(IntegrityError):
    """A sealed value does not open here: it was altered, cut short, or moved from another place; do not use it."""

    code = "seal-broken"


@dataclass(frozen=True, slots=True)
class Context:
    """The one place where a sealed value may be opened."""

    environment: str
    tenant: UUID
    table: str
    column: str
    row: str
    purpose: str
    row_version: int = 1

    def encode(self, header: bytes) -> bytes:
        """Return *header* and the place as fields of u32be length and bytes, in the order of the format."""
        fields = (
            header,
            self.environment.encode(),
            self.tenant.bytes,
            self.table.encode(),
            self.column.encode(),
            self.row.encode(),
            self.purpose.encode(),
            _U32.pack(self.row_version),
        )
        return b"".join([part for field in fields for part in (_U32.pack(len(field)), field)])


class DataKey(Guarded):
    """32 random bytes that seal values, and the id that their headers carry."""

    __slots__ = ("id", "material")

    def __init__(self, id: CryptoKeyId, material: Secret[bytes]) -> None:  # noqa: A002 - the name of the thing
        if len(material.reveal()) != DATA_KEY_SIZE:
            raise ValueError("a data key has 32 bytes")
        self.id = id
        self.material = material

    @classmethod
    def generate(cls, entropy: Entropy, now: datetime) -> Self:
        """Return a fresh key made at *now*."""
        return cls(CryptoKeyId.new(now, entropy), Secret(entropy(DATA_KEY_SIZE)))


def seal(key: DataKey, context: Context, plaintext: bytes) -> bytes:
    """Return *plaintext* sealed under *key* for the place *context*."""
    header = _header(key.id)
    encryptor = Cobblestone256Encryptor(key.material.reveal(), context.encode(header))
    return b"".join((header, encryptor.update(plaintext), encryptor.finalize()))


def open_sealed(key: DataKey, context: Context, sealed: bytes) -> bytes:
    """Return what was sealed; raise `SealBrokenError` for an altered value, another key or another place."""
    opener = Opener(key, context)
    return opener.update(sealed) + opener.finish()


def key_id_of(sealed: bytes) -> CryptoKeyId:
    """Return the id of the key that *sealed* names; it proves nothing until the value opens."""
    if len(sealed) < HEADER_SIZE:
        raise SealBrokenError("the sealed value ends within its header")
    magic, algorithm, key_id, version = _HEADER.unpack_from(sealed)
    if magic != MAGIC or algorithm != COBBLESTONE_256 or version != KEY_VERSION:
        raise SealBrokenError("the value does not begin with a header that is known")
    return CryptoKeyId(UUID(bytes=key_id))


class Sealer(Guarded):
    """Seal a stream: `start()`, then `update()` as bytes come, then `finish()`; write what each returns, in order."""

    __slots__ = ("_encryptor", "_header")

    def __init__(self, key: DataKey, context: Context) -> None:
        self._header = _header(key.id)
        self._encryptor = Cobblestone256Encryptor(key.material.reveal(), context.encode(self._header))

    def start(self) -> bytes:
        """Return the header."""
        return self._header

    def update(self, data: bytes) -> bytes:
        """Return the ciphertext that is ready after *data*; whole chunks of 16 KiB, so often nothing."""
        return self._encryptor.update(data)

    def finish(self) -> bytes:
        """Return the last chunk; without it the value does not open."""
        return self._encryptor.finalize()


class Opener(Guarded):
    """Open a stream: `update()` with the sealed bytes as they come, then `finish()`.

    Each chunk that comes out is authentic in itself, in its place and in its order. That the value is complete is known
    only when `finish()` has returned: act on nothing before, and discard what came out if it raises.
    """

    __slots__ = ("_context", "_decryptor", "_head", "_key")

    def __init__(self, key: DataKey, context: Context) -> None:
        self._key = key
        self._context = context
        self._head = b""
        self._decryptor: Cobblestone256Decryptor | None = None

    def update(self, data: bytes) -> bytes:
        """Return the plaintext of the chunks completed by *data*; raise `SealBrokenError` at the first bad one."""
        if self._decryptor is None:
            self._head += data
            if len(self._head) < HEADER_SIZE:
                return b""
            data = self._head[HEADER_SIZE:]
            self._decryptor = self._begin()
        try:
            return self._decryptor.update(data)
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError from error

    def finish(self) -> bytes:
        """Return the last of the plaintext; raise `SealBrokenError` where the value was cut short."""
        if self._decryptor is None:
            raise SealBrokenError("the sealed value ends within its header")
        try:
            return self._decryptor.finalize()
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError from error

    def _begin(self) -> Cobblestone256Decryptor:
        header, self._head = self._head[:HEADER_SIZE], b""
        if key_id_of(header) != self._key.id:
            raise SealBrokenError("the value names another key than the one given")
        return Cobblestone256Decryptor(self._key.material.reveal(), self._context.encode(header))


def _header(key_id: CryptoKeyId) -> bytes:
    return _HEADER.pack(MAGIC, COBBLESTONE_256, key_id.value.bytes, KEY_VERSION)

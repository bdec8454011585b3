"""The witness's own key: a file that only its owner reads, and cosignatures (C2SP tlog-cosignature)."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldtrue_verify.note import COSIGNER, VerifierKey, from_base64
from heldtrue_verify.verdicts import MalformedError, UnusableError

PREFIX = "PRIVATE+WITNESS+"


@dataclass(frozen=True)
class WitnessKey:
    """A name and the Ed25519 key that cosigns under it."""

    name: str
    private: Ed25519PrivateKey

    @property
    def public(self) -> VerifierKey:
        """Give the verifier key that readers and logs pin."""
        return VerifierKey(self.name, COSIGNER, self.private.public_key().public_bytes_raw())

    def cosign(self, text: str, seconds: int) -> str:
        """Give the signature line over a checkpoint's *text* at unix time *seconds* (tlog-cosignature, "Format")."""
        signature = self.private.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
        blob = self.public.id + seconds.to_bytes(8, "big") + signature
        return f"— {self.name} {base64.b64encode(blob).decode()}\n"


def make(name: str, path: Path) -> WitnessKey:
    """Make a key and write it to a new file; refuse a name that is none, and a file that exists."""
    key = WitnessKey(name, Ed25519PrivateKey.generate())
    VerifierKey.parse(str(key.public))  # the name must survive a round trip
    seed = base64.b64encode(key.private.private_bytes_raw()).decode()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{PREFIX}{name}+{seed}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UnusableError(f"The key cannot be written to {path}: {error.strerror}.") from error
    return key


def load(path: Path) -> WitnessKey:
    """Read a key's file; refuse one that others may read."""
    try:
        if path.stat().st_mode & 0o077:
            raise UnusableError(f"Others may read {path}: run `chmod 600 {path}`.")
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UnusableError(f"The key {path} cannot be read: {error.strerror}.") from error
    name, _, seed = text.removeprefix(PREFIX).partition("+")
    try:
        data = from_base64(seed)
    except MalformedError as error:
        raise UnusableError(f"{path} does not hold a witness's key.") from error
    if not text.startswith(PREFIX) or not name or len(data) != 32:
        raise UnusableError(f"{path} does not hold a witness's key.")
    return WitnessKey(name, Ed25519PrivateKey.from_private_bytes(data))

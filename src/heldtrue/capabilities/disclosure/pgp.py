"""OpenPGP (RFC 9580) by GnuPG, which python_gnupg drives: each time in a home of its own that is gone afterwards.

No key ring and no agent stays. Secret keys are only ever on disk inside such a home, which lies in memory (`/dev/shm`)
where there is one.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gnupg

from heldtrue.kernel.errors import BadInputError, UnavailableError
from heldtrue.kernel.secret import Secret

MEMORY = Path("/dev/shm")  # noqa: S108 - private directories are made below it
PATIENCE = 30.0


class NoGnupgError(UnavailableError):
    """GnuPG is not installed or does not answer; install the package `gnupg`, and try again."""

    code = "no-gnupg"


class UnusableKeyError(BadInputError):
    """The text is no OpenPGP public key that encrypts and has an expiry to come; export one in ASCII armour."""

    code = "unusable-key"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key as it is published."""

    fingerprint: str
    armoured: str
    expires_at: datetime


@contextmanager
def home() -> Generator[gnupg.GPG]:
    """Open a private GNUPGHOME, and remove it with its agent."""
    program = shutil.which("gpg")
    if program is None:
        raise NoGnupgError
    directory = tempfile.mkdtemp(prefix="ht", dir=MEMORY if MEMORY.is_dir() else None)
    try:
        yield gnupg.GPG(gpgbinary=program, gnupghome=directory, options=["--no-autostart", "--batch"])
    finally:
        _end_agent(directory)
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def secret_home(secret: Secret[str] | None = None) -> Generator[gnupg.GPG]:
    """Open a home that may use secret keys, with *secret* in it."""
    with home() as gpg:
        gpg.options = ["--batch"]
        if secret is not None:
            found: Any = gpg.import_keys(secret.reveal())
            if not found.fingerprints:
                raise NoGnupgError("GnuPG did not take the secret key that it made.")
        yield gpg


def generate(name: str, mail: str, days: int, now: datetime) -> tuple[PublicKey, Secret[str]]:
    """Return a new key: Ed25519 to sign, X25519 to encrypt, without a passphrase; its secret half is to be sealed."""
    with secret_home() as gpg:
        identity: dict[str, Any] = {"name_real": name, "name_email": mail} if mail else {"name_real": name}
        asked = gpg.gen_key_input(
            key_type="EDDSA", key_curve="ed25519", key_usage="sign", subkey_type="ECDH", subkey_curve="cv25519",
            subkey_usage="encrypt", expire_date=f"{days}d", no_protection=True, **identity,
        )  # fmt: skip
        made: Any = gpg.gen_key(asked)
        if not made.fingerprint:
            raise NoGnupgError("GnuPG made no key.")
        secret: Any = gpg.export_keys(made.fingerprint, secret=True, expect_passphrase=False)
        public: Any = gpg.export_keys(made.fingerprint)
        return _described(gpg, str(public), now), Secret(str(secret))


def read(armoured: str, now: datetime) -> PublicKey:
    """Return what *armoured* is; raise `UnusableKeyError` unless it is one public key that can be encrypted to."""
    with home() as gpg:
        found: Any = gpg.import_keys(armoured)
        if len(set(found.fingerprints)) != 1 or "PRIVATE" in armoured:
            raise UnusableKeyError
        public: Any = gpg.export_keys(found.fingerprints[0])
        return _described(gpg, str(public), now)


def encrypt(armoured: str, text: str) -> str:
    """Return *text* encrypted to the public key *armoured*."""
    with home() as gpg:
        found: Any = gpg.import_keys(armoured)
        sealed: Any = gpg.encrypt(text, found.fingerprints[:1], always_trust=True, armor=True)
        if not sealed.ok:
            raise UnusableKeyError(f"GnuPG could not encrypt: {sealed.status}.")
        return str(sealed)


def clear_sign(secret: Secret[str], text: str) -> str:
    """Return *text* with a cleartext signature (RFC 9580, section 7)."""
    with secret_home(secret) as gpg:
        signed: Any = gpg.sign(text, clearsign=True)
        if not signed.fingerprint:
            raise NoGnupgError(f"GnuPG did not sign: {signed.status}.")
        return str(signed)


def decrypt(secret: Secret[str], message: str) -> str | None:
    """Return what *message* says; None where it is not encrypted to this key, or altered."""
    with secret_home(secret) as gpg:
        opened: Any = gpg.decrypt(message, always_trust=True, extra_args=["--max-output", "1048576"])
        return str(opened) if opened.ok else None


def _described(gpg: gnupg.GPG, armoured: str, now: datetime) -> PublicKey:
    listed: Any = gpg.list_keys()
    key = listed[0]
    encrypts = "E" in key["cap"]
    if not encrypts or not key["expires"] or not armoured.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----"):
        raise UnusableKeyError
    expires = datetime.fromtimestamp(int(key["expires"]), UTC)
    if expires <= now:
        raise UnusableKeyError("The key has expired; export one that has not.")
    return PublicKey(str(key["fingerprint"]), armoured, expires)


def _end_agent(directory: str) -> None:
    program = shutil.which("gpgconf")
    if program is not None:
        subprocess.run(
            [program, "--homedir", directory, "--kill", "all"], check=False, capture_output=True, timeout=PATIENCE
        )

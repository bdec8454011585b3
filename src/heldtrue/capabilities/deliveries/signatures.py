"""The secrets that deliveries to an endpoint are signed with (docs/spec/webhooks.md), and their rotation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from heldtrue.crypto import webhooks
from heldtrue.kernel.errors import ConflictError
from heldtrue.kernel.ids import Entropy
from heldtrue.kernel.secret import Secret

MAX_RETIRING = 4
"""Secrets that may be on their way out at once: each makes the header longer."""


class TooManySecretsError(ConflictError):
    """Too many secrets of this endpoint are in their overlap; wait until one has ended, or roll without overlap."""

    code = "too-many-secrets"


@dataclass(frozen=True, slots=True)
class Pair:
    """A shared secret and a signing key that are used side by side."""

    secret: Secret[str]
    signing: Secret[str]
    until: datetime | None = None
    """When it stops signing; None for the current one."""

    @classmethod
    def generate(cls, entropy: Entropy) -> Pair:
        """Return a fresh one."""
        return cls(webhooks.new_secret(entropy), webhooks.new_signing_key(entropy))

    def ends(self, until: datetime) -> Pair:
        """Return the pair that signs until then at the latest."""
        return replace(self, until=until if self.until is None else min(self.until, until))


@dataclass(frozen=True, slots=True)
class Secrets:
    """All pairs of an endpoint, the current one first."""

    pairs: tuple[Pair, ...]

    @classmethod
    def generate(cls, entropy: Entropy) -> Secrets:
        """Return a fresh pair."""
        return cls((Pair.generate(entropy),))

    @classmethod
    def decode(cls, data: bytes) -> Secrets:
        """Return what `encode` wrote."""
        stored = msgspec.json.decode(data, type=list[_Stored])
        return cls(tuple(Pair(Secret(pair.secret), Secret(pair.signing), pair.until) for pair in stored))

    def encode(self) -> bytes:
        """Return the secrets in clear, to be sealed at once."""
        return msgspec.json.encode(
            [_Stored(pair.secret.reveal(), pair.signing.reveal(), pair.until) for pair in self.pairs]
        )

    def rolled(self, entropy: Entropy, now: datetime, overlap: timedelta) -> Secrets:
        """Return a fresh pair in front; those before it go on signing beside it until *overlap* has passed."""
        retiring = tuple(pair.ends(now + overlap) for pair in self.valid(now)) if overlap else ()
        if len(retiring) > MAX_RETIRING:
            raise TooManySecretsError
        return Secrets((Pair.generate(entropy), *retiring))

    def valid(self, now: datetime) -> tuple[Pair, ...]:
        """Return the pairs that sign at *now*."""
        return tuple(pair for pair in self.pairs if pair.until is None or now < pair.until)

    def headers(self, message_id: str, now: datetime, body: bytes) -> dict[str, str]:
        """Return the signature headers of an attempt at *now*: every valid pair signs."""
        pairs = self.valid(now)
        return webhooks.headers(
            message_id, now, body, [pair.secret for pair in pairs], [pair.signing for pair in pairs]
        )

    @property
    def shown(self) -> Secret[str]:
        """The current shared secret, as its owner sees it once."""
        return self.pairs[0].secret

    @property
    def public_key(self) -> str:
        """The `whpk_` that checks the current `v1a` signatures."""
        return webhooks.public_of(self.pairs[0].signing)


class Ready:
    """The secrets of an endpoint, their keys read once; what deliveries are signed with."""

    __slots__ = ("_signers",)

    def __init__(self, secrets: Secrets) -> None:
        self._signers = [(pair.until, webhooks.Signer(pair.secret, pair.signing)) for pair in secrets.pairs]

    def headers(self, message_id: str, now: datetime, body: bytes) -> dict[str, str]:
        """Return the signature headers of an attempt at *now*: every valid pair signs."""
        valid = [signer for until, signer in self._signers if until is None or now < until]
        return webhooks.headers_by(valid, message_id, now, body)


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    secret: str
    signing: str
    until: datetime | None

    def __repr__(self) -> str:
        return "<webhook secrets: not shown>"

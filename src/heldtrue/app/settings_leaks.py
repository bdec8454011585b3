"""The section `[leaks]`: who may report leaked keys, and what becomes of a key that is reported."""

from __future__ import annotations

import functools
from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec

from heldtrue.capabilities.access.leaks import Policy, Reporter
from heldtrue.crypto.ecdsa import NotP256Error, P256Key
from heldtrue.kernel.errors import SettingsError


class LeakReporter(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Somebody whose signed reports are believed."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]{1,40}$(?!\\n)")]
    key_id: Annotated[str, msgspec.Meta(pattern="^[!-~]{1,200}$(?!\\n)")]
    """What it sends as `Github-Public-Key-Identifier`."""
    public_key: str
    """A PEM file with its P-256 public key."""
    policy: Policy = "revoke"
    """`revoke`: a secret key is revoked at once; `notify`: it is only marked, and its owner's ledger says so."""


class Leaks(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Reports of leaked keys."""

    reporters: tuple[LeakReporter, ...] = ()

    def __post_init__(self) -> None:
        ids = Counter(reporter.key_id for reporter in self.reporters)
        for key_id, count in ids.items():
            if count > 1:
                raise SettingsError(
                    f"leaks.reporters: the key_id {key_id} stands {count} times",
                    advice="Name each key once; a reporter with two keys has two entries.",
                )


@functools.cache
def reporters(leaks: Leaks) -> tuple[Reporter, ...]:
    """Return the reporters with their keys; read before the fork, because a service user may not be able to."""
    return tuple(Reporter(one.name, one.key_id, _key(one), one.policy) for one in leaks.reporters)


def _key(one: LeakReporter) -> P256Key:
    try:
        return P256Key.parse(Path(one.public_key).read_bytes())
    except OSError as error:
        raise SettingsError(
            f"leaks.reporters: {one.public_key} cannot be read: {error.strerror}", advice="Check the path."
        ) from error
    except NotP256Error as error:
        raise SettingsError(f"leaks.reporters: {one.public_key}: {error.message}", advice="Copy it again.") from error

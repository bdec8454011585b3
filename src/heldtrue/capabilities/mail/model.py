"""Addresses that receive mail, and what each makes of an unproven sender; no SQL, no SMTP."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from heldtrue.crypto.digest import sha256
from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.errors import ConflictError, NotFoundError
from heldtrue.kernel.ids import AddressId, Entropy, TenantId

LOCAL_LETTERS = 26
"""Of base32 in a local part: 130 bits, which nobody guesses."""
_LOCAL = re.compile(r"[a-z2-7]{26}")

Ruling = Literal["accept", "flag", "refuse"]
"""What is done with a message whose check did not pass."""
_ORDER: tuple[Ruling, ...] = ("accept", "flag", "refuse")
AddressState = Literal["active", "revoked"]


class NoSuchAddressError(NotFoundError):
    """There is no such mail address in this organisation and environment; check the id."""

    code = "no-such-address"


class MailOffError(ConflictError):
    """This instance takes no mail; ask its operator to set `domain` and `listen` under `[mail]`."""

    code = "mail-off"


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done with a message whose sender is not proven, by check; `flag` keeps it and says so."""

    spf: Ruling = "flag"
    dkim: Ruling = "accept"
    dmarc: Ruling = "flag"

    def strictest(self, other: Policy) -> Policy:
        """Return the stricter of both in each check: one message may go to several addresses."""
        return Policy(
            spf=_stricter(self.spf, other.spf),
            dkim=_stricter(self.dkim, other.dkim),
            dmarc=_stricter(self.dmarc, other.dmarc),
        )


def _stricter(one: Ruling, other: Ruling) -> Ruling:
    return one if _ORDER.index(one) > _ORDER.index(other) else other


class AddressConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed of an address."""

    local: str
    label: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address as the listener knows it: where its mail goes, and under which policy."""

    id: AddressId
    tenant: TenantId
    environment: str
    policy: Policy

    @property
    def place(self) -> tuple[TenantId, str]:
        """The organisation and environment that its mail belongs to."""
        return self.tenant, self.environment


def new_local_part(entropy: Entropy) -> str:
    """Return a fresh local part: 26 letters of base32 in lower case (RFC 4648, section 6)."""
    return base64.b32encode(entropy(20)).decode("ascii").lower()[:LOCAL_LETTERS]


def local_digest(local: str) -> bytes:
    """Return what an address is looked up by; *local* in any case."""
    return sha256(local.lower().encode("utf-8", "surrogateescape"))


def is_local_part(local: str) -> bool:
    """Return whether *local* could be one of ours."""
    return _LOCAL.fullmatch(local.lower()) is not None


# ---------------------------------------------------------------- wire

Label = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$(?!\n)")]
"""Names a flow, or whatever the owner sorts by."""


class CreateAddress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a mail address."""

    label: Label | None = None
    description: Annotated[str, msgspec.Meta(max_length=200)] = ""
    policy: Policy = Policy()


class TheAddress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a mail address."""

    address_id: str


class ListAddresses(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for mail addresses, newest first."""

    state: AddressState | None = None


class AddressView(msgspec.Struct, frozen=True, kw_only=True):
    """A mail address: whoever knows it can send to it, so it is shown to its owner alone."""

    id: str
    address: str
    """Where this instance takes no mail at present: the local part alone."""
    receives: bool
    """Whether mail to it is taken: it is active, and the instance takes mail."""
    label: str | None
    description: str
    policy: Policy
    state: AddressState
    created_at: datetime
    revoked_at: datetime | None


class AddressRevoked(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a revocation: nothing is taken at the address any more."""

    id: str
    state: AddressState
    revoked_at: datetime

"""What travels of API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from heldtrue.capabilities.access.model import LONGEST_OVERLAP, ApiKey
from heldtrue.capabilities.access.restrictions import MOST_ADDRESSES, MOST_GRANTS, MOST_ORIGINS
from heldtrue.capabilities.tenants.model import EnvironmentName
from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.ids import KeyId
from heldtrue.kernel.secret import Secret
from heldtrue.op import Actor
from heldtrue.policy.permissions import Permission

KeyName = Annotated[str, msgspec.Meta(min_length=1, max_length=200, description="What the key is for; kept sealed.")]
CustomerRole = Literal["admin", "sender", "reader", "publishable"]
Scopes = Annotated[list[Permission], msgspec.Meta(description="Narrows the role; null: the whole role.")]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Grants = Annotated[
    list[Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_.:-]{0,63}$(?!\\n)")]],
    msgspec.Meta(
        max_length=MOST_GRANTS,
        description="Scope names of your own API, as `orders.read`, each once.",
        extra_json_schema={"uniqueItems": True},
    ),
]
Origins = Annotated[
    list[str],
    msgspec.Meta(max_length=MOST_ORIGINS, description="Web origins that it may be used from; empty: any."),
]
Addresses = Annotated[
    list[str], msgspec.Meta(max_length=MOST_ADDRESSES, description="Networks that it may be used from; empty: any.")
]


class IssueKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a key of the caller's own organisation and environment."""

    name: KeyName
    role: CustomerRole
    scopes: Scopes | None = None
    expires_at: Moment | None = None
    grants: Grants = []
    origins: Origins = []
    addresses: Addresses = []


class IssueAnyKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask, as the operator, for a key of an organisation."""

    organisation_id: str
    name: KeyName
    role: CustomerRole = "admin"
    environment: EnvironmentName = "live"
    scopes: Scopes | None = None
    expires_at: Moment | None = None
    grants: Grants = []
    origins: Origins = []
    addresses: Addresses = []


class NamedKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name a key."""

    key_id: str


class RollKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a key's successor."""

    key_id: str
    overlap_seconds: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=int(LONGEST_OVERLAP.total_seconds()), description="For how long the old key still works."
        ),
    ] = 3600


class ListKeys(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a page of the keys."""


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without its secret, which nobody has but its holder."""

    id: str
    name: str
    environment: str
    type: str
    role: str
    scopes: list[str] | None
    last4: str
    state: str
    """`active`, `expired` or `revoked`."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    rolled_to: str | None
    """The key that this one was rolled to."""
    grants: list[str]
    origins: list[str]
    addresses: list[str]
    last_used_at: datetime | None
    """To the minute; null: not yet."""
    rotate_by: datetime
    """When it is a year old."""
    rotation_due: bool
    """Older than a year, at work, and not rolled."""
    leaked_at: datetime | None
    """When a reporter found it in public; null: never."""


class IssuedKey(KeyRecord, frozen=True, kw_only=True):
    """A key with its secret, which is shown this once."""

    secret: Secret[str] | None
    """Null when the request was repeated: then roll the key for another."""


class Self(msgspec.Struct, frozen=True, kw_only=True):
    """Who the caller is."""

    id: str
    """The key's id."""
    organisation_id: str
    environment: str
    role: str
    permissions: list[str]


def record_of(key: ApiKey, name: str, now: datetime, last_used_at: datetime | None = None) -> KeyRecord:
    """Return a key as it travels."""
    return KeyRecord(
        id=str(key.id),
        name=name,
        environment=key.environment,
        type=key.type,
        role=key.role.value,
        scopes=None if key.scopes is None else sorted(key.scopes),
        last4=key.last4,
        state=key.shown_state(now),
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        rolled_to=None if key.rolled_to is None else str(KeyId(key.rolled_to)),
        grants=sorted(key.restrictions.grants),
        origins=list(key.restrictions.origins),
        addresses=list(key.restrictions.addresses),
        last_used_at=last_used_at,
        rotate_by=key.rotate_by,
        rotation_due=key.rotation_due(now),
        leaked_at=key.leaked_at,
    )


def issued(key: ApiKey, name: str, now: datetime, secret: Secret[str]) -> IssuedKey:
    """Return a fresh key as it travels once."""
    return IssuedKey(**msgspec.structs.asdict(record_of(key, name, now)), secret=secret)


def self_of(actor: Actor) -> Self:
    """Return who *actor* is."""
    return Self(
        id=str(actor.key),
        organisation_id=str(actor.tenant),
        environment=actor.environment,
        role=actor.role.value if actor.role is not None else "none",
        permissions=sorted(actor.permissions),
    )

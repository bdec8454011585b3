"""What the edge knows of one credential, and of what many have in common.

A key takes about 300 bytes: what many share (role, scopes, origins, organisation) is one object, and its caller is made
when it is first used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, SafeUUID

from heldtrue.capabilities.edge.model import Caller
from heldtrue.capabilities.edge.restrict import Networks, Origins
from heldtrue.kernel.ids import Id, KeyId, TenantId
from heldtrue.policy.permissions import GRANTS, Permission, Role, allowed

_ROLES = {role.value: role for role in Role}
_PERMISSIONS = {permission.value: permission for permission in Permission}


class Organisation:
    """An organisation as the edge knows it; shared by all its keys, replaced with all of them or not at all."""

    __slots__ = ("active", "tenant")

    def __init__(self, tenant: TenantId, *, active: bool) -> None:
        self.tenant = tenant
        self.active = active
        """The one thing that changes in place: all keys of the organisation see it at once."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What many keys have in common."""

    environment: str
    type: str
    role: Role
    permissions: frozenset[Permission]
    grants: frozenset[str]
    origins: Origins | None
    """None: any."""
    networks: Networks | None
    """None: any."""
    bound: bool
    """Whether there are origins or networks."""


class KeyFacts:
    """What is known of one key."""

    __slots__ = ("caller", "digest", "ends", "id", "organisation", "profile", "revoked")

    def __init__(
        self,
        id: bytes,  # noqa: A002 - the name of the thing
        digest: bytes,
        organisation: Organisation,
        profile: Profile,
        ends: datetime | None,
        *,
        revoked: bool,
    ) -> None:
        self.id = id
        self.digest = digest
        self.organisation = organisation
        self.profile = profile
        self.ends = ends
        self.revoked = revoked
        self.caller: Caller | None = None
        """The holder; None before the key's first use."""

    def meet(self) -> Caller:
        """Return the holder, made now and remembered.

        Its fields are set one by one, which takes half as long as the class's own way: it is the larger part of a
        decision about a key that was not used before.
        """
        profile = self.profile
        uuid, key, made = _new(UUID), _new(KeyId), _new(Caller)
        _set_int(uuid, int.from_bytes(self.id))
        _set_safe(uuid, SafeUUID.unknown)
        _set_value(key, uuid)
        _set_kind(made, "key")
        _set_type(made, profile.type)
        _set_tenant(made, self.organisation.tenant)
        _set_environment(made, profile.environment)
        _set_key(made, key)
        _set_role(made, profile.role)
        _set_subject(made, f"key_{self.id.hex()}")
        _set_session(made, None)
        _set_permissions(made, profile.permissions)
        _set_grants(made, profile.grants)
        self.caller = made
        return made


def _setters(kind: type) -> list[Callable[[object, object], None]]:
    return [kind.__dict__[name].__set__ for name in kind.__slots__]  # type: ignore[attr-defined]


_new = object.__new__
_set_int, _set_safe = (UUID.__dict__[name].__set__ for name in ("int", "is_safe"))
(_set_value,) = _setters(Id)
(
    _set_kind, _set_type, _set_tenant, _set_environment, _set_key, _set_role, _set_subject, _set_session,
    _set_permissions, _set_grants,
) = _setters(Caller)  # fmt: skip


class KeyRow(NamedTuple):
    """A key as it is stored: ids as 16 bytes, lists as tuples, None for an empty one."""

    tenant: bytes
    id: bytes
    digest: bytes
    environment: str
    type: str
    role: str
    scopes: tuple[str, ...] | None
    grants: tuple[str, ...] | None
    origins: tuple[str, ...] | None
    addresses: tuple[str, ...] | None
    active: bool
    ends: datetime | None


@dataclass(frozen=True, slots=True)
class SigningRow:
    """A key that session tokens are signed with."""

    id: UUID
    state: str
    public: bytes
    accept_until: datetime | None


def profile_of(row: KeyRow) -> Profile | None:
    """Return what *row* shares with others; None for a role that this version does not know.

    Unknown scopes give nothing. A publishable key may only send, whatever role was written beside it.
    """
    role = _ROLES.get(row.role)
    if role is None:
        return None
    scopes = None if row.scopes is None else frozenset(_PERMISSIONS[one] for one in row.scopes if one in _PERMISSIONS)
    may = allowed(role, scopes)
    if row.type == "pk":
        may &= GRANTS[Role.PUBLISHABLE]
    return Profile(
        environment=row.environment,
        type=row.type,
        role=role,
        permissions=may,
        grants=frozenset(row.grants or ()),
        origins=Origins(row.origins) if row.origins else None,
        networks=Networks(row.addresses) if row.addresses else None,
        bound=bool(row.origins or row.addresses),
    )

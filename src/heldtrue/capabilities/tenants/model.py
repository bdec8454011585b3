"""Organisations and environments, as they are remembered and as they travel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.errors import BadInputError, ConflictError, NotFoundError
from heldtrue.kernel.ids import TenantId

Kind = Literal["operator", "customer", "synthetic"]
NAMES = "names"
"""The purpose of the tenant key that names are sealed under."""
WHOLE = ""
"""The environment of what belongs to an organisation as a whole: its own name."""
OPERATOR_ENVIRONMENT = "operator"

_ENVIRONMENT = re.compile(r"[a-z0-9]{1,16}")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, description="What people call it; kept sealed.")]
EnvironmentName = Annotated[
    str,
    msgspec.Meta(
        pattern="^(?!operator$)[a-z0-9]{1,16}$(?!\\n)", description="1 to 16 of a-z and 0-9, as `live` or `test`."
    ),
]


class EnvironmentNameError(BadInputError):
    """An environment's name is 1 to 16 of a-z and 0-9; `operator` is taken."""

    code = "environment-name"


class EnvironmentExistsError(ConflictError):
    """The organisation has an environment of this name; use it, or choose another name."""

    code = "environment-exists"


class UnknownOrganisationError(NotFoundError):
    """There is no such organisation; `GET /v1/organisations` lists those there are."""

    code = "unknown-organisation"


class UnknownEnvironmentError(NotFoundError):
    """The organisation has no environment of this name; create it first."""

    code = "unknown-environment"


@dataclass(frozen=True, slots=True)
class Organisation:
    """One organisation, with its name opened."""

    id: TenantId
    kind: str
    state: str
    name: str
    environments: Sequence[str]
    created_at: datetime


class CreateOrganisation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for an organisation."""

    name: Name
    environments: Annotated[
        list[EnvironmentName], msgspec.Meta(min_length=1, max_length=16, extra_json_schema={"uniqueItems": True})
    ] = msgspec.field(default_factory=lambda: ["live"])
    """What it begins with."""


class CreateEnvironment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for one more environment of an organisation."""

    organisation_id: str
    environment: EnvironmentName


class ListOrganisations(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a page of the organisations."""


class OrganisationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation, as the operator sees it; nothing that it stores is here."""

    id: str
    name: str
    kind: Kind
    state: str
    environments: list[str]
    created_at: datetime


class EnvironmentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An environment of an organisation."""

    organisation_id: str
    environment: str
    created_at: datetime


def judge_environments(names: Sequence[str]) -> None:
    """Return when *names* can be a customer's environments; raise `EnvironmentNameError` otherwise."""
    for name in names:
        if not _ENVIRONMENT.fullmatch(name) or name == OPERATOR_ENVIRONMENT:
            raise EnvironmentNameError(f"{name[:40]!r} cannot be an environment's name.")
    if len(set(names)) != len(names):
        raise EnvironmentNameError("An environment is named twice.")


def record_of(organisation: Organisation) -> OrganisationRecord:
    """Return an organisation as it travels."""
    return OrganisationRecord(
        id=str(organisation.id),
        name=organisation.name,
        kind=organisation.kind,  # pyright: ignore[reportArgumentType] - the table's own check
        state=organisation.state,
        environments=list(organisation.environments),
        created_at=organisation.created_at,
    )

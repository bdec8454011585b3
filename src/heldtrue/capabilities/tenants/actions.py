"""What the operator does with organisations. It never sees what they store."""

from __future__ import annotations

from collections.abc import Sequence

from heldtrue.capabilities.tenants import model, store
from heldtrue.capabilities.tenants.model import (
    CreateEnvironment,
    CreateOrganisation,
    EnvironmentExistsError,
    EnvironmentRecord,
    Kind,
    ListOrganisations,
    Organisation,
    OrganisationRecord,
    UnknownEnvironmentError,
    UnknownOrganisationError,
)
from heldtrue.capabilities.tenants.store import OrganisationRow
from heldtrue.db.tx import SystemTx
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import TenantId
from heldtrue.op import AuditEvent, SystemOperation


def create_organisation(op: SystemOperation, asked: CreateOrganisation) -> OrganisationRecord:
    """Create a customer's organisation with its environments; its own ledger begins with this."""
    model.judge_environments(asked.environments)
    made = found(op, asked.name, "customer", asked.environments)
    return model.record_of(made)


def found(op: SystemOperation, name: str, kind: Kind, environments: Sequence[str]) -> Organisation:
    """Create an organisation of any *kind*; `synthetic` ones are what claims are tested with."""
    tenant = TenantId.new(op.now, op.entropy)
    keys = op.keys_of(tenant, model.WHOLE)
    sealed = keys.seal(model.NAMES, "organisations", "name_sealed", str(tenant.value), name.encode())
    store.insert(op.tx, tenant.value, kind, sealed, op.now)
    for environment in environments:
        store.insert_environment(op.tx, tenant.value, environment, op.now)
        event = AuditEvent(event="environment.created", subject=str(tenant), detail={"environment": environment})
        op.record_for(tenant, environment, event)
    return Organisation(tenant, kind, "active", name, sorted(environments), op.now)


def list_organisations(op: SystemOperation, asked: ListOrganisations) -> Listing[OrganisationRecord]:
    """List the organisations, the newest first."""
    rows = store.page(op.tx, asked.after(), asked.limit + 1)
    return listing(rows, asked, lambda row: model.record_of(_opened(op, row)), lambda row: row.tenant_id)


def create_environment(op: SystemOperation, asked: CreateEnvironment) -> Answer:
    """Add an environment to an organisation."""
    model.judge_environments([asked.environment])
    tenant = known(op, asked.organisation_id).id
    if not store.insert_environment(op.tx, tenant.value, asked.environment, op.now):
        raise EnvironmentExistsError
    detail = {"environment": asked.environment}
    event = AuditEvent(event="environment.created", subject=str(tenant), detail=detail)
    op.record_for(tenant, asked.environment, event)
    record = EnvironmentRecord(organisation_id=str(tenant), environment=asked.environment, created_at=op.now)
    return Answer(body=record, subject=str(tenant), detail=detail)


def known(op: SystemOperation, organisation_id: str) -> Organisation:
    """Return the organisation of this id; raise `UnknownOrganisationError`."""
    row = store.get(op.tx, TenantId.parse(organisation_id).value)
    if row is None:
        raise UnknownOrganisationError
    return _opened(op, row)


def known_environment(op: SystemOperation, organisation_id: str, environment: str) -> Organisation:
    """Return the organisation of this id if it has *environment*; raise what is a `NotFoundError` otherwise."""
    organisation = known(op, organisation_id)
    if environment not in organisation.environments:
        raise UnknownEnvironmentError(f"This organisation has no environment {environment[:40]!r}.")
    return organisation


def operator(op: SystemOperation) -> TenantId | None:
    """Return the operator's organisation; None before it exists."""
    found_id = store.operator(op.tx)
    return None if found_id is None else TenantId(found_id)


def operator_in(tx: SystemTx) -> TenantId | None:
    """Return the operator's organisation within *tx*; None before it exists."""
    found_id = store.operator(tx)
    return None if found_id is None else TenantId(found_id)


def _opened(op: SystemOperation, row: OrganisationRow) -> Organisation:
    tenant = TenantId(row.tenant_id)
    try:
        keys = op.keys_of(tenant, model.WHOLE)
        name = keys.open(model.NAMES, "organisations", "name_sealed", str(tenant.value), row.name_sealed).decode()
    except NotFoundError:
        name = "(erased)"  # its keys are destroyed, and with them its name
    return Organisation(tenant, row.kind, row.state, name, row.environments, row.created_at)

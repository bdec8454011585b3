"""What can be done with endpoints: register, look at, roll, disable, enable, delete."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from heldtrue.capabilities.deliveries import queue, store
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.model import (
    Config,
    EnableEndpoint,
    EndpointEnabled,
    EndpointStopped,
    EndpointView,
    EndpointWithSecret,
    ListEndpoints,
    NoSuchEndpointError,
    RegisterEndpoint,
    RollEndpoint,
    TheEndpoint,
    check_url,
)
from heldtrue.capabilities.deliveries.signatures import Secrets
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.ids import EndpointId
from heldtrue.op import AuditEvent, Operation

PURPOSE = "endpoint"
"""The purpose of the tenant key that an endpoint's settings and secrets are sealed under."""
DISABLED = "endpoint.disabled"
BY_CUSTOMER = "customer"
GONE = "gone"


def register_endpoint(op: Operation, asked: RegisterEndpoint, allow: AllowList) -> EndpointWithSecret:
    """Register an endpoint; its secret is shown once."""
    config = Config(check_url(asked.url, allow), asked.description)
    endpoint = EndpointId.new(op.now, op.entropy)
    secrets = Secrets.generate(op.entropy)
    row = store.EndpointRow(
        endpoint_id=endpoint.value,
        state="enabled",
        disabled_for=None,
        config_sealed=_seal(op, endpoint, "config", msgspec.json.encode(config)),
        secrets_sealed=_seal(op, endpoint, "secrets", secrets.encode()),
        created_at=op.now,
    )
    store.insert(op.tx, op.tenant.value, op.environment, row)
    return _with_secret(endpoint, row, config, secrets)


def list_endpoints(op: Operation, asked: ListEndpoints) -> Listing[EndpointView]:
    """List the environment's endpoints, newest first."""
    rows = store.endpoints(op.tx, asked.after(), asked.limit + 1)
    return listing(rows, asked, lambda row: _view(op, row), lambda row: row.endpoint_id)


def get_endpoint(op: Operation, asked: TheEndpoint) -> EndpointView:
    """Tell what is known of an endpoint."""
    row = store.endpoint(op.tx, EndpointId.parse(asked.endpoint_id).value)
    if row is None:
        raise NoSuchEndpointError
    return _view(op, row)


def roll_endpoint(op: Operation, asked: RollEndpoint) -> EndpointWithSecret:
    """Give the endpoint a new secret; deliveries are signed with both until the overlap ends."""
    endpoint, row = _locked(op, asked.endpoint_id)
    overlap = timedelta(seconds=asked.overlap_seconds)
    secrets = secrets_of(op, row).rolled(op.entropy, op.now, overlap)
    store.set_secrets(op.tx, endpoint.value, _seal(op, endpoint, "secrets", secrets.encode()))
    answer = _with_secret(endpoint, row, config_of(op, row), secrets)
    return msgspec.structs.replace(answer, former_until=op.now + overlap if overlap else None)


def disable_endpoint(op: Operation, asked: TheEndpoint) -> EndpointStopped:
    """Send nothing more to the endpoint; what waits for it is held, and so is what comes for it."""
    endpoint, _ = _locked(op, asked.endpoint_id)
    held = disable(op, endpoint, BY_CUSTOMER)
    return EndpointStopped(id=str(endpoint), state="disabled", deliveries=held)


def enable_endpoint(op: Operation, asked: EnableEndpoint) -> EndpointEnabled:
    """Send to the endpoint again; what was held is sent where this is asked for, and can be replayed one by one."""
    endpoint, _ = _locked(op, asked.endpoint_id)
    store.set_state(op.tx, endpoint.value, "enabled", None)
    released = queue.release(op.tx, endpoint.value, op.now) if asked.replay_held else 0
    return EndpointEnabled(id=str(endpoint), state="enabled", replayed=released)


def delete_endpoint(op: Operation, asked: TheEndpoint) -> EndpointStopped:
    """Forget the endpoint's URL and secrets; what waits for it ends as failed, its receipts stay."""
    endpoint, _ = _locked(op, asked.endpoint_id)
    ended = queue.end_for_endpoint(op.tx, endpoint.value, op.now)
    store.delete(op.tx, endpoint.value)
    return EndpointStopped(id=str(endpoint), state="deleted", deliveries=ended)


def disable(op: Operation, endpoint: EndpointId, why: str) -> int:
    """Disable an endpoint that is locked, hold what waits for it, and return how many deliveries that are."""
    store.set_state(op.tx, endpoint.value, "disabled", why)
    held = queue.hold(op.tx, endpoint.value)
    op.record(AuditEvent(event=DISABLED, subject=str(endpoint), detail={"why": why, "held": held}))
    return held


def config_of(op: Operation, row: store.EndpointRow) -> Config:
    """Open what the owner wrote."""
    plain = op.keys.open(PURPOSE, "endpoints", "config", str(row.endpoint_id), row.config_sealed)
    return msgspec.json.decode(plain, type=Config)


def secrets_of(op: Operation, row: store.EndpointRow) -> Secrets:
    """Open what deliveries are signed with."""
    return Secrets.decode(op.keys.open(PURPOSE, "endpoints", "secrets", str(row.endpoint_id), row.secrets_sealed))


def _locked(op: Operation, text: str) -> tuple[EndpointId, store.EndpointRow]:
    endpoint = EndpointId.parse(text)
    row = store.lock(op.tx, endpoint.value)
    if row is None:
        raise NoSuchEndpointError
    return endpoint, row


def _seal(op: Operation, endpoint: EndpointId, column: str, plain: bytes) -> bytes:
    return op.keys.seal(PURPOSE, "endpoints", column, str(endpoint.value), plain)


def _view(op: Operation, row: store.EndpointRow) -> EndpointView:
    config = config_of(op, row)
    return EndpointView(
        id=str(EndpointId(row.endpoint_id)),
        url=config.url,
        description=config.description,
        state=row.state,
        disabled_for=row.disabled_for,
        public_key=secrets_of(op, row).public_key,
        created_at=row.created_at,
    )


def _with_secret(endpoint: EndpointId, row: store.EndpointRow, config: Config, secrets: Secrets) -> EndpointWithSecret:
    return EndpointWithSecret(
        id=str(endpoint),
        url=config.url,
        description=config.description,
        state=row.state,
        public_key=secrets.public_key,
        secret=secrets.shown,
        created_at=row.created_at,
    )

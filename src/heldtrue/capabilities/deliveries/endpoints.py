"""What can be done with endpoints: register, look at, roll, disable, enable, delete."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from heldtrue.capabilities.deliveries import fanout, health, settling, store
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.breaker import Health
from heldtrue.capabilities.deliveries.endpoint_model import (
    Config,
    EnableEndpoint,
    EndpointEnabled,
    EndpointStopped,
    EndpointView,
    EndpointWithSecret,
    ListEndpoints,
    RegisterEndpoint,
    RollEndpoint,
    TheEndpoint,
    UpdateEndpoint,
)
from heldtrue.capabilities.deliveries.model import NoSuchEndpointError, check_url
from heldtrue.capabilities.deliveries.signatures import Secrets
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.ids import EndpointId
from heldtrue.op import AuditEvent, Operation

PURPOSE = "endpoint"
"""The purpose of the tenant key that an endpoint's settings and secrets are sealed under."""
DISABLED = "endpoint.disabled"
BY_CUSTOMER = "customer"
GONE = "gone"
FAILING = "failing"
DISABLE_AFTER = timedelta(days=5)
"""An endpoint that nothing was delivered to for so long is disabled."""


def register_endpoint(op: Operation, asked: RegisterEndpoint, allow: AllowList) -> EndpointWithSecret:
    """Register an endpoint; its secret is shown once."""
    fanout.check(asked.filter, asked.ordered_by)
    config = Config(
        check_url(asked.url, allow), asked.description, list(asked.event_types), list(asked.filter), asked.ordered_by,
        asked.by_value_up_to,
    )  # fmt: skip
    endpoint = EndpointId.new(op.now, op.entropy)
    secrets = Secrets.generate(op.entropy)
    row = store.EndpointRow(
        endpoint_id=endpoint.value,
        state="enabled",
        disabled_for=None,
        config_sealed=_seal(op, endpoint, "config", msgspec.json.encode(config)),
        secrets_sealed=_seal(op, endpoint, "secrets", secrets.encode()),
        created_at=op.now,
        concurrency=asked.concurrency,
        rate=asked.rate_per_second,
    )
    store.insert(op.tx, op.tenant.value, op.environment, row)
    return _with_secret(endpoint, row, config, secrets)


def list_endpoints(op: Operation, asked: ListEndpoints) -> Listing[EndpointView]:
    """List the environment's endpoints, newest first."""
    rows = store.endpoints(op.tx, asked.after(), asked.limit + 1)
    amiss = health.of(op.tx, [row.endpoint_id for row in rows])
    return listing(rows, asked, lambda row: _view(op, row, amiss.get(row.endpoint_id)), lambda row: row.endpoint_id)


def get_endpoint(op: Operation, asked: TheEndpoint) -> EndpointView:
    """Tell what is known of an endpoint."""
    row = store.endpoint(op.tx, EndpointId.parse(asked.endpoint_id).value)
    if row is None:
        raise NoSuchEndpointError
    return _view(op, row, health.of(op.tx, [row.endpoint_id]).get(row.endpoint_id))


def update_endpoint(op: Operation, asked: UpdateEndpoint, allow: AllowList) -> EndpointView:
    """Change an endpoint's settings; what is left out stays as it is."""
    endpoint, row = _locked(op, asked.endpoint_id)
    given = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not msgspec.UNSET}
    del given["endpoint_id"]
    concurrency = given.pop("concurrency", row.concurrency)
    rate = given.pop("rate_per_second", row.rate)
    config = msgspec.structs.replace(config_of(op, row), **given)
    check_url(config.url, allow)
    fanout.check(config.filter, config.ordered_by)
    sealed = _seal(op, endpoint, "config", msgspec.json.encode(config))
    store.set_options(op.tx, endpoint.value, sealed, concurrency, rate)
    return get_endpoint(op, TheEndpoint(endpoint_id=asked.endpoint_id))


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
    health.forget(op.tx, endpoint.value)
    released = settling.release(op.tx, endpoint.value, op.now) if asked.replay_held else 0
    return EndpointEnabled(id=str(endpoint), state="enabled", replayed=released)


def delete_endpoint(op: Operation, asked: TheEndpoint) -> EndpointStopped:
    """Forget the endpoint's URL and secrets; what waits for it ends as failed, its receipts stay."""
    endpoint, _ = _locked(op, asked.endpoint_id)
    ended = settling.end_for_endpoint(op.tx, endpoint.value, op.now)
    health.forget(op.tx, endpoint.value)
    store.delete(op.tx, endpoint.value)
    return EndpointStopped(id=str(endpoint), state="deleted", deliveries=ended)


def disable(op: Operation, endpoint: EndpointId, why: str) -> int:
    """Disable an endpoint that is locked, hold what waits for it, and return how many deliveries that are."""
    store.set_state(op.tx, endpoint.value, "disabled", why)
    held = settling.hold(op.tx, endpoint.value)
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


def _view(op: Operation, row: store.EndpointRow, amiss: Health | None) -> EndpointView:
    config, known = config_of(op, row), amiss or Health()
    return EndpointView(
        id=str(EndpointId(row.endpoint_id)),
        url=config.url,
        description=config.description,
        state=row.state,
        disabled_for=row.disabled_for,
        public_key=secrets_of(op, row).public_key,
        created_at=row.created_at,
        event_types=config.event_types,
        filter=config.filter,
        ordered_by=config.ordered_by,
        by_value_up_to=config.by_value_up_to,
        concurrency=row.concurrency,
        rate_per_second=row.rate,
        circuit=known.circuit(op.now),
        circuit_until=known.open_until,
        failures_in_a_row=known.failures,
        failing_since=known.failing_since,
        disabling_at=known.failing_since + DISABLE_AFTER if known.failing_since and row.state == "enabled" else None,
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

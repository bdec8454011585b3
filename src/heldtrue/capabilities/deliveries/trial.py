"""Send an endpoint a test event, signed as every other, and tell what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from heldtrue.capabilities.deliveries import endpoints, fanout, health, notices, queue, settling, store
from heldtrue.capabilities.deliveries.dialer import Post, Response
from heldtrue.capabilities.deliveries.endpoint_model import EndpointTested
from heldtrue.capabilities.deliveries.model import NoSuchEndpointError
from heldtrue.capabilities.deliveries.signatures import Ready
from heldtrue.http.exchange import Answer, Exchange
from heldtrue.http.transaction import tenant_operation
from heldtrue.kernel.ids import AttemptId, DeliveryId, EndpointId
from heldtrue.op import Operation


@dataclass(frozen=True, slots=True)
class _Aim:
    delivery: DeliveryId
    body: bytes
    url: str
    ready: Ready


async def try_endpoint(exchange: Exchange, post: Post) -> Answer:
    """Send `endpoint.test` at once, past queue, circuit and limits; record it as a delivery with its one attempt.

    It is sent before it is recorded: a crash between the two leaves a test that nobody can look up. A disabled endpoint
    can be tested too, before it is enabled. What was delivered closes an open circuit.
    """
    endpoint = EndpointId.parse(exchange.path["endpoint_id"])
    aim = await exchange.in_thread(_aim, exchange, endpoint)
    started = exchange.clock.now()
    headers = aim.ready.headers(str(aim.delivery), started, aim.body)
    response = await post(aim.url, aim.body, headers, started)
    return await exchange.transact(lambda op: _keep(op, endpoint, aim, started, response))


def _data(endpoint: EndpointId) -> Mapping[str, Any]:
    return {"endpoint": str(endpoint), "note": "A test. Nothing happened."}


def _aim(exchange: Exchange, endpoint: EndpointId) -> _Aim:
    with tenant_operation(exchange.ports, exchange.actor, exchange.request) as op:
        row = store.endpoint(op.tx, endpoint.value)
        if row is None:
            raise NoSuchEndpointError
        body = notices.body(op, fanout.ENDPOINT_TEST, _data(endpoint))
        config, ready = endpoints.config_of(op, row), Ready(endpoints.secrets_of(op, row))
        return _Aim(DeliveryId.new(op.now, op.entropy), body, config.url, ready)


def _keep(op: Operation, endpoint: EndpointId, aim: _Aim, started: datetime, response: Response) -> Answer:
    row = store.lock(op.tx, endpoint.value)
    if row is None:
        raise NoSuchEndpointError
    notice = notices.keep(op, aim.body)
    made = notices.delivery(op, notice, fanout.ENDPOINT_TEST, row, aim.delivery)
    queue.insert(op.tx, op.tenant.value, op.environment, [made])
    attempt = AttemptId.new(op.now, op.entropy).value
    sealed = None
    if response.excerpt:
        sealed = op.keys.seal(endpoints.PURPOSE, "attempts", "excerpt", str(attempt), response.excerpt)
    tried = queue.AttemptRow(attempt, 1, started, response.latency_ms, response.status, response.failure, sealed)
    state = "delivered" if response.delivered else "failed"
    settling.record(
        op.tx, op.tenant.value, op.environment,
        [settling.Settled(made.delivery_id, tried, state, 1, None, op.now)],
    )  # fmt: skip
    if response.delivered:
        health.forget(op.tx, endpoint.value)
    return Answer(
        body=EndpointTested(
            id=str(aim.delivery),
            endpoint_id=str(endpoint),
            delivered=response.delivered,
            status=response.status,
            failure=response.failure,
            latency_ms=response.latency_ms,
            excerpt=None if response.excerpt is None else response.excerpt.decode("utf-8", "replace"),
        ),
        subject=str(endpoint),
        detail={"delivery": str(aim.delivery), "status": response.status, "failure": response.failure},
    )

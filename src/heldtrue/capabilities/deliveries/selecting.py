"""Choose, for payloads that are forwarded, the endpoints that get them: opens what `fanout` decides by."""

from __future__ import annotations

import functools
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from heldtrue.capabilities.deliveries import endpoints, fanout, queue, store
from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.crypto.canonical import MalformedJsonError, parse_strict
from heldtrue.kernel.ids import PayloadId
from heldtrue.kernel.secret import Secret
from heldtrue.op import Operation

ORDER = "order"
"""The purpose of the tenant key that order keys are hashed with: a database tells no values."""

ReadJson = Callable[[Operation, PayloadId], Any]
"""Return a payload as JSON, `fanout.nothing()` where it is none."""


@dataclass(frozen=True, slots=True)
class Selected:
    """A payload on its way to one endpoint."""

    payload: intake.Stored
    endpoint: store.EndpointRow
    by_value: int
    order_key: bytes | None
    blocked: bool
    """Something of the same order key is before it."""


def select(
    op: Operation, payloads: Sequence[intake.Stored], rows: Sequence[store.EndpointRow], read: ReadJson
) -> list[Selected]:
    """Return which of *payloads* goes to which endpoint, in their order."""
    configs = [endpoints.config_of(op, row) for row in rows]
    rules = [config.rules() for config in configs]
    secret = op.keys.secret_for(ORDER) if any(rule.ordered_by is not None for rule in rules) else Secret(b"")
    chosen: list[tuple[intake.Stored, int, bytes | None]] = []
    for payload in payloads:
        document = functools.cache(functools.partial(read, op, payload.id))
        event = fanout.Event(fanout.PAYLOAD_FORWARDED, payload.source, payload.meta.content_type, document)
        for choice in fanout.choose(event, rules):
            key = None if choice.key is None else _hashed(secret, rows[choice.position].endpoint_id, choice.key)
            chosen.append((payload, choice.position, key))
    waiting = {(rows[n].endpoint_id, key) for _, n, key in chosen if key is not None}
    before = queue.unsettled(op.tx, sorted(waiting)) if waiting else set[tuple[UUID, bytes]]()
    selected: list[Selected] = []
    for payload, n, key in chosen:
        place = None if key is None else (rows[n].endpoint_id, key)
        selected.append(Selected(payload, rows[n], configs[n].by_value_up_to, key, place in before))
        if place is not None:
            before.add(place)
    return selected


def reader(objects: ObjectStore) -> ReadJson:
    """Return what reads payloads as JSON out of rows and *objects*."""

    def read(op: Operation, payload: PayloadId) -> Any:
        content = intake.content(op, payload)
        if content.part.meta.jcs_sha256 is None:  # JSON has one; it was held in memory to hash it, so it fits there
            return fanout.nothing()
        try:
            return parse_strict(b"".join(content.pieces(objects)))
        except MalformedJsonError:
            return fanout.nothing()

    return read


def _hashed(secret: Secret[bytes], endpoint: UUID, value: bytes) -> bytes:
    return hmac.digest(secret.reveal(), endpoint.bytes + value, "sha256")[:16]

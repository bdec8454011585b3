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
from heldtrue.capabilities.outputs import actions as outputs
from heldtrue.capabilities.outputs.model import Output
from heldtrue.crypto.canonical import MalformedJsonError, parse_strict
from heldtrue.kernel.ids import EndpointId
from heldtrue.kernel.secret import Secret
from heldtrue.op import Operation

ORDER = "order"
"""The purpose of the tenant key that order keys are hashed with: a database tells no values."""


@dataclass(frozen=True, slots=True)
class Item:
    """What is sent: a payload as it came, or what a flow made of it."""

    payload: intake.Stored
    output: Output | None = None
    wanted: frozenset[EndpointId] | None = None
    """The only endpoints that get it, whatever they ask for; None: those that ask for it."""

    def event(self, document: Callable[[], Any]) -> fanout.Event:
        """Return what `fanout` decides by."""
        if self.output is None:
            type_, content_type = fanout.PAYLOAD_FORWARDED, self.payload.meta.content_type
        else:
            type_, content_type = self.output.meta.event, self.output.meta.content_type
        return fanout.Event(type_, self.payload.source, content_type, document)


ReadJson = Callable[[Operation, Item], Any]
"""Return a payload or an output as JSON, `fanout.nothing()` where it is none."""


@dataclass(frozen=True, slots=True)
class Selected:
    """A payload, or an output of one, on its way to one endpoint."""

    item: Item
    endpoint: store.EndpointRow
    by_value: int
    order_key: bytes | None
    blocked: bool
    """Something of the same order key is before it."""


def select(op: Operation, items: Sequence[Item], rows: Sequence[store.EndpointRow], read: ReadJson) -> list[Selected]:
    """Return which of *items* goes to which endpoint, in their order."""
    configs = [endpoints.config_of(op, row) for row in rows]
    rules = [config.rules() for config in configs]
    secret = op.keys.secret_for(ORDER) if any(rule.ordered_by is not None for rule in rules) else Secret(b"")
    chosen: list[tuple[Item, int, bytes | None]] = []
    for item in items:
        event = item.event(functools.cache(functools.partial(read, op, item)))
        for choice in fanout.choose(event, rules, _positions(item, rows)):
            key = None if choice.key is None else _hashed(secret, rows[choice.position].endpoint_id, choice.key)
            chosen.append((item, choice.position, key))
    waiting = {(rows[n].endpoint_id, key) for _, n, key in chosen if key is not None}
    before = queue.unsettled(op.tx, sorted(waiting)) if waiting else set[tuple[UUID, bytes]]()
    selected: list[Selected] = []
    for item, n, key in chosen:
        place = None if key is None else (rows[n].endpoint_id, key)
        selected.append(Selected(item, rows[n], configs[n].by_value_up_to, key, place in before))
        if place is not None:
            before.add(place)
    return selected


def reader(objects: ObjectStore) -> ReadJson:
    """Return what reads payloads and outputs as JSON out of rows and *objects*."""

    def read(op: Operation, item: Item) -> Any:
        whole, made = item.payload.id, item.output
        content = intake.content(op, whole) if made is None else outputs.content(op, made.id)
        if content.part.meta.jcs_sha256 is None:  # JSON has one; it was held in memory to hash it, so it fits there
            return fanout.nothing()
        try:
            return parse_strict(b"".join(content.pieces(objects)))
        except MalformedJsonError:
            return fanout.nothing()

    return read


def _positions(item: Item, rows: Sequence[store.EndpointRow]) -> frozenset[int] | None:
    """Return where the endpoints stand that an item is meant for; None: for all that ask for it."""
    if item.wanted is None:
        return None
    return frozenset(n for n, row in enumerate(rows) if EndpointId(row.endpoint_id) in item.wanted)


def _hashed(secret: Secret[bytes], endpoint: UUID, value: bytes) -> bytes:
    return hmac.digest(secret.reveal(), endpoint.bytes + value, "sha256")[:16]

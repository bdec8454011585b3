"""Which endpoints an event goes to, and in which sequence: one pure function over what each endpoint asks for.

An endpoint asks for types of events and, of payloads, for those that a filter lets through: all of its conditions must
hold. A condition looks at a place: a JSON Pointer (RFC 6901) into a JSON payload, or one of the words `source` and
`content_type`; it holds when the value there `equals` one, or is one of those `in` a list.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from heldtrue.kernel.errors import BadInputError

PAYLOAD_FORWARDED = "payload.forwarded"
ENDPOINT_TEST = "endpoint.test"
ENDPOINT_DISABLING = "endpoint.disabling"
ENDPOINT_DISABLED = "endpoint.disabled"
FLOW_FAILED = "flow.failed"
EventType = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*){1,4}$(?!\n)", max_length=64)]
"""What an endpoint may ask for: one of the above, or a type that a flow gives its outputs. Whoever asks for
`payload.forwarded` gets outputs of every type too; `endpoint.test` comes only when the endpoint is tested."""
WORDS = ("source", "content_type")
WHOLE = "endpoint"
"""`ordered_by`: everything that goes to the endpoint is one sequence."""
_MISSING = object()

Scalar = str | int | float | bool | None


class FilterError(BadInputError):
    """A filter's condition or an order has a form that is not known; see the guide on deliveries for what there is."""

    code = "endpoint-filter"


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One condition of a filter: exactly one of `equals` and `in`."""

    at: Annotated[str, msgspec.Meta(max_length=512, description="A JSON Pointer, `source` or `content_type`.")]
    equals: Scalar | msgspec.UnsetType = msgspec.UNSET
    among: Annotated[list[Scalar], msgspec.Meta(min_length=1, max_length=100)] | msgspec.UnsetType = msgspec.field(
        default=msgspec.UNSET, name="in"
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """What one endpoint asks for."""

    event_types: Sequence[str]
    filter: Sequence[Condition] = ()
    ordered_by: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What is to be told: its type and, of a payload, what is known of it."""

    type: str
    source: str | None = None
    content_type: str | None = None
    document: Callable[[], Any] = lambda: _MISSING
    """The payload as JSON, `nothing()` where it is none; asked for only when somebody's rules look into it."""

    @property
    def of_payload(self) -> bool:
        """Whether it brings a payload, or what was made of one."""
        return self.source is not None


@dataclass(frozen=True, slots=True)
class Choice:
    """One endpoint that an event goes to, by its position among those asked."""

    position: int
    key: bytes | None
    """What its sequence is named by; None where it has no order."""


def nothing() -> object:
    """Return what stands for a payload that is no JSON."""
    return _MISSING


def choose(event: Event, rules: Sequence[Rules], meant_for: Collection[int] | None = None) -> list[Choice]:
    """Return those of *rules* whose endpoints get the event, in their order, each with the name of its sequence.

    With *meant_for* these positions get it, whatever they ask for, and no others.
    """
    return [
        Choice(position, _key(event, asked))
        for position, asked in enumerate(rules)
        if (_asks(event, asked) if meant_for is None else position in meant_for)
    ]


def check(conditions: Sequence[Condition], ordered_by: str | None) -> None:
    """Raise `FilterError` for a condition or an order that could never mean anything."""
    for condition in conditions:
        if (condition.equals is msgspec.UNSET) == (condition.among is msgspec.UNSET):
            raise FilterError("a condition has exactly one of equals and in")
        if condition.at not in WORDS:
            _check_pointer(condition.at)
    if ordered_by is not None and ordered_by != WHOLE:
        _check_pointer(ordered_by)


def at(document: Any, pointer: str) -> Any:
    """Return the value at a JSON Pointer (RFC 6901, section 4); `nothing()` where there is none."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(name, _MISSING)  # pyright: ignore[reportUnknownMemberType]
        elif isinstance(document, list) and name.isascii() and name.isdigit() and (name == "0" or name[0] != "0"):
            document = document[int(name)] if len(name) < 10 and int(name) < len(document) else _MISSING  # pyright: ignore[reportUnknownArgumentType]
        else:
            return _MISSING
    return document


def _asks(event: Event, asked: Rules) -> bool:
    named = event.type in asked.event_types or (event.of_payload and PAYLOAD_FORWARDED in asked.event_types)
    return named and all(_holds(event, condition) for condition in asked.filter)


def _holds(event: Event, condition: Condition) -> bool:
    if not event.of_payload:
        return True  # filters are about payloads
    found = getattr(event, condition.at) if condition.at in WORDS else at(event.document(), condition.at)
    if found is _MISSING:
        return False
    wanted = [condition.equals] if condition.among is msgspec.UNSET else condition.among
    return any(_same(found, one) for one in wanted)


def _same(found: Any, wanted: Any) -> bool:
    """Compare as JSON does: true is not 1."""
    return isinstance(found, bool) is isinstance(wanted, bool) and found == wanted


def _key(event: Event, asked: Rules) -> bytes | None:
    if asked.ordered_by is None:
        return None
    if asked.ordered_by == WHOLE:
        return b""
    found = at(event.document(), asked.ordered_by) if event.of_payload else _MISSING
    return None if found is _MISSING else msgspec.json.encode(found, order="sorted")


def _check_pointer(text: str) -> None:
    if not text.startswith("/") or any(part[:1] not in {"0", "1"} for part in text.split("~")[1:]):
        raise FilterError(f"{text[:60]!r} is no JSON Pointer", advice='Write it as "/invoice/currency" (RFC 6901).')

"""Which endpoints an event goes to."""

from __future__ import annotations

import msgspec
import pytest

from heldtrue.capabilities.deliveries.fanout import (
    ENDPOINT_DISABLED,
    PAYLOAD_FORWARDED,
    Choice,
    Condition,
    Event,
    FilterError,
    Rules,
    at,
    check,
    choose,
    nothing,
)

INVOICE = {"invoice": {"currency": "EUR", "total": 10, "paid": True, "a/b": 1, "m~n": 2, "lines": [{"sku": "x"}]}}


def condition(text: str) -> Condition:
    return msgspec.json.decode(text, type=Condition)


def event(document: object = INVOICE, **more: str) -> Event:
    return Event(PAYLOAD_FORWARDED, more.get("source", "http"), more.get("content_type"), lambda: document)


def gets(*conditions: str, of: Event | None = None, types: tuple[str, ...] = (PAYLOAD_FORWARDED,)) -> bool:
    return bool(choose(of or event(), [Rules(types, [condition(one) for one in conditions])]))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('{"at":"/invoice/currency","equals":"EUR"}', True),
        ('{"at":"/invoice/currency","equals":"USD"}', False),
        ('{"at":"/invoice/currency","in":["USD","EUR"]}', True),
        ('{"at":"/invoice/currency","in":["USD"]}', False),
        ('{"at":"/invoice/total","equals":10.0}', True),
        ('{"at":"/invoice/total","equals":"10"}', False),
        ('{"at":"/invoice/paid","equals":true}', True),
        ('{"at":"/invoice/paid","equals":1}', False),
        ('{"at":"/invoice/nothing","equals":null}', False),
        ('{"at":"/invoice/a~1b","equals":1}', True),
        ('{"at":"/invoice/m~0n","equals":2}', True),
        ('{"at":"/invoice/lines/0/sku","equals":"x"}', True),
        ('{"at":"/invoice/lines/1/sku","equals":"x"}', False),
        ('{"at":"/invoice/lines/00/sku","equals":"x"}', False),
        ('{"at":"source","equals":"http"}', True),
        ('{"at":"source","in":["smtp"]}', False),
    ],
)
def test_a_condition_holds_or_not(text: str, holds: bool) -> None:
    assert gets(text) is holds


def test_all_conditions_must_hold() -> None:
    good, bad = '{"at":"/invoice/currency","equals":"EUR"}', '{"at":"source","equals":"smtp"}'
    assert gets(good)
    assert not gets(good, bad)


def test_what_is_no_json_passes_no_condition_that_looks_into_it() -> None:
    assert not gets('{"at":"/a","equals":1}', of=event(nothing()))
    assert gets('{"at":"content_type","equals":"text/plain"}', of=event(nothing(), content_type="text/plain"))


def test_types_decide_first_and_filters_are_about_payloads() -> None:
    rules = [Rules((PAYLOAD_FORWARDED,)), Rules((ENDPOINT_DISABLED,), [condition('{"at":"/a","equals":1}')]), Rules(())]
    assert choose(Event(ENDPOINT_DISABLED), rules) == [Choice(1, None)]
    assert choose(event(), rules) == [Choice(0, None)]


def test_sequences_are_named_by_the_value_and_differ_by_type() -> None:
    def key(ordered_by: str | None, document: object) -> bytes | None:
        [choice] = choose(event(document), [Rules((PAYLOAD_FORWARDED,), (), ordered_by)])
        return choice.key

    assert key(None, INVOICE) is None
    assert key("endpoint", nothing()) == b""
    assert key("/customer", {"customer": 1}) != key("/customer", {"customer": "1"})
    assert key("/customer", {"customer": {"a": 1, "b": 2}}) == key("/customer", {"customer": {"b": 2, "a": 1}})
    assert key("/customer", {}) is None
    assert key("/customer", nothing()) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"at":"/a"}',
        '{"at":"/a","equals":1,"in":[1]}',
        '{"at":"a","equals":1}',
        '{"at":"","equals":1}',
        '{"at":"/a~2","equals":1}',
    ],
)
def test_a_condition_that_could_never_mean_anything_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        check([condition(text)], None)


@pytest.mark.parametrize("ordered_by", ["", "customer", "/a~"])
def test_an_order_that_could_never_mean_anything_is_refused(ordered_by: str) -> None:
    with pytest.raises(FilterError):
        check([], ordered_by)
    check([], "endpoint")
    check([], "/a~0/~1")


def test_the_document_is_asked_for_only_when_it_is_looked_into() -> None:
    def never() -> object:
        raise AssertionError

    assert choose(Event(PAYLOAD_FORWARDED, "http", None, never), [Rules((PAYLOAD_FORWARDED,))]) == [Choice(0, None)]


def test_a_pointer_leads_nowhere_through_a_scalar() -> None:
    assert at({"a": "text"}, "/a/0") is nothing()

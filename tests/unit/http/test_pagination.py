"""Cursors are opaque, and only those that were given are taken."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.http.pagination import MalformedCursorError, PageQuery, decode, encode, listing


@given(st.uuids())
def test_a_cursor_leads_back_to_its_id(value: UUID) -> None:
    assert decode(encode(value)) == value


@given(st.text(max_size=40))
def test_no_other_text_is_a_cursor(text: str) -> None:
    try:
        value = decode(text)
    except MalformedCursorError:
        return
    assert encode(value) == text


def test_a_changed_letter_that_decodes_to_the_same_bytes_is_refused() -> None:
    cursor = encode(UUID(int=1))
    twin = cursor[:-1] + chr(ord(cursor[-1]) + 1)
    with pytest.raises(MalformedCursorError):
        decode(twin)


@pytest.mark.parametrize(("rows", "more"), [(0, False), (2, False), (3, True)])
def test_the_next_cursor_is_there_only_when_more_follows(rows: int, more: bool) -> None:
    ids = [UUID(int=number) for number in range(rows)]
    page = listing(ids, PageQuery(limit=2), str, lambda one: one)
    assert len(page.data) == min(rows, 2)
    assert (page.next_cursor is not None) is more

"""Rows as arrays: PostgreSQL reads back what was given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import psycopg
import pytest

from heldtrue.db.columns import Column, Type, register

INSTANT = datetime(2026, 11, 22, 9, 30, 0, 123456, UTC)
SAMPLES: dict[Type, list[object]] = {
    "uuid": [UUID(int=0), uuid4(), None],
    "text": ["", 'Zoë {,"\\}', None, "NULL"],
    "bytea": [b"", bytes(range(256)), None],
    "int": [-(2**31), 0, 2**31 - 1, None],
    "bigint": [-(2**63), 0, 2**63 - 1, None],
    "timestamptz": [INSTANT, INSTANT.astimezone(timezone(timedelta(hours=2))), datetime(1970, 1, 1, tzinfo=UTC), None],
}


@pytest.mark.parametrize("kind", list(SAMPLES))
def test_a_column_comes_back_as_it_was(superuser: psycopg.Connection, kind: Type) -> None:
    register(superuser)
    for values in (SAMPLES[kind], SAMPLES[kind][:1], [None, None], SAMPLES[kind][1:2] * 3):
        rows = superuser.execute("SELECT unnest(%b)", [Column(kind, values)]).fetchall()
        assert [row[0] for row in rows] == values

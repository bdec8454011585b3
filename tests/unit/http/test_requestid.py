"""Every request has an id of ours and a place in the caller's trace."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import pytest

from heldtrue.http.requestid import begin
from heldtrue.kernel.ids import RequestId

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_trace_is_continued_under_a_span_of_ours() -> None:
    version, trace, span, flags = begin(NOW, secrets.token_bytes, PARENT).traceparent.split("-")
    assert (version, trace, flags) == ("00", "4bf92f3577b34da6a3ce929d0e0e4736", "01")
    assert span != "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "",
        "nonsense",
        PARENT.upper(),
        PARENT + "-extra",
        "ff" + PARENT[2:],
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        PARENT + "\n",
    ],
)
def test_a_malformed_parent_begins_a_new_trace(bad: str | None) -> None:
    trace = begin(NOW, secrets.token_bytes, bad)
    assert trace.traceparent.split("-")[1] == trace.request.value.hex


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert begin(NOW, secrets.token_bytes, "01" + PARENT[2:] + "-more").traceparent[3:35] == PARENT[3:35]


def test_the_id_is_of_ours() -> None:
    headers = dict(begin(NOW, secrets.token_bytes, None).headers())
    assert RequestId.parse(headers["request-id"])

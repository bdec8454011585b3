"""What a run says is judged frame by frame; forging them yields nothing worse than a wrong result of that run."""

from __future__ import annotations

import json
import struct

import pytest

from heldtrue.sandbox.conversation import FloodError, Heard, MalformedError, words
from heldtrue.sandbox.jobs import Job, JobFile, OutputFile, RunLimits

LIMITS = RunLimits(outputs=2, output_bytes=100, log_bytes=50)


def attached(head: object, data: bytes = b"") -> bytes:
    text = json.dumps(head).encode()
    return frame(b"A", struct.pack(">I", len(text)) + text + data)


def frame(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body)) + body


def heard(*frames: bytes, limits: RunLimits = LIMITS) -> Heard:
    found = Heard(limits, attachments=2)
    for each in frames:
        found.take(each)
    return found


def test_an_honest_run_is_heard_even_byte_by_byte() -> None:
    said = frame(b"L", b"hello") + frame(b"O", b'{"a":1}') + frame(b"E", b'["ok",null]')
    found = heard(*(said[index : index + 1] for index in range(len(said))))
    assert (found.outcome, found.outputs, found.logs, found.error) == ("ok", [b'{"a":1}'], ["hello"], None)


FORGED = {
    "unknown": frame(b"X", b""),
    "ready-again": frame(b"R", b""),
    "end-of-nothing": frame(b"E", b"[]"),
    "unknown-outcome": frame(b"E", b'["won",null]'),
    "error-of-another-type": frame(b"E", b'["ok",1]'),
    "not-theirs-to-say": frame(b"E", b'["crashed",null]'),
    "half-an-end": frame(b"E", b"{"),
    "a-deep-end": frame(b"E", b"[" * 60_000),
    "an-endless-end": b"E\xff\xff\xff\xff",
    "a-cut-with-a-body": frame(b"C", b"x"),
    "two-cuts": frame(b"C", b"") * 2,
    "two-questions-at-once": frame(b"Q", b"x") * 2,
    "half-a-document": frame(b"O", b"{"),
    "not-a-number": frame(b"O", b"NaN"),
    "not-utf-8": frame(b"O", b'"\xff"'),
    "a-lone-surrogate": frame(b"O", b'"\\ud800"'),
    "no-document": frame(b"O", b""),
    "a-file-of-nothing": frame(b"A", b""),
    "a-file-with-half-a-head": frame(b"A", b"\0\0\0\x0a{}"),
    "a-file-with-a-list-for-a-head": attached([1]),
    "a-file-with-a-deep-head": frame(b"A", b"\0\0\0\x50" + b"[" * 80),
    "an-attachment-that-is-not-there": attached({"of": 3}),
    "attachment-zero": attached({"of": 0}),
    "attachment-true": attached({"of": True}),
    "an-attachment-with-bytes": attached({"of": 1}, b"x"),
    "an-attachment-with-a-name": attached({"of": 1, "name": "x"}),
    "a-file-without-a-type": attached({"name": "x"}),
    "a-file-with-a-path": attached({"name": "../x", "type": "text/csv"}),
    "a-file-with-a-line-in-its-name": attached({"name": "x\ny", "type": "text/csv"}),
    "a-file-with-a-line-in-its-type": attached({"name": "x", "type": "text/csv\r\nx: y"}),
    "a-file-whose-name-is-a-number": attached({"name": 1, "type": "text/csv"}),
    "a-file-of-no-output": attached({"of": 1}) + frame(b"E", b'["ok",null]'),
}


def test_files_belong_to_the_output_that_follows_them() -> None:
    said = attached({"of": 2}) + attached({"name": "a.csv", "type": "text/csv"}, b"a,b") + frame(b"O", b"1")
    found = heard(said, frame(b"O", b"2"), frame(b"E", b'["ok",null]'))
    made = OutputFile(name="a.csv", content_type="text/csv", data=b"a,b")
    assert found.files == [(OutputFile(of=2), made), ()]


@pytest.mark.parametrize("said", FORGED.values(), ids=FORGED)
def test_what_no_honest_run_sends_is_malformed(said: bytes) -> None:
    with pytest.raises(MalformedError):
        heard(said)


@pytest.mark.parametrize(
    "said",
    [
        b"O\xff\xff\xff\xff", frame(b"O", b"1") * 3, frame(b"O", b'"' + b"x" * 60 + b'"') * 2, b"L\xff\xff\xff\xff",
        frame(b"L", b"x" * 60_000) * 3, b"A\xff\xff\xff\xff", attached({"of": 1}) * 5 + frame(b"O", b"1" * 60),
    ],
    ids=[
        "a-length-beyond-all", "too-many", "too-much-together", "a-log-beyond-all", "a-flood-of-logs",
        "a-file-beyond-all", "files-and-outputs-together",
    ],
)  # fmt: skip
def test_what_goes_beyond_the_limits_is_a_flood_before_it_is_read(said: bytes) -> None:
    with pytest.raises(FloodError):
        heard(said)


def test_an_output_has_at_most_twenty_files() -> None:
    with pytest.raises(FloodError):
        heard(attached({"of": 1}) * 21, limits=RunLimits())


def test_nesting_that_breaks_a_parser_is_refused_but_brackets_in_text_are_not() -> None:
    wide = RunLimits(output_bytes=1 << 20)
    with pytest.raises(FloodError):
        heard(frame(b"O", b"[" * 300 + b"]" * 300), limits=wide)
    text = json.dumps("[" * 300 + '\\"{').encode()
    assert heard(frame(b"O", text), limits=wide).outputs == [text]
    flat = b"[" + b"[]," * 1000 + b"[]]"
    assert heard(frame(b"O", flat), limits=wide).outputs == [flat]


def test_logs_are_cut_at_their_limit_and_say_so() -> None:
    found = heard(frame(b"L", b"x" * 30), frame(b"L", b"y" * 30), frame(b"L", b"z"))
    assert found.logs_cut
    assert found.logs == ["x" * 30, "y" * 19]


def test_nothing_is_taken_after_the_end() -> None:
    found = heard(frame(b"E", b'["error","x"]') + frame(b"O", b"1"))
    assert (found.outcome, found.outputs) == ("error", [])


def test_a_job_lists_its_blobs_in_order() -> None:
    job = Job(
        tenant="t", language="python", code=b"code", payload=JobFile(None, "text/plain", b"pay"), meta={"id": "1"},
        attachments=[JobFile("a", "x/y", b""), JobFile("b", "x/y", b"second")],
    )  # fmt: skip
    sent = b"".join(words(job))
    (length,) = struct.unpack_from(">I", sent)
    head = json.loads(sent[4 : 4 + length])
    assert head["blobs"] == [4, 3, 0, 6]
    assert sent[4 + length :] == b"codepaysecond"
    assert "tenant" not in head

"""Multipart bodies, strictly read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.capabilities.intake.multipart import (
    MAX_HEADER_SIZE,
    MAX_HEADERS,
    MalformedMultipartError,
    PartBegins,
    PartEnds,
    PartReader,
    TruncatedMultipartError,
    content_type_of,
)
from heldtrue.kernel.errors import BadInputError

WHOLE = (
    b'--b\r\nContent-Disposition: form-data; name="payload"\r\nContent-Type: application/json\r\n\r\n{"a":1}\r\n'
    b'--b\r\ncontent-disposition: form-data; name="f"; filename="a b.txt"\r\n\r\nhello\r\n--bb\r\n--b--\r\n'
)


def read(body: bytes, boundary: str = "b", step: int | None = None) -> list[tuple[PartBegins, bytes]]:
    reader = PartReader(boundary)
    found: list[tuple[PartBegins, bytes]] = []
    ended = 0
    step = step or len(body) or 1
    for at in range(0, len(body), step):
        for event in reader.feed(body[at : at + step]):
            if isinstance(event, PartBegins):
                found.append((event, b""))
            elif isinstance(event, PartEnds):
                ended += 1
            else:
                found[-1] = (found[-1][0], found[-1][1] + event)
    reader.finish()
    assert ended == len(found)
    return found


@given(step=st.integers(1, len(WHOLE)))
def test_parts_are_the_same_however_the_body_is_cut(step: int) -> None:
    assert read(WHOLE, step=step) == [
        (PartBegins("payload", None, "application/json"), b'{"a":1}'),
        (PartBegins("f", "a b.txt", "text/plain"), b"hello\r\n--bb"),
    ]


@given(
    contents=st.lists(st.binary(max_size=200), min_size=1, max_size=5),
    step=st.integers(1, 64),
)
def test_any_bytes_come_back(contents: list[bytes], step: int) -> None:
    boundary = "Zq1v8K0-never-in-the-content-97"
    body = b"".join(f"--{boundary}\r\n\r\n".encode() + content + b"\r\n" for content in contents)
    assert [content for _, content in read(body + f"--{boundary}--\r\n".encode(), boundary, step)] == contents


@given(end=st.integers(0, WHOLE.index(b"--b--") + 4))
def test_a_body_that_ends_early_is_refused(end: int) -> None:
    with pytest.raises(TruncatedMultipartError):
        read(WHOLE[:end])


@pytest.mark.parametrize(
    "body",
    [
        b"preamble\r\n--b\r\n\r\nx\r\n--b--",
        b"--c\r\n\r\nx\r\n--c--",
        b"--b\r\nBad Header: x\r\n\r\nx\r\n--b--",
        b"--b\r\nA: 1\r\na: 2\r\n\r\nx\r\n--b--",
        b"--b\r\nA: \xff\r\n\r\nx\r\n--b--",
        b"--b\r\nA: x\x00y\r\n\r\nx\r\n--b--",
        b"--b\r\nA: " + b"x" * (MAX_HEADER_SIZE + 1) + b"\r\n\r\nx\r\n--b--",
        b"--b\r\n" + b"".join(f"H{n}: x\r\n".encode() for n in range(MAX_HEADERS + 1)) + b"\r\nx\r\n--b--",
        b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="' + b"n" * 256 + b'"\r\n\r\nx\r\n--b--',
        b"--b\r\nContent-Disposition: form-data; filename*=nonsense''%ff\r\n\r\nx\r\n--b--",
    ],
)
def test_what_is_out_of_order_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedMultipartError):
        read(body)


@pytest.mark.parametrize("boundary", ["", "x" * 71, "bä", "b\n"])
def test_a_boundary_is_one_to_seventy_printable_characters(boundary: str) -> None:
    with pytest.raises(MalformedMultipartError):
        PartReader(boundary)


def test_names_of_other_alphabets_are_understood() -> None:
    body = "--b\r\nContent-Disposition: form-data; filename*=UTF-8''%C3%A4.pdf; name=\"f\"\r\n\r\nx\r\n--b--\r\n"
    assert read(body.encode())[0][0].filename == "ä.pdf"


def test_a_content_type_is_a_media_type_with_parameters() -> None:
    assert content_type_of("Multipart/Form-Data; Boundary=aB") == ("multipart/form-data", {"boundary": "aB"})
    assert content_type_of(None) == ("application/octet-stream", {})
    with pytest.raises(BadInputError):
        content_type_of("json")


@given(st.binary(max_size=400))
def test_no_bytes_make_the_reader_fail_in_another_way(body: bytes) -> None:
    try:
        read(body)
    except BadInputError:
        return

"""The two pipes of a run: a job comes in whole, frames go out; a frame that asks is answered by the way the job came.

Job: u32be length of a JSON head, the head, then the blobs whose sizes it lists, one after the other. Frame: one
letter, u32be length, body. Question, file and answer: u32be length of a JSON head, the head, a body; the answer has
u32be length of all that before it. Files come before the output that they belong to.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any

READY, REFUSED, LOG, CUT, OUTPUT, ASK, END, FILE = b"R", b"F", b"L", b"C", b"O", b"Q", b"E", b"A"


def send(pipe: int, kind: bytes, body: bytes = b"") -> None:
    """Write one frame, all of it."""
    rest = memoryview(kind + struct.pack(">I", len(body)) + body)
    while rest:
        rest = rest[os.write(pipe, rest) :]


def read_exactly(pipe: int, size: int) -> bytes:
    """Read *size* bytes; raise `EOFError` when the engine has gone."""
    parts = bytearray()
    while len(parts) < size:
        part = os.read(pipe, min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def read_job(pipe: int) -> tuple[dict[str, Any], list[bytes]]:
    """Read the head and its blobs."""
    (size,) = struct.unpack(">I", read_exactly(pipe, 4))
    head = json.loads(read_exactly(pipe, size))
    return head, [read_exactly(pipe, each) for each in head["blobs"]]


def headed(head: dict[str, Any], body: bytes) -> bytes:
    """Return the body of a frame that has a head: a question or a file."""
    text = json.dumps(head).encode()
    return struct.pack(">I", len(text)) + text + body


def read_answer(pipe: int) -> tuple[dict[str, Any], bytes]:
    """Read what a question was answered with."""
    (size,) = struct.unpack(">I", read_exactly(pipe, 4))
    whole = read_exactly(pipe, size)
    (length,) = struct.unpack_from(">I", whole)
    return json.loads(whole[4 : 4 + length]), whole[4 + length :]

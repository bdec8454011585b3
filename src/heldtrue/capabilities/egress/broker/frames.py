"""Frames over unix sockets: u32be length, then so many bytes. And within: u32be length of a JSON head, head, body."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

LONGEST = 4 << 20


class FrameError(Exception):
    """The other side does not speak this protocol; hang up."""


async def read(reader: asyncio.StreamReader, longest: int = LONGEST) -> bytes:
    """Read one frame; raise `FrameError` for one that is too long, `IncompleteReadError` at the end."""
    (size,) = struct.unpack(">I", await reader.readexactly(4))
    if size > longest:
        raise FrameError("the frame is too long")
    return await reader.readexactly(size)


async def write(writer: asyncio.StreamWriter, frame: bytes) -> None:
    """Write one frame."""
    writer.write(struct.pack(">I", len(frame)) + frame)
    await writer.drain()


def joined(head: object, body: bytes = b"") -> bytes:
    """Return a head and a body as one frame."""
    text = json.dumps(head).encode()
    return struct.pack(">I", len(text)) + text + body


def split(frame: bytes) -> tuple[Any, bytes]:
    """Return head and body of a frame; raise `FrameError` for what is none."""
    if len(frame) < 4:
        raise FrameError("the frame has no head")
    (size,) = struct.unpack_from(">I", frame)
    if size > len(frame) - 4:
        raise FrameError("the head is longer than the frame")
    try:
        return json.loads(frame[4 : 4 + size]), frame[4 + size :]
    except (ValueError, RecursionError) as error:
        raise FrameError("the head is not JSON") from error

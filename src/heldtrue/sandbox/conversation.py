"""Talk with one child: send the job, take its frames, and believe nothing of them but that this run sent them."""

from __future__ import annotations

import json
import os
import re
import select
import struct
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec

from heldtrue.sandbox.guest import files
from heldtrue.sandbox.guest.channel import ASK, CUT, END, FILE, LOG, OUTPUT, READY, REFUSED
from heldtrue.sandbox.jobs import Job, Outcome, OutputFile, RunLimits
from heldtrue.sandbox.relay import Relay
from heldtrue.sandbox.zygotes import Child, SandboxError

HEAD = 5
LONGEST_END = 64 * 1024
LONGEST_HEAD = 2048
"""Bytes of a file's head."""
SLACK = 64 * 1024
"""Bytes of log that are read beyond the allowed ones: the harness stops by itself, who goes further forges frames."""
TICK = 0.05
"""Seconds between two looks at what the run's processes use."""
DEEPEST = 200
"""Levels of an output's nesting: more would break whoever reads it with a recursive parser."""
STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"')
WEIGHTS = [1 if byte in b"[{" else -1 for byte in range(256)]
NO_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))
OUTCOMES = ("ok", "error", "timeout", "memory", "output")


class MalformedError(Exception):
    """The child broke the protocol."""


class FloodError(Exception):
    """The child sent more than it may."""


@dataclass(slots=True)
class Heard:
    """What a run has said so far."""

    limits: RunLimits
    attachments: int = 0
    """How many the payload has."""
    outputs: list[bytes] = field(default_factory=list[bytes])
    files: list[tuple[OutputFile, ...]] = field(default_factory=list[tuple[OutputFile, ...]])
    logs: list[str] = field(default_factory=list[str])
    logs_cut: bool = False
    outcome: Outcome | None = None
    error: str | None = None
    output_bytes: int = 0
    log_bytes: int = 0
    asked: bytes | None = None
    """A question that waits for its answer."""
    _next: list[OutputFile] = field(default_factory=list[OutputFile])
    """Files of the output that comes next."""
    _cut: bool = False
    _buffer: bytearray = field(default_factory=bytearray)

    def take(self, part: bytes) -> None:
        """Take what came through the pipe; raise when it cannot be what an honest run sends."""
        self._buffer += part
        while self.outcome is None and len(self._buffer) >= HEAD:
            (length,) = struct.unpack_from(">I", self._buffer, 1)
            kind = bytes(self._buffer[:1])
            self._judge(kind, length)
            if len(self._buffer) < HEAD + length:
                return
            body = bytes(self._buffer[HEAD : HEAD + length])
            del self._buffer[: HEAD + length]
            self._frame(kind, body)

    def _judge(self, kind: bytes, length: int) -> None:
        """Refuse a frame by its head, before its body is waited for."""
        if kind == OUTPUT:
            if len(self.outputs) >= self.limits.outputs or self.output_bytes + length > self.limits.output_bytes:
                raise FloodError
        elif kind == FILE:
            if len(self._next) >= files.MOST or self.output_bytes + length > self.limits.output_bytes:
                raise FloodError
        elif kind == LOG:
            if self.log_bytes + length > self.limits.log_bytes + SLACK:
                raise FloodError
        elif kind == ASK:
            if length > self.limits.question_bytes:
                raise FloodError
        elif (kind == CUT and length) or (kind == END and length > LONGEST_END) or kind not in {CUT, END}:
            raise MalformedError

    def _frame(self, kind: bytes, body: bytes) -> None:
        if kind == OUTPUT:
            self.output_bytes += len(body)
            self.outputs.append(_document(body))
            self.files.append(tuple(self._next))
            self._next.clear()
        elif kind == FILE:
            self.output_bytes += len(body)
            self._next.append(_file(body, self.attachments))
        elif kind == LOG:
            self._log(body)
        elif kind == ASK:
            if self.asked is not None:
                raise MalformedError
            self.asked = body
        elif kind == CUT:
            if self._cut:
                raise MalformedError
            self.logs_cut = self._cut = True
        else:
            self._end(body)

    def _log(self, body: bytes) -> None:
        room = self.limits.log_bytes - self.log_bytes
        self.log_bytes += len(body) + 1
        if room <= 0:
            self.logs_cut = True
            return
        self.logs_cut |= len(body) > room
        self.logs.append(body[:room].decode("utf-8", "replace"))

    def _end(self, body: bytes) -> None:
        try:
            outcome, error = json.loads(body)
        except (ValueError, RecursionError) as problem:
            raise MalformedError from problem
        if outcome not in OUTCOMES or (self._next and outcome == "ok") or not (error is None or isinstance(error, str)):
            raise MalformedError
        self.outcome, self.error = outcome, error


def _document(body: bytes) -> bytes:
    """Return *body* when it is one JSON document; nothing is built of it: that could be fifty times as large."""
    try:
        body.decode("utf-8")
        msgspec.json.decode(body, type=msgspec.Raw)
    except (ValueError, RecursionError) as problem:
        raise MalformedError from problem
    if body.count(b"[") + body.count(b"{") > DEEPEST and _depth(body) > DEEPEST:
        raise FloodError
    return body


def _file(body: bytes, attachments: int) -> OutputFile:
    """Return the file that a frame brings; raise `MalformedError` for what the harness does not send."""
    try:
        (length,) = struct.unpack_from(">I", body)
        head, data = json.loads(body[4 : 4 + length]), body[4 + length :]
        if length > LONGEST_HEAD or not isinstance(head, dict):
            raise MalformedError
        match head:
            case {"of": int() as of} if len(head) == 1 and type(of) is int and 1 <= of <= attachments and not data:
                return OutputFile(of=of)
            case {"name": name, "type": kind} if len(head) == 2:
                files.check(name, kind)
                return OutputFile(name=name, content_type=kind, data=data)
            case _:
                raise MalformedError
    except (ValueError, struct.error, RecursionError) as problem:
        raise MalformedError from problem


def _depth(body: bytes) -> int:
    brackets = STRING.sub(b"", body).translate(None, NO_BRACKETS)
    return max(accumulate(map(WEIGHTS.__getitem__, brackets)), default=0)


def wait_until_ready(child: Child, seconds: float) -> None:
    """Return when the walls stand; raise `SandboxError` with the one that does not."""
    deadline = time.monotonic() + seconds
    kind = _some(child.answer, 1, deadline)
    if kind == READY:
        _some(child.answer, 4, deadline)
        return
    if kind != REFUSED:
        raise SandboxError("walls", "the child ended before they stood")
    (length,) = struct.unpack(">I", _some(child.answer, 4, deadline))
    layer, why = json.loads(_some(child.answer, min(length, LONGEST_END), deadline))
    raise SandboxError(layer, why)


def _some(pipe: int, size: int, deadline: float) -> bytes:
    got = b""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while len(got) < size:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise SandboxError("walls", "they did not stand in time")
        part = os.read(pipe, size - len(got))
        if not part:
            return got.ljust(size, b"\0")
        got += part
    return got


def words(job: Job) -> list[memoryview]:
    """Return the bytes of a job, in the order in which the child reads them."""
    blobs = [job.code, job.payload.data, *(each.data for each in job.attachments)]
    head: dict[str, Any] = {
        "language": job.language,
        "content_type": job.payload.content_type,
        "attachments": [[each.name, each.content_type] for each in job.attachments],
        "meta": dict(job.meta),
        "context": dict(job.context),
        "limits": asdict(job.limits),
        "outside": job.egress is not None,
        "blobs": [len(each) for each in blobs],
    }
    text = json.dumps(head).encode()
    return [memoryview(each) for each in (struct.pack(">I", len(text)) + text, *blobs) if each]


def converse(
    child: Child, job: Job, over: Callable[[], Outcome | None], deadline: float, broker: Path | None = None
) -> Heard:
    """Send *job* and listen until it has ended; *over* is asked every 50 ms whether the run uses too much.

    What the run asks is handed to the *broker*, and the answer to the run, neither of them looked into.
    """
    heard = Heard(job.limits, attachments=len(job.attachments))
    rest = words(job)
    look = time.monotonic() + TICK
    with Relay(broker, job.egress, job.limits.answer_bytes) as relay:
        while heard.outcome is None:
            now = time.monotonic()
            left = deadline - now
            if left <= 0:
                heard.outcome = "timeout"
                break
            if now >= look:
                look = now + TICK
                heard.outcome = over()
                continue
            _turn(child, heard, rest, relay, min(left, TICK))
    return heard


def _turn(child: Child, heard: Heard, rest: list[memoryview], relay: Relay, seconds: float) -> None:
    """Wait for whichever of the run and the broker has something to say or to hear."""
    poll = select.poll()
    poll.register(child.answer, select.POLLIN)
    if rest:
        poll.register(child.job, select.POLLOUT)
    if relay.busy:
        poll.register(relay.fileno(), relay.wants)
    for descriptor, event in poll.poll(seconds * 1000):
        if descriptor == child.answer:
            _listen(child, heard)
        elif descriptor == child.job:
            _write(child.job, rest, gone=bool(event & select.POLLERR))
        else:
            relay.turn()
    if heard.asked is not None and not relay.busy:
        answer = relay.answer
        if answer is None:
            relay.ask(heard.asked)
            answer = relay.answer
        if answer is not None:
            relay.answer = heard.asked = None
            rest.append(memoryview(answer))


def _write(pipe: int, rest: list[memoryview], *, gone: bool) -> None:
    try:
        written = os.write(pipe, rest[0][: 1 << 20])
    except BlockingIOError:
        return
    except BrokenPipeError:
        gone = True
        written = 0
    if gone:
        rest.clear()  # it reads no more; what it answers decides
    elif written == len(rest[0]):
        rest.pop(0)
    else:
        rest[0] = rest[0][written:]


def _listen(child: Child, heard: Heard) -> None:
    try:
        part = os.read(child.answer, 1 << 18)
        if part:
            heard.take(part)
        else:
            heard.outcome = "crashed"
    except BlockingIOError:
        return
    except FloodError:
        heard.outcome, heard.error = "output", "the run sent more than its limits allow"
    except MalformedError:
        heard.outcome, heard.error = "crashed", "the run broke the protocol of its answers"

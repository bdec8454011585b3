"""What a transform gives back: outputs and logs, capped here for the honest, and again by the engine for the rest."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any

from heldtrue.sandbox.guest import channel


class TransformError(Exception):
    """The transform failed; the message is for its developer."""

    def __init__(self, message: str, outcome: str = "error") -> None:
        super().__init__(message)
        self.outcome = outcome


class Many(list[Any]):
    """Several outputs, as `many([...])` marks them."""


class Answers:
    """The run's way out."""

    def __init__(self, pipe: int, limits: dict[str, int]) -> None:
        self._pipe = pipe
        self._outputs = limits["outputs"]
        self._output_bytes = limits["output_bytes"]
        self._log_bytes = limits["log_bytes"]
        self._cut = self._told = False

    def log(self, line: str) -> None:
        """Send one line of log, as much of it as is still allowed."""
        if self._cut:
            return
        body = line.encode("utf-8", "replace")
        if len(body) > self._log_bytes:
            body, self._cut = body[: self._log_bytes].decode("utf-8", "ignore").encode(), True
        self._log_bytes -= len(body) + 1
        channel.send(self._pipe, channel.LOG, body)
        if self._cut or self._log_bytes <= 0:
            self.cut()

    def cut(self) -> None:
        """Say, once, that there was more to log than is allowed."""
        if not self._told:
            self._cut = self._told = True
            channel.send(self._pipe, channel.CUT)

    def give(self, returned: Any) -> None:
        """Send what `transform` returned: nothing, one output, or several."""
        if returned is None:
            return
        several: Iterable[Any] = returned if isinstance(returned, Many) else [returned]
        for each in several:
            self.give_document(_document(each))

    def give_document(self, document: bytes) -> None:
        """Send one JSON document."""
        self._outputs -= 1
        self._output_bytes -= len(document)
        if self._outputs < 0:
            raise TransformError("the transform returned more outputs than it may", "output")
        if self._output_bytes < 0:
            raise TransformError("the transform returned more bytes than it may", "output")
        channel.send(self._pipe, channel.OUTPUT, document)


def _document(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, UnicodeEncodeError) as error:
        raise TransformError(f"what transform returned is not JSON: {error}") from error


class LogStream(io.TextIOBase):
    """A text stream whose lines are logs: what `print` writes to."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self._answers = answers
        self._rest = ""

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, text: str, /) -> int:
        """Take some text; whole lines are sent at once."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._answers.log(line)
        if len(self._rest) > 65536:
            self.end()
        return len(text)

    def end(self) -> None:
        """Send what has no line end yet."""
        if self._rest:
            rest, self._rest = self._rest, ""
            self._answers.log(rest)

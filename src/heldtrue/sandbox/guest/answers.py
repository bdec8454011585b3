"""What a transform gives back: outputs and logs, capped here for the honest, and again by the engine for the rest."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any

from heldtrue.sandbox.guest import channel, message
from heldtrue.sandbox.guest.files import MOST, File, FileError


class TransformError(Exception):
    """The transform failed; the message is for its developer."""

    def __init__(self, message: str, outcome: str = "error") -> None:
        super().__init__(message)
        self.outcome = outcome


class Many(list[Any]):
    """Several outputs, as `many([...])` marks them."""


class Attached:
    """An output with its files, as `attach(value, …)` makes it."""

    def __init__(self, value: Any, *files: object) -> None:
        """*files* are references of the payload's attachments, or files that the transform made."""
        self.value = value
        self.files = [each for each in files if isinstance(each, str | File)]
        if len(self.files) < len(files):
            raise FileError("attach takes references, as a1, and what file(name, type, data) gives")


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
            if isinstance(each, Attached):
                self.give_files(each.files)
                each = each.value  # noqa: PLW2901
            self.give_document(_document(each))

    def give_files(self, files: Iterable[str | File]) -> None:
        """Send the files of the output that comes next: what is stored already by its number, the rest whole."""
        for number, each in enumerate(files):
            if number == MOST:
                raise TransformError(f"an output has at most {MOST} files", "output")
            stored = message.stored(each) if isinstance(each, str) else None
            if stored is not None:
                body = channel.headed({"of": stored}, b"")
            else:
                whole = message.file_of(each) if isinstance(each, str) else each
                body = channel.headed({"name": whole.name, "type": whole.content_type}, whole.data)
            self._output_bytes -= len(body)
            if self._output_bytes < 0:
                raise TransformError("the transform returned more bytes than it may", "output")
            channel.send(self._pipe, channel.FILE, body)

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

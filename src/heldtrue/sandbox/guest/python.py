"""Run a customer's Python: `transform(payload, context)`, with `heldtrue_guest` beside it."""

from __future__ import annotations

import linecache
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any

from heldtrue.sandbox.guest.answers import Answers, Attached, LogStream, Many, TransformError
from heldtrue.sandbox.guest.fetching import FetchError, Response
from heldtrue.sandbox.guest.files import File

NAME = "<transform>"
LONGEST_ERROR = 4000


def run(
    code: bytes, payload: dict[str, Any], context: dict[str, Any], attachment: Callable[[str], bytes],
    answers: Answers, fetch: Callable[..., Response],
) -> None:  # fmt: skip
    """Compile *code*, call its transform and give what it returns; errors carry the lines of *code* alone."""
    logs = LogStream(answers)
    sys.stdout = sys.stderr = logs
    sys.modules["heldtrue_guest"] = _guest(attachment, answers, fetch)
    try:
        _call(code, payload, context, answers)
    except TransformError:
        raise
    except MemoryError:
        raise
    except BaseException as error:
        raise TransformError(told(error)) from error
    finally:
        logs.end()


def _call(code: bytes, payload: dict[str, Any], context: dict[str, Any], answers: Answers) -> None:
    try:
        source = code.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TransformError(f"the code is not UTF-8: {error.reason} at byte {error.start}") from error
    linecache.cache[NAME] = (len(source), None, source.splitlines(keepends=True), NAME)
    module = types.ModuleType("transform")
    module.__file__ = NAME
    exec(compile(source, NAME, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - the walls are for this
    transform = getattr(module, "transform", None)
    if not callable(transform):
        raise TransformError("the code defines no function transform(payload, context)")
    answers.give(transform(payload, context))


def _guest(attachment: Callable[[str], bytes], answers: Answers, fetch: Callable[..., Response]) -> types.ModuleType:
    module = types.ModuleType("heldtrue_guest", "What the sandbox offers to a transform.")

    def log(*values: object) -> None:
        """Write one line of log."""
        answers.log(" ".join(str(value) for value in values))

    offered: dict[str, Any] = {"attachment": attachment, "attach": Attached, "file": File, "log": log, "many": Many}
    module.__dict__.update(offered, fetch=fetch, FetchError=FetchError)
    return module


def told(error: BaseException) -> str:
    """Return the exception with the lines of the transform that led to it, and no path of ours."""
    what = "".join(traceback.format_exception_only(error)).strip()
    lines = [
        f"  line {frame.lineno}, in {frame.name}" + (f": {frame.line}" if frame.line else "")
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == NAME
    ]
    return "\n".join([what, *lines[-20:]])[:LONGEST_ERROR]

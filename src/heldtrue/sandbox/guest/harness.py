"""One run, inside the walls: be ready, read the job, shape the message, call the transform, answer in frames."""

from __future__ import annotations

import importlib
import importlib.util
import json
import resource
import sys
from typing import Any

from heldtrue.sandbox.guest import channel
from heldtrue.sandbox.guest.answers import Answers, TransformError
from heldtrue.sandbox.guest.fetching import Outside

_WARM = """
base64 bisect binascii calendar collections.abc copy csv ctypes dataclasses datetime decimal difflib email email.message
email.parser email.policy email.utils encodings.ascii encodings.idna encodings.latin_1 encodings.cp1252 enum fractions
functools hashlib heapq hmac html html.parser io itertools json linecache math operator pathlib random re secrets
statistics string struct textwrap time traceback types typing unicodedata urllib.parse uuid xml.etree.ElementTree zlib
zoneinfo quickjs fast_mail_parser defusedxml defusedxml.ElementTree pypdf
heldtrue.sandbox.guest.message heldtrue.sandbox.guest.python heldtrue.sandbox.guest.javascript
"""
PRELOADED = tuple(_WARM.split())
"""What a transform may count on without paying for the import; all of it is loaded before the first fork."""
REHEARSALS = 20
"""Enough for the interpreter to have chosen its instructions (PEP 659)."""
_SAMPLES = (("application/json", b'{"x": [1, "two", null]}'), ("text/plain", b"x"))
_CODE = "def transform(payload, context):\n    return payload\n"
BUILTIN = {"message": None, "invoice": "heldtrue.sandbox.guest.invoice"}
"""Shipped transforms; None is the identity."""


def warm() -> None:
    """Import everything that a run may want, so that a fork has it."""
    for name in PRELOADED:
        importlib.import_module(name)
    for module in BUILTIN.values():
        if module is not None and importlib.util.find_spec(module) is not None:
            importlib.import_module(module)
    for _ in range(REHEARSALS):
        _rehearse()


def _rehearse() -> None:
    """Go the way of a run with bytes of our own: what is first time about it is then behind us, once for all forks."""
    from heldtrue.sandbox.guest import message, python

    meta = {"id": "", "source": "http", "received_at": None, "envelope": None}
    for kind, raw in _SAMPLES:
        payload = message.message_of(raw, kind, meta, [])
        scope: dict[str, Any] = {}
        exec(compile(_CODE, python.NAME, "exec", dont_inherit=True), scope)  # noqa: S102 - a constant of this module
        document = json.dumps(scope["transform"](payload, {}), ensure_ascii=False, separators=(",", ":"))
        json.loads(document)


def refuse(answer: int, layer: str, why: str) -> None:
    """Tell the engine which wall could not be put up."""
    channel.send(answer, channel.REFUSED, json.dumps([layer, why]).encode())


def run(job: int, answer: int, *, once: bool) -> int:
    """Do one job, or without single use one after the other."""
    _rehearse()  # once more here, where the pages that it writes to become this fork's own
    channel.send(answer, channel.READY)
    while True:
        try:
            head, blobs = channel.read_job(job)
        except EOFError:
            return 0
        outcome, error = _attempt(head, blobs, Answers(answer, head["limits"]), Outside(job, answer))
        channel.send(answer, channel.END, json.dumps([outcome, error]).encode("utf-8", "replace"))
        if once:
            return 0


def _attempt(head: dict[str, Any], blobs: list[bytes], answers: Answers, outside: Outside) -> tuple[str, str | None]:
    try:
        _lower(head["limits"])
        _transform(head, blobs, answers, outside)
    except TransformError as error:
        return error.outcome, str(error)
    except MemoryError:
        return "memory", "the transform used more memory than it may"
    except RecursionError:
        return "error", "RecursionError: the payload or its transform is nested too deeply"
    except Exception as error:  # noqa: BLE001 - ours: the shape could not be made; say so without paths
        return "error", f"{type(error).__name__}: {error}"
    return "ok", None


def _lower(limits: dict[str, int]) -> None:
    """Take the job's own processor time, when it is less than what the walls allow."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    asked = limits["cpu_seconds"]
    if hard != resource.RLIM_INFINITY and asked + 1 < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (asked, hard))


def _transform(head: dict[str, Any], blobs: list[bytes], answers: Answers, outside: Outside) -> None:
    from heldtrue.sandbox.guest import javascript, message, python

    code, raw, *others = blobs
    attachments = [(name, kind, data) for (name, kind), data in zip(head["attachments"], others, strict=True)]
    payload = message.message_of(raw, head["content_type"], head["meta"], attachments)
    context = head["context"]
    if head["language"] == "javascript":
        fetch = outside.fetch if head["outside"] else None
        javascript.run(code, payload, context, message.attachment_bytes, head["limits"], answers, fetch)
    elif head["language"] == "python":
        python.run(code, payload, context, message.attachment_bytes, answers, outside.fetch)
    else:
        _builtin(code.decode(), payload, context, answers)


def _builtin(name: str, payload: dict[str, Any], context: dict[str, Any], answers: Answers) -> None:
    if name not in BUILTIN:
        raise TransformError(f"there is no shipped transform {name!r}; there are: {', '.join(sorted(BUILTIN))}")
    module = BUILTIN[name]
    answers.give(payload if module is None else sys.modules[module].transform(payload, context))

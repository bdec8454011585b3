"""Calls to the outside, as customers' code makes them: one after the other, through the runner, by the broker."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from heldtrue.sandbox.guest import channel

NAME = "heldtrue_guest"


class FetchError(Exception):
    """The call was not made, or its answer is not handed over; `code` says why in one word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


FetchError.__module__ = NAME


class Response:
    """What came of a call; a redirect is an answer like any other, and nobody follows it."""

    __module__ = NAME

    def __init__(self, status: int, url: str, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.url = url
        self.headers = headers
        """Names in lower case; a header that came twice is joined by a comma."""
        self.body = body

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<Response {self.status} from {self.url}, {len(self.body)} bytes>"


class Outside:
    """The run's line to the broker."""

    def __init__(self, job: int, answer: int) -> None:
        self._job, self._answer = job, answer
        self._lock = threading.Lock()

    def fetch(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: str | bytes | None = None
    ) -> Response:
        """Call *url* and return what it answers; raise `FetchError` when that is not allowed or did not work."""
        raw = body.encode() if isinstance(body, str) else bytes(body or b"")
        pairs = [[str(name), str(value)] for name, value in (headers or {}).items()]
        asked = channel.headed({"method": str(method).upper(), "url": str(url), "headers": pairs}, raw)
        with self._lock:
            channel.send(self._answer, channel.ASK, asked)
            head, content = channel.read_answer(self._job)
        if "refused" in head:
            raise FetchError(*head["refused"])
        found: dict[str, str] = {}
        for name, value in head["headers"]:
            found[name] = f"{found[name]}, {value}" if name in found else value
        return Response(head["status"], head["url"], found, content)

"""A caller of an ASGI application, byte for byte: it can also lie about lengths, and go away in the middle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Got:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The problem's code."""
        return self.json()["type"].removeprefix("/problems/")


@dataclass
class Caller:
    """Calls *app* with one credential, or none."""

    app: Asgi
    key: str | None = None
    client: str = "192.0.2.7"
    headers: dict[str, str] = field(default_factory=dict)

    def with_key(self, key: str | None) -> Caller:
        return Caller(self.app, key, self.client, self.headers)

    def get(self, target: str, **headers: str) -> Got:
        return self.call("GET", target, headers=headers)

    def delete(self, target: str) -> Got:
        return self.call("DELETE", target)

    def post(self, target: str, body: object = None, **headers: str) -> Got:
        if body is None:
            return self.call("POST", target, headers=headers)
        return self.call(
            "POST", target, body=json.dumps(body).encode(), headers={"content-type": "application/json", **headers}
        )

    def call(
        self,
        method: str,
        target: str,
        *,
        body: bytes | Sequence[bytes] = b"",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        cut: bool = False,
    ) -> Got:
        """Make one request; *cut*: go away after the last piece of the body."""
        return asyncio.run(self.acall(method, target, body=body, headers=headers, cut=cut))

    async def acall(
        self,
        method: str,
        target: str,
        *,
        body: bytes | Sequence[bytes] = b"",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        cut: bool = False,
    ) -> Got:
        pieces = [body] if isinstance(body, bytes) else list(body)
        given = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        names = {name.lower().replace("_", "-") for name, _ in given}
        sent = [(name.replace("_", "-"), value) for name, value in given]
        sent += [(name, value) for name, value in self.headers.items() if name not in names]
        if self.key is not None and "authorization" not in names:
            sent.append(("authorization", f"Bearer {self.key}"))
        if "content-length" not in names and not cut and any(pieces):
            sent.append(("content-length", str(sum(map(len, pieces)))))
        raw_path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "raw_path": raw_path.encode(),
            "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
            "query_string": query.encode(),
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in sent],
            "client": (self.client, 40000),
            "server": ("127.0.0.1", 8443),
        }
        queue = [
            {"type": "http.request", "body": piece, "more_body": cut or at + 1 < len(pieces)}
            for at, piece in enumerate(pieces)
        ]
        queue.append({"type": "http.disconnect"})
        started: dict[str, Any] = {}
        parts: list[bytes] = []

        async def receive() -> Mapping[str, Any]:
            return queue.pop(0) if len(queue) > 1 else queue[0]

        async def send(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            else:
                parts.append(message.get("body", b""))

        await self.app(scope, receive, send)
        got: dict[str, str] = {}
        for raw_name, raw_value in started["headers"]:
            name = raw_name.decode("latin-1")
            assert name not in got, f"{name} is sent twice"
            got[name] = raw_value.decode("latin-1")
        return Got(started["status"], got, b"".join(parts))

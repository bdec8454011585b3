"""A request as it came, and an answer as it goes: the thin layer over ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from heldtrue.http.exchange import Body, MalformedRequestError, Receive, TlsInfo
from heldtrue.http.limits import source_of
from heldtrue.http.route import CacheClass

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_TLS_VERSIONS = {0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a request says, before anything of it is believed."""

    method: str
    raw_path: bytes
    path: str
    raw_query: str
    headers: Mapping[str, str]
    authorization: tuple[bytes, ...]
    """Every value of `Authorization`, in order."""
    source: str
    """The bucket of the address it came from."""
    client: str
    tls: TlsInfo
    body: Body

    @property
    def target(self) -> str:
        """Path and query, as they were sent."""
        return f"{self.raw_path.decode('latin-1')}?{self.raw_query}"

    def query(self) -> list[tuple[str, str]]:
        """Return the query's parameters in order; raise `MalformedRequestError` for what is no query."""
        if not self.raw_query:
            return []
        try:
            return parse_qsl(
                self.raw_query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=64
            )
        except ValueError as error:
            raise MalformedRequestError("The query cannot be read.") from error


def incoming(scope: Scope, receive: Receive) -> Incoming:
    """Return the request of an ASGI scope; a header sent twice is joined by a comma (RFC 9110, section 5.3)."""
    headers: dict[str, str] = {}
    authorization: list[bytes] = []
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        if name == "authorization":
            authorization.append(raw_value.strip())
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    client = scope.get("client")
    return Incoming(
        method=scope["method"],
        raw_path=scope.get("raw_path") or scope["path"].encode(),
        path=scope["path"],
        raw_query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        authorization=tuple(authorization),
        source=source_of(client),
        client=client[0] if client else "",
        tls=_tls_of(scope),
        body=Body(receive, headers),
    )


def _tls_of(scope: Scope) -> TlsInfo:
    told = (scope.get("extensions") or {}).get("tls") or {}
    version, cipher = told.get("tls_version"), told.get("cipher_suite")
    return TlsInfo(
        version=_TLS_VERSIONS.get(version) if isinstance(version, int) else None,
        cipher=f"0x{cipher:04X}" if isinstance(cipher, int) else None,
    )


@dataclass(slots=True)
class Reply:
    """An answer on its way out."""

    status: int
    content_type: str
    content: bytes | None = None
    """None: there is no content, and so no type of it; empty content has one."""
    chunks: AsyncIterator[bytes] | None = None
    cache: CacheClass = CacheClass.PRIVATE
    headers: list[tuple[str, str]] = field(default_factory=list)

    async def send(self, send: Send, *, bodyless: bool) -> None:
        """Send it; a HEAD request gets everything but the body (RFC 9110, section 9.3.2)."""
        headers, content = list(self.headers), self.content or b""
        if self.content is not None or self.chunks is not None:
            headers.append(("content-type", self.content_type))
        if self.chunks is None and self.status != 204:
            headers.append(("content-length", str(len(content))))
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        if bodyless or self.chunks is None:
            await send({"type": "http.response.body", "body": b"" if bodyless else content})
            return
        async for piece in self.chunks:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

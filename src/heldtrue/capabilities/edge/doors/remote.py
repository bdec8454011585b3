"""A judge that asks a forward-auth door over a unix socket, or over TLS with a client certificate.

For `EdgeMiddleware` in an application that is no part of the instance. Whatever keeps the answer away (no door, a slow
one, an answer that cannot be read) is a refusal.
"""

from __future__ import annotations

import ssl
from typing import Any, Self

import aiohttp
import msgspec
import structlog

from heldtrue.capabilities.edge.model import EdgeCall, Verdict
from heldtrue.capabilities.edge.refusing import refusal
from heldtrue.kernel.errors import UnavailableError

TIMEOUT = 2.0
MOST = 64 * 1024
"""Bytes of an answer."""
_log = structlog.get_logger("heldtrue.edge")
_decoder = msgspec.json.Decoder(Verdict, strict=True)


class DoorAwayError(UnavailableError):
    """The door that decides cannot be reached, so the request is refused; try again shortly."""

    code = "door-away"


class RemoteDoor:
    """Asks a door elsewhere; connections are kept and used again. Close it when the application ends."""

    def __init__(self, url: str, connector: Any, *, timeout: float = TIMEOUT) -> None:
        """Ask at *url*; *connector* makes the `aiohttp` connector, once a loop runs."""
        self._url = f"{url}/auth/asgi"
        self._connector = connector
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def unix(cls, path: str, *, timeout: float = TIMEOUT) -> Self:
        """Return a judge that asks the door on the unix socket *path*."""
        return cls("http://door", lambda: aiohttp.UnixConnector(path, limit=0), timeout=timeout)

    @classmethod
    def tls(cls, authority: str, ca_file: str, cert: str, key: str, *, timeout: float = TIMEOUT) -> Self:
        """Return a judge that asks the door at `HOST:PORT`, vouched for by *ca_file*, with a client certificate."""
        context = ssl.create_default_context(cafile=ca_file)
        context.load_cert_chain(cert, key)
        return cls(f"https://{authority}", lambda: aiohttp.TCPConnector(ssl=context, limit=0), timeout=timeout)

    async def judge(self, call: EdgeCall) -> Verdict:
        """Return the door's verdict on *call*; a refusal where there is none."""
        try:
            async with self._opened().get(self._url, headers=_headers(call), allow_redirects=False) as answer:
                if answer.status != 200:
                    raise DoorAwayError(f"the door answered with {answer.status}")
                body = await answer.content.read(MOST + 1)
                if len(body) > MOST or not answer.content.at_eof():
                    raise DoorAwayError("the door's answer is longer than a verdict")
            return _decoder.decode(body)
        except (
            TimeoutError,
            aiohttp.ClientError,
            OSError,
            ValueError,
            msgspec.MsgspecError,
            UnavailableError,
        ) as error:
            _log.warning("the door is away, so refused", request=call.request, why=repr(error))
            return refusal(DoorAwayError())

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                timeout=self._timeout,
                trust_env=False,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _headers(call: EdgeCall) -> list[tuple[str, str]]:
    headers = [
        ("X-Original-Method", call.method),
        ("X-Original-URI", call.target.decode("latin-1")),
        ("X-Original-Host", call.host),
        ("Request-Id", call.request),
    ]
    if call.address:
        headers.append(("X-Forwarded-For", call.address))
    if call.origin is not None:
        headers.append(("Origin", call.origin))
    headers += [("Authorization", value.decode("latin-1")) for value in call.authorization]
    return headers

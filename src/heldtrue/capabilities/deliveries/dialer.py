"""The one way out for deliveries: one signed request over TLS, to an address that is judged as it is connected to.

Redirects are not followed, and answers are read up to 2 KiB.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from aiohttp.abc import AbstractResolver

from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.connector import AddressRefusedOSError
from heldtrue.capabilities.deliveries.exchange import EXCERPT, Answer, request, target
from heldtrue.capabilities.deliveries.lines import Lines
from heldtrue.capabilities.deliveries.model import Failure
from heldtrue.capabilities.deliveries.schedule import parse_retry_after

__all__ = ["EXCERPT", "Dialer", "Post", "Response"]
TIMEOUT = timedelta(seconds=15)
PATIENCE = 2.0
"""Seconds that an answer's body may take once its status is there."""
CONCURRENCY = 512
"""Deliveries on their way at once, to all endpoints together."""
USER_AGENT = "Heldtrue-Webhooks/1"


@dataclass(frozen=True, slots=True)
class Response:
    """What came of one request."""

    status: int | None = None
    failure: Failure | None = None
    latency_ms: int = 0
    excerpt: bytes | None = None
    retry_after: timedelta | None = None
    """What the receiver asked us to wait."""

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it: 2xx, nothing else."""
        return self.status is not None and 200 <= self.status < 300


class Post(Protocol):
    """Send a body to a URL and tell what came of it."""

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str], now: datetime) -> Response:
        """Return the outcome; never raise for what the receiver or the network does."""
        ...


class Dialer:
    """Sends webhooks. Make it inside the event loop, and close it."""

    def __init__(
        self,
        allow: AllowList | None = None,
        *,
        ca_file: Path | None = None,
        authorities: str | None = None,
        resolver: AbstractResolver | None = None,
        timeout: timedelta = TIMEOUT,
        concurrency: int = CONCURRENCY,
    ) -> None:
        """Prepare two ways out: to public addresses, and to the inner ones that *allow* lists.

        Only the second also trusts *ca_file* and *authorities* (PEM): an inner authority must not vouch for a public
        host.
        """
        self._timeout = timeout.total_seconds()
        self._lines = Lines(
            allow or AllowList(), ca_file=ca_file, authorities=authorities, resolver=resolver, keep=concurrency
        )

    async def __aenter__(self) -> Dialer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._lines.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], now: datetime) -> Response:
        """Send *body* once and tell what came of it; without TLS nothing is sent."""
        if not url.startswith("https://"):
            return Response(failure="tls")
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                to = target(url)
                data = request(to, {"content-type": "application/json", "user-agent": USER_AGENT, **headers}, body)
                line = await self._lines.take(to)
                try:
                    answer = line.ask(data)
                    await answer.headed
                except BaseException:
                    self._lines.cut(line)
                    raise
        except TimeoutError:
            failure: Failure = "timeout"
        except ssl.SSLError:
            failure = "tls"
        except AddressRefusedOSError:
            failure = "refused-address"
        except OSError:
            failure = "connect"
        except ValueError:
            failure = "protocol"
        else:
            latency_ms = _since(began)
            try:
                await _ended(answer)
            finally:
                self._lines.give_back(to, line)
            return Response(
                status=answer.status,
                latency_ms=latency_ms,
                excerpt=answer.excerpt,
                retry_after=parse_retry_after(answer.retry_after, now),
            )
        return Response(failure=failure, latency_ms=_since(began))


async def _ended(answer: Answer) -> None:
    """Wait for the end of a body; the status stands, so one that breaks off or never ends is only cut short."""
    if not answer.ended.done():
        await asyncio.wait([answer.ended], timeout=PATIENCE)


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)

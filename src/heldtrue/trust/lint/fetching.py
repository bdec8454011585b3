"""Fetches a page of somebody else's: https only, judged addresses only, so many bytes and no more."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urljoin, urlsplit

from heldtrue.capabilities.deliveries.addresses import AllowList, judge, parse_address
from heldtrue.kernel.errors import BadInputError, UnavailableError

LARGEST = 4 * 1024 * 1024
"""Bytes that are read of a page."""
REDIRECTS = 3
SECONDS = 20.0
"""For all of it, redirects included."""
AGENT = "heldtrue-lint/1"


class UnreadablePageError(BadInputError):
    """The page cannot be read; check the address or the file, and that it is Markdown or HTML."""

    code = "unreadable-page"


class PageAwayError(UnavailableError):
    """The page's server did not answer in time; try again later, or save the page and lint the file."""

    code = "page-away"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """How pages are fetched."""

    allow: AllowList = field(default_factory=AllowList)
    """Inner networks that may be entered: for an instance of one's own."""
    ca_file: Path | None = None

    def get(self, url: str) -> tuple[str, str]:
        """Return a page's text and media type; follow a few redirects, each judged like the first address."""
        deadline = time.monotonic() + SECONDS
        for _ in range(REDIRECTS + 1):
            status, location, kind, body = self._once(_parsed(url), deadline)
            if status in {301, 302, 303, 307, 308} and location:
                url = urljoin(url, location)
                continue
            if status != 200:
                raise UnreadablePageError(f"{url} answered {status}", advice="Name the page itself.")
            return body.decode("utf-8", "replace"), kind
        raise UnreadablePageError(f"{url} redirects too often", advice="Name the page itself.")

    def _once(self, parts: SplitResult, deadline: float) -> tuple[int, str | None, str, bytes]:
        host, port = parts.hostname or "", parts.port or 443
        try:
            with _Connection(host, self._connect(host, port, deadline), self._context()) as connection:
                path = parts.path or "/"
                connection.request(
                    "GET",
                    f"{path}?{parts.query}" if parts.query else path,
                    headers={"user-agent": AGENT, "accept": "text/html, text/markdown, text/plain, application/json"},
                )
                answer = connection.getresponse()
                body = _read(answer, deadline)
        except ssl.SSLError as error:
            raise UnreadablePageError(
                f"{host}: TLS failed: {error}", advice="Name --ca-file for a CA of yours."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise PageAwayError(f"{host}: {error}") from error
        kind = (answer.getheader("content-type") or "").partition(";")[0].strip().lower()
        return answer.status, answer.getheader("location"), kind, body

    def _connect(self, host: str, port: int, deadline: float) -> socket.socket:
        """Return a connection to the first address of *host* that may be entered: the very address that was judged."""
        refused = ""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, sockaddr in found:
            address = parse_address(str(sockaddr[0]))
            verdict = judge(address, self.allow) if address is not None else None
            if verdict is None or not verdict.permitted:
                refused = f"{sockaddr[0]} is refused: {verdict.reason if verdict else 'no address'}"
                continue
            made = socket.socket(family, kind, protocol)
            try:
                made.settimeout(max(0.1, deadline - time.monotonic()))
                made.connect(sockaddr)
            except OSError:
                made.close()
                raise
            return made
        raise UnreadablePageError(f"{host}: {refused}", advice="Only public addresses are read; see --allow.")

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ca_file is not None:
            context.load_verify_locations(cafile=self.ca_file)
        return context


class _Connection(http.client.HTTPSConnection):
    """HTTPS over a socket that is connected already."""

    def __init__(self, host: str, connected: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(host, context=context)
        try:
            self.sock = context.wrap_socket(connected, server_hostname=host)
        except BaseException:
            connected.close()
            raise

    def connect(self) -> None:
        """Refuse to open another socket: its address would not have been judged."""
        raise http.client.NotConnected

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _parsed(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        named = parts.hostname and (parts.port or 443)
    except ValueError as error:
        raise UnreadablePageError(f"{url[:200]!r} is no URL: {error}") from error
    if parts.scheme != "https" or not named or parts.username is not None:
        raise UnreadablePageError(
            f"{url[:200]!r} is not an https URL", advice='Write it as "https://example.com/trust".'
        )
    return parts


def _read(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    body = b""
    while piece := answer.read1(65536):
        body += piece
        if len(body) > LARGEST:
            raise UnreadablePageError(f"the page is over {LARGEST} bytes", advice="Lint a part of it as a file.")
        if time.monotonic() > deadline:
            raise PageAwayError(f"the page took longer than {SECONDS:.0f} s")
    return body

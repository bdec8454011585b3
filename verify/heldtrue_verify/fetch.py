"""One HTTPS connection to the server that is checked: no redirects, no proxies, bounded answers, patience."""

from __future__ import annotations

import http.client
import ssl
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from heldtrue_verify.verdicts import DoesNotHoldError, UnusableError

TIMEOUT = 20.0
LARGEST_PAGE = 16 * 2**20
LATER = (http.client.TOO_MANY_REQUESTS, http.client.SERVICE_UNAVAILABLE)
LONGEST_WAIT, PATIENCE = 60, 900
"""Seconds that a server may ask to wait at once, and in all: whoever reads a long log meets the server's limits."""


def base_of(url: str) -> str:
    """Give the instance's base URL for whatever address of its trust page the reader typed."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme != "https":
        raise UnusableError(f"Only https:// is fetched, not {parts.scheme}://.")
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise UnusableError("The address must be https://host[:port], with or without /trust.")
    path = parts.path.rstrip("/")
    for page in ("/trust.json", "/trust"):
        path = path.removesuffix(page)
    return f"https://{parts.netloc}{path}"


class Server:
    """Fetches paths below a base URL over one kept connection."""

    def __init__(self, base: str, ca_file: Path | None = None) -> None:
        parts = urlsplit(base)
        try:
            context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._connection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=TIMEOUT, context=context
            )
        except (OSError, ValueError) as error:
            raise UnusableError(f"The CA file or the address cannot be used: {error}.") from error
        self.base = base
        self._waited = 0
        self._prefix = parts.path

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def get(self, path: str, largest: int = LARGEST_PAGE) -> bytes:
        """Fetch one path; anything but 200 is the server's failure, no connection makes the check impossible."""
        data = self.find(path, largest)
        if data is None:
            raise DoesNotHoldError(f"The server does not have {path}.")
        return data

    def find(self, path: str, largest: int = LARGEST_PAGE) -> bytes | None:
        """Fetch one path, or give None where the server answers 404. Wait and ask again where it says when."""
        while True:
            status, body, wait = self._ask_twice(path, largest)
            if status not in LATER:
                break
            self._waited += wait
            if wait > LONGEST_WAIT or self._waited > PATIENCE:
                raise UnusableError(
                    f"{self.base} answers {status} for {path} and asks to wait {wait} seconds more; try again later."
                )
            time.sleep(wait)
        if len(body) > largest:
            self._connection.close()
            raise DoesNotHoldError(f"The server's answer for {path} is larger than {largest} bytes.")
        if status not in (http.client.OK, http.client.NOT_FOUND):
            raise DoesNotHoldError(f"The server answers {status} for {path}.")
        return body if status == http.client.OK else None

    def _ask_twice(self, path: str, largest: int) -> tuple[int, bytes, int]:
        """Ask, once more on a new connection where a kept one may have ended."""
        try:
            return self._ask(path, largest)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()
            try:
                return self._ask(path, largest)
            except (OSError, http.client.HTTPException) as error:
                raise UnusableError(f"{self.base} closes the connection: {error}.") from error
        except (OSError, http.client.HTTPException) as error:
            raise UnusableError(f"{self.base} cannot be reached: {error}.") from error

    def _ask(self, path: str, largest: int) -> tuple[int, bytes, int]:
        """Return status, body, and the seconds to wait before asking again (RFC 9110, section 10.2.3); at least one."""
        asked = {"Accept-Encoding": "identity", "Cache-Control": "no-cache", "User-Agent": "heldtrue-verify"}
        self._connection.request("GET", self._prefix + path, headers=asked)
        with self._connection.getresponse() as answer:
            said = answer.headers.get("Retry-After", "")
            wait = max(int(said[:9]), 1) if said.isdecimal() and said.isascii() else 1
            return answer.status, answer.read(largest + 1), wait

"""The API's client of the command line: standard library, the local authority, secrets from files only."""

from __future__ import annotations

import http.client
import secrets
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

import orjson

from heldtrue.kernel.errors import BadInputError, HeldtrueError, SettingsError, UnavailableError
from heldtrue.kernel.secret import Secret

TIMEOUT = 60.0


def encoded(body: object) -> bytes:
    """Return *body* as JSON; raise `BadInputError` for what no request can hold."""
    try:
        return orjson.dumps(body)
    except TypeError as error:
        raise BadInputError(f"this cannot be sent: {error}") from error


class RefusedError(HeldtrueError):
    """The instance refused the request; the message is its own."""

    code = "refused"

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        title = str(problem.get("detail") or problem.get("title") or f"the instance answered {status}")
        super().__init__(title, advice=str(problem.get("advice") or ""))
        self.status = status
        self.problem = problem


class Api:
    """One instance's API, over TLS, with one credential."""

    def __init__(self, url: str, ca_file: Path | None, credential: Secret[str] | None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise SettingsError(f"{url!r} is not an https URL", advice="Write --url https://HOST:PORT.")
        self.url = url.rstrip("/")
        self._host, self._port = parts.hostname, parts.port or 443
        self._prefix = parts.path.rstrip("/")
        try:
            self._tls = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"{ca_file} is not a readable CA file: {error}", advice="Check --ca-file.") from error
        self._credential = credential

    def get(self, path: str, **query: object) -> Any:
        """Return the JSON at *path*."""
        asked = {name: str(value) for name, value in query.items() if value is not None}
        return self.call("GET", f"{path}?{urlencode(asked)}" if asked else path)

    def pages(self, path: str, *, most: int | None = None, **query: object) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, page by page, at most *most*."""
        cursor: str | None = None
        given = 0
        while True:
            page = cast("dict[str, Any]", self.get(path, cursor=cursor, **query))
            for item in page["data"]:
                if most is not None and given >= most:
                    return
                given += 1
                yield item
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def post(self, path: str, body: object = None, *, idempotent: bool = True) -> Any:
        """Post JSON, or nothing, and return the JSON answer.

        A lost connection is tried once more under the same idempotency key.
        """
        headers = {"Idempotency-Key": secrets.token_hex(16)} if idempotent else {}
        if body is None:  # what takes no body refuses an empty object
            return self.call("POST", path, None, headers)
        return self.call("POST", path, encoded(body), {**headers, "Content-Type": "application/json"})

    def put(self, path: str, body: object) -> Any:
        """Put JSON and return the JSON answer."""
        return self.call("PUT", path, encoded(body), {"Content-Type": "application/json"})

    def delete(self, path: str, **query: object) -> Any:
        """Delete what is at *path*."""
        asked = {name: str(value) for name, value in query.items() if value is not None}
        return self.call("DELETE", f"{path}?{urlencode(asked)}" if asked else path)

    def call(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
        """Send a request and return its JSON answer, None when it is empty; raise `RefusedError` for a refusal."""
        content = self.raw(method, path, body, headers)
        return orjson.loads(content) if content else None

    def raw(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
        """Send a request and return the bytes of its answer."""
        sent = {"Accept": "application/json", "User-Agent": "heldtrue-cli", **(headers or {})}
        if self._credential is not None:
            sent["Authorization"] = f"Bearer {self._credential.reveal()}"
        tries = 2 if method in {"GET", "HEAD"} or "Idempotency-Key" in sent else 1
        while True:
            tries -= 1
            try:
                status, kind, content = self._once(method, self._prefix + path, body, sent)
            except ssl.SSLCertVerificationError as error:
                raise UnavailableError(
                    f"the certificate of {self.url} is not trusted: {error.verify_message}",
                    advice="Name the instance's authority with --ca-file; it is tls/ca.pem in its data directory.",
                ) from error
            except (OSError, http.client.HTTPException) as error:
                if tries:
                    continue
                raise UnavailableError(
                    f"no answer from {self.url}: {error or type(error).__name__}",
                    advice="Is the instance up? Start it with `heldtrue up`, or name another with --url.",
                ) from error
            break
        if status >= 400:
            problem = orjson.loads(content) if "json" in kind and content else {}
            raise RefusedError(status, problem)
        return content

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT, context=self._tls)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.headers.get("content-type", ""), answer.read()
        finally:
            connection.close()


def segment(text: str) -> str:
    """Return *text* as one segment of a path."""
    return quote(text, safe="")

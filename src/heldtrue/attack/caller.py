"""A small, strict HTTPS client for attacks: one connection kept alive, nothing followed, nothing retried but 429."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heldtrue.attack import AttackHinderedError
from heldtrue.kernel.secret import Secret

TIMEOUT = 15.0
PATIENCE = 60.0
"""Seconds that an attack waits, in all, for its own rate limit."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first header of that name."""
        return next((value for key, value in self.headers if key == name), None)

    def json(self) -> Any:
        """Return the body as JSON; raise `AttackHinderedError` when it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise AttackHinderedError(f"an answer with status {self.status} is no JSON") from error

    def expect(self, *statuses: int) -> Reply:
        """Return itself when the status is one of *statuses*; the attack cannot go on otherwise."""
        if self.status not in statuses:
            raise AttackHinderedError(f"expected {statuses}, got {self.status}: {self.body[:200]!r}")
        return self


@dataclass(frozen=True, slots=True)
class Address:
    """Where the listener is, and under which name it must prove itself."""

    host: str
    port: int
    server_name: str
    starttls: bool = False
    """Whether it is a mail server, which speaks in clear until it is asked for TLS."""
    clear: bool = False
    """Whether it speaks no TLS: a door on loopback."""


class Caller:
    """Calls one instance; count what was asked by `requests`."""

    def __init__(self, address: Address, ca_file: Path | None, authority: str) -> None:
        """Prepare; *ca_file* None: the system's authorities. *authority* goes into the `Host` header."""
        self.address = address
        self.requests = 0
        self._authority = authority
        self._ca_file = ca_file
        self._context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._connection: _Connection | None = None
        self._patience = PATIENCE

    def call(
        self,
        method: str,
        path: str,
        token: Secret[str] | str | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        patient: bool = True,
    ) -> Reply:
        """Ask once and return the reply; with *patient*, wait for our own rate limit and ask again."""
        sent = dict(headers or {})
        if token is not None:
            text = token.reveal() if isinstance(token, Secret) else token
            sent["authorization"] = f"Bearer {text}"
        if isinstance(body, Mapping):
            body = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        while True:
            reply = self._once(method, path, body, sent)
            if reply.status != 429 or not patient or self._patience <= 0:
                return reply
            pause = min(max(float(reply.header("retry-after") or 1), 0.05), self._patience)
            self._patience -= pause
            time.sleep(pause)

    def twin(self) -> Caller:
        """Return another caller of the same instance, for use in another thread."""
        return Caller(self.address, self._ca_file, self._authority)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        fresh = self._connection is None
        try:
            return self._exchange(method, path, body, headers)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            if fresh:
                raise AttackHinderedError(f"{method} {path} got no answer: {type(error).__name__}") from error
        try:  # a kept connection may have been closed by the other side in the meantime
            return self._exchange(method, path, body, headers)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise AttackHinderedError(f"{method} {path} got no answer: {type(error).__name__}") from error

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        if self._connection is None:
            self._connection = _Connection(self.address, self._context)
        self.requests += 1
        self._connection.request(method, path, body, {"host": self._authority, **headers})
        answer = self._connection.getresponse()
        content = answer.read()
        found = tuple((key.lower(), value) for key, value in answer.getheaders())
        if answer.will_close:
            self.close()
        return Reply(answer.status, found, content)


class _Connection(http.client.HTTPSConnection):
    """A connection to an address whose certificate is for another name than the address."""

    def __init__(self, address: Address, context: ssl.SSLContext) -> None:
        super().__init__(address.host, address.port, timeout=TIMEOUT, context=context)
        self._address = address
        self._tls = context

    def connect(self) -> None:
        """Connect, and verify the certificate for the server's own name."""
        plain = socket.create_connection((self._address.host, self._address.port), TIMEOUT)
        with contextlib.suppress(OSError):
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self._address.server_name)
        except BaseException:
            plain.close()
            raise

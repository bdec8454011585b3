"""The way out of declared checks: TLS only, to addresses that were judged, a little of each answer, no redirects."""

from __future__ import annotations

import http.client
import socket
import ssl
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from heldtrue.attack import AttackHinderedError
from heldtrue.capabilities.deliveries.addresses import AllowList, judge, parse_address

TIMEOUT = 10.0
LARGEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; a header that came twice is joined by a comma."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Way:
    """Where checks may look, and whom they trust there."""

    allow: AllowList = field(default_factory=AllowList)
    ca_file: Path | None = None
    """Authorities beside the system's."""

    def connect(self, host: str, port: int) -> socket.socket:
        """Return a connection to the first permitted address of *host*; what is not public is not dialled."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise AttackHinderedError(f"{host} has no address") from error
        last: OSError | None = None
        for family, kind, protocol, _, where in found:
            address = parse_address(str(where[0]))
            if address is None or not judge(address, self.allow).permitted:
                continue
            link = socket.socket(family, kind, protocol)
            link.settimeout(TIMEOUT)
            try:
                link.connect(where)
            except OSError as error:
                last = error
                link.close()
                continue
            return link
        if last is not None:
            raise AttackHinderedError(f"{host} cannot be reached") from last
        raise AttackHinderedError(f"{host} leads to no address that may be dialled")

    def speaks(self, host: str, port: int, version: ssl.TLSVersion) -> bool:
        """Whether the listener completes a handshake of exactly *version*, whoever it says it is."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # old versions are what we look for
            context.minimum_version = context.maximum_version = version
        try:
            with self.connect(host, port) as link, context.wrap_socket(link, server_hostname=host):
                return True
        except (ssl.SSLError, ConnectionError):
            return False

    def get(self, url: str) -> Answer:
        """Return the answer at an https *url*, verified in full."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        context = ssl.create_default_context()
        if self.ca_file is not None:
            context.load_verify_locations(self.ca_file)
        connection = http.client.HTTPSConnection(host, parts.port or 443, timeout=TIMEOUT, context=context)
        try:
            connection.sock = context.wrap_socket(self.connect(host, parts.port or 443), server_hostname=host)
            connection.request("GET", f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}")
            answer = connection.getresponse()
            headers: dict[str, str] = {}
            for name, value in answer.getheaders():
                headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
            return Answer(answer.status, headers, answer.read(LARGEST + 1))
        except (OSError, http.client.HTTPException) as error:
            raise AttackHinderedError(f"{host} gave no answer: {type(error).__name__}") from error
        finally:
            connection.close()

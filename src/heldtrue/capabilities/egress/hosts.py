"""Read hosts and URLs in one strict way, so that what was allowed and what is connected to cannot differ.

One spelling for each host: lower-case LDH labels (RFC 5890; other scripts as `xn--`), no trailing dot, no literal
address, no user information, a decimal port. Whatever a lenient parser might read otherwise is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

HTTPS = 443
LONGEST_NAME, LONGEST_URL = 253, 8000
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_URL = re.compile(r"https://([^/?#]*)((?:/[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*)?(?:\?[A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*)?)")


class HostError(ValueError):
    """The host or URL is not written in the one way that is read; the message says what to change."""


class Host(NamedTuple):
    """A name and a port."""

    name: str
    port: int

    def __str__(self) -> str:
        return self.name if self.port == HTTPS else f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes: what is judged and what is connected to are the same."""

    host: Host
    rest: str
    """Path and query, from the slash."""

    @property
    def url(self) -> str:
        """The URL that is called."""
        return f"https://{self.host}{self.rest}"


def parse_host(text: str) -> Host:
    """Return the host that *text* writes as `name` or `name:port`; raise `HostError` for any other spelling."""
    name, colon, port = text.partition(":")
    if colon and (not _PORT.fullmatch(port) or int(port) > 65535):
        raise HostError(f"{text[:300]!r}: the port is no number from 1 to 65535")
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise HostError(
            f"{text[:300]!r} is no host: write the name in lower case, without user, trailing dot or path, and other "
            "scripts as xn--"
        )
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise HostError(f"{text[:300]!r} is a literal address: write the name that the certificate is for")
    return Host(name, int(port) if colon else HTTPS)


def parse_url(text: str) -> Target:
    """Return where *text* leads; raise `HostError` for what is not `https://host[:port][/path][?query]`."""
    if len(text) > LONGEST_URL:
        raise HostError(f"the URL is over {LONGEST_URL} characters")
    if not text.startswith("https://"):
        raise HostError("the URL does not begin with https://, and nothing goes out in clear")
    found = _URL.fullmatch(text)
    if found is None:
        raise HostError("the URL has a character that must be percent-encoded, or a fragment")
    host, rest = parse_host(found[1]), found[2]
    return Target(host, rest if rest.startswith("/") else f"/{rest}")

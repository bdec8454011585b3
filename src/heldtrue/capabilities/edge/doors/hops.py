"""Which headers pass a proxy, and which end there (RFC 9110, section 7.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from heldtrue.capabilities.edge.doors.hearing import OURS, bare
from heldtrue.http.exchange import MalformedRequestError

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""About one connection only (RFC 9110, section 7.6.1, and those that older agents send)."""
SET_AFRESH = frozenset(
    {"authorization", "content-length", "expect", "forwarded", "host", "request-id", "via", "x-real-ip"}
)
"""Said by the proxy itself, or meant for it: the credential stays here."""
MISLEADING = frozenset(
    {
        "cf-connecting-ip",
        "client-ip",
        "proxy",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-host",
        "x-original-method",
        "x-original-uri",
        "x-original-url",
        "x-rewrite-url",
    }
)
"""What would make an upstream see another caller or do something else than was judged."""
_ENDS_HERE = HOP_BY_HOP | SET_AFRESH | MISLEADING
_HANDSHAKE = frozenset(
    {
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
    }
)
"""Made anew between the proxy and the upstream (RFC 6455, section 4)."""


class UnwritableHeaderError(MalformedRequestError):
    """A header's value holds bytes beyond ASCII, which the built-in proxy does not carry; encode it."""

    code = "unwritable-header"


def onward(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return the request headers that go on to the upstream.

    What ends here: headers of the connection and those that `Connection` names, the credential, whatever only the proxy
    may say, and every name with an underscore, which a careless upstream would take for another one.
    """
    named = named_by(value for name, value in headers if name == b"connection")
    passed: list[tuple[str, str]] = []
    for raw, value in headers:
        name = raw.decode("latin-1")
        ends = name in _ENDS_HERE or name in named or "_" in name or name.startswith("x-forwarded")
        if ends or bare(raw).startswith(OURS):
            continue
        if not value.isascii():
            raise UnwritableHeaderError(f"The header {name} holds bytes beyond ASCII.")
        passed.append((name, value.decode("ascii")))
    return passed


def back(headers: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return the response headers that go back to the client; what only a door may say is not among them."""
    named = named_by(value.encode("latin-1") for name, value in headers if name == "connection")
    return [
        (raw, value.encode("latin-1"))
        for name, value in headers
        if name not in HOP_BY_HOP
        and name not in named
        and name != "request-id"
        and not bare(raw := name.encode("latin-1")).startswith(OURS)
    ]


def named_by(values: Iterable[bytes]) -> frozenset[str]:
    """Return the header names that `Connection` lists, in lower case."""
    return frozenset(
        name for value in values for part in value.decode("latin-1").split(",") if (name := part.strip().lower())
    )


def without_handshake(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return *headers* without those of one websocket's handshake."""
    return [pair for pair in headers if pair[0] not in _HANDSHAKE]

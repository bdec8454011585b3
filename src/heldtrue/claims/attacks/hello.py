"""Say hello in any version of TLS, byte by byte, and tell which one the server chose.

A library would refuse to offer what is older than 1.2, and to go on where a certificate is asked of us: what is asked
here is only which version a listener agrees to (RFC 6101; RFC 5246 and 8446, sections 4.1.2 and 4.1.3, or 7.4.1).
"""

from __future__ import annotations

import os
import socket
import struct

from heldtrue.attack import AttackHinderedError
from heldtrue.attack.caller import Address

VERSIONS = {"SSL 3.0": 0x0300, "TLS 1.0": 0x0301, "TLS 1.1": 0x0302, "TLS 1.2": 0x0303, "TLS 1.3": 0x0304}
TIMEOUT = 5.0
_TLS12, _TLS13 = VERSIONS["TLS 1.2"], VERSIONS["TLS 1.3"]
_OLD_SUITES = (0x000A, 0x002F, 0x0035, 0x003C, 0xC009, 0xC00A, 0xC013, 0xC014)
"""Suites that a server of those years would take."""
_SUITES = {_TLS12: (0xC02B, 0xC02C, 0xC02F, 0xC030, 0xCCA8, 0xCCA9), _TLS13: (0x1301, 0x1302, 0x1303)}
_SCHEMES = (0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807, 0x0401, 0x0501, 0x0601)
_HANDSHAKE, _SERVER_HELLO = 22, 2
_SUPPORTED_VERSIONS, _KEY_SHARE = 43, 51
_X25519, _P256, _P384 = 0x001D, 0x0017, 0x0018
_LONGEST_REPLY = 64
"""Lines of an answer to EHLO."""


def chosen(listener: Address, version: int) -> int | None:
    """Offer *listener* that *version* alone; return the version of its server hello, None when it sent none.

    Raise `AttackHinderedError` when it cannot be reached at all.
    """
    try:
        with socket.create_connection((listener.host, listener.port), TIMEOUT) as link:
            if listener.starttls:
                _starttls(link)
            link.sendall(_client_hello(version, listener.server_name))
            return _version_of(_record(link))
    except ConnectionError:
        return None
    except OSError as error:
        raise AttackHinderedError(f"the listener on port {listener.port} cannot be reached") from error


def _starttls(link: socket.socket) -> None:
    """Bring a mail server to the point where TLS begins (RFC 3207)."""
    with link.makefile("rb") as lines:
        _expect(lines.readline(1000), b"220")
        link.sendall(b"EHLO probe.invalid\r\n")
        for _ in range(_LONGEST_REPLY):
            line = lines.readline(1000)
            _expect(line, b"250")
            if line[3:4] == b" ":
                break
        link.sendall(b"STARTTLS\r\n")
        _expect(lines.readline(1000), b"220")


def _expect(line: bytes, code: bytes) -> None:
    if not line.startswith(code):
        raise AttackHinderedError(f"the mail listener said {line[:80]!r} where {code.decode()} was expected")


def _client_hello(version: int, server_name: str) -> bytes:
    """Return a record with a client hello that offers *version* alone."""
    suites = b"".join(struct.pack(">H", suite) for suite in _SUITES.get(version, _OLD_SUITES))
    session = os.urandom(32) if version == _TLS13 else b""
    body = (
        struct.pack(">H", min(version, _TLS12))
        + os.urandom(32)
        + _prefixed(session, 1)
        + _prefixed(suites, 2)
        + b"\x01\0"
        + (_prefixed(_extensions(version, server_name), 2) if version > VERSIONS["SSL 3.0"] else b"")
    )
    hello = b"\x01" + _prefixed(body, 3)
    return bytes([_HANDSHAKE]) + struct.pack(">H", min(version, VERSIONS["TLS 1.0"])) + _prefixed(hello, 2)


def _extensions(version: int, server_name: str) -> bytes:
    found = _extension(0, _prefixed(b"\0" + _prefixed(server_name.encode(), 2), 2))
    found += _extension(10, _prefixed(struct.pack(">HHH", _X25519, _P256, _P384), 2))
    found += _extension(11, _prefixed(b"\0", 1))
    if version >= _TLS12:
        found += _extension(13, _prefixed(b"".join(struct.pack(">H", scheme) for scheme in _SCHEMES), 2))
    if version == _TLS13:
        found += _extension(_SUPPORTED_VERSIONS, _prefixed(struct.pack(">H", _TLS13), 1))
        share = struct.pack(">H", _X25519) + _prefixed(os.urandom(32), 2)  # any 32 bytes are a public key of X25519
        found += _extension(_KEY_SHARE, _prefixed(share, 2))
    return found


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">H", kind) + _prefixed(data, 2)


def _prefixed(data: bytes, size: int) -> bytes:
    """Return *data* behind its length in *size* bytes."""
    return len(data).to_bytes(size, "big") + data


def _record(link: socket.socket) -> bytes:
    """Return the first record that came, header included; shorter when the server hung up."""
    head = _exactly(link, 5)
    return head + _exactly(link, int.from_bytes(head[3:5], "big")) if len(head) == 5 else head


def _exactly(link: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size and (piece := link.recv(size - len(got))):
        got += piece
    return got


def _version_of(record: bytes) -> int | None:
    """Return the version that a server hello chose; None for an alert, or for anything else."""
    if len(record) < 44 or record[0] != _HANDSHAKE or record[5] != _SERVER_HELLO:
        return None
    place = 5 + 4 + 2 + 32
    place += 1 + record[place] + 2 + 1
    end = place + 2 + int.from_bytes(record[place : place + 2], "big")
    place += 2
    while place + 4 <= min(end, len(record)):
        kind, size = struct.unpack(">HH", record[place : place + 4])
        if kind == _SUPPORTED_VERSIONS and size == 2:
            return int.from_bytes(record[place + 4 : place + 6], "big")
        place += 4 + size
    return int.from_bytes(record[9:11], "big")

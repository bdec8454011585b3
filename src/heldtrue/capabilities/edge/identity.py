"""Identity headers: who the caller is, told to an upstream so that it can check it (docs/spec/identity-headers.md).

An upstream that believes a header believes whoever can reach it. These are authenticated with HMAC-SHA256 under a key
that only the door and that upstream hold, and bound to the one request they came with.
"""

from __future__ import annotations

import base64
import hmac
import re
from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self
from urllib.parse import quote

from heldtrue.capabilities.edge.model import Caller
from heldtrue.crypto.guarded import Guarded
from heldtrue.kernel.errors import SettingsError
from heldtrue.kernel.ids import CryptoKeyId
from heldtrue.kernel.secret import Secret

VERSION = "heldtrue-identity-v1"
LIFETIME = 30
"""Seconds for which an upstream may accept a stamp."""
PREFIX = "htuk"
NO_SCOPES = "-"
"""Written where the caller holds none: proxies drop empty headers."""
PROOF = "heldtrue-identity"
IDENTITY_HEADERS = (
    "heldtrue-tenant",
    "heldtrue-environment",
    "heldtrue-subject",
    "heldtrue-key-type",
    "heldtrue-scopes",
    "heldtrue-request",
    PROOF,
)
"""What an answer of a door bears, and what a proxy hands on to the upstream, having removed any of these before."""
REMEMBERED = 4096
"""Callers whose headers are remembered; kept with them, so that no other object takes their place."""
_told: dict[int, tuple[Caller, tuple[str, ...]]] = {}
_PLAIN = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"
_IS_PLAIN = re.compile(rf"[A-Za-z0-9{re.escape(_PLAIN)}]*").fullmatch
_URL = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True, slots=True, repr=False)
class UpstreamKey(Guarded):
    """A key that one upstream shares with the doors in front of it."""

    id: CryptoKeyId
    material: Secret[bytes] = field(repr=False)
    label: str = field(init=False)
    """The id as it stands in a header, written once."""
    _keyed: hmac.HMAC = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", str(self.id))
        object.__setattr__(self, "_keyed", hmac.new(self.material.reveal(), digestmod="sha256"))

    def mac(self, message: bytes) -> bytes:
        """Return HMAC-SHA256 of *message*; the key is worked in once, which halves the cost of each."""
        keyed = self._keyed.copy()
        keyed.update(message)
        return keyed.digest()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key written as *text*, as it was shown once; raise `SettingsError` for anything else."""
        prefix, _, rest = text.partition("_")
        number, _, encoded = rest.partition("_")
        try:
            material = base64.urlsafe_b64decode(encoded + "=")
            if prefix != PREFIX or len(material) != 32:
                raise ValueError(prefix)
            return cls(CryptoKeyId.parse(f"{CryptoKeyId.prefix}_{number}"), Secret(material))
        except ValueError as error:
            raise SettingsError("this is not an upstream key", advice="It begins with htuk_; copy it whole.") from error

    def text(self) -> Secret[str]:
        """Return the key as an upstream is given it: `htuk_<id>_<43 letters>`."""
        return Secret(f"{PREFIX}_{self.id.value.hex}_{_encoded(self.material.reveal())}")


def stamp(
    keys: Sequence[UpstreamKey], *, method: str, host: str, target: str, request: str, now: datetime, caller: Caller
) -> list[tuple[str, str]]:
    """Return the headers that tell an upstream who *caller* is, in this one request.

    *target* is path and query as the upstream receives them, *host* as the client named it. Each of *keys* makes a
    mac: while a key is rolled, the upstream may know only one of the two.
    """
    expires = str(int(now.timestamp()) + LIFETIME)
    told = (*_about(caller), request)
    message = signed_bytes(method, host, target, expires, told)
    macs = " ".join([f"{key.label}={_encoded(key.mac(message))}" for key in keys])
    return list(zip(IDENTITY_HEADERS, (*told, f"v1 {expires} {macs}"), strict=True))


def _about(caller: Caller) -> tuple[str, ...]:
    """Return what is told of *caller*, written once for as long as it is the same object: it never changes."""
    known = _told.get(id(caller))
    if known is not None and known[0] is caller:
        return known[1]
    told = (
        str(caller.tenant),
        caller.environment,
        caller.subject if _IS_PLAIN(caller.subject) else quote(caller.subject, safe=_PLAIN),
        caller.type,
        " ".join(sorted(caller.grants)) if caller.grants else NO_SCOPES,
    )
    if len(_told) >= REMEMBERED:
        _told.clear()
    _told[id(caller)] = caller, told
    return told


def signed_bytes(method: str, host: str, target: str, expires: str, told: Sequence[str]) -> bytes:
    """Return what is authenticated: eleven lines joined by a line feed, which none of them can hold."""
    message = "\n".join((VERSION, method, host.lower(), target, expires, *told)).encode("latin-1")
    if message.count(b"\n") != 10:
        raise ValueError("a line feed in what an identity is bound to")
    return message


def _encoded(data: bytes) -> str:
    return b2a_base64(data, newline=False).translate(_URL, b"=").decode("ascii")

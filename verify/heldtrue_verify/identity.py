"""Identity headers (docs/spec/identity-headers.md): `verify_identity` for an upstream behind a Heldtrue door.

Standard library only. Call it before anything else looks at the request, and take who the caller is from what it
returns, never from the headers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import unquote_to_bytes

from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError

VERSION = "heldtrue-identity-v1"
LIFETIME = 30
"""Seconds that a stamp is valid; one that claims to be for longer is refused."""
_SKEW = 5
"""Seconds by which the door's clock may be ahead of this one."""
_TOLD = (
    "heldtrue-tenant",
    "heldtrue-environment",
    "heldtrue-subject",
    "heldtrue-key-type",
    "heldtrue-scopes",
    "heldtrue-request",
)
_PROOF = "heldtrue-identity"
_NAMES = frozenset((*_TOLD, _PROOF))
_KEY = re.compile(r"htuk_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
_STAMP = re.compile(r"v1 ([0-9]{1,12})((?: ck_[0-9a-f]{32}=[A-Za-z0-9_-]{43}){1,4})")


class IdentityRefusedError(DoesNotHoldError):
    """The headers do not say who the caller is: answer with 401, and use nothing of them."""


class NoIdentityError(IdentityRefusedError):
    """No identity came: the request is anonymous, or did not come through the door."""


class ForgedIdentityError(IdentityRefusedError):
    """The headers were altered, belong to another request, or were made with a key that was not given."""


class StaleIdentityError(IdentityRefusedError):
    """The headers were good once; this is a repetition, or the two clocks differ."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sent the request, as the door found."""

    tenant: str
    """The organisation, `org_…`."""
    environment: str
    subject: str
    """Of a key its id, `key_…`; of a session token its `sub`."""
    key_type: str
    """`sk`: secret key, `pk`: publishable key, `session`: session token."""
    scopes: frozenset[str]
    """Scope names of your own that the caller holds."""
    request: str
    """The request's id, `req_…`; unique, so that a repetition can be dropped."""
    expires: int
    """Unix seconds."""


def verify_identity(
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    method: str,
    host: str,
    target: str,
    keys: Sequence[str],
    now: float | None = None,
) -> Identity:
    """Return who sent this request; raise `IdentityRefusedError` where the headers do not prove it.

    *headers* are all of the request's, looked up without regard to case. *method*, *host* and *target* (path and query,
    undecoded) are the request's own, as the client sent them. *keys* are `htuk_…`; while they roll, give both. *now* is
    in unix seconds and by default the present.
    """
    known = dict(parse_key(text) for text in keys)
    if not known:
        raise MalformedError("No key was given: nothing could be verified.")
    found = _found(headers)
    match = _STAMP.fullmatch(found[_PROOF])
    if match is None:
        raise ForgedIdentityError("The header Heldtrue-Identity does not have the form that a door gives it.")
    told = tuple(found[name] for name in _TOLD)
    lines = (VERSION, method, host.lower(), target, match[1], *told)
    if any("\n" in line for line in lines):
        raise ForgedIdentityError("A line feed stands where none can be.")
    _require_mac(match[2].split(), "\n".join(lines), known)
    expires = int(match[1])
    _require_time(expires, time.time() if now is None else now)
    tenant, environment, subject, key_type, scopes, request = told
    return Identity(
        tenant=tenant,
        environment=environment,
        subject=unquote_to_bytes(subject).decode("utf-8"),
        key_type=key_type,
        scopes=frozenset(() if scopes == "-" else scopes.split(" ")),
        request=request,
        expires=expires,
    )


def parse_key(text: str) -> tuple[str, bytes]:
    """Return id and bytes of a key `htuk_…`."""
    match = _KEY.fullmatch(text.strip())
    if match is None:
        raise MalformedError("An upstream key is htuk_, 32 hexadecimal digits, _, and 43 letters.")
    return f"ck_{match[1]}", base64.urlsafe_b64decode(match[2] + "=")


def _found(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the identity headers by name; each must be there once, and nothing that looks like one beside them."""
    found: dict[str, str] = {}
    for name, value in _pairs(headers):
        plain = name.lower().replace("_", "-")
        if plain not in _NAMES:
            continue
        if plain in found or "_" in name:
            raise ForgedIdentityError(f"The header {plain} came twice, or with an underscore in its name.")
        found[plain] = value.strip()
    if not found:
        raise NoIdentityError("The request has no identity headers.")
    missing = sorted(_NAMES - found.keys())
    if missing:
        raise ForgedIdentityError(f"The header {missing[0]} is missing.")
    return found


def _pairs(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    if isinstance(headers, Mapping):
        return cast("Mapping[str, str]", headers).items()
    return headers


def _require_mac(claims: Sequence[str], message: str, keys: Mapping[str, bytes]) -> None:
    try:
        signed = message.encode("latin-1")
    except UnicodeEncodeError as error:
        raise ForgedIdentityError("A header or the target holds what HTTP cannot carry.") from error
    for claim in claims:
        name, _, encoded = claim.partition("=")
        if name in keys and hmac.compare_digest(_encoded(hmac.digest(keys[name], signed, hashlib.sha256)), encoded):
            return
    raise ForgedIdentityError("No mac holds: something was altered, or was stamped for another request or upstream.")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _require_time(expires: int, now: float) -> None:
    if now >= expires:
        raise StaleIdentityError(f"The identity ended {now - expires:.0f} s ago.")
    if expires - now > LIFETIME + _SKEW:
        raise StaleIdentityError(f"The identity would end in {expires - now:.0f} s; a door gives {LIFETIME}.")

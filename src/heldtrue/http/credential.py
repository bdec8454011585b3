"""A credential as it came with a request, before anything of it is believed (RFC 6750, section 2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heldtrue.http.exchange import MalformedRequestError
from heldtrue.kernel.errors import UnauthenticatedError


class MissingCredentialError(UnauthenticatedError):
    """No credential came with the request; send `Authorization: Bearer <key>`."""

    code = "missing-credential"


class DuplicateCredentialError(MalformedRequestError):
    """More than one `Authorization` header came with the request; send one."""

    code = "duplicate-credential"


class UnknownCredentialError(UnauthenticatedError):
    """The credential is well-formed, but none of this instance; check where it was issued."""

    code = "unknown-credential"


@dataclass(frozen=True, slots=True)
class Presented:
    """A bearer token, and from where it was used."""

    token: str
    origin: str | None = None
    """The `Origin` header; None where there is none."""
    address: str = ""
    """The client's address; empty when unknown."""


def bearer(values: Sequence[bytes]) -> bytes:
    """Return the token of `Authorization: Bearer`, of all values of that header.

    Raise `DuplicateCredentialError` for more than one: two parties could each believe another. Raise
    `MissingCredentialError` for none, and for another scheme.
    """
    if len(values) != 1:
        raise DuplicateCredentialError if values else MissingCredentialError
    scheme, _, token = values[0].partition(b" ")
    if scheme != b"Bearer" and scheme.lower() != b"bearer":
        raise MissingCredentialError
    token = token.strip()
    if not token:
        raise MissingCredentialError
    return token

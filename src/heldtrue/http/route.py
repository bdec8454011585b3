"""Routes as data, so that laws can enumerate them and attacks can try every one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from heldtrue.policy.permissions import Permission


class Realm(StrEnum):
    """Whose data a route is about, and so which transaction its action gets."""

    TENANT = "tenant"
    """The caller's organisation and environment: the action takes an `Operation`."""
    OPERATOR = "operator"
    """The operator's registers: the action takes a `SystemOperation`."""
    LINK = "link"
    """One thing named by an unguessable link; no credential beside it: the action takes an `Operation`."""
    PUBLIC = "public"
    """Nothing of any organisation; the action takes no operation."""


class CacheClass(StrEnum):
    """What a cache between us and the caller may do with an answer."""

    PRIVATE = "no-store"
    PAGE = "public, max-age=5, must-revalidate"
    IMMUTABLE = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation of the API: what it takes, what it needs, what it leaves in the ledger."""

    at: str
    """Method and path template, as `POST /v1/keys/{key_id}/roll`."""
    action: Callable[..., Any]
    """`action(op, input)`; or an async streaming handler where `streams` is set (see `http.pipeline.Exchange`)."""
    summary: str
    takes: type | None = None
    """A `msgspec.Struct` built from path parameters, query parameters and JSON body, in this order of precedence."""
    gives: type | None = None
    needs: Permission | None = None
    """The permission; None only for LINK and PUBLIC routes, which laws list by name."""
    audits: str | None = None
    """The audit event that a call leaves; every mutating route and every authenticated read has one."""
    realm: Realm = Realm.TENANT
    status: int = 200
    creates: bool = False
    """Takes an `Idempotency-Key`."""
    bears_secret: bool = False
    """The answer shows a secret once; it is never stored for idempotency."""
    changes_access: bool = False
    """It changes who may come in, so it is answered when this process knows that."""
    streams: bool = False
    bodiless: bool = False
    """It streams, and takes no body all the same."""
    signed: bool = False
    """PUBLIC realm: whoever sends the body signed it, so that the action takes a `http.exchange.Signed` with the bytes
    and headers as they came. `takes` only describes the body."""
    form: bool = False
    """The body may be `application/x-www-form-urlencoded` too, as a browser sends a form without a script; fields left
    empty are left out."""
    cache: CacheClass = CacheClass.PRIVATE
    produces: str = "application/json"
    tags: tuple[str, ...] = field(default=())

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.at.split(" ", 1)[0]

    @property
    def path(self) -> str:
        """The path template, with `{name}` for parameters."""
        return self.at.split(" ", 1)[1]

    @property
    def mutates(self) -> bool:
        """Whether a call may change something."""
        return self.method not in {"GET", "HEAD"}

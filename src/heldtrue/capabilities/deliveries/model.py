"""Endpoints and deliveries as they are remembered and told; no SQL, no HTTP."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from heldtrue.capabilities.deliveries.addresses import AllowList, RefusedAddressError, judge, parse_address
from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.errors import BadInputError, ConflictError, NotFoundError
from heldtrue.kernel.ids import EndpointId, PayloadId

EndpointState = Literal["enabled", "disabled", "deleted"]
DeliveryState = Literal["pending", "delivered", "failed", "held"]
Failure = Literal["timeout", "tls", "refused-address", "connect", "protocol", "unknown-outcome"]

MAX_URL = 2048

_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
"""A last label by which a resolver reads the whole host as an IPv4 address (WHATWG URL, section 3.5)."""


class NoSuchEndpointError(NotFoundError):
    """There is no such endpoint in this organisation and environment; check the id."""

    code = "no-such-endpoint"


class NoSuchDeliveryError(NotFoundError):
    """There is no such delivery in this organisation and environment; check the id."""

    code = "no-such-delivery"


class EndpointUrlError(BadInputError):
    """An endpoint is an https URL without credentials and fragment; correct it."""

    code = "endpoint-url"


class EndpointDisabledError(ConflictError):
    """The endpoint is disabled or deleted; enable it before anything is sent to it again."""

    code = "endpoint-disabled"


class DeliveryBusyError(ConflictError):
    """The delivery is being attempted at this moment; look at its outcome and decide anew."""

    code = "delivery-busy"


def check_url(url: str, allow: AllowList) -> str:
    """Return *url* when it may be an endpoint: https, no credentials, no literal address that is refused.

    What a name leads to is judged when it is connected to, each time.
    """
    if len(url) > MAX_URL or not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        raise EndpointUrlError(f"the URL is over {MAX_URL} characters or holds what belongs in no URL")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise EndpointUrlError("the URL cannot be read", advice="Write it as https://host/path.") from error
    if parts.scheme != "https":
        raise EndpointUrlError("an endpoint's URL begins with https://", advice="Serve the endpoint over TLS.")
    if not host or parts.username is not None or parts.password is not None or parts.fragment or port == 0:
        raise EndpointUrlError("an endpoint's URL has a host, and neither credentials nor a fragment")
    address = parse_address(host)
    name = host.rstrip(".")
    if address is None and (name == "localhost" or name.endswith(".localhost")):
        address = parse_address("127.0.0.1")
    if address is None and _NUMERIC.fullmatch(host.rstrip(".").rpartition(".")[2]):
        raise EndpointUrlError("the host is an address in another notation", advice="Write it in dotted decimal.")
    if address is not None:
        verdict = judge(address, allow)
        if not verdict.permitted:
            raise RefusedAddressError(f"the address {address} is refused: {verdict.reason}")
    return url


# ---------------------------------------------------------------- wire: deliveries


class TheDelivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a delivery."""

    delivery_id: str


class ListDeliveries(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for deliveries, newest first."""

    payload_id: str | None = None
    endpoint_id: str | None = None
    state: DeliveryState | None = None
    """`failed` are the dead letters: their tries are used up."""
    event_type: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None

    def of_payload(self) -> UUID | None:
        """Return the payload that is asked for."""
        return None if self.payload_id is None else PayloadId.parse(self.payload_id).value

    def of_endpoint(self) -> UUID | None:
        """Return the endpoint that is asked for."""
        return None if self.endpoint_id is None else EndpointId.parse(self.endpoint_id).value


class DeliverySummary(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery; its id is also the `webhook-id`."""

    id: str
    event_type: str
    payload_id: str | None
    """None for an event that is about no payload, as `endpoint.test`."""
    endpoint_id: str
    receipt_id: str | None
    state: DeliveryState
    attempts: int
    due_at: datetime | None
    """When it is tried next."""
    created_at: datetime
    settled_at: datetime | None


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a delivery, and what came of it."""

    id: str
    number: int
    started_at: datetime
    latency_ms: int
    status: int | None
    failure: Failure | None
    excerpt: str | None
    """The first 2 KiB of the answer's body, as text."""


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery with all its attempts."""

    id: str
    event_type: str
    payload_id: str | None
    endpoint_id: str
    receipt_id: str | None
    state: DeliveryState
    attempts: int
    due_at: datetime | None
    created_at: datetime
    settled_at: datetime | None
    tries: list[AttemptView]

"""What parameters of path and query look like, for the reference: narrower than the text that they travel as."""

from __future__ import annotations

from typing import Any

from heldtrue.kernel.ids import (
    AskId,
    CryptoKeyId,
    DeliveryId,
    DownloadId,
    EndpointId,
    GrantId,
    Id,
    KeyId,
    LeafId,
    MailId,
    PayloadId,
    ReceiptId,
    TenantId,
)

Json = dict[str, Any]

_IDS: dict[str, type[Id]] = {
    "organisation_id": TenantId,
    "key_id": KeyId,
    "payload_id": PayloadId,
    "endpoint_id": EndpointId,
    "delivery_id": DeliveryId,
    "receipt_id": ReceiptId,
    "leaf_id": LeafId,
    "upstream_key_id": CryptoKeyId,
    "mail_id": MailId,
    "ask_id": AskId,
    "grant_id": GrantId,
    "download_id": DownloadId,
}
_SHAPES = {
    "cursor": "^A[Q-Za-f][A-Za-z0-9_-]{20}[AEIMQUYcgkosw048]$",
    "token": "^[0-9A-Za-z]{43}$",
    "ordinal": "^[1-9][0-9]{0,3}$",
    **{name: f"^{kind.prefix}_[0-9a-f]{{32}}$" for name, kind in _IDS.items()},
}
SEGMENT = "^[0-9A-Za-z_-][0-9A-Za-z._-]{0,199}$"
"""One part of a path that no two readers take for two parts, or for none."""


def in_path(name: str, schema: Json | None) -> Json:
    """Return the schema of a path parameter; *schema* None: it is a text that nothing more is said of."""
    return _narrowed(name, schema or {"type": "string"}, SEGMENT)


def in_query(name: str, schema: Json) -> Json:
    """Return the schema of a query parameter. A query has no null: what may be left out is left out."""
    choices = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(choices) == 1:
        others = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
        schema = {**choices[0], **others}
    return _narrowed(name, schema, None)


def _narrowed(name: str, schema: Json, otherwise: str | None) -> Json:
    pattern = _SHAPES.get(name, otherwise)
    if schema.get("type") != "string" or pattern is None or "pattern" in schema or "enum" in schema:
        return schema
    sizes = {key: value for key, value in schema.items() if key not in {"minLength", "maxLength"}}
    return {**sizes, "pattern": pattern}

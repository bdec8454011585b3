"""The body of a webhook (docs/spec/webhooks.md): the same bytes at every attempt."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from heldtrue.capabilities.deliveries.endpoint_model import BY_VALUE
from heldtrue.capabilities.receipts.actions import Issued
from heldtrue.crypto.canonical import canonicalize_entry

TYPE = "payload.forwarded"

ReadContent = Callable[[int], bytes]
"""Return the bytes of an ordinal: 0 is the payload or output that the receipt is about, from 1 its attachments."""


@dataclass(frozen=True, slots=True)
class Urls:
    """Where receivers reach this instance."""

    base: str
    """`https://host[:port]`, no slash at the end."""

    def bundle(self, issued: Issued) -> str:
        """Return the unguessable link to the receipt with its proofs."""
        return f"{self.base}/v1/bundles/{issued.links.bundle}"

    def content(self, issued: Issued, ordinal: int) -> str:
        """Return the unguessable link to the payload's or an attachment's bytes."""
        link = f"{self.base}/v1/contents/{issued.links.content}"
        return f"{link}/attachments/{ordinal}" if ordinal else link


def build(issued: Issued, urls: Urls, read: ReadContent, by_value: int = BY_VALUE) -> bytes:
    """Return the body: the receipt, and the content as base64 up to *by_value* bytes, as a link beyond.

    What a flow made travels as `output`; of the payload that it was made of only the id and the origin are told.
    """
    payload, output = issued.document["payload"], issued.document["output"]
    room = by_value

    def described(ordinal: int, what: dict[str, Any]) -> dict[str, Any]:
        nonlocal room
        fits = what["size"] <= room
        if fits:
            room -= what["size"]
        return {
            "content_type": what["content_type"],
            "size": what["size"],
            "sha256": what["sha256"],
            "content": base64.b64encode(read(ordinal)).decode("ascii") if fits else None,
            "content_url": None if fits else urls.content(issued, ordinal),
        }

    if "id" in output:
        made = {name: output[name] for name in ("id", "ordinal", "flow", "run", "transform")}
        made |= described(0, output)
        files = output.get("attachments", [])  # not in receipts of versions that had none
        return canonicalize_entry(
            {
                "type": output["type"],
                "timestamp": issued.document["forwarded_at"],
                "data": {
                    "output": {
                        **made,
                        "attachments": [
                            {name: file[name] for name in ("ordinal", "of", "name")} | described(file["ordinal"], file)
                            for file in files
                        ],
                    },
                    "payload": {name: payload[name] for name in ("id", "received_at", "source")},
                    "receipt": issued.document,
                    "bundle_url": urls.bundle(issued),
                },
            }
        )
    return canonicalize_entry(
        {
            "type": TYPE,
            "timestamp": issued.document["forwarded_at"],
            "data": {
                "payload": {
                    "id": payload["id"],
                    **described(0, payload),
                    "attachments": [
                        {"ordinal": ordinal, "name": what["name"], **described(ordinal, what)}
                        for ordinal, what in enumerate(payload["attachments"], start=1)
                    ],
                },
                "receipt": issued.document,
                "bundle_url": urls.bundle(issued),
            },
        }
    )

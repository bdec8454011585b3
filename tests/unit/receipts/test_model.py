"""What a receipt says, word for word."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from heldtrue.capabilities.intake.model import Meta, Tls
from heldtrue.capabilities.receipts.model import Forwarded, Links, bundle_token, document, verification_method
from heldtrue.crypto.canonical import canonicalize, canonicalize_entry
from heldtrue.kernel.ids import EndpointId, PayloadId, ReceiptId, TenantId
from heldtrue.kernel.secret import Secret

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RECEIPT = ReceiptId(UUID(int=4))


def forwarded(meta: Meta, name: str | None = "ä.pdf") -> Forwarded:
    return Forwarded(
        tenant=TenantId(UUID(int=1)),
        environment="live",
        payload=PayloadId(UUID(int=2)),
        received_at=NOON,
        source="http",
        size=7,
        meta=meta,
        attachments=[(1, 5, Meta(content_type="application/pdf", sha256="b" * 64, name=name))],
        ordinal=0,
        endpoint=EndpointId(UUID(int=3)),
    )


def test_a_receipt_is_exactly_this_document() -> None:
    meta = Meta(
        content_type="application/json", sha256="a" * 64, jcs_sha256="c" * 64, tls=Tls("TLSv1.3", "0x1301"), request="r"
    )
    assert document(RECEIPT, "log.example", forwarded(meta), NOON) == {
        "type": "HeldtrueReceipt",
        "version": 1,
        "id": f"rec_{4:032x}",
        "origin": "log.example",
        "tenant": f"org_{1:032x}",
        "environment": "live",
        "payload": {
            "id": f"pay_{2:032x}",
            "received_at": "2026-11-20T12:00:00.000Z",
            "source": "http",
            "tls": {"version": "TLSv1.3", "cipher": "0x1301"},
            "content_type": "application/json",
            "size": 7,
            "sha256": "a" * 64,
            "jcs_sha256": "c" * 64,
            "attachments": [
                {"name": "ä.pdf", "content_type": "application/pdf", "size": 5, "sha256": "b" * 64, "jcs_sha256": None}
            ],
        },
        "output": {"ordinal": 0, "transform": None, "sandbox": None},
        "endpoint": f"end_{3:032x}",
        "forwarded_at": "2026-11-20T12:00:00.000Z",
    }


@given(
    kind=st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    name=st.none() | st.text(max_size=40),
)
def test_whatever_a_sender_names_things_the_fast_canonical_form_is_the_right_one(kind: str, name: str | None) -> None:
    if name is not None and any("\ud800" <= letter <= "\udfff" for letter in name):
        return
    plain = document(RECEIPT, "log.example", forwarded(Meta(content_type=kind, sha256="a" * 64), name), NOON)
    assert canonicalize_entry(plain) == canonicalize(plain)


def test_the_method_names_the_key_under_the_origin() -> None:
    assert verification_method("log.example", bytes(32)).startswith("https://log.example#z6Mk")


@given(st.binary(min_size=32, max_size=32))
def test_the_bundle_token_follows_from_the_content_token_and_from_nothing_else(key: bytes) -> None:
    links = Links.of(Secret(key), RECEIPT)
    assert bundle_token(links.content) == links.bundle != links.content
    assert bundle_token(links.bundle) not in {links.content, links.bundle}

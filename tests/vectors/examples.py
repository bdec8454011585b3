"""The worked examples of docs/spec: made by the product's own code from fixed keys, times and salts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from tests.vectors import chunked, claim_examples, evidence_examples, message_examples, session_examples

from heldtrue.capabilities.edge import identity
from heldtrue.capabilities.edge.model import Caller
from heldtrue.capabilities.intake.model import Meta, Tls
from heldtrue.capabilities.ledger import checkpoint, model, note, proof, tiles, tree
from heldtrue.capabilities.receipts.model import Forwarded, document, verification_method
from heldtrue.crypto import base62, tokens, webhooks
from heldtrue.crypto.canonical import MalformedJsonError, canonicalize, canonicalize_entry, parse_strict
from heldtrue.crypto.digest import sha256
from heldtrue.crypto.integrity import attach_proof, hash_data
from heldtrue.crypto.sealing import Context, DataKey, SealBrokenError, open_sealed, seal
from heldtrue.crypto.signing import SigningKey, multikey
from heldtrue.http import problems
from heldtrue.kernel.errors import LimitedError
from heldtrue.kernel.ids import (
    CryptoKeyId,
    DeliveryId,
    EndpointId,
    Id,
    KeyId,
    PayloadId,
    ReceiptId,
    RequestId,
    TenantId,
)
from heldtrue.kernel.secret import Secret
from heldtrue.policy.permissions import Role
from heldtrue_verify.identity import IdentityRefusedError, verify_identity

Kind = TypeVar("Kind", bound=Id)
AT = datetime(2026, 11, 2, 9, 30, 0, 250000, tzinfo=UTC)
ORIGIN = "trust.example.org"


def numbered(start: int, count: int = 32) -> bytes:
    """Return *count* bytes that count up from *start*: plainly an example's, and nobody's."""
    return bytes((start + n) % 256 for n in range(count))


def an_id(kind: type[Kind], number: int, at: datetime = AT) -> Kind:
    """Return a fixed id of *kind*."""
    return kind.new(at, lambda count: bytes([number]) * count)


def pretty(value: object) -> str:
    """Return JSON for people, members in the order of the document."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def lines(*pairs: tuple[str, object]) -> str:
    """Return names and values, a pair a line, values aligned."""
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in pairs)


def wrapped(text: str, width: int = 96) -> str:
    """Return long text in lines; whoever uses it joins them."""
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


# ---------------------------------------------------------------- canonical JSON

JSON_IN = r"""{
  "total": 56.0,
  "currency": "\u20ac",
  "lines": [ { "sku": "b-2", "price": 1E2 }, { "price": -0.0, "sku": "a-1" } ],
  "note": "caf\u00e9\n\u0007 \/ \u003c"
}"""
REFUSED = [
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    "[NaN]",
    "1e400",
    "9007199254740992",
    '"\\ud800"',
    "[1,]",
    "\ufeff{}",
    "[" * 129 + "]" * 129,
]


def canonical_out() -> str:
    return canonicalize(parse_strict(JSON_IN.encode())).decode()


def canonical_digest() -> str:
    return sha256(canonical_out().encode()).hex()


def canonical_refused() -> str:
    rows: list[tuple[str, object]] = []
    for text in REFUSED:
        try:
            parse_strict(text.encode())
        except MalformedJsonError as error:
            shown = text if len(text) < 40 else f"{text[:8]}… (129 deep)"
            rows.append((shown.replace("\ufeff", "<U+FEFF>"), error.code))
    return lines(*rows)


def canonical_profile() -> str:
    entry = {"v": 1, "kind": "tenant", "c": base64.b64encode(numbered(0)).decode()}
    return canonicalize_entry(entry).decode()


# ---------------------------------------------------------------- receipts

RECEIPT_KEY = SigningKey(an_id(CryptoKeyId, 2), Secret(numbered(32)))
PAYLOAD = b'{"invoice":"2026-117","total":"412.50"}'


def receipt_unsigned() -> dict[str, Any]:
    meta = Meta(
        content_type="application/json",
        sha256=sha256(PAYLOAD).hex(),
        jcs_sha256=sha256(canonicalize(parse_strict(PAYLOAD))).hex(),
        tls=Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    )
    what = Forwarded(
        tenant=an_id(TenantId, 3),
        environment="prod",
        payload=an_id(PayloadId, 4),
        received_at=AT - timedelta(milliseconds=40),
        source="http",
        size=len(PAYLOAD),
        meta=meta,
        attachments=[],
        ordinal=0,
        endpoint=an_id(EndpointId, 5),
    )
    return document(an_id(ReceiptId, 6), ORIGIN, what, AT)


def receipt_signed() -> dict[str, Any]:
    return attach_proof(receipt_unsigned(), RECEIPT_KEY, AT, verification_method(ORIGIN, RECEIPT_KEY.public))


def receipt_steps() -> str:
    signed = receipt_signed()
    steps = hash_data(signed, signed["proof"])
    return "\n\n".join(
        [
            "canonical document without its proof:\n" + wrapped(steps.canonical_document.decode()),
            "canonical proof without its value:\n" + wrapped(steps.canonical_proof.decode()),
            lines(
                ("SHA-256 of the proof", steps.proof_hash.hex()),
                ("SHA-256 of the document", steps.document_hash.hex()),
            ),
            "signed, 64 bytes:\n" + wrapped(steps.signed.hex(), 64),
            "Ed25519 signature:\n" + wrapped(RECEIPT_KEY.sign(steps.signed).hex(), 64),
        ]
    )


def receipt_keys() -> str:
    return lines(
        ("seed", RECEIPT_KEY.seed.reveal().hex()),
        ("public key", RECEIPT_KEY.public.hex()),
        ("as a multikey", multikey(RECEIPT_KEY.public)),
    )


def receipt_bundle() -> dict[str, Any]:
    return {
        "receipt": receipt_signed(),
        "proof": str(log_proof(RECEIPT_INDEX, SALT)),
        "key_entry": model.parse_entry(ENTRIES[KEY_INDEX]),
        "key_proof": str(log_proof(KEY_INDEX)),
    }


# ---------------------------------------------------------------- log

LOG_KEY = SigningKey(an_id(CryptoKeyId, 1), Secret(numbered(0)))
SALT = numbered(64)
KEY_INDEX, RECEIPT_INDEX = 1, 3


def _key_entry(key: SigningKey, purpose: str, until: datetime | None) -> bytes:
    return model.clear_entry(
        "key",
        model.key_document(
            event="activated",
            id=str(key.id),
            purpose=purpose,
            public=multikey(key.public),
            not_before=AT - timedelta(hours=1),
            sign_until=until,
            accept_until=until and until + timedelta(days=90),
            at=AT - timedelta(hours=1),
        ),
    )


def log_commitment() -> bytes:
    return model.commitment(SALT, model.canonical(receipt_signed()))


ENTRIES = [
    _key_entry(LOG_KEY, "log", None),
    _key_entry(RECEIPT_KEY, "receipt", AT + timedelta(days=90)),
    model.tenant_entry(model.commitment(numbered(96), model.canonical({"v": 1, "kind": "audit"}))),
    model.tenant_entry(log_commitment()),
    model.clear_entry(
        "anonymous", model.anonymous_document(AT.replace(second=0, microsecond=0), 7, {"malformed": 7}, 2)
    ),
]


class Leaves:
    """The example's tree, in memory."""

    def node(self, level: int, index: int) -> bytes:
        width = 1 << level
        return tree.root_of(map(tree.leaf_hash, ENTRIES[index * width : (index + 1) * width]))


def log_entries() -> str:
    return "\n\n".join(
        f"{index}  {entry.decode()}\n   leaf {tree.leaf_hash(entry).hex()}" for index, entry in enumerate(ENTRIES)
    )


def log_commit() -> str:
    canonical = model.canonical(receipt_signed())
    return lines(
        ("salt", SALT.hex()),
        ("SHA-256 of the document", sha256(canonical).hex()),
        ("commitment", log_commitment().hex()),
        ("in base64", base64.b64encode(log_commitment()).decode()),
    )


def log_root() -> str:
    leaves = [tree.leaf_hash(entry) for entry in ENTRIES]
    left, right = tree.node_hash(leaves[0], leaves[1]), tree.node_hash(leaves[2], leaves[3])
    four = tree.node_hash(left, right)
    return lines(
        ("node(0, 1)", left.hex()),
        ("node(2, 3)", right.hex()),
        ("node(0 to 3)", four.hex()),
        ("root of 5", tree.node_hash(four, leaves[4]).hex()),
        ("empty root", tree.EMPTY_ROOT.hex()),
    )


def log_vkeys() -> str:
    plain, timed = note.both(ORIGIN, LOG_KEY.public)
    return lines(("log key", plain), ("with the time", timed))


def log_checkpoint() -> str:
    size = len(ENTRIES)
    said = checkpoint.Checkpoint(ORIGIN, size, tree.root_at(Leaves(), size))
    return checkpoint.sign(said, LOG_KEY, AT + timedelta(seconds=1))


def log_proof(index: int, extra: bytes | None = None) -> proof.LogProof:
    path = tuple(tree.inclusion_proof(Leaves(), index, len(ENTRIES)))
    return proof.LogProof(index, path, log_checkpoint(), extra)


def log_consistency() -> str:
    path = tree.consistency_proof(Leaves(), 3, len(ENTRIES))
    head = lines(("root of 3", tree.root_at(Leaves(), 3).hex()), ("root of 5", tree.root_at(Leaves(), 5).hex()))
    return head + "\n" + "\n".join(f"proof {number}    {each.hex()}" for number, each in enumerate(path))


def log_tiles() -> str:
    data = tiles.bundle(ENTRIES)
    hashes = b"".join(tree.leaf_hash(entry) for entry in ENTRIES)
    return lines(
        (tiles.Tile(0, 0, 5).path, f"{len(hashes)} bytes, SHA-256 {sha256(hashes).hex()}"),
        (tiles.Tile(-1, 0, 5).path, f"{len(data)} bytes, SHA-256 {sha256(data).hex()}"),
        (tiles.Tile(0, 1234067).path, "8192 bytes: a full tile"),
    )


# ---------------------------------------------------------------- webhooks

WEBHOOK_SECRET = webhooks.new_secret(lambda count: numbered(128, count))
WEBHOOK_KEY = webhooks.new_signing_key(lambda count: numbered(160, count))
DELIVERY = an_id(DeliveryId, 7)
SENT = AT + timedelta(seconds=2)


def webhook_event() -> dict[str, Any]:
    return {
        "type": "payload.forwarded",
        "timestamp": receipt_signed()["forwarded_at"],
        "data": {
            "payload": {
                "id": receipt_signed()["payload"]["id"],
                "content_type": "application/json",
                "size": len(PAYLOAD),
                "sha256": sha256(PAYLOAD).hex(),
                "content": base64.b64encode(PAYLOAD).decode(),
                "attachments": [],
            },
            "receipt": receipt_signed(),
            "bundle_url": f"https://{ORIGIN}/v1/bundles/{tokens.link_token(Secret(numbered(192)), b'example')}",
        },
    }


def webhook_body() -> bytes:
    return canonicalize(webhook_event())


def webhook_headers() -> dict[str, str]:
    return webhooks.headers(str(DELIVERY), SENT, webhook_body(), [WEBHOOK_SECRET], [WEBHOOK_KEY])


def webhook_keys() -> str:
    return lines(
        ("shared secret", WEBHOOK_SECRET.reveal()),
        ("signing key", WEBHOOK_KEY.reveal()),
        ("public key", webhooks.public_of(WEBHOOK_KEY)),
    )


def webhook_file() -> bytes:
    head = "".join(f"{name}: {value}\n" for name, value in webhook_headers().items())
    return head.encode() + b"\n" + webhook_body()


# ---------------------------------------------------------------- sealing

DATA_KEY = DataKey(an_id(CryptoKeyId, 8), Secret(numbered(7)))
PLACE = Context("prod", an_id(TenantId, 3).value, "endpoints", "config", str(an_id(EndpointId, 5).value), "config")
PLAINTEXT = b'{"url":"https://example.net/in"}'
SEALING_SALT = numbered(200, chunked.SALT)


def sealing_header() -> bytes:
    """The header is what the code itself puts before a value."""
    return seal(DATA_KEY, PLACE, b"")[:24]


def sealing_value() -> bytes:
    context = PLACE.encode(sealing_header())
    return sealing_header() + chunked.encrypt(DATA_KEY.material.reveal(), context, PLAINTEXT, SEALING_SALT)


def sealing_inputs() -> str:
    return lines(
        ("key", DATA_KEY.material.reveal().hex()),
        ("key id", f"{DATA_KEY.id}"),
        ("environment", PLACE.environment),
        ("tenant", PLACE.tenant),
        ("table", PLACE.table),
        ("column", PLACE.column),
        ("row", PLACE.row),
        ("purpose", PLACE.purpose),
        ("row version", PLACE.row_version),
        ("plaintext", PLAINTEXT.decode()),
    )


def sealing_context() -> str:
    return lines(("header", sealing_header().hex())) + "\ncontext\n" + wrapped(PLACE.encode(sealing_header()).hex(), 64)


def sealing_steps() -> str:
    context = PLACE.encode(sealing_header())
    key, nonce, commitment = chunked.derive(DATA_KEY.material.reveal(), SEALING_SALT, context)
    return (
        lines(
            ("salt", SEALING_SALT.hex()),
            ("derived key", key.hex()),
            ("base nonce", nonce.hex()),
            ("commitment", commitment.hex()),
        )
        + "\nsealed value\n"
        + wrapped(sealing_value().hex(), 64)
    )


def sealing_moves() -> str:
    moves: Iterable[tuple[str, Any]] = [
        ("environment", "test"),
        ("tenant", an_id(TenantId, 9).value),
        ("table", "payloads"),
        ("column", "secrets"),
        ("row", "another"),
        ("purpose", "ledger"),
        ("row_version", 2),
    ]
    rows: list[tuple[str, object]] = [("nothing", open_sealed(DATA_KEY, PLACE, sealing_value()).decode())]
    for name, value in moves:
        place = {each: getattr(PLACE, each) for each in Context.__slots__} | {name: value}
        try:
            rows.append((name, open_sealed(DATA_KEY, Context(**place), sealing_value()).decode()))
        except SealBrokenError as error:
            rows.append((name, error.code))
    return lines(("moved", "opens to"), *rows)


# ---------------------------------------------------------------- API keys

KEY_BYTES = hashlib.sha256(b"an example, not a key").digest()


def api_key() -> str:
    return tokens.mint("sk", "prod", lambda count: KEY_BYTES[:count]).reveal()


def api_key_steps() -> str:
    text = api_key()
    return lines(
        ("32 bytes", KEY_BYTES.hex()),
        ("43 letters", text[-49:-6]),
        ("over", text[:-6]),
        ("CRC-32", f"{base62.decode(text[-6:]):08x}"),
        ("6 letters", text[-6:]),
        ("the key", text),
        ("stored digest", tokens.digest(text).hex()),
        ("shown later", f"…{tokens.last4(text)}"),
    )


def api_key_slips() -> str:
    text = api_key()
    slips = [text, text.replace("_prod_", "_test_"), text[:-1], text[:20] + text[21] + text[20] + text[22:]]
    rows: list[tuple[str, object]] = []
    for slip in slips:
        try:
            rows.append((slip, f"{tokens.parse(slip).type} for {tokens.parse(slip).environment}"))
        except tokens.MalformedTokenError as error:
            rows.append((slip, error.code))
    return lines(*rows)


# ---------------------------------------------------------------- identity headers

UPSTREAM_KEY = identity.UpstreamKey(an_id(CryptoKeyId, 11), Secret(numbered(224)))
IDENTITY_REQUEST = {"method": "POST", "host": "API.example.org", "target": "/v1/orders?dry=1"}


def identity_headers() -> list[tuple[str, str]]:
    key = an_id(KeyId, 12)
    caller = Caller(
        kind="session", type="session", tenant=an_id(TenantId, 3), environment="prod", key=key, role=Role.READER,
        subject="Zoë 1%", session="s1", permissions=frozenset(), grants=frozenset({"orders.write", "orders.read"}),
    )  # fmt: skip
    return identity.stamp([UPSTREAM_KEY], **IDENTITY_REQUEST, request=str(an_id(RequestId, 13)), now=AT, caller=caller)


def identity_shown() -> str:
    return "\n".join(f"{name.title()}: {value}" for name, value in identity_headers())


def identity_bytes() -> str:
    headers = [value for _, value in identity_headers()]
    expires = headers[-1].split()[1]
    asked = IDENTITY_REQUEST
    return wrapped(
        identity.signed_bytes(asked["method"], asked["host"], asked["target"], expires, headers[:-1]).hex(), 64
    )


def identity_changes() -> str:
    """Each header and each part of the request changed, as the verifier sees it."""
    moves: list[tuple[str, dict[str, str], dict[str, str]]] = [("nothing", {}, {})]
    moves += [(name, {name: value + "0"}, {}) for name, value in identity_headers()]
    moves += [(name, {}, {name: value + "0"}) for name, value in IDENTITY_REQUEST.items()]
    rows: list[tuple[str, object]] = []
    for name, headers, request in moves:
        try:
            who = verify_identity(
                {**dict(identity_headers()), **headers}, **{**IDENTITY_REQUEST, **request},
                keys=[UPSTREAM_KEY.text().reveal()], now=AT.timestamp(),
            )  # fmt: skip
            rows.append((name, f"{who.subject}, {' '.join(sorted(who.scopes))}"))
        except IdentityRefusedError as error:
            rows.append((name, type(error).__name__))
    return lines(("changed", "verifies as"), *rows)


# ---------------------------------------------------------------- problems


def problem() -> str:
    error = LimitedError(
        "this key may make 600 requests a minute, and has made them",
        advice="Wait as long as Retry-After says, or ask the operator for a higher limit.",
        retry_after=12.5,
    )
    request = an_id(RequestId, 10)
    shown = problems.problem_of(error, request)
    head = [("content-type", problems.MEDIA_TYPE), ("request-id", str(request)), *problems.headers_of(error)]
    body = pretty(msgspec.to_builtins(shown))
    return f"HTTP/1.1 {shown.status}\n" + "\n".join(f"{name}: {value}" for name, value in head) + "\n\n" + body


def problem_statuses() -> str:
    rows = sorted((status, kind.code) for kind, status in problems.STATUS.items())
    return lines(("status", "type"), *((str(status), f"/problems/{code}") for status, code in rows))


def witness_examples() -> dict[str, Callable[[], str]]:
    from tests.vectors import witness_examples as found  # it is about this module's log

    return found.EXAMPLES


def register_entry() -> str:
    """Return the entry of a contact."""
    from heldtrue.capabilities.ledger.model import clear_entry
    from heldtrue.capabilities.registers.kinds import CONTACTS
    from heldtrue.capabilities.registers.model import entry_document

    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    contact = CONTACTS.read({"about": "Security", "role": "Head of Security", "mail": "security@example.com"})
    document = entry_document("contacts", "security", 1, CONTACTS.write(contact), None, noon)
    return clear_entry("register", document).decode()


EXAMPLES: dict[str, Callable[[], str]] = {
    "register-entry": register_entry,
    **claim_examples.EXAMPLES,
    "canonical-in": lambda: JSON_IN,
    "canonical-out": canonical_out,
    "canonical-digest": canonical_digest,
    "canonical-refused": canonical_refused,
    "canonical-profile": canonical_profile,
    "receipt-keys": receipt_keys,
    "receipt-payload": PAYLOAD.decode,
    "receipt-steps": receipt_steps,
    "receipt-signed": lambda: pretty(receipt_signed()),
    "receipt-bundle": lambda: pretty(receipt_bundle()),
    "receipt-pin": lambda: str(note.both(ORIGIN, LOG_KEY.public)[0]),
    "log-entries": log_entries,
    "log-commit": log_commit,
    "log-root": log_root,
    "log-vkeys": log_vkeys,
    "log-checkpoint": log_checkpoint,
    "log-proof": lambda: str(log_proof(RECEIPT_INDEX, SALT)),
    "log-consistency": log_consistency,
    "log-tiles": log_tiles,
    "webhook-keys": webhook_keys,
    "webhook-headers": lambda: "\n".join(f"{name}: {value}" for name, value in webhook_headers().items()),
    "webhook-body": lambda: webhook_body().decode(),
    "sealing-inputs": sealing_inputs,
    "sealing-context": sealing_context,
    "sealing-steps": sealing_steps,
    "sealing-moves": sealing_moves,
    "api-key-steps": api_key_steps,
    "api-key-slips": api_key_slips,
    **session_examples.EXAMPLES,
    **message_examples.EXAMPLES,
    **evidence_examples.EXAMPLES,
    "identity-key": lambda: UPSTREAM_KEY.text().reveal(),
    "identity-headers": identity_shown,
    "identity-bytes": identity_bytes,
    "identity-changes": identity_changes,
    **witness_examples(),
    "problem": problem,
    "problem-statuses": problem_statuses,
}
"""Each example by the name under which a page asks for it."""

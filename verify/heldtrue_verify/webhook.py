"""Standard Webhooks 1.0.0: the `webhook` command, and `verify` for applications that receive them."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from heldtrue_verify.canonical import JsonObject, parse_object, text_in
from heldtrue_verify.note import from_base64, signature_holds
from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError, NothingPinnedError, Step

TOLERANCE = 300
"""Seconds by which a message may be old, or ahead."""
_REQUEST_LINE = re.compile(rb"[A-Z]+ \S+ HTTP/[0-9.]+")


class WebhookRefusedError(DoesNotHoldError):
    """The message must not be acted on: answer it with 400, and look at nothing in it."""

    code = "refused"


class MalformedWebhookError(WebhookRefusedError):
    """A header is missing or unreadable, or the signed body is no event: it is no webhook."""

    code = "malformed"


class ForgedWebhookError(WebhookRefusedError):
    """No signature holds: id, time or body was changed, or a secret signed that you do not know."""

    code = "forged"


class StaleWebhookError(WebhookRefusedError):
    """The message is older than the tolerance; where genuine ones are refused, look at this machine's clock."""

    code = "stale"


class EarlyWebhookError(WebhookRefusedError):
    """The message is dated beyond the tolerance in the future; look at this machine's clock."""

    code = "early"


class ReplayedWebhookError(WebhookRefusedError):
    """This very message was accepted before; whoever sent it again has copied it."""

    code = "replayed"


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    tolerance: int = TOLERANCE,
    now: float | None = None,
) -> JsonObject:
    """Return the event of a webhook, only after its signature and time hold; raise `WebhookRefusedError` otherwise.

    *headers* are looked up without regard to case. *secrets* are what the sender gave: `whsec_…` shared secrets and
    `whpk_…` public keys; while they rotate, give both. *now* is in unix seconds and by default the present.
    A message that is sent again within the tolerance has a good signature: use `receiver.WebhookVerifier`, which
    remembers what was accepted.
    """
    return open_message(headers, body, [parse_secret(secret) for secret in secrets], tolerance, now)[1]


def open_message(
    headers: Mapping[str, str],
    body: bytes,
    keys: Sequence[tuple[str, bytes]],
    tolerance: int = TOLERANCE,
    now: float | None = None,
) -> tuple[Message, JsonObject]:
    """Return a message and its event once signature, time and shape hold, judged in this order."""
    try:
        message = Message.read(headers, body)
        message.require_signature(keys)
        message.require_time(time.time() if now is None else now, tolerance)
        event = parse_object(body)
        text_in(event, "type")
        text_in(event, "timestamp")
    except WebhookRefusedError:
        raise
    except (MalformedError, DoesNotHoldError) as error:
        raise MalformedWebhookError(str(error)) from error
    return message, event


def parse_secret(text: str) -> tuple[str, bytes]:
    """Read a shared secret `whsec_…` or a public key `whpk_…`; give the signature version that it checks."""
    prefix, _, encoded = text.strip().partition("_")
    key = from_base64(encoded)
    if prefix == "whsec" and 24 <= len(key) <= 64:
        return "v1", key
    if prefix == "whpk" and len(key) == 32:
        return "v1a", key
    raise MalformedError("A secret is whsec_ with 24 to 64 bytes, a public key whpk_ with 32, in base64.")


@dataclass(frozen=True, slots=True)
class Message:
    """The three headers and the raw body; unverified."""

    id: str
    timestamp: int
    signatures: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def read(cls, headers: Mapping[str, str], body: bytes) -> Message:
        """Find the three headers."""
        found: dict[str, str] = {}
        for name, value in headers.items():
            if name.lower() in found and name.lower().startswith("webhook-"):
                raise MalformedError(f"The header {name.lower()} appears twice.")
            found[name.lower()] = value.strip()
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
            if not found.get(name):
                raise MalformedError(f"The header {name} is missing.")
        id_, timestamp = found["webhook-id"], found["webhook-timestamp"]
        if "." in id_ or not re.fullmatch(r"[1-9][0-9]{0,11}", timestamp):
            raise MalformedError('The webhook-id has a ".", or the webhook-timestamp is not in unix seconds.')
        pairs = (signature.partition(",") for signature in found["webhook-signature"].split())
        return cls(id_, int(timestamp), tuple((version, value) for version, _, value in pairs), body)

    def require_signature(self, keys: Sequence[tuple[str, bytes]]) -> str:
        """Return the version under which a signature holds for one of the keys."""
        message = f"{self.id}.{self.timestamp}.".encode() + self.body
        for version, encoded in self.signatures:
            for kind, key in keys:
                if version != kind:
                    continue
                try:
                    value = from_base64(encoded)
                except MalformedError:
                    continue
                expected = hmac.digest(key, message, hashlib.sha256) if kind == "v1" else b""
                if hmac.compare_digest(value, expected) if kind == "v1" else signature_holds(key, value, message):
                    return version
        raise ForgedWebhookError("No signature holds: id, time or body was changed, or another secret signed.")

    def require_time(self, now: float, tolerance: int) -> None:
        """Return if the message is neither older than *tolerance* nor that far ahead."""
        age = now - self.timestamp
        if age > tolerance:
            raise StaleWebhookError(f"The message is stale: it was sent {age:.0f} s ago, {tolerance} s are accepted.")
        if age < -tolerance:
            raise EarlyWebhookError(f"The message is dated {-age:.0f} s in the future.")


@dataclass
class WebhookCase:
    """A webhook file, and what the steps find in it."""

    data: bytes
    keys: Sequence[tuple[str, bytes]]
    now: float
    tolerance: int = TOLERANCE
    message: Message = field(init=False)


def _read(case: WebhookCase) -> str:
    head, body = _split(case.data)
    headers: list[tuple[str, str]] = []
    for number, line in enumerate(head.replace(b"\r\n", b"\n").split(b"\n")):
        name, colon, value = line.partition(b":")
        if number == 0 and _REQUEST_LINE.fullmatch(line):
            continue
        if not colon or not re.fullmatch(rb"[!-9;-~]+", name):
            raise MalformedError(f"Line {number + 1} is not a header; the file is headers, an empty line, the body.")
        headers.append((name.decode().lower(), value.decode("utf-8", "replace")))
    names = [name for name, _ in headers if name.startswith("webhook-")]
    if len(set(names)) != len(names):
        raise MalformedError("A webhook header appears twice.")
    case.message = Message.read(dict(headers), body)
    return f"Message {case.message.id}, {len(body)} bytes."


def _split(data: bytes) -> tuple[bytes, bytes]:
    match = re.search(rb"\r?\n\r?\n", data)
    if match is None:
        raise MalformedError("A webhook file is headers, an empty line, and the raw body.")
    return data[: match.start()], data[match.end() :]


def _signature(case: WebhookCase) -> str:
    if not case.keys:
        raise NothingPinnedError
    return f"A {case.message.require_signature(case.keys)} signature over id, time and body holds."


def _time(case: WebhookCase) -> str:
    case.message.require_time(case.now, case.tolerance)
    return f"It was sent {abs(case.now - case.message.timestamp):.0f} s from the time of this check."


def _event(case: WebhookCase) -> str:
    event = parse_object(case.message.body)
    return f"It is a {text_in(event, 'type')} of {text_in(event, 'timestamp')}."


WEBHOOK_STEPS: tuple[Step[WebhookCase], ...] = (
    Step("The file has the three headers and a body", "Standard Webhooks 1.0.0, Webhook headers", _read, True),
    Step("The message is signed by the secret or key you gave", "Standard Webhooks 1.0.0, Signatures", _signature),
    Step("The message is fresh", "Standard Webhooks 1.0.0, Verifying timestamps", _time),
    Step("The body is an event, readable in one way only", "Standard Webhooks 1.0.0, Payload structure", _event),
)

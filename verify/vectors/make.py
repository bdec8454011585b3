"""Write `webhooks.json`: messages that a verifier of webhooks must accept or refuse, and why. The keys are public."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NOW = 1_793_611_802
BODY = b'{"type":"payload.forwarded","timestamp":"2026-11-02T09:30:00.250Z","data":{"total":"\xe2\x82\xac 412,50"}}'
SECRETS = {"current": bytes(range(32)), "former": bytes(range(64, 96)), "shortest": bytes(24), "stranger": b"\x11" * 32}
SEEDS = {"current": b"\xa0" * 32, "former": b"\xb0" * 32, "stranger": b"\xc0" * 32}
CASES: list[dict[str, Any]] = []


def b64(data: bytes) -> str:
    """Return standard base64."""
    return base64.b64encode(data).decode()


def v1(name: str, id_: str = "msg_1", at: str = str(NOW), body: bytes = BODY) -> str:
    """Sign by a shared secret."""
    return "v1," + b64(hmac.digest(SECRETS[name], f"{id_}.{at}.".encode() + body, hashlib.sha256))


def v1a(name: str, id_: str = "msg_1", at: str = str(NOW), body: bytes = BODY) -> str:
    """Sign by a key pair."""
    return "v1a," + b64(Ed25519PrivateKey.from_private_bytes(SEEDS[name]).sign(f"{id_}.{at}.".encode() + body))


def public(name: str) -> bytes:
    """Return a public key."""
    return Ed25519PrivateKey.from_private_bytes(SEEDS[name]).public_key().public_bytes_raw()


def case(name: str, outcome: str, signatures: list[str] | None, **given: Any) -> None:
    """Add a case; *given*: id, at, body, secrets, keys, now, headers (replaced or, when None, left out), times."""
    headers: dict[str, str | None] = {
        "webhook-id": given.get("id", "msg_1"),
        "webhook-timestamp": given.get("at", str(NOW)),
        "webhook-signature": " ".join([v1("current")] if signatures is None else signatures),
        **given.get("headers", {}),
    }
    CASES.append(
        {
            "name": name,
            "outcome": outcome,
            "headers": {name: value for name, value in headers.items() if value is not None},
            "body": b64(given.get("body", BODY)),
            "secrets": ["whsec_" + b64(SECRETS[one]) for one in given.get("secrets", ["current"])],
            "public_keys": ["whpk_" + b64(public(one)) for one in given.get("keys", [])],
            "now": given.get("now", NOW + 3),
            "times": given.get("times", 1),
        }
    )


def both(name: str, outcome: str, **given: Any) -> None:
    """Add a case twice: signed by shared secret, and by key pair."""
    sent = {"v1": [v1("current")], "v1a": [v1a("current")]}
    case(f"{name}, v1", outcome, sent["v1"], **given)
    case(f"{name}, v1a", outcome, sent["v1a"], **given, secrets=[], keys=["current"])


def build() -> None:
    """Fill the table."""
    both("genuine", "accepted")
    case("genuine, both versions", "accepted", [v1("current"), v1a("current")], keys=["current"])
    case("the shortest secret", "accepted", [v1("shortest")], secrets=["shortest"])
    upper = {"webhook-id": None, "Webhook-Id": "msg_1"}
    case("header names in another case", "accepted", None, headers=upper)
    both("body changed", "forged", body=BODY.replace(b"412", b"912"))
    both("body with a space more", "forged", body=BODY + b" ")
    both("body cut to nothing", "forged", body=b"")
    both("id changed", "forged", id="msg_2")
    both("timestamp changed", "forged", at=str(NOW + 1))
    both("as old as allowed", "accepted", now=NOW + 300)
    both("a second too old", "stale", now=NOW + 301)
    both("as early as allowed", "accepted", now=NOW - 300)
    both("a second too early", "early", now=NOW - 301)
    both("sent again", "replayed", times=2)
    both("stale and changed", "forged", now=NOW + 9000, body=BODY + b" ")
    case("secrets rotate, the former signs", "accepted", [v1("former")], secrets=["current", "former"])
    case("secrets rotate, both sign", "accepted", [v1("current"), v1("former")], secrets=["former"])
    case("keys rotate, the former signs", "accepted", [v1a("former")], secrets=[], keys=["current", "former"])
    case("the former secret after rotation", "forged", [v1("former")])
    case("a stranger's secret", "forged", [v1("stranger")])
    case("a stranger's key", "forged", [v1a("stranger")], secrets=[], keys=["current"])
    case("good after unknown and broken ones", "accepted", ["v2,AAAA", "v1,%%", "v1", v1("stranger"), v1("current")])
    case("twenty signatures, the last is good", "accepted", [v1("stranger")] * 19 + [v1("current")])
    case("an unknown version only", "forged", [v1("current").replace("v1,", "v2,")])
    case("v1 under the name of v1a", "forged", [v1("current").replace("v1,", "v1a,")], keys=["current"])
    case("v1a where only secrets are known", "forged", [v1a("current")])
    case("a v1 made with the public key", "forged", [_by_public_key()], secrets=[], keys=["current"])
    case("signature cut short", "forged", [v1("current")[:-8]])
    case("signature in another spelling of base64", "forged", [v1("current").rstrip("=")])
    case("no signature", "malformed", None, headers={"webhook-signature": None})
    case("an empty signature", "malformed", None, headers={"webhook-signature": ""})
    case("no id", "malformed", None, headers={"webhook-id": None})
    case("no timestamp", "malformed", None, headers={"webhook-timestamp": None})
    case("a full stop in the id", "malformed", [v1("current", "msg.1")], id="msg.1")
    case("id twice", "malformed", None, headers={"Webhook-Id": "msg_1"})
    for at in ("1e9", "-5", "0x10", "1793611802.5", "01793611802", "9" * 13, "٣"):
        case(f"timestamp {at}", "malformed", [v1("current", at=at)], at=at)
    for name, body in (
        ("not UTF-8", b'{"type":"a","timestamp":"b","data":"\xff"}'),
        ("a byte order mark", b"\xef\xbb\xbf" + BODY),
        ("not JSON", b"total=412"),
        ("a list", b"[]"),
        ("without a type", b'{"timestamp":"b"}'),
        ("a type that is no text", b'{"type":1,"timestamp":"b"}'),
    ):
        case(f"signed, but {name}", "malformed", [v1("current", body=body)], body=body)


def _by_public_key() -> str:
    return "v1," + b64(hmac.digest(public("current"), f"msg_1.{NOW}.".encode() + BODY, hashlib.sha256))


def table() -> str:
    """Return the file."""
    CASES.clear()
    build()
    about = "Give each message to a fresh verifier `times` times at `now`; the last outcome counts. Tolerance: 300 s."
    return json.dumps({"about": about, "tolerance": 300, "cases": CASES}, indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("webhooks.json").write_text(table())

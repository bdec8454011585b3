"""An operator in a box: builds logs, receipts, pages and every lie a dishonest one could tell.

Written from the specifications alone, sharing no code with the verifier, so that one mistake cannot hide in both.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
ORIGIN = "trust.example/log"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def jcs(value: Any) -> bytes:
    """Canonical within the narrow profile: ASCII names, no floats."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def when(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def base58(data: bytes) -> str:
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "z" + "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\0" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def mth(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node(mth(leaves[:k]), mth(leaves[k:]))


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n]) of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


@dataclass(eq=False)
class Signer:
    """A named Ed25519 key."""

    name: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    @property
    def multikey(self) -> str:
        return base58(b"\xed\x01" + self.public)

    def key_id(self, type_: int) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([type_]) + self.public).digest()[:4]

    def vkey(self, type_: int = 1) -> str:
        return f"{self.name}+{self.key_id(type_).hex()}+{b64(bytes([type_]) + self.public)}"

    def sign_note(self, text: str) -> str:
        return f"— {self.name} {b64(self.key_id(1) + self.key.sign(text.encode()))}\n"

    def cosign(self, text: str, at: datetime) -> str:
        seconds = int(at.timestamp())
        signature = self.key.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
        return f"— {self.name} {b64(self.key_id(4) + seconds.to_bytes(8, 'big') + signature)}\n"

    def secure(self, document: dict[str, Any], created: datetime, controller: str, **others: str) -> dict[str, Any]:
        """Attach an eddsa-jcs-2022 proof; *others* are members that should not be so."""
        proof = {
            "type": "DataIntegrityProof",
            "cryptosuite": "eddsa-jcs-2022",
            "created": when(created),
            "verificationMethod": f"{controller}#{self.multikey}",
            "proofPurpose": "assertionMethod",
            **others,
        }
        message = hashlib.sha256(jcs(proof)).digest() + hashlib.sha256(jcs(document)).digest()
        return {**document, "proof": {**proof, "proofValue": base58(self.key.sign(message))}}


class Operator:
    """A log and what is put into it."""

    def __init__(self, origin: str = ORIGIN, now: datetime | None = None) -> None:
        self.now = (now or datetime.now(UTC)).replace(microsecond=0)
        self.log_key = Signer(origin)
        self.receipt_key = Signer("receipts")
        self.evidence_key = Signer("evidence")
        self.origin = origin
        self.entries: list[bytes] = []
        self.numbers: dict[str, int] = {}
        self.page_claims: list[dict[str, Any]] = []
        self.cosigned: dict[Signer, str] = {}
        """What `/log/witnesses/…` shows of each."""
        self.latest = self.now - DAY
        """The latest date in the log: a schedule is dated by it unless told otherwise."""

    # -- the log
    def log(self, entry: dict[str, Any] | bytes) -> int:
        self.entries.append(entry if isinstance(entry, bytes) else jcs(entry))
        return len(self.entries) - 1

    def log_others(self, count: int) -> None:
        """Tenants' entries, opaque to everybody."""
        for _ in range(count):
            self.log({"v": 1, "kind": "tenant", "c": b64(hashlib.sha256(str(len(self.entries)).encode()).digest())})

    def leaves(self, size: int | None = None) -> list[bytes]:
        return [leaf(entry) for entry in self.entries[:size]]

    def checkpoint(
        self, at: datetime | None = None, size: int | None = None, witnesses: Sequence[Signer] = (), timed: bool = True
    ) -> str:
        size = len(self.entries) if size is None else size
        at = at or self.now
        text = f"{self.origin}\n{size}\n{b64(mth(self.leaves(size)))}\n"
        lines = [self.log_key.sign_note(text)] + ([self.log_key.cosign(text, at)] if timed else [])
        return text + "\n" + "".join(lines + [witness.cosign(text, at) for witness in witnesses])

    def proof(self, index: int, extra: bytes | None = None, **how: Any) -> str:
        size = how.get("size") or len(self.entries)
        lines = ["c2sp.org/tlog-proof@v1"] + ([f"extra {b64(extra)}"] if extra else []) + [f"index {index}"]
        lines += [b64(item) for item in path(index, self.leaves(size))]
        return "\n".join(lines) + "\n\n" + self.checkpoint(**how)

    def tiles(self) -> dict[str, bytes]:
        """All tiles and bundles below /log/, full and partial."""
        files: dict[str, bytes] = {}
        leaves, level = self.leaves(), 0
        while leaves:
            for number in range(0, len(leaves), 256):
                part = leaves[number : number + 256]
                files[_tile(level, number // 256, len(part))] = b"".join(part)
            leaves = [mth(leaves[i : i + 256]) for i in range(0, len(leaves) - 255, 256)]
            level += 1
        for number in range(0, len(self.entries), 256):
            part = self.entries[number : number + 256]
            bundle = b"".join(len(entry).to_bytes(2, "big") + entry for entry in part)
            files[_tile("entries", number // 256, len(part))] = bundle
        return files

    # -- keys and receipts
    def log_key_entry(self, signer: Signer, purpose: str, **changes: Any) -> tuple[int, dict[str, Any]]:
        entry = {
            "v": 1,
            "kind": "key",
            "event": "activated",
            "id": "key_1",
            "purpose": purpose,
            "public": signer.multikey,
            "not_before": when(self.now - 30 * DAY),
            "sign_until": when(self.now + 60 * DAY),
            "accept_until": when(self.now + 150 * DAY),
            "at": when(self.now - 30 * DAY),
            **changes,
        }
        return self.log(entry), entry

    def receipt(self, created: datetime | None = None, signer: Signer | None = None, **changes: Any) -> dict[str, Any]:
        document = {"id": "rcp_1", "payload": {"id": "pay_1", "sha256": "ab" * 32, "size": 5}, "v": 1, **changes}
        return (signer or self.receipt_key).secure(document, created or self.now, f"https://{self.origin}")

    def bundle(
        self,
        receipt: dict[str, Any] | None = None,
        at: datetime | None = None,
        key: dict[str, Any] | None = None,
        **how: Any,
    ) -> dict[str, Any]:
        """Log the receipt's key, strangers' entries, and the receipt, and give its file."""
        receipt = receipt or self.receipt()
        key_index, key_entry = self.log_key_entry(self.receipt_key, **{"purpose": "receipt", **(key or {})})
        self.log_others(5)
        salt = hashlib.sha256(b"salt").digest()
        commitment = hmac.digest(salt, b"heldtrue/commit/v1\0" + jcs(receipt), "sha256")
        index = self.log({"v": 1, "kind": "tenant", "c": b64(commitment)})
        self.log_others(3)
        return {
            "receipt": receipt,
            "proof": self.proof(index, salt, at=at, **how),
            "key_entry": key_entry,
            "key_proof": self.proof(key_index, at=at, **how),
        }

    # -- claims
    def schedule(self, claim: str, attacks: Sequence[str], **changes: Any) -> int:
        entry = {
            "v": 1,
            "kind": "schedule",
            "claim": claim,
            "rows": ["A1"],
            "sentence": f"The promise {claim}.",
            "scope": "all",
            "place": "observe",
            "attacks": list(attacks),
            "cadence_s": 3600,
            "max_age_s": 7200,
            "at": when(max(self.latest, self.now - DAY)),
            **changes,
        }
        if any(each["id"] == claim for each in self.page_claims):
            return self.log(entry)
        self.page_claims.append(
            {
                "id": claim,
                "rows": entry["rows"],
                "sentence": entry["sentence"],
                "state": "proven" if attacks else "promised",
            }
        )
        return self.log(entry)

    def intend(self, attack: str, at: datetime, against: str = "control", number: int | None = None) -> int:
        self.numbers[attack] = number or self.numbers.get(attack, 0) + 1
        self.latest = max(self.latest, at)
        entry = {"v": 1, "kind": "intent", "attack": attack, "number": self.numbers[attack], "against": against}
        return self.log({**entry, "place": "observe", "at": when(at)})

    def evidence(
        self, attack: str, at: datetime, outcome: str = "held", against: str = "control", **changes: Any
    ) -> dict[str, Any]:
        signer: Signer = changes.pop("signer", self.evidence_key)
        entry = {
            "v": 1,
            "kind": "evidence",
            "attack": attack,
            "number": self.numbers.get(attack, 0),
            "against": against,
            "outcome": outcome,
            "method": {"name": attack, "source_sha256": "cd" * 32},
            "subject": "this instance",
            "coverage": {"tried": 3},
            "originator": "schedule",
            "executor": "worker",
            "started_at": when(at),
            "finished_at": when(at),
            "result": outcome,
            **changes,
        }
        return signer.secure(entry, at, f"https://{self.origin}")

    def run(self, attack: str, at: datetime, outcome: str = "held", against: str = "control", **changes: Any) -> int:
        self.intend(attack, at, against)
        return self.log(self.evidence(attack, at, outcome, against, **changes))

    def calibrate(self, attack: str) -> int:
        """See the attack succeed against a broken control."""
        return self.run(attack, self.now - 20 * HOUR, "broken", "broken-control")

    def attest(self, claim: str) -> int:
        """File a document that stands behind a claim."""
        day = self.now.date()
        entry = {"v": 1, "kind": "attestation", "claim": claim, "title": "Letter", "owner": "lead", "withdrawn": False}
        dates = {"dated": day.isoformat(), "expires": (day + 90 * DAY).isoformat(), "at": when(self.now)}
        return self.log({**entry, **dates, "sha256": "ab" * 32})

    # -- the page
    def admit(self, claim: str, attack: str, at: datetime, kind: str = "failing") -> None:
        """Let the page list a failure."""
        listed = next(each for each in self.page_claims if each["id"] == claim).setdefault("failures", [])
        listed.insert(0, {"kind": kind, "attack": attack, "started_at": when(at)})

    def page(self, **how: Any) -> dict[str, bytes]:
        """Every file that the instance serves."""
        note = self.checkpoint(**how)
        marks = "".join(
            f'<li data-claim="{c["id"]}" data-state="{c["state"]}">{c["sentence"]}'
            + "".join(f'<time datetime="{each["started_at"]}">then</time>' for each in c.get("failures", ()))
            + "</li>"
            for c in self.page_claims
        )
        document = {"claims": self.page_claims, "checkpoint": {"note": note}}
        files = {f"/log/{name}": data for name, data in self.tiles().items()}
        for entry in self.entries:
            if b'"kind":"evidence"' in entry:
                run = json.loads(entry)
                path = f"/trust/evidence/{run['attack']}/{run['number']}.json"
                files[path] = json.dumps({"document": run, "proof": "-"}).encode()
        for signer, note_of in self.cosigned.items():
            files[f"/log/witnesses/{signer.key_id(4).hex()}"] = note_of.encode()
        return {
            **files,
            "/trust.json": json.dumps(document).encode(),
            "/trust": f"<!doctype html><ul>{marks}</ul>".encode(),
            "/log/checkpoint": note.encode(),
        }


def _tile(level: int | str, number: int, width: int) -> str:
    thousands, rest = divmod(number, 1000)
    name = f"x{thousands:03d}/{rest:03d}" if thousands else f"{rest:03d}"
    return f"tile/{level}/{name}" + ("" if width == 256 else f".p/{width}")


def honest(now: datetime | None = None) -> Operator:
    """An operator with two proven claims, one promise, and nothing to hide."""
    operator = Operator(now=now)
    operator.log_key_entry(operator.evidence_key, "evidence")
    operator.schedule("tls", ["tls-floor"])
    operator.schedule("isolation", ["cross-tenant", "forgotten-tenant"])
    operator.schedule("kms", [])
    operator.log_others(300)
    attacks = ("tls-floor", "cross-tenant", "forgotten-tenant")
    for attack in attacks:
        operator.calibrate(attack)
    for attack in attacks:
        operator.run(attack, operator.now - 2 * HOUR)
    for attack in attacks:
        index = operator.run(attack, operator.now - HOUR)
        for claim in operator.page_claims:
            if attack == "tls-floor" and claim["id"] == "tls":
                claim["evidence"] = {"attack": attack, "number": operator.numbers[attack], "index": index}
                claim["last_attacked"] = when(operator.now - HOUR)
    operator.log_others(10)
    return operator

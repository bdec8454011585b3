"""A second `eddsa-jcs-2022` verifier, on `canonicalize` and `@noble/curves`, agrees about every receipt."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from heldtrue.crypto.integrity import attach_proof
from heldtrue.crypto.signing import SigningKey, multikey
from heldtrue.kernel.ids import CryptoKeyId
from heldtrue.kernel.secret import Secret
from heldtrue_verify.checkpoint import Roots
from heldtrue_verify.receipt import RECEIPT_STEPS, ReceiptCase
from heldtrue_verify.verdicts import Verdict, walk

pytestmark = pytest.mark.interop
Run = Callable[..., subprocess.CompletedProcess[str]]
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_receipts_of_the_journey_hold_in_both(journey: Any, node: Run) -> None:
    assert len(journey.bundles) == 3
    for bundle in journey.bundles:
        answer = node("receipt.mjs", bundle["receipt"])
        assert (answer.returncode, answer.stdout) == (0, "holds\n"), answer.stderr
        case = ReceiptCase(json.dumps(bundle).encode(), Roots.parse(journey.vkey), AT + timedelta(hours=1))
        report = walk("journey", RECEIPT_STEPS, case)
        assert report.verdict is Verdict.HOLDS, report.to_text()


def test_changed_receipts_are_refused_in_both(journey: Any, node: Run) -> None:
    for place, name in (("payload", "sha256"), ("proof", "created"), ("output", "ordinal")):
        bundle = copy.deepcopy(journey.bundles[0])
        bundle["receipt"][place][name] = "2026-11-20T12:00:00.000Z"
        assert node("receipt.mjs", bundle["receipt"]).returncode == 1
        case = ReceiptCase(json.dumps(bundle).encode(), Roots.parse(journey.vkey), AT + timedelta(hours=1))
        assert walk("changed", RECEIPT_STEPS, case).verdict is Verdict.FAILS


def test_documents_beyond_the_narrow_profile_agree(node: Run) -> None:
    """Numbers, names and texts on which canonicalizers are known to differ."""
    key = SigningKey(CryptoKeyId.new(AT, bytes), Secret(bytes(range(32))))
    document = {
        "@context": ["https://example.com/v1"],
        "numbers": [56.0, -0.0, 1e21, 1e-7, 333333333.33333329, 4.35, 5e-324, 2**53 - 1],
        "€": "euro",
        "\r": "return",
        "דּ": "hebrew",
        "😀": "smiley",
        "\x80": "control",
        "text": '\x00\x1f"\\/\x7f\u2028é',
    }
    signed = attach_proof(document, key, AT, f"https://log.example.test#{multikey(key.public)}")
    answer = node("receipt.mjs", signed)
    assert (answer.returncode, answer.stdout) == (0, "holds\n"), answer.stderr
    assert node("receipt.mjs", {**signed, "numbers": []}).returncode == 1

"""One log entry by itself: clear, or a tenant's document with its salt."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

import pytest

from .simulator import Operator, b64, jcs

Verify = Callable[..., Any]
SALT = bytes(range(32))
AUDIT = {"event": "key.issued", "subject": "key_1", "v": 1}


@pytest.fixture
def operator() -> Operator:
    operator = Operator()
    operator.log_others(1000)
    return operator


def tenant(operator: Operator) -> dict[str, Any]:
    commitment = hmac.digest(SALT, b"heldtrue/commit/v1\0" + jcs(AUDIT), "sha256")
    index = operator.log({"v": 1, "kind": "tenant", "c": b64(commitment)})
    return {"document": AUDIT, "proof": operator.proof(index, SALT)}


def test_a_clear_entry_is_its_own_document(verify: Verify, operator: Operator) -> None:
    index = operator.log({"v": 1, "kind": "schedule", "claim": "tls"})
    for name in ("document", "entry"):
        proof = {name: {"claim": "tls", "kind": "schedule", "v": 1}, "proof": operator.proof(index)}
        assert verify("proof", proof, "--pin", operator.log_key.vkey()).exit == 0


def test_a_tenants_document_opens_with_its_salt(verify: Verify, operator: Operator) -> None:
    run = verify("proof", tenant(operator), "--pin", operator.log_key.vkey())
    assert run.exit == 0
    assert run.step(3)[1] == ["The document's salted commitment is entry 1000."]


def test_an_erased_document_leaves_a_proof_that_holds(verify: Verify, operator: Operator) -> None:
    whole = tenant(operator)
    import json

    entry = json.loads(operator.entries[1000])
    assert verify("proof", {"entry": entry, "proof": whole["proof"]}, "--pin", operator.log_key.vkey()).exit == 0


def test_a_changed_document_a_moved_index_and_a_cut_path_are_refused(verify: Verify, operator: Operator) -> None:
    whole, pin = tenant(operator), operator.log_key.vkey()
    for spoiled in (
        {**whole, "document": {**AUDIT, "subject": "key_2"}},
        {**whole, "proof": whole["proof"].replace("index 1000", "index 999")},
        {**whole, "proof": whole["proof"].replace("index 1000", "index 5000")},
        {**whole, "proof": "\n".join(line for n, line in enumerate(whole["proof"].split("\n")) if n != 3)},
    ):
        run = verify("proof", spoiled, "--pin", pin)
        assert run.step(3)[0] == "fails"
        assert "the proof does not lead to the root." in run.step(3)[1][0]


def test_unpinned_and_ambiguous_files(verify: Verify, operator: Operator) -> None:
    whole = tenant(operator)
    assert verify("proof", whole).report["verdict"] == "nothing was pinned"
    assert verify("proof", {**whole, "entry": AUDIT}, "--pin", operator.log_key.vkey()).exit == 2
    assert verify("proof", {"proof": whole["proof"]}, "--pin", operator.log_key.vkey()).exit == 2

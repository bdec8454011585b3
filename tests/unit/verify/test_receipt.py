"""A receipt holds by the pinned log alone, and every lie about it is named."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from .simulator import DAY, ORIGIN, Operator, Signer, b64, when

Verify = Callable[..., Any]


@pytest.fixture
def operator() -> Operator:
    return Operator()


def test_an_honest_receipt_holds_and_every_step_says_what_was_checked(verify: Verify, operator: Operator) -> None:
    run = verify("receipt", operator.bundle(), "--pin", operator.log_key.vkey())
    assert (run.exit, run.failed) == (0, [])
    assert run.report["verdict"] == "holds"
    assert "It was in the log by" in run.step(6)[1][0]
    assert "the operator's own clock" in run.step(6)[1][0]
    assert run.text.endswith("Everything holds.\n")
    assert [step["checks"] for step in run.report["steps"]][1:3] == [
        "The receipt is signed by the key that it names",
        "The checkpoints are signed by the key you pinned",
    ]


def test_reordered_members_hold(verify: Verify, operator: Operator) -> None:
    bundle = operator.bundle()
    bundle["receipt"] = dict(reversed(bundle["receipt"].items()))
    assert verify("receipt", bundle, "--pin", operator.log_key.vkey()).exit == 0


@pytest.mark.parametrize("member", ["id", "payload", "proof.created", "proof.verificationMethod", "proof.proofPurpose"])
def test_a_changed_value_is_refused(verify: Verify, operator: Operator, member: str) -> None:
    bundle = operator.bundle()
    place = bundle["receipt"]
    *outer, name = member.split(".")
    for part in outer:
        place = place[part]
    place[name] = {
        "created": when(operator.now - DAY),
        "verificationMethod": f"https://elsewhere#{operator.receipt_key.multikey}",
    }.get(name, "changed")
    run = verify("receipt", bundle, "--pin", operator.log_key.vkey())
    assert (run.exit, run.failed) == (1, [2])


def test_an_added_member_is_refused(verify: Verify, operator: Operator) -> None:
    bundle = operator.bundle()
    bundle["receipt"]["note"] = "also this"
    run = verify("receipt", bundle, "--pin", operator.log_key.vkey())
    assert run.step(2) == (
        "fails",
        ["The signature does not hold: document or proof was changed, or another key signed."],
    )


@pytest.mark.parametrize(
    ("name", "value"), [("proofPurpose", "authentication"), ("cryptosuite", "eddsa-rdfc-2022"), ("type", "Another")]
)
def test_a_signature_made_for_something_else_is_refused(
    verify: Verify, operator: Operator, name: str, value: str
) -> None:
    receipt = operator.receipt_key.secure({"id": "rcp_1"}, operator.now, f"https://{ORIGIN}", **{name: value})
    run = verify("receipt", operator.bundle(receipt), "--pin", operator.log_key.vkey())
    assert run.failed == [2]
    assert f'The proof\'s "{name}" is not' in run.step(2)[1][0]


def test_the_proof_of_another_receipt_is_refused(verify: Verify, operator: Operator) -> None:
    bundle = operator.bundle()
    other = Operator()
    other.log_key, other.receipt_key = operator.log_key, operator.receipt_key
    bundle["receipt"] = other.receipt(id="rcp_2")
    run = verify("receipt", bundle, "--pin", operator.log_key.vkey())
    assert run.step(4)[0] == "fails"
    assert "is not entry 6 of the log: the proof does not lead to the root." in run.step(4)[1][0]


def test_a_wrong_salt_is_refused(verify: Verify, operator: Operator) -> None:
    bundle = operator.bundle()
    lines = bundle["proof"].split("\n")
    lines[1] = f"extra {b64(bytes(32))}"
    bundle["proof"] = "\n".join(lines)
    assert verify("receipt", bundle, "--pin", operator.log_key.vkey()).failed == [4]


def test_without_a_pin_nothing_is_proven(verify: Verify, operator: Operator) -> None:
    run = verify("receipt", operator.bundle())
    assert (run.exit, run.report["verdict"]) == (1, "nothing was pinned")
    assert run.step(3)[1][0].startswith(
        "Nothing was pinned: a key that comes with what is being checked proves nothing."
    )


def test_another_logs_key_is_refused(verify: Verify, operator: Operator) -> None:
    bundle = operator.bundle()
    for stranger in (Signer(operator.origin), Signer("elsewhere.example/log")):
        run = verify("receipt", bundle, "--pin", stranger.vkey())
        assert run.step(3) == ("fails", ["The checkpoint is not signed by the key that you pinned."])


def test_a_log_under_the_pinned_key_but_of_another_origin_is_refused(verify: Verify, operator: Operator) -> None:
    operator.origin = "another.example/log"
    run = verify("receipt", operator.bundle(), "--pin", operator.log_key.vkey())
    assert run.step(3)[1] == ["The checkpoint is of the log another.example/log, and you pinned trust.example/log."]


def test_a_bare_receipt_is_undated(verify: Verify, operator: Operator) -> None:
    run = verify("receipt", operator.receipt(), "--pin", operator.log_key.vkey())
    assert (run.exit, run.report["verdict"]) == (1, "undated")
    assert run.step(2)[0] == "holds"
    assert run.step(3)[1][0].startswith("The signature holds, undated:")
    assert run.text.endswith("The signature holds, undated.\n")
    changed = {**operator.receipt(), "id": "rcp_2"}
    assert verify("receipt", changed).report["verdict"] == "does not hold"


def test_a_key_that_only_the_server_names_is_refused(verify: Verify, operator: Operator) -> None:
    """The receipt is signed by a key that is not in the log, and the bundle brings a key entry of its own."""
    rogue = Signer("rogue")
    bundle = operator.bundle(operator.receipt(signer=rogue))
    run = verify("receipt", bundle, "--pin", operator.log_key.vkey())
    assert run.step(5) == ("fails", ["The key in the log is not the key that signed the receipt."])
    bundle["key_entry"]["public"] = rogue.multikey
    run = verify("receipt", bundle, "--pin", operator.log_key.vkey())
    assert run.step(5)[0] == "fails"
    assert "The key's statement is not entry 0 of the log" in run.step(5)[1][0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"purpose": "evidence"}, "The log's entry says activated for evidence, not activated for receipts."),
        ({"event": "deactivated"}, "The log's entry says deactivated for receipt, not activated for receipts."),
    ],
)
def test_a_key_for_something_else_is_refused(
    verify: Verify, operator: Operator, change: dict[str, str], sentence: str
) -> None:
    run = verify("receipt", operator.bundle(key=change), "--pin", operator.log_key.vkey())
    assert run.step(5) == ("fails", [sentence])


def test_a_receipt_that_names_another_issuer_is_refused(verify: Verify, operator: Operator) -> None:
    receipt = operator.receipt_key.secure({"id": "rcp_1"}, operator.now, "https://victim.example")
    run = verify("receipt", operator.bundle(receipt), "--pin", operator.log_key.vkey())
    assert run.step(5)[1] == ["The receipt names https://victim.example as its signer, the log is trust.example/log."]


def dated(operator: Operator, created: datetime, logged: datetime) -> dict[str, Any]:
    """A receipt of a key that signed for 90 days, 300 days ago, and was accepted for 90 more."""
    start = operator.now - 300 * DAY
    key = {"not_before": when(start), "sign_until": when(start + 90 * DAY), "accept_until": when(start + 180 * DAY)}
    return operator.bundle(operator.receipt(created), at=logged, key=key)


def test_a_receipt_logged_in_time_verifies_for_ever(verify: Verify, operator: Operator) -> None:
    start = operator.now - 300 * DAY
    for logged in (start + DAY, start + 180 * DAY):
        run = verify("receipt", dated(operator, start + DAY, logged), "--pin", operator.log_key.vkey())
        assert run.exit == 0, run.text


def test_a_backdated_receipt_of_a_stolen_retired_key_is_refused(verify: Verify, operator: Operator) -> None:
    start = operator.now - 300 * DAY
    late = dated(operator, start + DAY, start + 180 * DAY + timedelta(seconds=1))
    run = verify("receipt", late, "--pin", operator.log_key.vkey())
    assert run.step(6)[0] == "fails"
    assert "too late: receipts of this key were accepted until" in run.step(6)[1][0]
    assert "Its own date proves nothing." in run.step(6)[1][0]


@pytest.mark.parametrize("offset", [timedelta(seconds=-1), 90 * DAY + timedelta(seconds=1)])
def test_a_key_signs_nothing_outside_its_interval(verify: Verify, operator: Operator, offset: timedelta) -> None:
    start = operator.now - 300 * DAY
    run = verify("receipt", dated(operator, start + offset, start + 100 * DAY), "--pin", operator.log_key.vkey())
    assert run.step(6)[0] == "fails"
    assert "when the key did not sign" in run.step(6)[1][0]


def test_a_receipt_that_says_later_than_its_log_is_refused(verify: Verify, operator: Operator) -> None:
    bundle = operator.bundle(operator.receipt(operator.now), at=operator.now - DAY)
    run = verify("receipt", bundle, "--pin", operator.log_key.vkey())
    assert "later than the log had it" in run.step(6)[1][0]


def test_a_checkpoint_from_the_future_is_refused(verify: Verify, operator: Operator) -> None:
    run = verify("receipt", operator.bundle(at=operator.now + DAY), "--pin", operator.log_key.vkey())
    assert run.step(3)[1][0].startswith("The checkpoint is dated in the future")


def test_a_checkpoint_without_a_time_is_refused(verify: Verify, operator: Operator) -> None:
    run = verify("receipt", operator.bundle(timed=False), "--pin", operator.log_key.vkey())
    assert run.step(3)[1] == ["The checkpoint carries no time: neither a witness nor the operator dated it."]


def test_a_pinned_witness_must_have_cosigned_and_gives_the_time(verify: Verify, operator: Operator) -> None:
    witness = Signer("witness.example/w1")
    pins = ("--pin", operator.log_key.vkey(), "--witness", witness.vkey(4))
    run = verify("receipt", operator.bundle(), *pins)
    assert run.step(3) == ("fails", ["The witness witness.example/w1 has not cosigned this checkpoint."])
    run = verify("receipt", operator.bundle(witnesses=[witness]), *pins)
    assert run.exit == 0
    assert "the clock of witness.example/w1" in run.step(6)[1][0]


def test_an_operator_cannot_be_his_own_witness(verify: Verify, operator: Operator) -> None:
    alias = Signer("witness.example/w1", operator.log_key.key)
    bundle = operator.bundle(witnesses=[alias])
    run = verify("receipt", bundle, "--pin", operator.log_key.vkey(), "--witness", alias.vkey(4))
    assert run.exit == 2
    assert "an operator cannot witness himself" in run.text


def test_a_forged_cosignature_under_a_known_name_refuses_the_whole_note(verify: Verify, operator: Operator) -> None:
    bundle = operator.bundle()
    head, _, tail = bundle["proof"].rpartition("\n— ")
    name, value = tail.split(" ")
    bundle["proof"] = f"{head}\n— {name} {value[:-8]}{'AAAA' if value[-8:-4] != 'AAAA' else 'BBBB'}{value[-4:]}"
    run = verify("receipt", bundle, "--pin", operator.log_key.vkey())
    assert run.step(3) == ("fails", ["A signature under the name and key id of trust.example/log is wrong."])


def test_two_faces_of_one_log_are_seen_offline(verify: Verify, operator: Operator) -> None:
    """Receipt and key are proven in two trees of one size, both signed."""
    bundle = operator.bundle()
    fork = Operator()
    fork.log_key, fork.receipt_key, fork.now = operator.log_key, operator.receipt_key, operator.now
    other = fork.bundle(fork.receipt(id="rcp_9"))
    bundle["key_proof"] = other["key_proof"]
    run = verify("receipt", bundle, "--pin", operator.log_key.vkey())
    assert run.step(3)[1] == ["The log has two faces: one signed checkpoint contradicts another of the same size."]


def _twice(bundle: dict[str, Any]) -> bytes:
    text = json.dumps(bundle)
    return text.replace('"id": "rcp_1"', '"id": "rcp_0", "id": "rcp_1"').encode()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_twice, 'The member "id" appears twice in one object.'),
        (lambda b: b"\xef\xbb\xbf" + json.dumps(b).encode(), "This is not JSON in UTF-8"),
        (lambda b: json.dumps(b).encode()[:-9], "This is not JSON in UTF-8"),
        (lambda b: json.dumps({**b, "proof": "no proof"}).encode(), "The proof is not a c2sp.org/tlog-proof@v1."),
        (lambda b: json.dumps({k: v for k, v in b.items() if k != "key_entry"}).encode(), '"key_entry" is missing'),
        (lambda b: json.dumps({**b, "key_proof": 7}).encode(), '"key_proof" is missing or not text'),
        (lambda b: json.dumps({**b, "proof": b["key_proof"]}).encode(), "does not carry the 32 bytes of salt"),
        (lambda b: json.dumps({**b, "n": float("nan")}).encode(), "NaN is not JSON"),
        (lambda b: json.dumps({**b, "n": 2**53}).encode(), "beyond what every reader holds exactly"),
        (lambda b: b"[" * 100000, "nested too deeply"),
        (lambda b: b"", "This is not JSON"),
        (lambda b: b"[]", "The JSON is not an object."),
    ],
)
def test_an_unusable_file_is_neither_true_nor_false(
    verify: Verify, operator: Operator, spoil: Callable[[dict[str, Any]], bytes], sentence: str
) -> None:
    run = verify("receipt", spoil(copy.deepcopy(operator.bundle())), "--pin", operator.log_key.vkey())
    assert (run.exit, run.report["verdict"]) == (2, "unusable input")
    assert sentence in run.step(1)[1][0]


def test_unusable_arguments(verify: Verify, operator: Operator) -> None:
    pin = operator.log_key.vkey()
    assert verify("receipt", "/nowhere", "--pin", pin).exit == 2
    mistyped = pin.replace(pin.split("+")[1], "00000000")
    assert "mistyped" in verify("receipt", operator.bundle(), "--pin", mistyped).text
    assert verify("receipt", operator.bundle(), "--pin", operator.log_key.vkey(4)).exit == 2
    assert verify("receipt", operator.bundle(), "--pin", "nonsense").exit == 2


def test_a_pin_may_stand_in_a_file(verify: Verify, operator: Operator, tmp_path: Any) -> None:
    (tmp_path / "pin").write_text(operator.log_key.vkey() + "\n")
    assert verify("receipt", operator.bundle(), "--pin", f"@{tmp_path / 'pin'}").exit == 0


def test_what_a_file_says_cannot_steer_the_terminal(verify: Verify, operator: Operator) -> None:
    receipt = operator.receipt_key.secure({"id": "rcp_1"}, operator.now, "https://\x1b[2Jevil\n")
    text = verify("receipt", receipt).text
    assert "\x1b" not in text
    assert "evil�" in text

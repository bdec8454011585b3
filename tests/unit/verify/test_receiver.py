"""The verifier for servers: every vector, what a replay cache must do, and what it refuses to be made of."""

from __future__ import annotations

import base64
import importlib.util
import json
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from heldtrue_verify.receiver import MemoryReplayCache, ReplayCacheFullError, WebhookVerifier
from heldtrue_verify.verdicts import MalformedError
from heldtrue_verify.webhook import ReplayedWebhookError, WebhookRefusedError, verify

VECTORS = Path(__file__).parents[3] / "verify/vectors"
CASES: list[dict[str, Any]] = json.loads((VECTORS / "webhooks.json").read_text())["cases"]
GOOD = CASES[0]


def outcome(case: dict[str, Any]) -> str:
    verifier = WebhookVerifier(case["secrets"], case["public_keys"], now=lambda: case["now"])
    body = base64.b64decode(case["body"])
    told = ""
    for _ in range(case["times"]):
        try:
            event = verifier.verify(case["headers"], body)
            told = "accepted"
            assert event == json.loads(body)
        except WebhookRefusedError as error:
            told = error.code
    return told


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_vector(case: dict[str, Any]) -> None:
    assert outcome(case) == case["outcome"]


def test_the_vectors_are_what_their_program_writes() -> None:
    spec = importlib.util.spec_from_file_location("webhook_vectors", VECTORS / "make.py")
    assert spec is not None
    assert spec.loader is not None
    made: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.table() == (VECTORS / "webhooks.json").read_text()
    assert {case["outcome"] for case in CASES} == {"accepted", "forged", "stale", "early", "replayed", "malformed"}


def test_the_next_attempt_of_the_same_event_is_accepted() -> None:
    """It has the same id and a later time: our answer to the one before may have been lost."""
    later = next(case for case in CASES if case["name"] == "genuine, v1")
    shared = MemoryReplayCache(now=lambda: later["now"])
    body = base64.b64decode(later["body"])
    one = WebhookVerifier(later["secrets"], replay_cache=shared, now=lambda: later["now"])
    one.verify(later["headers"], body)
    assert shared.first("msg_1.1793611899", later["now"] + 300)
    with pytest.raises(ReplayedWebhookError):
        one.verify(later["headers"], body)


def test_a_refused_message_is_not_remembered() -> None:
    cache = MemoryReplayCache(now=lambda: GOOD["now"])
    verifier = WebhookVerifier(GOOD["secrets"], replay_cache=cache, now=lambda: GOOD["now"])
    with pytest.raises(WebhookRefusedError):
        verifier.verify(GOOD["headers"], b"changed")
    assert len(cache) == 0
    assert verifier.verify(GOOD["headers"], base64.b64decode(GOOD["body"]))


def test_a_cache_that_cannot_answer_accepts_nothing() -> None:
    class Away:
        def first(self, key: str, until: float) -> bool:
            raise ConnectionError

    verifier = WebhookVerifier(GOOD["secrets"], replay_cache=Away(), now=lambda: GOOD["now"])
    with pytest.raises(ConnectionError):
        verifier.verify(GOOD["headers"], base64.b64decode(GOOD["body"]))


def test_what_could_still_be_replayed_is_never_forgotten() -> None:
    now = 1000.0
    cache = MemoryReplayCache(most=2, now=lambda: now)
    assert cache.first("a", 1300)
    assert cache.first("b", 1200)
    assert not cache.first("a", 1400)
    with pytest.raises(ReplayCacheFullError):
        cache.first("c", 1300)
    now = 1200.0
    assert not cache.first("b", 1300), "its last second is not over"
    now = 1200.5
    assert cache.first("c", 1500)
    assert len(cache) == 2
    assert not cache.first("a", 1400), "what was refused did not change its end"
    now = 1301.0
    assert cache.first("a", 1600)


def test_of_many_at_once_exactly_one_is_first() -> None:
    cache = MemoryReplayCache(now=lambda: 0.0)
    start, told = threading.Barrier(8), list[bool]()

    def ask() -> None:
        start.wait()
        told.extend(cache.first(f"k{number}", 300) for number in range(200))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count(True) == 200


def test_what_it_cannot_be_made_of() -> None:
    secret, key = GOOD["secrets"][0], CASES[1]["public_keys"][0]
    for secrets, keys in (([], []), ([key], []), ([], [secret]), (["whsec_AAAA"], []), ([""], [])):
        with pytest.raises(MalformedError):
            WebhookVerifier(secrets, keys)
    with pytest.raises(ValueError, match="tolerance"):
        WebhookVerifier([secret], tolerance=0)
    with pytest.raises(ValueError, match="room"):
        MemoryReplayCache(most=0)


def test_the_plain_function_takes_the_same_vectors() -> None:
    for case in CASES:
        keys, body = case["secrets"] + case["public_keys"], base64.b64decode(case["body"])
        if case["outcome"] in {"accepted", "replayed"}:
            assert verify(case["headers"], body, keys, now=case["now"])
        else:
            with pytest.raises(WebhookRefusedError):
                verify(case["headers"], body, keys, now=case["now"])

"""Documents and annotations over the API: who may, what is refused, and that no route takes a failure away."""

from __future__ import annotations

import gzip
import re
from collections.abc import Generator
from typing import Any

import pytest
from whole import Whole, open_whole

from heldtrue.attack.sound import ATTESTED, SOUND
from heldtrue.db.roles import at_database
from heldtrue.policy.permissions import GRANTS, Permission, Role

PAPER = {"claim": ATTESTED, "title": "Certificates", "owner": "the lead", "sha256": "a" * 64}

MOMENTS = re.compile(rb"[0-9-]{10}T[0-9:.]+Z|[0-9]{2}:[0-9]{2}:[0-9]{2}|[0-9]+ (?:s|min) ago|just now")
"""What a page says of the time at which it was made."""


@pytest.fixture(scope="module")
def whole(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[Whole]:
    name = server.create()
    with open_whole(at_database(server.roles, name), tmp_path_factory.mktemp("whole")) as opened:
        yield opened
    server.drop(name)


def attest(whole: Whole, **changes: str) -> Any:
    dates = {"dated": "2026-01-01", "expires": "2027-12-01"}
    return whole.house.operator.post("/v1/attestations", {**PAPER, **dates, **changes})


def test_a_document_is_filed_listed_and_withdrawn(whole: Whole) -> None:
    made = attest(whole)
    assert made.status == 201, made.body
    assert made.json()["entry"]["sha256"] == "a" * 64
    withdrawn = whole.house.operator.post("/v1/attestations/withdrawals", {"claim": ATTESTED})
    assert withdrawn.json()["entry"]["withdrawn"] is True
    listed = whole.house.operator.get("/v1/attestations").json()["data"]
    assert {withdrawn.json()["id"], made.json()["id"]} <= {entry["id"] for entry in listed}
    assert whole.house.operator.post("/v1/attestations/withdrawals", {"claim": ATTESTED}).status == 404


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"dated": "2027-01-01"}, 422, "postdated"),
        ({"expires": "2026-02-01"}, 422, "expired-document"),
        ({"expires": "2026-01-01"}, 422, "expired-document"),
        ({"expires": "2031-01-01"}, 422, "document-refused"),
        ({"sha256": "A" * 64}, 422, ""),
        ({"title": "a\nb"}, 422, "document-refused"),
        ({"claim": "company.gone"}, 404, "no-such-claim"),
        ({"claim": "transport.tls"}, 409, "proven-by-attack"),
    ],
    ids=["postdated", "expired", "instant", "too-long", "digest", "lines", "no-claim", "attacked"],
)
def test_a_document_that_must_not_count_is_refused(
    whole: Whole, changes: dict[str, str], status: int, code: str
) -> None:
    got = attest(whole, **changes)
    assert (got.status, code in got.json()["type"]) == (status, True), got.body


def test_only_what_failed_is_annotated(whole: Whole) -> None:
    said = {"attack": "transport.old_tls", "text": "A certificate had expired."}
    assert whole.house.operator.post("/v1/annotations", said).status == 201
    assert whole.house.operator.post("/v1/annotations", {**said, "number": 1}).status == 404
    assert whole.house.operator.post("/v1/annotations", {**said, "attack": "no.such"}).status == 404
    assert whole.house.operator.post("/v1/annotations", {**said, "text": " "}).status == 422
    (listed, *_) = whole.house.operator.get("/v1/annotations").json()["data"]
    assert listed["entry"]["text"] == said["text"]


def test_there_is_no_route_that_takes_a_failure_or_a_word_away(whole: Whole) -> None:
    about = [route for route in whole.table if set(route.path.split("/")) & {"annotations", "attestations"}]
    about += [route for route in whole.table if route.path.startswith("/trust/evidence")]
    assert {route.method for route in about} == {"GET", "POST"}
    assert len(about) == 6
    assert not [route.at for route in whole.table if route.mutates and route.path.startswith("/trust/claims")]


def test_only_the_operator_may(whole: Whole) -> None:
    for permission in (Permission.CLAIM_ATTEST, Permission.CLAIM_ANNOTATE):
        assert {role for role in Role if permission in GRANTS[role]} == {Role.OPERATOR}
    admin = whole.house.organisation("somebody")
    assert admin.call("POST", "/v1/annotations", body=SOUND["POST /v1/annotations"][0] or b"",
                      headers={"content-type": "application/json"}).status == 403  # fmt: skip


def test_the_public_views_agree(whole: Whole) -> None:
    stranger = whole.house.caller()
    page, told = stranger.get("/trust/frameworks"), stranger.get("/trust/frameworks.json").json()
    assert page.status == 200
    for framework in told["frameworks"]:
        for control in framework["controls"]:
            assert f'id="{control["anchor"]}"'.encode() in page.body
    trust = stranger.get("/trust.json").json()
    states = {claim["id"]: claim["state"] for claim in trust["claims"]}
    answers = [a for framework in told["frameworks"] for control in framework["controls"] for a in control["claims"]]
    assert {(answer["id"], answer["state"]) for answer in answers} <= states.items()
    promised = stranger.get("/trust/promised.json").json()
    assert {claim["id"] for claim in promised["promised"]} == {n for n, state in states.items() if state == "promised"}
    assert all(claim["why"] for claim in promised["promised"])
    assert stranger.get("/trust/oscal/component-definition.json").status in {200, 404}


def test_public_text_is_compressed_for_whom_accepts_it_and_caches_keep_both_forms(whole: Whole) -> None:
    stranger = whole.house.caller()
    for path in ("/trust/frameworks", "/trust/frameworks.json", "/assets/heldtrue.css", "/docs"):
        plain, small = stranger.get(path), stranger.get(path, accept_encoding="br, gzip")
        assert {got.headers["vary"] for got in (plain, small)} == {"accept-encoding"}
        assert ("content-encoding" in plain.headers, small.headers["content-encoding"]) == (False, "gzip")
        assert int(small.headers["content-length"]) == len(small.body) < len(plain.body) / 2
        head = stranger.call("HEAD", path, headers={"accept-encoding": "gzip"})
        assert (head.body, head.headers["content-encoding"]) == (b"", "gzip")
        whole_text = gzip.decompress(small.body)
        if path.startswith("/trust"):  # made anew for each reader: only its moments differ
            assert MOMENTS.sub(b"", whole_text) == MOMENTS.sub(b"", plain.body)
        else:
            assert whole_text == plain.body
            assert head.headers["content-length"] == small.headers["content-length"]


def test_what_could_mix_a_secret_with_what_was_sent_is_not_compressed(whole: Whole) -> None:
    admin, stranger, accepts = whole.house.organisation("Squeezed"), whole.house.caller(), {"accept-encoding": "gzip"}
    made = [admin.post("/v1/keys", {"name": "x" * 64, "role": "sender"}, **accepts) for _ in range(4)]
    sent = {"title": "What I sent", "text": "What I sent. " * 200}
    report = stranger.post("/trust/disclosure/report", sent, **accepts)
    link = re.findall(rb"/trust/disclosure/reports/[\w-]+", report.body)[0].decode()
    own = stranger.get(link, **accepts)
    listed = admin.get("/v1/keys", **accepts)
    for got in (*made, report, own, listed):
        assert got.status in {200, 201}, got.body
        assert not {"content-encoding", "vary"} & got.headers.keys()
    assert min(len(got.body) for got in (report, own, listed)) > 1024, "long enough to be compressed"

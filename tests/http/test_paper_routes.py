"""Legal texts accepted, signed copies filed, customers' questionnaires taken in: over the API of the whole product."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from asgi import Caller, Got
from house import NOON
from whole import Whole, accepting, open_whole

from heldtrue.attack.sound import ASKED, SIGNED
from heldtrue.capabilities.agreements.legal import LEGAL
from heldtrue.capabilities.agreements.starters import starter
from heldtrue.db.roles import at_database

DAY = NOON.date()


@pytest.fixture(scope="module")
def whole(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[Whole]:
    """The product, with terms in force."""
    name = server.create()
    with open_whole(at_database(server.roles, name), tmp_path_factory.mktemp("whole")) as opened:
        text = LEGAL.write(starter("terms", "furnished", DAY, DAY))
        made = put(opened.house.operator, "/v1/registers/legal/terms", {"document": text})
        assert made.status == 200, made.body
        yield opened
    server.drop(name)


def put(caller: Caller, path: str, body: object) -> Got:
    return caller.call("PUT", path, body=json.dumps(body).encode(), headers={"content-type": "application/json"})


# ---------------------------------------------------------------- acceptances


def test_what_is_accepted_is_the_version_that_was_read_by_whom_and_when(whole: Whole) -> None:
    ours, theirs = whole.house.organisation("Ours"), whole.house.organisation("Theirs")
    made = ours.post("/v1/acceptances", accepting(DAY))
    assert made.status == 201, made.body
    assert (made.json()["version"], made.json()["accepted_by"]) == (1, "furnished")
    assert ours.get("/v1/acceptances").json()["data"] == [made.json()]
    assert theirs.get("/v1/acceptances").json()["data"] == []
    page = whole.house.caller().get("/trust/legal/terms.json").json()["text"]["in_force"]
    assert page["sha256"] == made.json()["sha256"]


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"sha256": "0" * 64}, 409, "not-in-force"), ({"version": 2}, 409, "not-in-force"),
        ({"item": "sla"}, 409, "not-in-force"), ({"item": "nothing"}, 404, "unknown-text"),
        ({"accepted_by": ""}, 422, "invalid-value"),
    ],
    ids=["another-text", "no-version", "nothing-in-force", "no-text", "nobody"],
)  # fmt: skip
def test_nothing_else_is_accepted(whole: Whole, changed: dict[str, Any], status: int, code: str) -> None:
    got = whole.house.organisation("Careless").post("/v1/acceptances", {**accepting(DAY), **changed})
    assert (got.status, got.code) == (status, code), got.body


# ---------------------------------------------------------------- signed copies


def test_a_signed_copy_comes_back_as_it_was_filed_with_its_hash(whole: Whole) -> None:
    operator, content = whole.house.operator, base64.b64decode(SIGNED["content"])
    made = operator.post("/v1/agreements", SIGNED)
    assert (made.status, made.json()["sha256"]) == (201, hashlib.sha256(content).hexdigest()), made.body
    assert made.json() in operator.get("/v1/agreements").json()["data"]
    file = operator.get(f"/v1/agreements/{made.json()['id']}/file")
    assert (file.status, file.body) == (200, content)
    assert whole.house.organisation("Curious").get("/v1/agreements").status == 403


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"signed_on": str(DAY + timedelta(days=1))}, 422, "signed-later"), ({"content": "####"}, 422, "unusable-file"),
        ({"content": base64.b64encode(b"#!/bin/sh").decode()}, 422, "unusable-file"),
        ({"document": "poem"}, 422, "invalid-value"),
    ],
    ids=["tomorrow", "no-base64", "no-document", "no-kind"],
)  # fmt: skip
def test_what_is_no_signed_copy_is_not_filed(whole: Whole, changed: dict[str, str], status: int, code: str) -> None:
    got = whole.house.operator.post("/v1/agreements", {**SIGNED, **changed})
    assert (got.status, got.code) == (status, code), got.body


# ---------------------------------------------------------------- questionnaires


def test_a_confirmed_answer_is_remembered_and_the_customers_file_comes_back_filled_in(whole: Whole) -> None:
    operator = whole.house.operator
    made = operator.post("/v1/questionnaires", {"name": "theirs.csv", "content": ASKED})
    assert (made.status, made.json()["questions"], made.json()["confirmed"]) == (201, 1, 0), made.body
    path = f"/v1/questionnaires/{made.json()['id']}"
    [row] = made.json()["rows"]
    said = put(
        operator, f"{path}/answers/{row['number']}", {"confirmed_by": "lead", "answer": "yes", "text": "TLS 1.3"}
    )
    assert (said.status, said.json()["confirmed"]["by"]) == (200, "lead"), said.body
    assert operator.get(path).json()["confirmed"] == 1
    file = operator.get(f"{path}/file")
    assert (file.status, b"1.3" in file.body) == (200, True)
    again = operator.post("/v1/questionnaires", {"name": "again.csv", "content": ASKED}).json()
    assert again["rows"][0]["proposal"]["source"] == "remembered"
    assert operator.delete(path).status == 200
    assert operator.get(path).status == 404


@pytest.mark.parametrize(
    ("content", "status"),
    [("####", 422), (base64.b64encode(b"\x00\x01").decode(), 422), (base64.b64encode(b"a,b\n1,2\n").decode(), 422)],
    ids=["no-base64", "no-table", "no-question"],
)
def test_what_is_no_questionnaire_is_refused(whole: Whole, content: str, status: int) -> None:
    got = whole.house.operator.post("/v1/questionnaires", {"name": "x.csv", "content": content})
    assert got.status == status, got.body


# ---------------------------------------------------------------- our own questionnaire


def test_an_answer_may_rest_on_a_page_that_every_instance_has(whole: Whole) -> None:
    told = whole.house.caller().get("/trust/questionnaire.json").json()["data"]
    [found] = [one for section in told for one in section["answers"] if one["id"] == "CRT-04"]
    assert (found["answer"], found["state"]) == ("yes", "recorded")
    assert found["evidence"][0]["page"].endswith("/trust/frameworks")

"""What a report of a vulnerability sends by mail, to a real server by STARTTLS: who is told, and what is not said."""

from __future__ import annotations

import re
from collections.abc import Generator
from email import message_from_bytes
from email.policy import default
from typing import Any
from urllib.parse import urlencode

import pytest
from smtp_server import MailServer, serve_mail
from whole import Whole, open_whole

from heldtrue.app.settings_company import CompanySettings
from heldtrue.capabilities.disclosure import pgp
from heldtrue.capabilities.post.smtp import Smarthost
from heldtrue.capabilities.post.worker import Postman, PostServices
from heldtrue.db.roles import at_database

SECURITY, FINDER = "security@example.com", "finder@example.org"


@pytest.fixture(scope="module")
def whole(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[Whole]:
    name = server.create()
    company = CompanySettings(name="Example", security_mail=SECURITY)
    directory = tmp_path_factory.mktemp("whole")
    with open_whole(at_database(server.roles, name), directory, company=company) as opened:
        yield opened
    server.drop(name)


@pytest.fixture(scope="module")
def smtp(tmp_path_factory: pytest.TempPathFactory) -> Generator[MailServer]:
    with serve_mail(tmp_path_factory.mktemp("smtp")) as served:
        yield served


def report(whole: Whole, text: str, **fields: str) -> tuple[str, str]:
    """Fill in the public form; return the report's id and its reporter's own path."""
    body = urlencode({"title": "A canary-title", "text": text, **fields}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    got = whole.house.caller().call("POST", "/trust/disclosure/report", body=body, headers=headers)
    assert got.status == 200, got.body
    number = re.search(r"rep_[0-9a-f]{32}", got.body.decode())
    path = re.search(r"/trust/disclosure/reports/[0-9A-Za-z]{43}", got.body.decode())
    assert number is not None
    assert path is not None
    return number[0], path[0]


def delivered(whole: Whole, smtp: MailServer) -> dict[str, str]:
    """Send what waits; return what came, by recipient: subject and text."""
    home = whole.parts.ground.home
    host = Smarthost(
        host="localhost", port=smtp.port, implicit_tls=False, sender="trust@example.com", authorities=smtp.authority
    )
    postman = Postman(
        PostServices(
            database=whole.parts.database, platform=home.platform, cache=whole.parts.cache, clock=whole.house.clock,
            entropy=whole.parts.entropy, smarthost=host,
        )
    )  # fmt: skip
    smtp.taken.clear()
    while postman.step():
        continue
    assert all(one.tls in {"TLSv1.2", "TLSv1.3"} for one in smtp.taken)
    came = [message_from_bytes(one.content, policy=default) for one in smtp.taken]
    assert len({message["To"] for message in came}) == len(came)
    return {message["To"]: f"{message['Subject']}\n{message.get_content()}" for message in came}


def test_a_report_is_confirmed_to_its_reporter_and_copied_to_the_company(whole: Whole, smtp: MailServer) -> None:
    made, secret = pgp.generate("Example", SECURITY, 365, whole.house.clock.now())
    assert whole.house.operator.post("/v1/disclosure/key", {"public_key": made.armoured}).status == 201
    number, path = report(whole, "The canary-text of a report.", mail=FINDER)
    came = delivered(whole, smtp)
    assert set(came) == {FINDER, SECURITY}
    assert not any("canary" in text for text in came.values()), "nothing of a report is in clear in a mail"
    assert number in came[FINDER]
    assert f"{whole.parts.urls.base}{path}" in came[FINDER].split()
    assert "The canary-text" in whole.house.caller().get(path).body.decode()
    copy = came[SECURITY][came[SECURITY].index("-----BEGIN PGP MESSAGE-----") :]
    assert (pgp.decrypt(secret, copy) or "").strip() == "The canary-text of a report."


def test_a_mail_of_ours_stops_no_clock_and_an_acknowledgement_does(whole: Whole, smtp: MailServer) -> None:
    number, path = report(whole, "One more.", mail=FINDER)
    assert FINDER in delivered(whole, smtp)
    operator = whole.house.operator
    waiting = operator.get(f"/v1/reports/{number}").json()
    assert (waiting["state"], waiting["acknowledged_at"]) == ("received", None)
    done = operator.post(f"/v1/reports/{number}/acknowledge", {"message": "We read it: canary-answer."})
    assert done.json()["acknowledged_at"] is not None
    news = delivered(whole, smtp)
    assert set(news) == {FINDER}
    assert path in news[FINDER]
    assert "canary" not in news[FINDER], "what was answered is on the report's own page"


def test_a_report_is_taken_where_its_copy_cannot_be_encrypted(
    whole: Whole, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # GnuPG is not installed
    number, _ = report(whole, "The canary-text of a report.")
    told = delivered(whole, smtp)
    assert set(told) == {SECURITY}
    assert f"heldtrue reports show {number}" in told[SECURITY]
    assert "canary" not in told[SECURITY]

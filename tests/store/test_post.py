"""Mail goes out once it is committed, over verified TLS and nothing else, and is tried until it is settled."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from house import House, actor_of, build_house, documents
from instance import free_port
from smtp_server import PASSWORD, USER, MailServer, serve_mail

from heldtrue.app.doctor_post import examine_post
from heldtrue.app.findings import Level
from heldtrue.app.settings_post import Post
from heldtrue.capabilities.post import actions
from heldtrue.capabilities.post.routes import routes
from heldtrue.capabilities.post.smtp import Smarthost, deliver
from heldtrue.capabilities.post.worker import LEASE, Postman, PostServices
from heldtrue.db.tx import Database
from heldtrue.kernel.ids import MailId
from heldtrue.kernel.secret import Secret

MESSAGE = b"From: trust@example.com\r\nTo: a@example.com\r\nSubject: x\r\n\r\n.\r\nhello\r\n"


@dataclass
class Office:
    """A house whose operator sends mail, and the server that takes it."""

    house: House
    server: MailServer
    postman: Postman

    def enqueue(self, **given: Any) -> MailId:
        asked = {"to": "a@example.com", "subject": "Hello", "text": "Hello.", "about": "test", **given}
        with self.house.database.system() as tx:
            return enqueued(self.house, tx, **asked)

    def row(self, mail: MailId) -> dict[str, Any]:
        return self.house.operator.get(f"/v1/post/{mail}").json()


def enqueued(house: House, tx: Any, **asked: Any) -> MailId:
    now = house.clock.now()
    keys = lambda tenant, environment: house.ports.keyring(tx, tenant, environment, now)  # noqa: E731
    return actions.enqueue(tx, keys=keys, now=now, entropy=house.ports.entropy, **asked)


def to(server: MailServer, **more: Any) -> Smarthost:
    given = {"host": "localhost", "port": server.port, "implicit_tls": server.implicit, "sender": "trust@example.com",
             "authorities": server.authority, "timeout": 20.0}  # fmt: skip
    return Smarthost(**{**given, **more})


def postman_of(house: House, host: Smarthost, **more: Any) -> Postman:
    ports = house.ports
    return Postman(
        PostServices(
            database=ports.database, platform=ports.platform, cache=ports.key_cache, clock=house.clock,
            entropy=ports.entropy, smarthost=host, **more,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def smtp(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with serve_mail(tmp_path_factory.mktemp("smtp")) as served:
        yield served


@pytest.fixture(scope="module")
def house(module_database: Database) -> House:
    from house import ROUTES

    return build_house(module_database, [*ROUTES, *routes(sends=True)])


@pytest.fixture
def office(house: House, smtp: MailServer) -> Any:
    smtp.taken.clear()
    yield Office(house, smtp, postman_of(house, to(smtp)))
    smtp.rcpt = smtp.data = ""
    with house.database.system() as tx:
        tx.execute("DELETE FROM heldtrue.post_mails")


def test_a_mail_goes_out_encrypted_and_is_recorded(office: Office) -> None:
    mail = office.enqueue()
    assert office.postman.step() == 1
    [taken] = office.server.taken
    assert (taken.sender, taken.recipients) == ("trust@example.com", ["a@example.com"])
    assert taken.tls in {"TLSv1.2", "TLSv1.3"}
    row = office.row(mail)
    assert (row["state"], row["attempts"], row["status"]) == ("sent", 1, 250)
    assert office.postman.step() == 0
    last = documents(office.house.ports, actor_of(office.house.ports, office.house.operator))
    assert [one["subject"] for one in last if one["event"] == "post.sent"][-1] == str(mail)


def test_nothing_of_a_mail_is_in_clear_and_its_text_is_gone_once_sent(office: Office) -> None:
    office.enqueue(to="canary-to@example.com", text="canary-text https://example.com/link")

    def seen() -> bool:
        with office.house.database.system() as tx:
            row = tx.value("SELECT m::text FROM heldtrue.post_mails m")  # bytes as hexadecimal
        return "canary" in row or b"canary".hex() in row

    def sealed() -> int:
        with office.house.database.system() as tx:
            return tx.value("SELECT length(draft_sealed) + coalesce(length(wire_sealed), 0) FROM heldtrue.post_mails")

    assert not seen()
    before = sealed()
    office.postman.step()
    assert not seen()
    assert sealed() < before
    with office.house.database.system() as tx:
        ring = actions.keyring(tx, lambda tenant, environment: office.house.ports.keyring(
            tx, tenant, environment, office.house.clock.now()))  # fmt: skip
        row = tx.one(_Sealed, "SELECT mail_id, draft_sealed FROM heldtrue.post_mails")
        assert row is not None
        kept = actions.opened(ring, MailId(row.mail_id), row.draft_sealed)
    assert (kept.to, kept.text) == ("canary-to@example.com", "")


@dataclass
class _Sealed:
    mail_id: Any
    draft_sealed: bytes


def test_what_is_not_committed_is_not_sent(office: Office) -> None:
    class Undone(Exception):
        pass

    def undone() -> None:
        with office.house.database.system() as tx:
            enqueued(office.house, tx, to="a@example.com", subject="x", text="x", about="test")
            raise Undone

    with pytest.raises(Undone):
        undone()
    assert office.postman.step() == 0


def test_a_recipient_that_is_refused_for_good_is_not_tried_again(office: Office) -> None:
    mail = office.enqueue()
    office.server.rcpt = "550 5.1.1 no such user"
    office.postman.step()
    row = office.row(mail)
    assert (row["state"], row["failure"], row["status"], row["reply"]) == (
        "failed", "refused", 550, "5.1.1 no such user"
    )  # fmt: skip
    office.house.clock.at += timedelta(days=30)
    assert office.postman.step() == 0


def test_a_deferred_mail_is_tried_by_the_schedule_and_then_given_up(office: Office) -> None:
    mail = office.enqueue()
    office.server.data = "451 4.3.0 later"
    tries = 0
    while office.row(mail)["state"] == "waiting":
        assert office.postman.step() == 1
        tries += 1
        due = office.row(mail)["due_at"]
        assert (due is None) == (tries == 10)
        assert office.postman.step() == 0, "before it is due"
        office.house.clock.at += timedelta(hours=27)
    row = office.row(mail)
    assert (row["state"], row["failure"], row["attempts"]) == ("failed", "deferred", 10)
    office.server.data = ""
    again = office.house.operator.post(f"/v1/post/{mail}/retry")
    assert again.json()["state"] == "waiting"
    office.postman.step()
    assert office.row(mail)["state"] == "sent"
    assert office.house.operator.post(f"/v1/post/{mail}/retry").code == "mail-not-failed"


def test_killed_between_sending_and_recording_the_same_message_goes_again(office: Office) -> None:
    mail = office.enqueue()
    [ready] = office.postman.claim()
    assert office.postman.send(ready).failure is None
    # here the worker was killed: nothing was recorded
    other = postman_of(office.house, to(office.server, name="Another name in the settings by now"))
    assert other.step() == 0, "the lease stands"
    office.house.clock.at += LEASE + timedelta(seconds=1)
    assert other.step() == 1
    first, second = office.server.taken
    assert first.content == second.content
    assert f"<{mail.value.hex}@example.com>".encode() in first.content
    assert office.postman.record(ready, deliver_ok()) is None, "its fence has moved on"
    assert office.row(mail)["attempts"] == 2


def deliver_ok() -> Any:
    from heldtrue.capabilities.post.smtp import Outcome

    return Outcome(status=250)


def test_two_workers_never_send_one_mail_twice(office: Office) -> None:
    for _ in range(6):
        office.enqueue()
    postmen = [postman_of(office.house, to(office.server)) for _ in range(2)]
    threads = [threading.Thread(target=lambda man=man: [man.step(2) for _ in range(4)]) for man in postmen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [one.content.split(b"Message-ID: ")[1].split(b"\r\n")[0] for one in office.server.taken]
    assert len(ids) == len(set(ids)) == 6


def test_how_often_one_recipient_was_written_to_is_known(office: Office) -> None:
    for about in ("ask.received", "ask.received", "notice"):
        office.enqueue(to="A@example.com", about=about)
    with office.house.database.system() as tx:
        now = office.house.clock.now()
        keys = lambda tenant, environment: office.house.ports.keyring(tx, tenant, environment, now)  # noqa: E731
        count = lambda address, about: actions.sent_since(  # noqa: E731
            tx, keys=keys, to=address, about=about, since=now - timedelta(days=1)
        )
        assert (count("a@example.com", "ask"), count("a@example.com", ""), count("b@example.com", "")) == (2, 3, 0)


def test_settled_mails_are_forgotten_after_thirty_days(office: Office) -> None:
    office.enqueue()
    office.postman.step()
    waiting = office.enqueue()
    with office.house.database.system() as tx:
        assert actions.forget(tx, office.house.clock.now() + timedelta(days=29)) == 0
        assert actions.forget(tx, office.house.clock.now() + timedelta(days=31)) == 1
        standing = actions.standing(tx)
    assert (standing.waiting, standing.failed) == (1, 0)
    assert office.row(waiting)["state"] == "waiting"


# ---------------------------------------------------------------- the connection


@contextmanager
def _plain(directory: Path) -> Any:
    with serve_mail(directory, tls=False) as served:
        yield served


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no-starttls": ({"tls": False}, {}, "no-tls"),
    "other-authority": ({}, {"authorities": None}, "certificate"),
    "other-name": ({"name": "elsewhere.example.com"}, {}, "certificate"),
    "other-name-implicit": ({"name": "elsewhere.example.com", "implicit": True}, {}, "certificate"),
    "tls-1.1": ({"newest": ssl.TLSVersion.TLSv1_1, "implicit": True}, {}, "tls"),
    "wrong-password": ({"auth": True}, {"username": USER, "password": Secret("wrong")}, "sign-in"),
    "nobody-signs-in-there": ({}, {"username": USER, "password": Secret("x")}, "sign-in"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mail_is_not_handed_to_a_server_that_does_not_prove_itself(case: str, tmp_path: Path) -> None:
    serving, settings, failure = CASES[case]
    with serve_mail(tmp_path, **serving) as served:
        outcome = deliver(to(served, **settings), "a@example.com", MESSAGE)
        assert (outcome.failure, outcome.permanent) == (failure, False)
        assert served.taken == []


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
def test_mail_is_handed_over_signed_in_and_unchanged(implicit: bool, tmp_path: Path) -> None:
    with serve_mail(tmp_path, implicit=implicit, auth=not implicit) as served:
        more = {} if implicit else {"username": USER, "password": Secret(PASSWORD)}
        assert deliver(to(served, **more), "a@example.com", MESSAGE).failure is None
        [taken] = served.taken
        assert taken.content == MESSAGE
        assert taken.signed_in is (not implicit)


def test_nobody_at_the_port_is_an_outcome_and_no_error() -> None:
    nowhere = Smarthost(host="127.0.0.1", port=free_port(), implicit_tls=False, sender="trust@example.com")
    assert deliver(nowhere, "a@example.com", MESSAGE).failure == "connect"


def test_the_doctor_says_whether_mail_goes_out(smtp: MailServer) -> None:
    def level(**given: Any) -> Callable[[], Any]:
        [finding] = examine_post(Post(**given))
        return finding.level

    where = {"host": "localhost", "sender": "Example <trust@example.com>", "ca_file": str(smtp.ca_file)}
    assert level() is Level.ADVICE
    assert level(**where, port=smtp.port) is Level.OK
    assert level(**{**where, "ca_file": None}, port=smtp.port) is Level.WRONG
    assert level(**where, port=free_port()) is Level.WRONG

"""`kill -9` of who sends mail, between the cause's commit, the server's 250 and the record: nothing is lost.

What goes twice is the same message with the same `Message-ID`.
"""

from __future__ import annotations

import email
import json
import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Generator
from datetime import timedelta

import post_process
import pytest
from house import House, actor_of, build_house, documents
from smtp_server import MailServer, serve_mail

from heldtrue.capabilities.post.smtp import Smarthost
from heldtrue.capabilities.post.worker import LEASE, Postman, PostServices
from heldtrue.db.tx import Database

pytestmark = pytest.mark.drill
BEFORE = {"queued": 0, "claimed": 0, "taken": 1, "answered": 1, "recording": 1}
"""Mails of two that the server took before the kill; it has them twice in the end."""


@pytest.fixture(scope="module")
def house(module_database: Database) -> Generator[House]:
    built = build_house(module_database)
    yield built
    built.app.close()


@pytest.fixture(scope="module")
def smtp(tmp_path_factory: pytest.TempPathFactory) -> Generator[MailServer]:
    with serve_mail(tmp_path_factory.mktemp("smtp")) as served:
        yield served


def send_until_killed(house: House, smtp: MailServer, point: str, recipients: list[str]) -> None:
    """Start the process and see it killed at *point*."""
    dsns = house.database.dsns
    told = {
        "dsns": {name: getattr(dsns, name).reveal() for name in ("tenant", "edge", "system")},
        "platform": house.ports.platform.to_bytes().reveal().hex(),
        "now": house.clock.now().isoformat(),
        "port": smtp.port,
        "authority": smtp.authority,
        "recipients": recipients,
        "dies_at": point,
    }
    with subprocess.Popen([sys.executable, post_process.__file__], stdin=subprocess.PIPE, text=True) as process:
        if point == "taken":
            smtp.before_answer = lambda: os.kill(process.pid, signal.SIGKILL)
        try:
            process.communicate(json.dumps(told) + "\n", timeout=120)
        finally:
            process.kill()
            smtp.before_answer = None
    assert process.returncode == -signal.SIGKILL


def send_what_waits(house: House, smtp: MailServer) -> None:
    """Be the next process, once the leases of the dead one ran out."""
    host = Smarthost(
        host="localhost", port=smtp.port, implicit_tls=False, sender="trust@example.com", authorities=smtp.authority,
        name="Other settings",
    )  # fmt: skip
    ports = house.ports
    house.clock.at += LEASE + timedelta(seconds=1)
    postman = Postman(
        PostServices(
            database=ports.database, platform=ports.platform, cache=ports.key_cache, clock=house.clock,
            entropy=ports.entropy, smarthost=host,
        )
    )  # fmt: skip
    while postman.step():
        continue


def queued(house: House) -> dict[str, str]:
    """Return the mails that were committed, by id, with their states."""
    with house.database.system() as tx:
        found = tx.value("SELECT json_object_agg(mail_id, state) FROM heldtrue.post_mails")
    return found or {}


@pytest.mark.parametrize("point", post_process.POINTS)
def test_a_kill_loses_no_mail_and_doubles_none_but_under_its_own_id(house: House, smtp: MailServer, point: str) -> None:
    smtp.taken.clear()
    already = queued(house)
    recipients = [f"{point}-{number}@example.com" for number in range(2)]
    send_until_killed(house, smtp, point, recipients)
    assert len(smtp.taken) == BEFORE[point]
    mine = queued(house).keys() - already.keys()
    assert len(mine) == 2
    send_what_waits(house, smtp)
    assert {queued(house)[mail] for mail in mine} == {"sent"}
    copies: dict[str, list[bytes]] = defaultdict(list)
    for one in smtp.taken:
        assert one.tls in {"TLSv1.2", "TLSv1.3"}
        copies[email.message_from_bytes(one.content)["Message-ID"]].append(one.content)
    assert set(copies) == {f"<{mail.replace('-', '')}@example.com>" for mail in mine}
    assert {to for one in smtp.taken for to in one.recipients} == set(recipients)
    assert all(len(set(same)) == 1 for same in copies.values()), "byte for byte"
    assert sorted(map(len, copies.values())) == [1] * (2 - BEFORE[point]) + [2] * BEFORE[point]
    told = Counter(
        one["subject"] for one in documents(house.ports, actor_of(house.ports, house.operator))
        if one["event"] == "post.sent"
    )  # fmt: skip
    assert {told[f"mail_{mail.replace('-', '')}"] for mail in mine} == {1}, "recorded once, however often it went"

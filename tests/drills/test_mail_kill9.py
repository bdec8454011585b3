"""`kill -9` between the disk and 250: what was answered is there, what was not is repeated, nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator

import mail_process
import pytest
from dns_server import Names, serve_names
from mail_house import Peer, Post, open_post, taken
from payload_house import found_house

from heldtrue.db.tx import Database

pytestmark = pytest.mark.drill
LARGE = b"From: a@b.test\r\n\r\n" + (b"x" * 98 + b"\r\n") * 4000
KEPT = {"sealed": 0, "T1-inside": 0, "T1-sent": 0, "T1-after": 1}
"""Payloads that are there though nobody was told so."""


@pytest.fixture(scope="module")
def names() -> Generator[Names]:
    with serve_names() as served:
        yield served


@pytest.fixture(scope="module")
def post(module_database: Database, names: Names, tmp_path_factory: pytest.TempPathFactory) -> Generator[Post]:
    plain = found_house(module_database)
    with open_post(plain, tmp_path_factory.mktemp("post"), names) as opened:
        yield opened
    plain.app.close()


def start(post: Post, names: Names, dies_at: str | None) -> tuple[subprocess.Popen[str], int]:
    dsns = post.place.database.dsns
    told = {
        "dsns": {name: getattr(dsns, name).reveal() for name in ("tenant", "edge", "system")},
        "platform": post.place.services.platform.to_bytes().reveal().hex(),
        "objects": str(post.place.directory / "objects"),
        "cert": str(post.authority.cert),
        "key": str(post.authority.key),
        "names": names.port,
        "dies_at": dies_at,
    }
    process = subprocess.Popen(
        [sys.executable, mail_process.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(told) + "\n")
    process.stdin.flush()
    return process, int(process.stdout.readline())


@pytest.mark.parametrize("point", mail_process.POINTS)
def test_a_kill_between_disk_and_answer_loses_nothing(post: Post, names: Names, point: str) -> None:
    address = post.address()
    acknowledged = []
    with post.peer() as peer:
        acknowledged.append(taken(peer.starttls().message(LARGE, address)))
    before = len(post.payloads())
    process, port = start(post, names, point)
    with process:
        try:
            with Peer(port, post.authority) as peer:
                assert peer.starttls().message(LARGE, address) == "", "no answer"
            assert process.wait(30) == -9
        finally:
            process.kill()
    assert len(post.payloads()) == before + KEPT[point]
    with post.peer() as peer:  # the sender repeats
        acknowledged.append(taken(peer.starttls().message(LARGE, address)))
    assert len(post.payloads()) == before + KEPT[point] + 1
    for one in post.payloads():
        assert post.raw(one["id"]) == LARGE
    assert set(acknowledged) <= {one["id"] for one in post.payloads()}
    accepted = [one["subject"] for one in post.entries() if one["event"] == "payload.accepted"]
    assert sorted(accepted) == sorted(one["id"] for one in post.payloads())

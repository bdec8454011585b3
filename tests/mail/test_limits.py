"""What one peer may ask for: floods, drips, and senders that go away."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator
from dataclasses import replace

import pytest
from dns_server import Names
from house import House
from instance import until
from mail_house import OPEN, SIMPLE, TERMS, Peer, Post, open_post, taken
from payload_house import found_house

from heldtrue.capabilities.mail.guard import Guard, Memory
from heldtrue.capabilities.mail.terms import Terms
from heldtrue.db.tx import Database
from heldtrue.http.limits import Rate


@pytest.fixture(scope="module")
def plain(module_database: Database) -> Generator[House]:
    house = found_house(module_database)
    yield house
    house.app.close()


STRICT = replace(
    TERMS, message_bytes=100_000, memory_bytes=150_000, recipients=2, messages=2, idle_commands=6, errors=4,
    connections_per_source=3, command_seconds=0.5, data_seconds=0.5, data_bytes_per_second=1000, organisation_rate=OPEN,
)  # fmt: skip


@pytest.fixture(scope="module")
def strict(plain: House, names: Names, tmp_path_factory: pytest.TempPathFactory) -> Generator[Post]:
    with open_post(plain, tmp_path_factory.mktemp("strict"), names, terms=STRICT) as opened:
        yield opened


@pytest.fixture
def peer(strict: Post) -> Generator[Peer]:
    until(lambda: strict.office.guard.open == 0, 20, "earlier connections are over")
    with strict.peer() as one:
        yield one.starttls()


def test_a_message_that_says_it_is_too_large_is_refused_at_once(peer: Peer) -> None:
    assert peer.say("MAIL FROM:<a@b.test> SIZE=100001").startswith("552 5.3.4 ")


def test_a_message_that_does_not_say_so_is_refused_at_its_end(peer: Peer, strict: Post) -> None:
    address = strict.address()
    assert peer.message(b"x" * 998 + b"\r\n" + (b"y" * 998 + b"\r\n") * 110, address).startswith("552 5.3.4 ")
    assert taken(peer.message(SIMPLE, address))
    assert strict.office.memory.held == 0
    assert strict.place.stored_files() == []


def test_a_message_without_end_is_cut_off(peer: Peer, strict: Post) -> None:
    peer.begin(strict.address())
    with contextlib.suppress(OSError):
        for _ in range(40):
            peer.send((b"y" * 998 + b"\r\n") * 50)
    assert peer.reply()[:3] in {"552", ""}
    until(lambda: strict.office.memory.held == 0, 20, "its memory is free")


def test_recipients_are_counted(peer: Peer, strict: Post) -> None:
    addresses = [strict.address() for _ in range(3)]
    assert peer.code("MAIL FROM:<a@b.test>") == 250
    assert [peer.code(f"RCPT TO:<{one}>") for one in addresses] == [250, 250, 452]


def test_messages_of_a_connection_are_counted(peer: Peer, strict: Post) -> None:
    address = strict.address()
    for _ in range(2):
        taken(peer.message(SIMPLE, address))
    assert peer.code("MAIL FROM:<a@b.test>") == 421
    assert peer.closed()


def test_mistakes_are_counted(peer: Peer) -> None:
    assert [peer.code("WHAT") for _ in range(4)] == [500] * 4
    assert peer.reply()[:3] == "421"
    assert peer.closed()


def test_guesses_of_addresses_are_counted(peer: Peer, strict: Post) -> None:
    assert peer.code("MAIL FROM:<a@b.test>") == 250
    guesses = [peer.say(f"RCPT TO:<{letter * 26}@{STRICT.domain}>")[:9] for letter in "abcd"]
    assert guesses == ["550 5.1.1"] * 4
    assert peer.reply()[:3] == "421"


def test_commands_without_mail_are_counted(peer: Peer) -> None:
    assert 421 in [peer.code("NOOP") for _ in range(6)]


def test_connections_of_one_source_are_counted(strict: Post) -> None:
    until(lambda: strict.office.guard.open == 0, 20, "earlier connections are over")
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(strict.peer())
        with strict.peer(greet=False) as fourth:
            assert fourth.reply().startswith("421 4.7.0 ")
            assert fourth.closed()


def test_who_says_nothing_is_sent_away(peer: Peer) -> None:
    assert peer.reply().startswith("421 4.4.2 ")
    assert peer.closed()


def test_a_command_that_drips_is_cut_off(strict: Post) -> None:
    with strict.peer() as peer:
        heard = b""
        peer.link.settimeout(0.05)
        for letter in b"EHLO " + b"a" * 600:
            with contextlib.suppress(OSError):
                peer.link.send(bytes([letter]))
            with contextlib.suppress(TimeoutError, OSError):
                heard += peer.link.recv(1000)
            if heard:
                break
        assert heard.startswith(b"421 4.4.2 ")


def test_a_message_that_drips_is_cut_off_and_leaves_nothing(peer: Peer, strict: Post) -> None:
    before = len(strict.payloads())
    peer.begin(strict.address())
    peer.link.settimeout(0.05)
    heard = b""
    for _ in range(400):
        with contextlib.suppress(OSError):
            peer.link.send(b"x")
        with contextlib.suppress(TimeoutError, OSError):
            heard += peer.link.recv(1000)
        if heard:
            break
    assert heard.startswith(b"421 4.4.2 ")
    assert len(strict.payloads()) == before
    until(lambda: strict.office.memory.held == 0, 20, "its memory is free")


def test_messages_over_the_memory_are_asked_to_come_back(strict: Post) -> None:
    address = strict.address()
    until(lambda: strict.office.guard.open == 0, 20, "earlier connections are over")
    assert strict.office.memory.take(100_000)
    try:
        with strict.peer() as peer:
            peer.starttls()
            assert peer.message((b"y" * 998 + b"\r\n") * 80, address).startswith("452 4.3.1 ")
    finally:
        strict.office.memory.give_back(100_000)


@pytest.mark.parametrize("moment", ["in the message", "at its end"])
def test_a_sender_that_goes_away_leaves_no_half_message(peer: Peer, strict: Post, moment: str) -> None:
    address = strict.address()
    before = len(strict.payloads())
    peer.begin(address)
    peer.send(b"Subject: x\r\n\r\n" + (b"" if moment == "in the message" else b"whole\r\n.\r\n"))
    peer.link.shutdown(socket.SHUT_RDWR)
    peer.close()
    until(lambda: strict.office.guard.open == 0, 20, "the connection is over")
    until(lambda: strict.office.memory.held == 0, 20, "its memory is free")
    after = strict.payloads()
    assert len(after) - before in ({0} if moment == "in the message" else {0, 1})
    for one in after[: len(after) - before]:
        assert strict.raw(one["id"]) == b"Subject: x\r\n\r\nwhole\r\n"
    assert strict.place.stored_files() == []


def test_refusals_are_summed_up_by_the_minute(
    plain: House, names: Names, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with open_post(plain, tmp_path_factory.mktemp("summed"), names) as post:
        with post.peer() as peer:
            for _ in range(3):
                assert peer.code("MAIL FROM:<a@b.test>") == 530
        summaries = post.summaries
    assert sum(one.reasons.get("smtp-clear", 0) for one in summaries) == 3


def test_too_many_messages_for_one_organisation_wait(
    plain: House, names: Names, tmp_path_factory: pytest.TempPathFactory
) -> None:
    terms = replace(TERMS, organisation_rate=Rate(1, 0.001))
    with open_post(plain, tmp_path_factory.mktemp("rate"), names, terms=terms) as post, post.peer() as peer:
        address = post.address()
        peer.starttls()
        taken(peer.message(SIMPLE, address))
        assert peer.code("MAIL FROM:<a@b.test>") == 250
        assert peer.say(f"RCPT TO:<{address}>").startswith("450 4.7.1 ")


def test_a_listener_that_ends_lets_a_message_be_taken(
    plain: House, names: Names, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with contextlib.ExitStack() as stack:
        opened = contextlib.ExitStack()
        post = opened.enter_context(open_post(plain, tmp_path_factory.mktemp("end"), names))
        busy, idle = (stack.enter_context(post.peer()).starttls() for _ in range(2))
        busy.begin(post.address())
        busy.send(SIMPLE)
        until(lambda: post.office.memory.held, 20, "the message is under way")
        import threading

        ending = threading.Thread(target=opened.close)
        ending.start()
        assert idle.reply().startswith("421 4.3.2 ")
        busy.send(b".\r\n")
        assert busy.reply().startswith("250 ")
        assert busy.reply().startswith("421 4.3.2 ")
        ending.join(20)


# ---------------------------------------------------------------- the counters by themselves


def test_a_source_that_was_refused_too_often_stays_out_for_a_while() -> None:
    now = [0.0]
    guard = Guard(Terms(hostname="h", domain="d", refusal_rate=Rate(2, 0.1)), lambda: now[0])
    assert guard.enter("a") is None
    assert [guard.refused("a") for _ in range(3)] == [True, True, False]
    assert guard.enter("a") == "smtp-refused-too-often"
    assert guard.enter("b") is None
    now[0] = 60.0
    assert guard.enter("a") is None


def test_new_connections_of_a_source_come_at_a_rate() -> None:
    guard = Guard(Terms(hostname="h", domain="d", connection_rate=Rate(2, 0.1)), lambda: 0.0)
    assert [guard.enter("a") for _ in range(3)] == [None, None, "smtp-connection-rate"]
    for _ in range(2):
        guard.leave("a")
    assert guard.open == 0


def test_all_connections_are_counted() -> None:
    guard = Guard(Terms(hostname="h", domain="d", connections=2), lambda: 0.0)
    assert [guard.enter(source) for source in "abc"] == [None, None, "smtp-connections"]


def test_memory_is_given_once() -> None:
    memory = Memory(10)
    assert [memory.take(6), memory.take(6), memory.take(4)] == [True, False, True]
    memory.give_back(10)
    assert memory.held == 0

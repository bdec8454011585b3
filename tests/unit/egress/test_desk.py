"""The broker's two sockets: who may grant, who may call, and when a grant ends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from outside import LOOPBACK, VALUE, Outside
from receiver import hangs

from heldtrue.capabilities.deliveries.connector import Ways
from heldtrue.capabilities.egress.broker import frames
from heldtrue.capabilities.egress.broker.desk import Desk, serve
from heldtrue.capabilities.egress.client import Broker, BrokerAwayError
from heldtrue.sandbox.relay import Relay


@asynccontextmanager
async def broker(outside: Outside, place: Path) -> AsyncGenerator[tuple[Broker, Path]]:
    """Serve grants at `g` and calls at `c` below *place*."""
    stop, started = asyncio.Event(), asyncio.Event()
    sockets: list[socket.socket] = []
    for name in ("g", "c"):
        one = socket.socket(socket.AF_UNIX)
        one.bind(str(place / name))
        one.listen()
        sockets.append(one)
    ways = Ways(LOOPBACK, ca_file=outside.receiver.ca_file, authorities=None, resolver=None, concurrency=8)
    running = asyncio.create_task(
        serve(ways, *sockets, granters=frozenset(), callers=frozenset(), stop=stop, started=started)
    )
    await started.wait()
    try:
        yield Broker(place / "g"), place / "c"
    finally:
        stop.set()
        await running
        await ways.close()


class Runner:
    """The runner's end of one execution."""

    def __init__(self, pair: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self.reader, self.writer = pair

    @classmethod
    async def of(cls, place: Path, token: str) -> Runner:
        made = cls(await asyncio.open_unix_connection(str(place)))
        await frames.write(made.writer, token.encode())
        return made

    async def ask(self, url: str) -> Any:
        await frames.write(self.writer, frames.joined({"method": "GET", "url": url, "headers": []}))
        return frames.split(await frames.read(self.reader))[0]

    async def close(self) -> None:
        self.writer.close()


def test_a_grant_allows_what_it_says_until_it_is_revoked(outside: Outside, tmp_path: Path) -> None:
    async def scene() -> None:
        async with broker(outside, tmp_path) as (worker, calls):
            line = await worker.open(outside.grant())
            runner = await Runner.of(calls, line.token)
            assert (await runner.ask(outside.url()))["status"] == 200
            told = await line.revoke()
            assert [one.status for one in told.calls] == [200]
            assert VALUE not in repr(told)
            assert (await runner.ask(outside.url()))["refused"][0] == "no-grant"
            await runner.close()

    asyncio.run(scene())


def test_a_grant_ends_when_whoever_gave_it_hangs_up(outside: Outside, tmp_path: Path) -> None:
    async def scene() -> None:
        async with broker(outside, tmp_path) as (worker, calls):
            line = await worker.open(outside.grant())
            runner = await Runner.of(calls, line.token)
            line.close()
            async with asyncio.timeout(30):
                while (await runner.ask(outside.url())).get("refused", ["none"])[0] != "no-grant":
                    continue
            await runner.close()

    asyncio.run(scene())


def test_a_revocation_cuts_the_call_under_way_and_tells_of_it(outside: Outside, tmp_path: Path) -> None:
    outside.receiver.behave["/hang"] = hangs

    async def scene() -> None:
        async with broker(outside, tmp_path) as (worker, calls):
            line = await worker.open(outside.grant())
            runner = await Runner.of(calls, line.token)
            before = len(outside.receiver.received)
            asked = asyncio.create_task(runner.ask(outside.url("/hang")))
            async with asyncio.timeout(30):
                while len(outside.receiver.received) == before:
                    await asyncio.sleep(0)
            [call] = (await line.revoke()).calls
            assert (call.status, call.refused) == (None, "cut")
            assert (await asked)["refused"][0] == "no-grant"
            await runner.close()

    asyncio.run(scene())


def test_a_token_of_nobody_and_a_word_that_is_none_lead_nowhere(outside: Outside, tmp_path: Path) -> None:
    async def scene() -> None:
        async with broker(outside, tmp_path) as (worker, calls):
            runner = await Runner.of(calls, "x" * 43)
            assert (await runner.ask(outside.url()))["refused"][0] == "no-grant"
            await runner.close()
            line = await worker.open(outside.grant())
            other = await worker.open(outside.grant())
            other.token = line.token
            with pytest.raises(BrokerAwayError):
                await other.revoke()
            assert (await line.revoke()).calls == ()

    asyncio.run(scene())


def test_strangers_are_not_listened_to(outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = Desk.__init__

    def strict(self: Desk, ways: Ways, _granters: object, _callers: object) -> None:
        genuine(self, ways, frozenset({4_000_000}), frozenset({4_000_000}))

    async def scene() -> None:
        async with broker(outside, tmp_path) as (worker, calls):
            with pytest.raises(BrokerAwayError):
                await worker.open(outside.grant())
            runner = await Runner.of(calls, "x")
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await runner.ask(outside.url())
            await runner.close()

    monkeypatch.setattr(Desk, "__init__", strict)
    asyncio.run(scene())


def test_without_a_broker_a_question_is_answered_at_once(tmp_path: Path) -> None:
    for place, token, code in (
        (tmp_path / "nobody", "token", "broker-away"), (None, "token", "broker-away"), (tmp_path, None, "not-allowed"),
    ):  # fmt: skip
        with Relay(place, token, 1000) as relay:
            relay.ask(b"question")
            assert not relay.busy
            assert relay.answer is not None
            assert json.loads(relay.answer[8:])["refused"][0] == code


@pytest.mark.parametrize("said", [b"\x00\xff\xff\xff", b"", b"\x00\x00\x00\x02abc"], ids=["long", "nothing", "more"])
def test_a_broker_that_breaks_the_protocol_is_hung_up_on(tmp_path: Path, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "b"))
        listener.listen()
        with Relay(tmp_path / "b", "token", 1000) as relay:
            relay.ask(b"question")
            theirs, _ = listener.accept()
            with theirs:
                theirs.sendall(said)
                if not said:
                    theirs.shutdown(socket.SHUT_RDWR)
                for _ in range(5):
                    relay.turn()
                assert not relay.busy
            assert relay.answer is not None
            assert json.loads(relay.answer[8:])["refused"][0] == "broker-away"

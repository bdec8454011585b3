"""Streaming handlers: bytes as they come, one transaction, and nothing without its audit entry."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Generator

import msgspec
import pytest
from house import House

from heldtrue.http.exchange import Answer, Exchange
from heldtrue.http.route import Route
from heldtrue.op import Operation
from heldtrue.policy.permissions import Permission


class Taken(msgspec.Struct):
    """What was taken."""

    id: str
    size: int
    sha256: str


async def take(exchange: Exchange) -> Answer:
    digest, size = hashlib.sha256(), 0
    async for piece in exchange.body(1000):
        await exchange.in_thread(digest.update, piece)
        size += len(piece)
    exchange.body_digest = digest.digest()

    def act(op: Operation) -> Answer:
        body = Taken(id=f"taken_{op.request.value.hex}", size=size, sha256=digest.hexdigest())
        return Answer(body=body, detail={"size": size})

    return await exchange.transact(act)


async def give(exchange: Exchange) -> Answer:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            yield f"{exchange.path['thing']}{number} ".encode()

    return await exchange.transact(lambda _op: Answer(chunks=chunks(), content_type="text/x-thing", subject="thing"))


async def forget(_exchange: Exchange) -> Answer:
    return Answer(content=b"nobody wrote this down")


ROUTES = [
    Route(at="POST /v1/take", action=take, summary="x", gives=Taken, needs=Permission.PAYLOAD_SEND, audits="taken",
          status=202, creates=True, streams=True),
    Route(at="GET /v1/give/{thing}", action=give, summary="x", needs=Permission.PAYLOAD_READ, audits="given",
          streams=True),
    Route(at="GET /v1/forget", action=forget, summary="x", needs=Permission.PAYLOAD_READ, audits="forgotten",
          streams=True),
]  # fmt: skip


@pytest.fixture
def streaming(house: House) -> Generator[House]:
    served = house.served(*ROUTES)
    yield served
    served.app.close()


def test_a_body_is_taken_as_it_comes(streaming: House) -> None:
    admin = streaming.caller(streaming.organisation().key)
    got = admin.call("POST", "/v1/take", body=[b"one", b"two"], headers={"content-type": "text/x-odd"})
    assert got.status == 202, got.body
    assert got.json()["sha256"] == hashlib.sha256(b"onetwo").hexdigest()
    entry = streaming.entries(admin)[-1]
    assert (entry["event"], entry["subject"]) == ("taken", got.json()["id"])


@pytest.mark.parametrize(
    ("body", "headers", "cut", "status"),
    [
        (b"x" * 1001, {}, False, 413),
        (b"x", {"content-length": "1001"}, False, 413),
        ([b"x" * 600, b"x" * 600], {"transfer-encoding": "chunked"}, False, 413),
        (b"x", {"content-length": "5"}, False, 400),
        (b"x", {}, True, 400),
    ],
)
def test_a_body_that_is_wrong_takes_nothing(
    streaming: House, body: bytes | list[bytes], headers: dict[str, str], cut: bool, status: int
) -> None:
    admin = streaming.organisation()
    assert admin.call("POST", "/v1/take", body=body, headers=headers, cut=cut).status == status
    assert streaming.entries(admin)[-1]["event"] == "request.refused"


def test_a_repeated_stream_has_the_first_answer(streaming: House) -> None:
    admin = streaming.organisation()
    first = admin.call("POST", "/v1/take", body=b"one", headers={"idempotency-key": "k"})
    again = admin.call("POST", "/v1/take", body=[b"o", b"ne"], headers={"idempotency-key": "k"})
    other = admin.call("POST", "/v1/take", body=b"two", headers={"idempotency-key": "k"})
    assert (again.status, again.body) == (202, first.body)
    assert other.code == "idempotency-key-reused"
    assert [one["event"] for one in streaming.entries(admin)][-3:] == ["taken", "request.replayed", "request.refused"]


def test_an_answer_is_given_in_pieces(streaming: House) -> None:
    got = streaming.organisation().get("/v1/give/a")
    assert got.body == b"a0 a1 a2 "
    assert got.headers["content-type"] == "text/x-thing"
    assert "content-length" not in got.headers
    assert streaming.organisation().call("HEAD", "/v1/give/a").body == b""


def test_an_answer_without_a_transaction_is_a_failure(streaming: House) -> None:
    got = streaming.organisation().get("/v1/forget")
    assert got.status == 500
    assert b"wrote" not in got.body

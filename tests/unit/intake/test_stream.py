"""Bodies are hashed and sealed while they stream; nothing is in clear on the disk, nothing is left of a failure."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from heldtrue.capabilities.intake.model import JsonTooLargeError, Limits, Origin, PartsError, Taken
from heldtrue.capabilities.intake.objects import LocalObjects
from heldtrue.capabilities.intake.stream import Intake, opened
from heldtrue.crypto.canonical import MalformedJsonError
from heldtrue.crypto.sealing import DataKey, SealBrokenError
from heldtrue.kernel.errors import BadInputError
from heldtrue.kernel.ids import PayloadId, TenantId

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = DataKey.generate(secrets.token_bytes, NOW)
ORIGIN = Origin(TenantId.new(NOW, secrets.token_bytes), "live", PayloadId.new(NOW, secrets.token_bytes))
CANARY = b"canary-7f3a-"
T = TypeVar("T")


async def run(act: Callable[[], T]) -> T:
    return act()


def take(directory: Path, kind: str | None, pieces: Iterator[bytes] | list[bytes], **limits: Any) -> Taken:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    store = LocalObjects(directory)
    intake = Intake(store, KEY, ORIGIN, Limits(**limits), entropy=secrets.token_bytes, run=run)
    return asyncio.run(intake.take(kind, body()))


def plain(directory: Path, taken: Taken, ordinal: int = 0) -> bytes:
    part = taken.attachments[ordinal - 1] if ordinal else taken.body
    return b"".join(opened(LocalObjects(directory), part, KEY, ORIGIN.body(ordinal)))


def stored(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def form(*names: str, content: bytes = b"x", kind: str = "form-data") -> list[bytes]:
    lines = [
        f'--b\r\nContent-Disposition: {kind}; name="{name}"\r\n\r\n'.encode() + content + b"\r\n" for name in names
    ]
    return [*lines, b"--b--\r\n"]


FORM = "multipart/form-data; boundary=b"


def test_a_small_body_stays_inline_and_a_large_one_goes_to_the_store(tmp_path: Path) -> None:
    small = take(tmp_path, "text/plain", [CANARY])
    assert (small.body.object, plain(tmp_path, small)) == (None, CANARY)
    large = take(tmp_path, "text/plain", [CANARY * 10_000] * 5)
    assert large.body.sealed is None
    assert plain(tmp_path, large) == CANARY * 50_000
    assert large.body.meta.sha256 == hashlib.sha256(CANARY * 50_000).hexdigest()
    assert large.body.size == len(CANARY) * 50_000


def test_nothing_is_in_clear_on_the_disk(tmp_path: Path) -> None:
    taken = take(tmp_path, "text/plain", [CANARY * 50_000])
    assert CANARY in plain(tmp_path, taken)
    for path in stored(tmp_path):
        assert CANARY not in path.read_bytes()


def test_sealed_bytes_open_only_in_their_place(tmp_path: Path) -> None:
    taken = take(tmp_path, FORM, form("payload", "other", content=CANARY))
    with pytest.raises(SealBrokenError):
        list(opened(LocalObjects(tmp_path), taken.body, KEY, ORIGIN.body(1)))
    with pytest.raises(SealBrokenError):
        list(opened(LocalObjects(tmp_path), taken.attachments[0], KEY, ORIGIN.body(0)))


def test_memory_stays_bounded_while_a_large_body_streams(tmp_path: Path) -> None:
    pieces = (bytes(65536) for _ in range(16 * 20))
    take(tmp_path, "application/pdf", [b"warm"])
    tracemalloc.start()
    taken = take(tmp_path, "application/pdf", pieces)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken.body.size == 20 * 1024 * 1024
    assert peak < 4 * 1024 * 1024


def test_reordered_members_have_one_canonical_hash(tmp_path: Path) -> None:
    one, two = (
        take(tmp_path, kind, [body])
        for kind, body in [
            ("application/json", b'{"a":1,"b":[2]}'),
            ("application/ld+json; charset=utf-8", b' {"b":[2.0], "a":1e0}'),
        ]
    )
    assert one.body.meta.jcs_sha256 == two.body.meta.jcs_sha256 is not None
    assert one.body.meta.sha256 != two.body.meta.sha256
    assert take(tmp_path, "text/plain", [b'{"a":1}']).body.meta.jcs_sha256 is None


@pytest.mark.parametrize(
    ("names", "body", "others"),
    [
        (["payload"], "payload", []),
        (["payload", "x", "y"], "payload", ["x", "y"]),
        (["x", "payload", "y"], "payload", ["x", "y"]),
        (["x", "y", "payload"], "payload", ["x", "y"]),
        (["x", "y", "z"], "x", ["y", "z"]),
        (["x"], "x", []),
    ],
)
def test_the_part_named_payload_is_the_body_or_else_the_first(
    tmp_path: Path, names: list[str], body: str, others: list[str]
) -> None:
    pieces = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + name.encode() * 2000 + b"\r\n"
        for name in names
    ]
    taken = take(tmp_path, FORM, [*pieces, b"--b--"], inline=3000)
    assert plain(tmp_path, taken) == body.encode() * 2000
    assert [part.meta.name for part in taken.attachments] == others
    assert [plain(tmp_path, taken, n) for n in range(1, len(names))] == [name.encode() * 2000 for name in others]
    assert len(stored(tmp_path)) == len([name for name in names if len(name) * 2000 > 3000])


def test_of_a_mixed_body_the_first_part_is_the_payload(tmp_path: Path) -> None:
    body = b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--"
    taken = take(tmp_path, "multipart/mixed; boundary=b", [body])
    assert (taken.body.meta.content_type, plain(tmp_path, taken, 1)) == ("application/json", b"hello")


def test_the_digest_of_a_request_ignores_the_boundary_and_nothing_else(tmp_path: Path) -> None:
    one = take(tmp_path, FORM, form("payload", "a"))
    two = take(
        tmp_path, "multipart/form-data; boundary=other", [b"".join(form("payload", "a")).replace(b"--b", b"--other")]
    )
    three = take(tmp_path, FORM, form("payload", "c"))
    assert one.digest() == two.digest() != three.digest()


@pytest.mark.parametrize(
    ("kind", "pieces", "error"),
    [
        ("application/json", [b'{"a":1,', b'"a":2}'], MalformedJsonError),
        ("application/json", [b" " * 5000, b" " * 5001], JsonTooLargeError),
        (FORM, form("payload", "payload"), PartsError),
        (FORM, form("payload", "a", "b", "c", content=b"x" * 3000), PartsError),
        (FORM, form("z", "a", "b", "c", content=b"x" * 3000), PartsError),
        (FORM, form("payload", content=b"x" * 3000)[:-1], BadInputError),
        (FORM, [b"--b--"], PartsError),
        ("multipart/related; boundary=b", form("payload"), PartsError),
        ("multipart/form-data", form("payload"), PartsError),
        ("text/ä", [b""], BadInputError),
        ("text/plain; " + "x" * 255, [b""], BadInputError),
    ],
)  # fmt: skip
def test_what_is_refused_leaves_nothing(
    tmp_path: Path, kind: str, pieces: list[bytes], error: type[BadInputError]
) -> None:
    with pytest.raises(error):
        take(tmp_path, kind, pieces, json=10_000, inline=2000, attachments=2)
    assert stored(tmp_path) == []


def test_a_stream_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    def breaks() -> Iterator[bytes]:
        yield CANARY * 50_000
        assert len(stored(tmp_path)) == 1
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        take(tmp_path, "text/plain", breaks())
    assert stored(tmp_path) == []

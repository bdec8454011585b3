"""Layers, limits and the wire, without a kernel."""

from __future__ import annotations

import asyncio

import pytest

from heldtrue.sandbox import wire
from heldtrue.sandbox.jail.calls import NEW_NET, NEW_PID, NEW_USER
from heldtrue.sandbox.jail.layers import ALL, NONE, Layers
from heldtrue.sandbox.jail.walls import Ceilings, limit_values, namespaces
from heldtrue.sandbox.jobs import Job, JobFile, RunLimits, RunResult

RESULT = RunResult(
    outcome="ok", outputs=(b"1", b'"x"'), logs=("a",), wall_ms=1, cpu_ms=1, peak_bytes=None, sandbox="s", level="full"
)


def a_job() -> Job:
    return Job(
        tenant="t", language="python", code=b"c", payload=JobFile(None, "text/plain", b"p"), meta={"id": "1"},
        attachments=(JobFile("n", "a/b", b"x"),), context={"k": [1]}, limits=RunLimits(outputs=3),
    )  # fmt: skip


def test_every_wall_stands_by_default_and_can_be_taken_alone() -> None:
    assert all(Layers().plain().values())
    assert not any(NONE.plain().values())
    for name in ALL.plain():
        assert [each for each, up in Layers.only(name).plain().items() if up] == [name]
        assert [each for each, up in ALL.without(name).plain().items() if not up] == [name]
    assert Layers.of(ALL.plain()) == ALL


def test_a_namespace_brings_a_user_namespace_unless_root_makes_it() -> None:
    assert namespaces(Layers.only("net"), privileged=False) == NEW_NET | NEW_USER
    assert namespaces(Layers.only("net"), privileged=True) == NEW_NET
    assert namespaces(Layers.only("pid", "user"), privileged=True) == NEW_PID | NEW_USER
    assert namespaces(NONE, privileged=False) == 0


def test_the_kernel_is_told_every_limit_of_a_run() -> None:
    told = dict(limit_values(Ceilings(memory=1000, scratch=2000, files=30, processes=4, cpu_seconds=5), mapped=500))
    assert {1500, 2000, 30, 4} <= set(told.values())
    assert [told[number] for number in (4, 8)] == [0, 0]  # RLIMIT_CORE, RLIMIT_MEMLOCK


def through(head: dict[str, object], blobs: list[bytes]) -> tuple[dict[str, object], list[bytes]]:
    async def both() -> tuple[dict[str, object], list[bytes]]:
        reader = asyncio.StreamReader()

        class Writer:
            def write(self, data: bytes) -> None:
                reader.feed_data(data)

            async def drain(self) -> None:
                return

        await wire.write(Writer(), head, blobs)  # type: ignore[arg-type]
        return await wire.read(reader)

    return asyncio.run(both())


def test_jobs_and_results_survive_the_wire() -> None:
    job = wire.job_in(*through(*wire.job_out(a_job())))
    assert (job, list(job.attachments)) == (
        wire.replace(a_job(), attachments=job.attachments),
        list(a_job().attachments),
    )
    assert wire.result_in(*through(*wire.result_out(RESULT))) == RESULT


@pytest.mark.parametrize(
    "change",
    [{"language": "cobol"}, {"limits": {"speed": 1}}, {"files": []}, {"files": [["a"]]}, {"limits": 3}],
    ids=["language", "limits", "files", "file", "types"],
)  # fmt: skip
def test_a_job_that_cannot_be_read_is_refused(change: dict[str, object]) -> None:
    head, blobs = wire.job_out(a_job())
    with pytest.raises(wire.WireError):
        wire.job_in({**head, **change}, blobs)


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff\xff\xff\xff",
        b"\0\0\0\2[]",
        b"\0\0\0\1{",
        b'\0\0\0\x0e{"blobs":[-1]}',
        b'\0\0\0\x1d{"blobs":[999999999999999999]}',
    ],
    ids=["head", "shape", "json", "negative", "endless"],
)
def test_a_message_that_cannot_be_meant_is_refused_before_it_is_read(sent: bytes) -> None:
    async def read() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(sent)
        reader.feed_eof()
        await wire.read(reader)

    with pytest.raises(wire.WireError):
        asyncio.run(read())

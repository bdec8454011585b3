"""A process that takes payloads in or forwards them, to be killed; told everything on its input."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.engine import Engine, Outgoing
from heldtrue.capabilities.deliveries.message import Urls
from heldtrue.capabilities.deliveries.worker import Worker, WorkerServices, by_place
from heldtrue.capabilities.intake.actions import accept
from heldtrue.capabilities.intake.model import Limits, Origin, Taken
from heldtrue.capabilities.intake.objects import LocalObjects
from heldtrue.capabilities.intake.stream import Intake, PartSink
from heldtrue.capabilities.keystore.actions import Signers
from heldtrue.capabilities.ledger.actions import append_audit
from heldtrue.crypto.keyring import KeyCache
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.sealing import DataKey
from heldtrue.db.roles import RoleDsns
from heldtrue.db.tx import Database, GroupTx, PoolSizes
from heldtrue.http.exchange import Answer
from heldtrue.http.group import GroupCommits, Member
from heldtrue.http.ports import Ports
from heldtrue.http.route import Route
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.ids import KeyId, PayloadId, RequestId, TenantId
from heldtrue.kernel.secret import Secret
from heldtrue.op import Actor, Operation

POINTS = (
    "object-written", "T1-before", "T1-after", "group-worked", "group-sent", "group-committed", "T2-before",
    "T2-inside", "T2-after", "T3-after", "prepared", "sent", "T4-inside", "T4-after",
)  # fmt: skip
"""The places between durable steps at which a process can be killed."""


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nothing survives SIGKILL")


class Process:
    """The parts of one process, and the point at which it dies."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.dies_at: str | None = told.get("dies_at")
        dsns = RoleDsns(**{name: Secret(told["dsns"][name]) for name in ("tenant", "edge", "system")})
        self.database = Database(dsns, PoolSizes(tenant=4, edge=1, system=2))
        self.objects = LocalObjects(Path(told["objects"]))
        self.platform = PlatformKey.from_bytes(Secret(bytes.fromhex(told["platform"])))
        self.services = WorkerServices(
            database=self.database,
            platform=self.platform,
            cache=KeyCache(),
            clock=SystemClock(),
            entropy=secrets.token_bytes,
            objects=self.objects,
            signers=Signers(self.platform),
            origin="log.example.test",
            urls=Urls("https://heldtrue.example.test"),
        )
        self.worker = Worker(self.services)
        self.outgoing = Outgoing(allow=AllowList.parse(["127.0.0.0/8"]), ca_file=Path(told["ca_file"]))
        self.spot = (UUID(told["tenant"]), "live")

    def at(self, point: str) -> None:
        if self.dies_at == point:
            die()

    def take_in(self, number: int) -> str:
        """Take one payload in; every third is large and goes to the object store."""
        body = f'{{"number":{number}}}'.encode() if number % 3 else f"{number}:".encode() * 100_000
        kind = "application/json" if number % 3 else "application/pdf"
        now = self.services.clock.now()
        key, payload = DataKey.generate(secrets.token_bytes, now), PayloadId.new(now, secrets.token_bytes)
        origin = Origin(TenantId(self.spot[0]), "live", payload)
        sink = PartSink(self.objects, key, origin.body(0), Limits(), entropy=secrets.token_bytes, content_type=kind)
        sink.write(body)
        taken = Taken(body=sink.finish())
        self.at("object-written")
        with self.worker.operation(self.spot) as op:
            accept(op, payload, key, taken, tls=None, source="http")
            self.at("T1-before")
        self.at("T1-after")
        return str(payload)

    async def take_in_group(self, numbers: range) -> list[str]:
        """Take small payloads in together, by the group commit of the product."""
        tenant = TenantId(self.spot[0])
        actor = Actor("key", tenant, "live", KeyId.new(self.services.clock.now(), secrets.token_bytes))
        route = Route(at="POST /v1/payloads", action=print, summary="", audits="payload.accepted", creates=True)
        commits = GroupCommits(
            Ports(
                database=self.database, clock=self.services.clock, entropy=secrets.token_bytes,
                platform=self.platform, key_cache=KeyCache(), authenticate=lambda _presented: actor,
                record_audit=append_audit,
            )
        )  # fmt: skip
        send, commit = GroupTx.send, commits._groups._commit

        def sent(tx: GroupTx) -> None:
            send(tx)
            self.at("group-sent")

        async def committed(members: Sequence[Member]) -> Sequence[Answer | Exception]:
            ends = await commit(members)
            self.at("group-committed")
            return ends

        GroupTx.send, commits._groups._commit = sent, committed

        async def one(number: int) -> str:
            now = self.services.clock.now()
            key, payload = DataKey.generate(secrets.token_bytes, now), PayloadId.new(now, secrets.token_bytes)
            intake = Intake(
                self.objects, key, Origin(tenant, "live", payload), Limits(), entropy=secrets.token_bytes, run=_never
            )
            taken = intake.take_small("application/json", b'{"number":%d}' % number)

            def act(op: Operation) -> Answer:
                answer = Answer(body=accept(op, payload, key, taken, tls=None, source="http"))
                if number == numbers[-1]:
                    self.at("group-worked")
                return answer

            await commits.perform(Member(route, actor, RequestId.new(now, secrets.token_bytes), act, None))
            return str(payload)

        return await asyncio.gather(*(one(number) for number in numbers))

    def forward(self) -> None:
        for spot, payloads in self.worker.waiting([], 64).items():
            self.at("T2-before")
            if self.dies_at == "T2-inside":
                from heldtrue.capabilities.deliveries import forward as step
                from heldtrue.capabilities.deliveries.selecting import reader

                with self.worker.operation(spot) as op:
                    step.forward(
                        op,
                        payloads,
                        lambda op: self.services.signers.active(op.tx, "receipt", op.now),
                        "log.example.test",
                        reader(self.objects),
                    )
                    die()
            self.worker.forward(spot, payloads)
            self.at("T2-after")

    async def send(self) -> bool:
        """Take the engine's own steps, with the points between them; return whether anything was due."""
        from heldtrue.capabilities.deliveries import recording

        engine = Engine(self.services, self.outgoing)
        claims = self.worker.claim(4, {})
        if not claims:
            return False
        self.at("T3-after")
        async with self.outgoing.dialer() as dialer:
            for spot, group in by_place(claims).items():
                ready = self.worker.prepare(spot, group)
                self.at("prepared")
                outcomes = [await engine._attempt(dialer.post, one) for one in ready]
                self.at("sent")
                if self.dies_at == "T4-inside":
                    with self.worker.operation(spot) as op:
                        recording.record(op, outcomes)
                        die()
                self.worker.record(spot, outcomes)
                self.at("T4-after")
        return True


async def _never(act: Callable[[], Any]) -> Any:
    raise AssertionError(f"a small payload needs no thread, {act}")


def main() -> None:
    told = json.loads(sys.stdin.readline())
    process = Process(told)
    if told["does"] == "take-in":
        for number in range(told["from"], told["to"]):
            print(process.take_in(number), flush=True)
    elif told["does"] == "take-in-group":
        for payload in asyncio.run(process.take_in_group(range(told["from"], told["to"]))):
            print(payload, flush=True)
    elif told["does"] == "steps":
        process.forward()
        while asyncio.run(process.send()):
            continue
    else:
        stop = asyncio.Event()
        print("running", flush=True)
        asyncio.run(Engine(process.services, process.outgoing).run(stop))


if __name__ == "__main__":
    main()

"""A process that takes mail and dies at a point between the disk and its answer; told everything on its input."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

import uvloop
from mail_house import TERMS

from heldtrue.capabilities.intake.objects import LocalObjects
from heldtrue.capabilities.ledger import actions as ledger
from heldtrue.capabilities.mail.checks.resolver import Resolver
from heldtrue.capabilities.mail.office import MailServices, Office
from heldtrue.capabilities.mail.server import MailServer, tls_context
from heldtrue.crypto.keyring import KeyCache
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.roles import RoleDsns
from heldtrue.db.tx import Database, GroupTx, PoolSizes
from heldtrue.http.ports import Ports
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.secret import Secret
from heldtrue.op import Actor

POINTS = ("sealed", "T1-inside", "T1-sent", "T1-after")


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nothing survives SIGKILL")


class Mortal(Office):
    """The product's own, which dies at one point."""

    dies_at: str | None = None

    async def _commit(self, group: Any) -> Any:
        if self.dies_at == "sealed":
            die()
        written = await super()._commit(group)
        if self.dies_at == "T1-after":
            die()
        return written


def nobody(_presented: object) -> Actor:
    raise AssertionError("nobody logs in here")


def die_after_sending() -> None:
    """Die when the rows are sent, before their commit."""
    send = GroupTx.send

    def sends(tx: GroupTx) -> None:
        send(tx)
        die()

    GroupTx.send = sends


def services(told: dict[str, Any]) -> MailServices:
    def record(*given: Any) -> Any:
        leaf = ledger.append_audit(*given)
        if told["dies_at"] == "T1-inside":
            die()
        return leaf

    dsns = RoleDsns(**{name: Secret(told["dsns"][name]) for name in ("tenant", "edge", "system")})
    ports = Ports(
        database=Database(dsns, PoolSizes(tenant=4, edge=2, system=1)),
        clock=SystemClock(),
        entropy=secrets.token_bytes,
        platform=PlatformKey.from_bytes(Secret(bytes.fromhex(told["platform"]))),
        key_cache=KeyCache(),
        authenticate=nobody,
        record_audit=record,
    )
    names = Resolver([("127.0.0.1", told["names"])])
    return MailServices(ports=ports, objects=LocalObjects(Path(told["objects"])), resolver=names)


async def main() -> None:
    told = json.loads(sys.stdin.readline())
    office = Mortal(services(told), TERMS, tls_context(told["cert"], told["key"]))
    office.dies_at = told["dies_at"]
    if office.dies_at == "T1-sent":
        die_after_sending()
    bound = socket.create_server(("127.0.0.1", 0))
    await MailServer(office, [bound], []).start()
    print(bound.getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())

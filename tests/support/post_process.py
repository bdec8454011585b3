"""A process that gives mail into the queue and sends it, and dies at a point; told everything on its input."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
from datetime import datetime
from typing import Any, NoReturn

from house import HandClock

from heldtrue.capabilities.post import actions
from heldtrue.capabilities.post.smtp import Outcome, Smarthost
from heldtrue.capabilities.post.worker import Postman, PostServices, Ready
from heldtrue.crypto.keyring import KeyCache
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.roles import RoleDsns
from heldtrue.db.tx import Database, PoolSizes
from heldtrue.kernel.secret import Secret

POINTS = ("queued", "claimed", "taken", "answered", "recording")
"""Between the commit of the cause and that of the record; at `taken` the mail server kills, before it says 250."""


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nothing survives SIGKILL")


class Mortal(Postman):
    """The product's own, which dies at one point."""

    dies_at: str = ""

    def claim(self, limit: int = 4) -> list[Ready]:
        ready = super().claim(limit)
        self.at("claimed")
        return ready

    def send(self, ready: Ready) -> Outcome:
        outcome = super().send(ready)
        assert outcome.failure is None, outcome
        self.at("answered")
        return outcome

    def _audit(self, tx: Any, ring: Any, mail: Any, event: str, outcome: Outcome) -> None:
        super()._audit(tx, ring, mail, event, outcome)
        self.at("recording")

    def at(self, point: str) -> None:
        if self.dies_at == point:
            die()

    def enqueue(self, recipients: list[str], now: datetime) -> None:
        """Give a mail to each into the queue, all in their cause's one transaction."""
        with self._services.database.system() as tx:
            for to in recipients:
                actions.enqueue(
                    tx, keys=self._keys(tx), to=to, subject="Notice", text="A notice.", about="drill", now=now,
                    entropy=self._services.entropy,
                )  # fmt: skip
        self.at("queued")


def main() -> None:
    told = json.loads(sys.stdin.readline())
    clock = HandClock(datetime.fromisoformat(told["now"]))
    dsns = RoleDsns(**{name: Secret(told["dsns"][name]) for name in ("tenant", "edge", "system")})
    services = PostServices(
        database=Database(dsns, PoolSizes(tenant=1, edge=1, system=1)),
        platform=PlatformKey.from_bytes(Secret(bytes.fromhex(told["platform"]))),
        cache=KeyCache(),
        clock=clock,
        entropy=secrets.token_bytes,
        smarthost=Smarthost(
            host="localhost", port=told["port"], implicit_tls=False, sender="trust@example.com",
            authorities=told["authority"],
        ),
    )  # fmt: skip
    postman = Mortal(services)
    postman.dies_at = told["dies_at"]
    postman.enqueue(told["recipients"], clock.now())
    postman.step()


if __name__ == "__main__":
    main()

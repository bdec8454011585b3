"""What a scratch instance has for the attack on deliveries: receivers here, and a worker that may be killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from heldtrue.app.accounts import Account
from heldtrue.app.processes import Child, Ready
from heldtrue.app.settings import Destinations
from heldtrue.attack.arena import Stage
from heldtrue.capabilities.deliveries.sender import LEASE
from heldtrue.crypto.tls import TlsFiles, ensure_local_authority

PART = "receivers"
SHORT = timedelta(seconds=6)
"""What a killed worker held is taken over after it: the attack does not wait for the usual lease."""


@dataclass(frozen=True, slots=True)
class Staging:
    """Two workers, of which the second begins when the first one was killed."""

    tls: TlsFiles
    worker: Child
    successor: Child
    gate: int
    """Written to once, to let the successor begin."""

    @property
    def stage(self) -> Stage:
        """What the attack is given."""
        return Stage(cert=self.tls.cert, key=self.tls.key, kill_worker=self.kill)

    def kill(self) -> None:
        """End the worker as a crash does, and let the next one begin."""
        pid = self.worker.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            self.worker.poll()
        os.write(self.gate, b"+")


def authority(directory: Path) -> TlsFiles:
    """Make what the receivers on this machine are known by."""
    return ensure_local_authority(directory / PART, datetime.now(UTC))


def destinations(tls: TlsFiles | None) -> Destinations:
    """Return where deliveries may go beyond public addresses: nowhere, but for the attack on them."""
    return Destinations() if tls is None else Destinations(allow=("127.0.0.1/32",), ca_file=str(tls.ca))


def lease(tls: TlsFiles | None) -> timedelta:
    """Return how long a delivery is a worker's."""
    return LEASE if tls is None else SHORT


def workers(tls: TlsFiles, work: Callable[[Ready], int], account: Account | None) -> Staging:
    """Return two workers to be started."""
    inner, gate = os.pipe()

    def wait(ready: Ready) -> int:
        os.close(gate)  # when the instance ends without a kill, this ends too
        return work(ready) if os.read(inner, 1) else 0

    return Staging(tls, Child("worker", work, account), Child("worker", wait, account), gate)

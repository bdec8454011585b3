"""The zygote: a warm interpreter that forks jailed children and never reads a byte of anybody's data.

On its control socket (seqpacket, JSON) it takes `{"spawn": number, "ceilings": {…}}` with two descriptors, the job's
and the answer's pipe, and gives `{"spawned": number}` with the child's pidfd, then
`{"exited": number, "status", "cpu_ms", "peak"}`.
The end of the socket is the end of the zygote, and by their death signal of every child.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from dataclasses import dataclass, field
from typing import Any, NoReturn

from heldtrue.sandbox.guest import harness
from heldtrue.sandbox.jail import calls, walls
from heldtrue.sandbox.jail.layers import Layers

LARGEST = 65536


@dataclass
class Zygote:
    """What a zygote knows: how to build the walls, and which children live."""

    channel: socket.socket
    layers: Layers
    proc: int
    uid: int
    gid: int
    libraries: str
    children: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    """pidfd → (number, pid)"""

    def serve(self) -> None:
        """Answer until the engine closes its end."""
        poll = select.poll()
        poll.register(self.channel, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor != self.channel.fileno():
                    poll.unregister(descriptor)
                    self.bury(descriptor)
                elif (born := self.hear()) is not None:
                    poll.register(born, select.POLLIN)

    def hear(self) -> int | None:
        """Take one request; return the pidfd of the child that it made."""
        message, descriptors, _, _ = socket.recv_fds(self.channel, LARGEST, 2, socket.MSG_CMSG_CLOEXEC)
        if not message:
            self.end()
        asked = json.loads(message)
        number, (job, answer) = asked["spawn"], descriptors
        flags = walls.namespaces(self.layers, privileged=self.uid == 0)
        try:
            pid, pidfd = calls.clone(flags)
        except calls.CallError as error:
            self.tell({"failed": "namespaces", "why": str(error), "number": number})
            os.close(job)
            os.close(answer)
            return None
        if pid == 0:
            self.become(asked, job, answer, flags)
        os.close(job)
        os.close(answer)
        self.children[pidfd] = (number, pid)
        socket.send_fds(self.channel, [json.dumps({"spawned": number}).encode()], [pidfd])
        return pidfd

    def become(self, asked: dict[str, Any], job: int, answer: int, flags: int) -> None:
        """Be the run: walls first, then the tenant's bytes. Never return."""
        code = 1
        directory = asked.get("directory")
        try:
            if directory is not None:
                os.chdir(directory)
            ground = walls.Ground(self.proc, self.uid, self.gid, self.libraries, frozenset((job, answer)))
            try:
                walls.build(self.layers, walls.Ceilings(**asked["ceilings"]), ground, flags)
            except walls.WallError as error:
                harness.refuse(answer, error.layer, error.why)
            else:
                code = harness.run(job, answer, once=self.layers.single_use)
        finally:
            os._exit(code)

    def bury(self, pidfd: int) -> None:
        """Reap one child and tell what it cost."""
        number, pid = self.children.pop(pidfd)
        _, status, usage = os.wait4(pid, 0)
        os.close(pidfd)
        spent = int((usage.ru_utime + usage.ru_stime) * 1000)
        self.tell({"exited": number, "status": status, "cpu_ms": spent, "peak": usage.ru_maxrss * 1024})

    def tell(self, message: dict[str, Any]) -> None:
        """Send one message to the engine; when it is gone, so are we."""
        try:
            self.channel.send(json.dumps(message).encode())
        except (BrokenPipeError, ConnectionResetError):
            self.end()

    def end(self) -> NoReturn:
        """End with the engine, and leave no child behind that somebody else would have to bury."""
        for _, pid in self.children.values():
            os.kill(pid, signal.SIGKILL)
        for _, pid in self.children.values():
            os.waitpid(pid, 0)
        os._exit(0)


def main(given: list[str]) -> None:
    """Warm up, say so, and serve."""
    channel = socket.socket(fileno=int(given[0]))
    plan = json.loads(given[1])
    channel.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    layers = Layers.of(plan["layers"])
    zygote = Zygote(channel, layers, plan["proc"], plan["uid"], plan["gid"], plan["libraries"])
    try:
        harness.warm()
        walls.prepare(plan["proc"])
    except Exception as error:  # noqa: BLE001 - whatever it is, the engine must hear why
        zygote.tell({"failed": "zygote", "why": f"{type(error).__name__}: {error}"})
        sys.exit(1)
    os.dup2(0, 2)
    gc.collect()
    gc.freeze()
    zygote.tell({"ready": sorted(sys.modules)})
    zygote.serve()

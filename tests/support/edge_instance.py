"""A real instance with a forward-auth door, two organisations with a key each, and the key of one upstream."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from instance import HELDTRUE, Instance
from proxies import Answer

SETTINGS = """
[edge]
listen = "unix:{socket}"
trusted_proxies = ["unix"]
[[edge.routes]]
match = "/public/**"
public = true
[[edge.routes]]
match = "GET /v1/few"
class = "few"
[[edge.routes]]
match = "/v1/**"
[edge.limits.organisation]
burst = 10000
per_second = 10000
[edge.limits.key]
burst = 10000
per_second = 10000
[edge.limits.classes.few]
burst = 1
per_second = 0.01
"""


@dataclass
class Door:
    """What stands behind a proxy and decides, and whose keys a test knows."""

    instance: Instance
    path: Path
    """Its socket."""
    upstream_key: str
    alice: str
    alice_id: str
    bob: str

    def ask(self, path: str, headers: Mapping[str, str], *, method: str = "GET") -> Answer:
        """Ask at the door as a proxy does, over its socket."""
        with contextlib.closing(http.client.HTTPConnection("door", timeout=10)) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(self.path))
            connection.request(method, path, headers=dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, tuple(answer.getheaders()), answer.read())

    def processes(self) -> list[psutil.Process]:
        """Return the processes that answer at the door: those after the worker and the web process."""
        assert self.instance.process is not None
        ours = [
            one for one in self.instance.tree() if one.ppid() == self.instance.process.pid and one.name() != "postgres"
        ]
        return sorted(ours, key=lambda one: (one.create_time(), one.pid))[2:]


@contextlib.contextmanager
def door(root: Path) -> Generator[Door]:
    """Start an instance with a door below *root*."""
    path = root / "edge.sock"
    settings = root / "heldtrue.toml"
    settings.write_text(SETTINGS.format(socket=path))
    instance = Instance(root, ("--no-claims", "--config", str(settings)))
    try:
        instance.start()
        command = [HELDTRUE, "edge", "keys", "add", "--data-dir", instance.data, "--save", root / "upstream.key"]
        subprocess.run(command, check=True, capture_output=True)
        alice, bob = instance.organisation("Alice"), instance.organisation("Bob")
        known = instance.done("GET", "/v1/self", key=alice)
        yield Door(instance, path, (root / "upstream.key").read_text().strip(), alice, known["id"], bob)
    finally:
        instance.stop()

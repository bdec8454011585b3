"""Attacks on isolation: one run plants what it can and another looks for it; a run reaches for everything around it.

They use the ordinary API and the instance's own runner, with code as any customer's.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena, Probe

PLANT = """
import builtins, mmap, os, sys, time
def transform(payload, context):
    mark, planted = context["mark"], []
    def put(what, act):
        try:
            act()
        except OSError:
            return
        planted.append(what)
    def file(folder):
        def act():
            with open(f"{folder}/{mark}", "w") as made:
                made.write(mark)
        return act
    def process():
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
    for folder in ("/tmp", "/dev/shm", "/var/tmp", "/run", "/usr", "."):
        put(f"file in {folder}", file(folder))
    put("process", process)
    put("environment variable", lambda: os.environ.__setitem__(mark, mark))
    put("builtin", lambda: setattr(builtins, mark, mark))
    put("module", lambda: sys.modules.__setitem__(mark, sys))
    put("shared memory", lambda: mmap.mmap(-1, 4096).write(mark.encode()))
    return planted
"""
LOOK = """
import builtins, os, sys
def transform(payload, context):
    mark, found = context["mark"], []
    for folder in ("/tmp", "/dev/shm", "/var/tmp", "/run", "/usr", "."):
        try:
            if mark in os.listdir(folder):
                found.append(f"file in {folder}")
        except OSError:
            continue
    if mark in os.environ:
        found.append("environment variable")
    if hasattr(builtins, mark):
        found.append("builtin")
    if mark in sys.modules:
        found.append("module")
    for number in range(1, 4096):
        if number != os.getpid():
            try:
                os.kill(number, 0)
            except OSError:
                continue
            found.append("process")
            break
    return found
"""
REACH = """
import os, socket
from heldtrue_guest import FetchError, fetch
def transform(payload, context):
    reached = []
    def try_to(what, act):
        try:
            act()
        except (OSError, FetchError, ValueError, ImportError, UnicodeError):
            return
        reached.append(what)
    for host, port in context["hosts"]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try_to(f"{host} port {port}", lambda: socket.socket(family).connect((host, port)))
    for path in context["sockets"]:
        try_to(f"socket {path[:1]}", lambda: socket.socket(socket.AF_UNIX).connect(path))
    for path in context["files"]:
        try_to(f"file {path}", lambda: open(path, "rb").read(1))
    for path in context["folders"]:
        try_to(f"directory {path}", lambda: os.listdir(path))
    try_to("the name server", lambda: socket.getaddrinfo("example.com", 443))
    for url in context["urls"]:
        try_to(url, lambda: fetch("GET", url))
    return reached
"""
FILES = (
    "/etc/passwd", "/etc/shadow", "/etc/hostname", "/proc/1/environ", "/proc/self/environ", "/proc/net/tcp",
    "/dev/mem", "/dev/sda", "/root/.bashrc", "/var/log/syslog",
)  # fmt: skip
FOLDERS = ("/etc", "/proc", "/sys", "/dev", "/home", "/root", "/var", "/run")
METADATA = ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")


def neighbours(arena: Arena) -> Finding:
    """Plant marks in a run of one organisation, and look for them in its next run and in another organisation's."""
    one, two = arena.probes()
    mark = "mark" + arena.entropy(8).hex()
    with _Code(arena, one, PLANT) as plant:
        planted = plant.run({"mark": mark})
    if not planted:
        raise AttackHinderedError("nothing could be planted")
    faults: list[str] = []
    for whose, probe in (("its own next run", one), ("another organisation's run", two)):
        with _Code(arena, probe, LOOK) as look:
            found = look.run({"mark": mark})
        faults += [f"What a run left was found in {whose}: {what}." for what in found]
    return judged(
        faults,
        f"{len(planted)} marks were planted in a run (files, a process, an environment variable, memory); the next "
        "run of the same organisation and one of another found none of them.",
        marks=len(planted),
        runs=3,
    )


def reach(arena: Arena) -> Finding:
    """Try from inside a run to reach listeners, database, metadata addresses, name servers, files and the broker."""
    one, _ = arena.probes()
    listeners = [(each.host, each.port) for each in arena.listeners]
    context: dict[str, Any] = {
        "hosts": [*listeners, ("127.0.0.1", 5432), ("::1", 5432), *((host, 80) for host in METADATA)],
        "sockets": ["/run/postgresql/.s.PGSQL.5432", "/var/run/docker.sock", "\0heldtrue"],
        "files": FILES,
        "folders": FOLDERS,
        "urls": [f"https://{host}:{port}/" for host, port in listeners] + ["https://169.254.169.254/"],
    }
    with _Code(arena, one, REACH) as code:
        reached = code.run(context)
    tries = sum(len(part) for part in context.values()) + 1
    return judged(
        [f"A run reached {what}." for what in reached],
        f"A run tried {tries} ways to the instance's listeners, a database, metadata addresses, a name server, the "
        f"host's files and directories and the broker; none led anywhere. It was isolated at the level {code.level}.",
        tries=tries,
    )


class _Code:
    """A transform of a probe, deleted at the end."""

    def __init__(self, arena: Arena, probe: Probe, code: str) -> None:
        self._arena, self._probe = arena, probe
        asked = {"name": "probe", "language": "python", "code": code}
        made = arena.caller.call("POST", "/v1/transforms", probe.admin, asked).expect(201).json()
        self._path = f"/v1/transforms/{made['id']}"
        self.level = ""
        """At which the newest run was isolated."""

    def __enter__(self) -> _Code:
        return self

    def __exit__(self, *_: object) -> None:
        self._arena.caller.call("DELETE", self._path, self._probe.admin).expect(200)

    def run(self, context: dict[str, Any]) -> list[str]:
        """Run it and return the list that it gives; wait while the runner is not there yet."""
        path = f"{self._path}/test?{urlencode({'config': json.dumps(context)})}"

        def ask() -> Any:
            headers = {"content-type": "application/json"}
            reply = self._arena.caller.call("POST", path, self._probe.admin, b"{}", headers)
            return None if reply.status == 503 else reply.expect(200).json()

        told = self._arena.until("the runner", ask, seconds=60.0)
        self.level = told["level"]
        if told["outcome"] != "ok":
            raise AttackHinderedError(f"the code ended with {told['outcome']}: {told['error']}")
        return list(told["outputs"][0])


ATTACKS = (
    Attack(
        name="sandbox.neighbours",
        place=Place.SYNTHETIC,
        tries=(
            "Run code that leaves files, a process, an environment variable, globals and shared memory behind.",
            "Run other code of the same organisation, and of another, that looks for them.",
            "It must find none.",
        ),
        run=neighbours,
        breaks="sandbox-used-twice",
        parts=("runner",),
    ),
    Attack(
        name="sandbox.reach",
        place=Place.SYNTHETIC,
        tries=(
            "Run code that connects to this instance's listeners, a database, and clouds' metadata addresses.",
            "It asks a name server, opens sockets and files of the host, lists its directories.",
            "It asks the broker to call this instance and a metadata address: nothing may answer.",
        ),
        run=reach,
        breaks="sandbox-with-sockets",
        parts=("runner",),
    ),
)

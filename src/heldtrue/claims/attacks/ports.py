"""Attacks on what listens: every socket that a process of the instance holds, beside those that it declares."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena, Sinks
from heldtrue.attack.caller import Address

PROC = Path("/proc")
TIMEOUT = 5.0
_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class Listening:
    """One TCP socket that waits for connections (proc(5), /proc/PID/net/tcp)."""

    inode: int
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"


def undeclared(arena: Arena) -> Finding:
    """Find every TCP socket on which a process of the instance listens: each must be a declared one, and answer."""
    processes = sorted(_processes(arena.needs_sinks()))
    found = {one for process in processes for one in listening(process)}
    faults = [f"{one} is listened on and not declared." for one in _beyond(found, arena.listeners)]
    for place in arena.listeners:
        if not any(one.port == place.port for one in found):
            faults.append(f"{place.host} port {place.port} is declared, and no process listens there.")
        elif not _answers(place):
            faults.append(f"{place.host} port {place.port} is declared, and does not answer.")
    return judged(
        faults,
        "Every socket that a process of the instance listens on is declared, and every declared one answers.",
        processes=len(processes),
        sockets=len(found),
        declared=len(arena.listeners),
    )


def listening(process: int) -> Iterator[Listening]:
    """Yield the TCP sockets that *process* listens on; one that has ended listens on none."""
    home = PROC / str(process)
    try:
        held = set(_sockets(home))
        for name, width in (("tcp", 4), ("tcp6", 16)):
            for line in (home / "net" / name).read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[9]) in held:
                    address, _, port = fields[1].partition(":")
                    yield Listening(int(fields[9]), _address(address, width), int(port, 16))
    except (FileNotFoundError, ProcessLookupError):
        return
    except PermissionError as error:
        raise AttackHinderedError(f"process {process} of the instance does not let its sockets be looked at") from error


def _sockets(home: Path) -> Iterator[int]:
    """Yield the inodes of all sockets that a process holds."""
    for entry in (home / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            target = str(entry.readlink())
            if target.startswith("socket:["):
                yield int(target[8:-1])


def _address(text: str, width: int) -> str:
    """Return an address as the kernel writes it: words of four bytes, each in the machine's order."""
    words = bytes.fromhex(text)
    data = b"".join(words[at : at + 4][::-1] for at in range(0, width, 4))
    return str(IPv4Address(data) if width == 4 else IPv6Address(data))


def _processes(sinks: Sinks) -> set[int]:
    """Return this process, which is the instance's supervisor, its descendants, and those of the database."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    waiting = [os.getpid(), *sinks.processes(), int((sinks.cluster / "postmaster.pid").read_text().split()[0])]
    while waiting:
        process = waiting.pop()
        if process not in found:
            found.add(process)
            waiting += parents.get(process, [])
    return found


def _beyond(found: Iterable[Listening], declared: Iterable[Address]) -> list[Listening]:
    """Return what listens at another address, or another port, than those that are declared."""
    places = {(place.host, place.port) for place in declared}
    return sorted(
        (one for one in found if (one.address, one.port) not in places), key=lambda one: (one.port, one.address)
    )


def _answers(place: Address) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((place.host, place.port), TIMEOUT):
        return True
    return False


ATTACKS = (
    Attack(
        name="network.undeclared",
        place=Place.SCRATCH,
        tries=(
            "Build an instance with mail, and list every TCP socket that any of its processes listens on.",
            "Each must be at an address and a port that the instance declares.",
            "Connect to every declared one: it must answer.",
        ),
        run=undeclared,
        breaks="listener-that-nobody-declared",
        parts=("mail",),
    ),
)

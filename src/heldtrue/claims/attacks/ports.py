"""Attacks on what listens: every socket that a process of the instance holds, beside those that it declares."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator, Set
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
    user: int
    """The numeric id of who opened it."""

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"


def undeclared(arena: Arena) -> Finding:
    """Find every TCP socket on which a process of the instance listens: each must be a declared one, and answer."""
    processes = _processes(arena.needs_sinks())
    found = listened_on(processes, arena.listeners)
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


def listened_on(processes: Set[int], declared: Iterable[Address]) -> set[Listening]:
    """Return the TCP sockets that *processes* listen on.

    Where this is no superuser, some let nobody look at what they hold. What their users listen on, and no process that
    can be looked at, is theirs then; `AttackHinderedError` where it could be another program's, and is not declared.
    """
    found, closed = set[Listening](), set[int]()
    for process in processes:
        try:
            found.update(listening(process))
        except PermissionError:
            closed.add(process)
    if closed:
        unseen, strangers = _unseen({_user(process) for process in closed} - {None}, processes)
        doubtful = _beyond(unseen, declared)
        if doubtful and strangers:
            raise AttackHinderedError(
                f"{doubtful[0]} is listened on, and process {min(strangers)}, which is not of the instance, "
                "does not let its sockets be looked at"
            )
        found |= unseen
    return found


def _unseen(users: Set[int | None], processes: Set[int]) -> tuple[set[Listening], set[int]]:
    """Return what *users* listen on by processes that cannot be looked at, and those of them beside *processes*."""
    around = {one for one in _around(PROC / "self") if one.user in users}
    held, strangers = set[int](), set[int]()
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            held.update(_sockets(entry))
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            if int(entry.name) not in processes and _user(int(entry.name)) in users:
                strangers.add(int(entry.name))
    return {one for one in around if one.inode not in held}, strangers


def _user(process: int) -> int | None:
    """Return whose a process is; None once it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in (PROC / str(process) / "status").read_text().splitlines():
            if line.startswith("Uid:"):
                return int(line.split()[2])
    return None


def listening(process: int) -> Iterator[Listening]:
    """Yield the TCP sockets that *process* listens on; one that has ended listens on none.

    Raise `PermissionError` where it lets nobody look. Code in the sandbox does not, and in its network namespace
    nobody listens at all.
    """
    home = PROC / str(process)
    try:
        around = list(_around(home))
        held = set(_sockets(home)) if around else set[int]()
        yield from (one for one in around if one.inode in held)
    except (FileNotFoundError, ProcessLookupError):
        return


def _around(home: Path) -> Iterator[Listening]:
    """Yield every socket that somebody listens on in the network namespace of a process."""
    for name, width in (("tcp", 4), ("tcp6", 16)):
        yield from _listeners(home / "net" / name, width)


def _listeners(table: Path, width: int) -> Iterator[Listening]:
    for line in table.read_text("ascii").splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTEN:
            address, _, port = fields[1].partition(":")
            yield Listening(int(fields[9]), _address(address, width), int(port, 16), int(fields[7]))


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

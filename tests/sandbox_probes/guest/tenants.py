"""Attacks on the tenant before and on the tenant beside."""

import builtins
import ctypes
import mmap
import os
import socket
import time

PLACES = (".", "/tmp", "/var/tmp", "/dev/shm")
FIXED = 0x7E0000000000


def places(c):
    """Return the directories in which one run may leave something for another."""
    return (*PLACES, c["public"])


def leave(k, c):
    """Leave a mark wherever something may survive the run; return where that was possible."""
    done = []
    setattr(builtins, c["mark"], "here")
    for number, place in enumerate(places(c)):
        try:
            with open(os.path.join(place, c["mark"]), "w") as file:
                file.write("here")
            done.append(f"file {number}")
        except OSError:
            continue
    for name, way in (("segment", leave_segment), ("key", leave_key)):
        try:
            way(k, c)
            done.append(name)
        except OSError:
            continue
    return done or ["globals"]


def leave_segment(k, c):
    """Leave a System V segment."""
    segment = k.call(29, c["key"], 64, 0o1666)
    k.libc.shmat(segment, None, 0)


def leave_key(k, c):
    """Leave a key on the user's ring, for half a minute."""
    key = k.call(248, b"user", c["mark"].encode(), b"here", 4, -4)
    k.call(250, 15, key, 30, 0, 0)


def previous_globals(k, c):
    """Look for a global of the run before."""
    return getattr(builtins, c["mark"], None)


def previous_files(k, c):
    """Look for a file of the run before, in every place where it may lie."""
    found = []
    for place in places(c):
        try:
            with open(os.path.join(place, c["mark"])) as file:
                found.append(file.read())
        except OSError:
            continue
    return len(found)


def previous_segment(k, c):
    """Look for a System V segment of the run before."""
    return k.call(29, c["key"], 64, 0) + 1


def previous_key(k, c):
    """Look for a key of the run before on the user's ring."""
    return k.call(250, 10, -4, b"user", c["mark"].encode(), 0)


def stay(k, c):
    """Be a tenant with a secret in a file, in memory and behind an abstract socket, until the other has looked."""
    end = time.monotonic() + c["patience"]
    begun = time.monotonic()
    k.libc.prctl(15, c["mark"][:15].encode(), 0, 0, 0)
    address = k.map(4096, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100000, address=FIXED)
    ctypes.memmove(address, b"here", 4)
    leave(k, c)
    try:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind("\0" + c["mark"])
        listener.listen(1)
    except OSError:
        listener = None
    while time.monotonic() < end and not any(
        os.path.exists(os.path.join(place, c["mark"] + "-seen")) for place in places(c)
    ):
        time.sleep(0.01)
    return [begun, time.monotonic(), listener is not None]


def neighbour(k, c):
    """Look for the other tenant of the same moment, again and again; return what was seen of it."""
    end = time.monotonic() + c["patience"]
    begun = time.monotonic()
    seen = {}
    while time.monotonic() < end and len(seen) < len(LOOKS):
        for name, look in LOOKS.items():
            if name not in seen:
                try:
                    if look(k, c):
                        seen[name] = True
                except OSError:
                    continue
        time.sleep(0.01)
    for place in places(c):
        try:
            with open(os.path.join(place, c["mark"] + "-seen"), "w"):
                break
        except OSError:
            continue
    return [begun, time.monotonic(), sorted(seen)]


def neighbour_socket(k, c):
    """Connect to the neighbour's abstract socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.connect("\0" + c["mark"])
        return True


def neighbour_process(k, c):
    """Find the neighbour by name in /proc."""
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/comm") as file:
                if file.read().strip() == c["mark"][:15]:
                    return int(name)
        except (OSError, ValueError):
            continue
    return 0


def neighbour_memory(k, c):
    """Read the neighbour's memory, which lies where one's own would, from every process of a near number."""
    into = ctypes.create_string_buffer(4)
    here = (ctypes.c_size_t * 2)(ctypes.addressof(into), 4)
    there = (ctypes.c_size_t * 2)(FIXED, 4)
    near = os.getpid()
    for pid in range(max(1, near - 2000), near + 2000):
        try:
            k.call(310, pid, here, 1, there, 1, 0)
        except OSError:
            continue
        if into.raw == b"here":
            return pid
    return 0


LOOKS = {"files": previous_files, "process": neighbour_process, "memory": neighbour_memory, "socket": neighbour_socket}

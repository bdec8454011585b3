"""Attacks on what the server knows: its environment, its memory, its descriptors."""

import ctypes
import os

PAGE = 65536


def found_in(path, canary):
    """Return whether the file holds the canary."""
    with open(path, "rb") as file:
        return canary.encode() in file.read(1 << 20)


def own_environment(k, c):
    """Look for the server's environment in one's own: variables, and the strings that the kernel put on the stack."""
    k.libc.getauxval.restype = ctypes.c_ulong
    canary = c["environment"].encode()

    def stack():
        low, high = k.libc.getauxval(25), k.libc.getauxval(31)
        return canary in ctypes.string_at(low, high - low)

    return by_any(
        lambda: canary in b"".join(os.environb.values()),
        stack,
        lambda: found_in("/proc/self/environ", c["environment"]),
    )


def server_environment(k, c):
    """Read the environment of the server, or of the one who started this process, from /proc."""
    return by_any(
        *[lambda pid=pid: found_in(f"/proc/{pid}/environ", c["environment"]) for pid in (c["server"], os.getppid(), 1)]
    )


def first_process(k, c):
    """Read anything that process 1 keeps: the first of the machine, or of this very jail."""

    def size_of(name):
        with open(f"/proc/1/{name}", "rb") as file:
            return len(file.read(PAGE))

    return by_any(*[lambda name=name: size_of(name) for name in ("environ", "maps", "cmdline", "mountinfo", "status")])


def server_memory_by_file(k, c):
    """Read the server's memory at a known address from /proc."""
    with open(f"/proc/{c['server']}/mem", "rb", buffering=0) as memory:
        memory.seek(c["address"])
        return memory.read(len(c["memory"])).decode("latin-1")[::-1] == c["memory"]


def memory_of(k, pid, address, length):
    """Return bytes of another process by process_vm_readv(2)."""
    into = ctypes.create_string_buffer(length)
    here = (ctypes.c_size_t * 2)(ctypes.addressof(into), length)
    there = (ctypes.c_size_t * 2)(address, length)
    k.call(310, pid, here, 1, there, 1, 0)
    return into.raw


def server_memory_by_call(k, c):
    """Read the server's memory at a known address by system call."""
    return memory_of(k, c["server"], c["address"], len(c["memory"])).decode("latin-1")[::-1] == c["memory"]


def ptrace_another(k, c):
    """Become the debugger of a process outside."""

    def seize():
        k.call(101, 0x4206, c["victim"], 0, 0)
        return 1

    return in_child(seize)


def inherited_descriptor(k, c):
    """Read every descriptor that is open."""
    for number in range(1024):
        try:
            if c["descriptor"].encode() in os.pread(number, PAGE, 0):
                return number
        except OSError:
            continue
    return 0


def open_descriptors(k, c):
    """Return each open descriptor with its type, for the reader to judge."""
    found = []
    for number in range(1024):
        try:
            found.append([number, os.fstat(number).st_mode >> 12])
        except OSError:
            continue
    return found

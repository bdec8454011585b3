"""Bombs. Each is bounded, so that it does no harm where nothing holds it, and tells how far it came."""

import ctypes
import os
import select
import signal
import sys
import time

MIB = 1 << 20


def fork_bomb(k, c):
    """Fork until refused, up to a bound that lies above the limit; return whether the bound was reached."""
    into, out = os.pipe()
    children = []
    try:
        for _ in range(c["bound"]):
            child = os.fork()
            if child == 0:
                k.libc.prctl(1, signal.SIGKILL, 0, 0, 0)
                os.close(out)
                os.read(into, 1)
                os._exit(0)
            children.append(child)
    finally:
        os.close(out)
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return len(children)


def double_fork(k, c):
    """Leave a grandchild that nobody waits for and no polite signal ends, with a name by which the test finds it."""
    into, out = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
        finally:
            if os.fork() == 0:
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
                k.libc.prctl(15, c["mark"][:15].encode(), 0, 0, 0)
                os.write(out, b"named")
                os.closerange(0, 64)
                time.sleep(30)
            os._exit(0)
    os.waitpid(child, 0)
    return len(os.read(into, 5))


def memory_bomb(k, c):
    """Touch memory up to a bound above the limit."""
    held = []
    for _ in range(c["bound"]):
        held.append(bytearray(b"\x01" * MIB))
    time.sleep(c["patience"])
    return len(held)


def memory_spread(k, c):
    """Touch memory in several processes: each below the limit, all of them together far above."""
    ready, told = os.pipe()
    children = []
    for _ in range(c["parts"]):
        child = os.fork()
        if child == 0:
            k.libc.prctl(1, signal.SIGKILL, 0, 0, 0)
            try:
                held = [bytearray(b"\x01" * MIB) for _ in range(c["bound"])]
                os.write(told, b"r" if held else b"")
                time.sleep(60)
            finally:
                os._exit(0)
        children.append(child)
    os.close(told)
    held, lost = 0, 0
    while held < len(children) and not (lost := os.waitpid(-1, os.WNOHANG)[0]):
        if select.select([ready], [], [], 0.05)[0]:
            held += len(os.read(ready, 16))
    if not lost:
        time.sleep(c["patience"])
    for child in children:
        if child != lost:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return not lost


def scratch_bomb(k, c):
    """Fill the scratch directory with files, none of them large."""
    place, done, made = scratch(), 0, []
    try:
        while done < c["bound"]:
            path = os.path.join(place, f"filler-{os.getpid()}-{done}")
            made.append(path)
            with open(path, "wb", buffering=0) as file:
                done += file.write(bytes(MIB)) // MIB
    finally:
        for path in made:
            removed(path)
    return done


def inode_bomb(k, c):
    """Fill the scratch directory with names."""
    place = os.path.join(scratch("/dev/shm"), f"names-{os.getpid()}")
    os.mkdir(place)
    made = 0
    try:
        while made < c["bound"]:
            os.close(os.open(os.path.join(place, str(made)), os.O_CREAT | os.O_WRONLY))
            made += 1
    finally:
        for number in range(made):
            os.unlink(os.path.join(place, str(number)))
        os.rmdir(place)
    return made


def descriptor_bomb(k, c):
    """Open descriptors up to a bound above the limit."""
    into, out = os.pipe()
    held = [into, out]
    try:
        while len(held) < c["bound"]:
            held.append(os.dup(into))
    finally:
        for file in held:
            os.close(file)
    return len(held)


def large_file(k, c):
    """Seek far and write one byte: a sparse file costs nothing here and everything where it is copied."""
    path = os.path.join(scratch(), f"sparse-{os.getpid()}")
    try:
        with open(path, "wb", buffering=0) as file:
            file.seek(c["bound"] * MIB)
            return file.write(b"x")
    finally:
        removed(path)


def spin(k, c):
    """Use the processor for a while."""
    end = time.process_time() + c["seconds"]
    while time.process_time() < end:
        pass
    return True


def sleep(k, c):
    """Do nothing for a while."""
    time.sleep(c["seconds"])
    return True


def deaf(k, c):
    """Ignore every signal that can be ignored, and use the processor for a while."""
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            continue
    return spin(k, c)


def output_flood(k, c):
    """Return one output above the limit."""
    return "x" * c["bound"]


def log_flood(k, c):
    """Print above the limit."""
    for _ in range(c["bound"] // 1024):
        print("y" * 1023)
    return True


def descriptor_flood(k, c):
    """Write without end to standard output and standard error, past every buffer."""
    written = 0
    while written < c["bound"]:
        for number in (1, 2):
            try:
                written += os.write(number, b"z" * 65536)
            except OSError:
                written += 65536
    return True


def recursion(k, c):
    """Recurse until the stack ends."""
    sys.setrecursionlimit(1 << 30)

    def deeper(n):
        return deeper(n + 1) + 1

    return deeper(0)


def nested_answer(k, c):
    """Return a list so deep that whoever encodes or decodes it must recurse."""
    inner = []
    for _ in range(c["bound"]):
        inner = [inner]
    return inner


def segfault(k, c):
    """Read where nothing is."""
    return ctypes.string_at(8)


def abort(k, c):
    """Die by abort(3)."""
    os.abort()


def leave_early(k, c):
    """Exit with success before there is an answer."""
    os._exit(0)


def garbage(k, c):
    """Write what no protocol expects to every descriptor that is open."""
    for _ in range(c.get("times", 1)):
        for number in range(64):
            try:
                os.write(number, bytes.fromhex(c["garbage"]) + c.get("then_many", "").encode() * c.get("many", 0))
            except OSError:
                continue
    if c.get("then") == "exit":
        os._exit(0)
    return "after"


def unusual(k, c):
    """Return or raise what no honest transform does."""

    class Odd(dict):
        def items(self):
            raise SystemExit(0)

    class Liar(BaseException):
        def __str__(self):
            raise KeyboardInterrupt

    def within_itself():
        inner = []
        inner.append(inner)
        return inner

    kinds = {
        "set": lambda: {1},
        "nan": lambda: float("nan"),
        "surrogate": lambda: "\ud800",
        "odd": Odd,
        "keys": lambda: {(1, 2): 3},
        "self": within_itself,
        "bytes": lambda: b"x",
        "huge": lambda: 10**5000,
    }
    if c["kind"] == "liar":
        raise Liar
    if c["kind"] == "exit":
        raise SystemExit(0)
    if c["kind"] == "interrupt":
        raise KeyboardInterrupt
    return kinds[c["kind"]]()

"""What every hostile transform begins with: system calls by number, and executable memory by hook or by crook.

This text is put in front of each of the other sources in this folder, and the whole is handed to the sandbox as a
tenant's code. The numbers and the machine code are those of x86-64.
"""

import contextlib
import ctypes
import errno
import mmap
import os
import signal

NEWNS, NEWUSER, NEWNET, NEWPID = 0x00020000, 0x10000000, 0x40000000, 0x20000000
FORTY_TWO = b"\xb8\x2a\x00\x00\x00\xc3"  # mov eax, 42; ret


class RefusedError(Exception):
    """No way led through; says what each one met."""


class Kernel:
    """The system calls of the process, by number."""

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.syscall.restype = ctypes.c_long
        self.libc.mmap.restype = ctypes.c_void_p
        self.libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]

    def call(self, number, *arguments):
        """Return what system call *number* answers, or raise `OSError`."""
        passed = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
        ctypes.set_errno(0)
        answer = self.libc.syscall(ctypes.c_long(number), *passed)
        if answer == -1 and ctypes.get_errno():
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return answer

    def checked(self, answer):
        """Return the answer of a C function, or raise `OSError` where it is negative."""
        if answer < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return answer

    def map(self, size, protection, flags, file=-1, address=None):
        """Return the address of a new mapping."""
        found = self.libc.mmap(address, size, protection, flags, file, 0)
        if found in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), "mmap")
        return found

    def run(self, address):
        """Call the machine code at *address*, in a child: it may kill."""
        if (said := in_child(ctypes.CFUNCTYPE(ctypes.c_int)(address))) != 42:
            raise RefusedError(f"the code said {said}")
        return said


def by_any(*ways):
    """Return what the first of the ways that leads through yields; raise `RefusedError` when none does."""
    met = []
    for way in ways:
        try:
            got = way()
        except (OSError, MemoryError, RefusedError) as refused:
            met.append(f"{getattr(way, '__name__', 'way')}: {reason_of(refused)}")
        else:
            if got:
                return got
            met.append(f"{getattr(way, '__name__', 'way')}: nothing")
    raise RefusedError("; ".join(met))


def reason_of(refused):
    """Return the name of an error number, or what was said."""
    number = getattr(refused, "errno", None)
    return errno.errorcode.get(number, str(number)) if number else f"{type(refused).__name__} {refused}".strip()


def in_child(work):
    """Return what *work* yields (a small number, or true) in a forked child; raise what it met there."""
    into, out = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"-0"
        try:
            said = b"+" + str(int(work() or 0)).encode()
        except (OSError, RefusedError) as refused:
            said = b"-" + str(getattr(refused, "errno", None) or 0).encode()
        finally:
            os.write(out, said)
            os._exit(0)
    os.close(out)
    said = os.read(into, 64)
    os.close(into)
    _, status = os.waitpid(child, 0)
    if said.startswith(b"+"):
        return int(said[1:])
    if said:
        raise OSError(int(said[1:]), "in the child")
    raise RefusedError(f"the child died by signal {os.WTERMSIG(status)}")


def exit_code_of(program):
    """Return the exit code of what *program* becomes in a forked child (42 is ours)."""
    child = os.fork()
    if child == 0:
        try:
            program()
        except OSError as refused:
            os._exit(min(refused.errno or 200, 200))
        finally:
            os._exit(201)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 42:
        raise RefusedError(f"the program ended with {code} ({errno.errorcode.get(code, '')})")
    return code


def tiny_program(k):
    """Return an ELF file of one segment that exits with 42."""
    code = b"\xbf\x2a\x00\x00\x00\xb8\x3c\x00\x00\x00\x0f\x05"  # mov edi, 42; mov eax, exit; syscall
    start = 0x400000
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") + (62).to_bytes(2, "little")
    header += (1).to_bytes(4, "little") + (start + 120).to_bytes(8, "little") + (64).to_bytes(8, "little")
    header += bytes(12) + b"".join(n.to_bytes(2, "little") for n in (64, 56, 1, 0, 0, 0))
    segment = (1).to_bytes(4, "little") + (5).to_bytes(4, "little") + bytes(8)
    segment += (
        start.to_bytes(8, "little") * 2 + (120 + len(code)).to_bytes(8, "little") * 2 + (4096).to_bytes(8, "little")
    )
    return header + segment + code


def written(name, data):
    """Write a file into the scratch directory and return its path."""
    path = os.path.join(scratch(), name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def scratch(first="."):
    """Return a directory that this process may write to."""
    met = []
    for place in (first, ".", "/tmp", os.environ.get("TMPDIR", "/tmp"), "/dev/shm"):
        trial = os.path.join(place, f"trial-{os.getpid()}")
        try:
            os.mkdir(trial)
            os.rmdir(trial)
        except OSError as refused:
            met.append(reason_of(refused))
        else:
            return os.path.abspath(place)
    raise RefusedError(f"no directory to write to: {met}")


def removed(path):
    """Remove a file if it is there."""
    with contextlib.suppress(OSError):
        os.unlink(path)


# ------------------------------------------------------------------------------------------ code of our own, executed


def placed(k, code, protection, flags):
    """Return the address of *code* in a fresh mapping of that protection."""
    address = k.map(4096, protection, flags)
    ctypes.memmove(address, code, len(code))
    return address


def code_in_writable_memory(k, code=FORTY_TWO):
    """Map memory that can be both written and executed, and run the code there."""
    return k.run(placed(k, code, 7, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def code_made_executable(k, code=FORTY_TWO):
    """Write first, ask for execution afterwards."""
    address = placed(k, code, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    k.call(10, address, 4096, 5)
    return k.run(address)


def code_by_personality(k, code=FORTY_TWO):
    """Let every readable mapping become an executable one (READ_IMPLIES_EXEC), in a child."""

    def inside():
        k.call(135, 0x0400000)
        return k.run(placed(k, code, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

    return in_child(inside)


def code_from_a_file(k, code=FORTY_TWO):
    """Write the code into a file of the scratch directory and map that, executable and never writable."""
    path = written(f"code-{os.getpid()}", code)
    file = os.open(path, os.O_RDONLY)
    try:
        return k.run(k.map(4096, 5, mmap.MAP_PRIVATE, file))
    finally:
        os.close(file)
        removed(path)


def code_in_two_views(k, code=FORTY_TWO):
    """Map an anonymous file twice: once to write, once to execute."""
    file = k.call(319, b"views", 0)
    try:
        os.ftruncate(file, 4096)
        ctypes.memmove(k.map(4096, 3, mmap.MAP_SHARED, file), code, len(code))
        return k.run(k.map(4096, 5, mmap.MAP_SHARED, file))
    finally:
        os.close(file)


def code_in_a_shared_segment(k, code=FORTY_TWO):
    """Attach a System V segment with SHM_EXEC."""
    segment = k.call(29, 0, 4096, 0o1700)
    try:
        k.libc.shmat.restype = ctypes.c_void_p
        address = k.libc.shmat(segment, None, 0o100000)
        if address == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), "shmat")
        ctypes.memmove(address, code, len(code))
        return k.run(address)
    finally:
        k.call(31, segment, 0, 0)


def code_through_proc_mem(k, code=FORTY_TWO):
    """Write over a function of the C library through /proc/self/mem, which asks no page's protection."""

    def inside():
        address = ctypes.cast(k.libc.gnu_get_libc_version, ctypes.c_void_p).value
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(address)
            memory.write(code)
        return ctypes.CFUNCTYPE(ctypes.c_int)(address)()

    return in_child(inside)


def code_through_ptrace(k, code=FORTY_TWO):
    """Write over a function of a child's C library as its debugger, and let the child run it."""
    function = ctypes.cast(k.libc.gnu_get_libc_version, ctypes.c_void_p).value
    child = os.fork()
    if child == 0:
        try:
            k.call(101, 0, 0, 0, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(ctypes.CFUNCTYPE(ctypes.c_int)(function)() & 0xFF)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSTOPPED(status):
        for at in range(0, len(code), 8):
            word = int.from_bytes(code[at : at + 8].ljust(8, b"\x90"), "little", signed=True)
            k.call(101, 4, child, function + at, word)
        k.call(101, 17, child, 0, 0)
        _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != 42:
        raise RefusedError(f"the child ended with {os.waitstatus_to_exitcode(status)}")
    return 42


# ------------------------------------------------------------------------------------------ the way in and out


def answered(attack, context):
    """Run one attack and return what it got, or why it got nothing."""
    try:
        got = attack(Kernel(), context)
    except (OSError, MemoryError, RefusedError) as refused:
        return {"got": None, "why": reason_of(refused)}
    return {"got": got, "why": "nothing" if not got else None}

"""Attacks on the kernel's less travelled interfaces. Each ends with the proof that the kernel served it."""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import signal
import termios


def key_ring(k, c):
    """Add a key to the process's key ring."""
    return k.call(248, b"user", b"heldtrue-probe", b"x", 1, -2)


def bpf(k, c):
    """Create a BPF map."""
    attributes = (ctypes.c_uint32 * 32)(2, 4, 4, 1)
    return closed(k.call(321, 0, attributes, 128))


def closed(file):
    """Close a descriptor and return a true value: it was there."""
    os.close(file)
    return file + 1


def io_uring(k, c):
    """Set up a ring, whose entries no filter of system calls sees."""
    return closed(k.call(425, 1, ctypes.create_string_buffer(120)))


def userfault(k, c):
    """Handle one's own page faults, which widens every race in the kernel."""
    return closed(k.call(323, 1))


def perf(k, c):
    """Count events of one's own processor time, and so the neighbours'."""
    attributes = (ctypes.c_uint64 * 16)(1 | 128 << 32, 0, 0, 0, 0, 0b1100000)
    return closed(k.call(298, attributes, 0, -1, -1, 0))


def nested_namespaces(k, c):
    """Become the root of a user namespace of one's own, by unshare(2) or by clone(2)."""

    def by_clone():
        child = k.call(56, NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        return child

    def by_unshare():
        k.checked(k.libc.unshare(NEWUSER))
        return 1

    return by_any(lambda: in_child(by_unshare), by_clone)


def mounting(k, c):
    """Mount a file system, in a mount namespace of one's own: as one is, or as the root of a nested user namespace."""

    def mounted(flags):
        k.checked(k.libc.unshare(flags))
        k.checked(k.libc.mount(None, b"/", None, ctypes.c_ulong(1 << 18 | 16384), None))
        k.checked(k.libc.mount(b"tmpfs", scratch().encode(), b"tmpfs", ctypes.c_ulong(0), None))
        return 1

    def as_root_nested():
        return mounted(NEWUSER | NEWNS)

    return by_any(lambda: in_child(lambda: mounted(NEWNS)), lambda: in_child(as_root_nested))


def new_mounting(k, c):
    """Ask for a file system by fsopen(2), the interface that older filters do not know."""

    def opened():
        k.checked(k.libc.unshare(NEWUSER | NEWNS))
        return closed(k.call(430, b"tmpfs", 0))

    return by_any(lambda: closed(k.call(430, b"tmpfs", 0)), lambda: in_child(opened))


def clone3(k, c):
    """Make a process by clone3(2), whose flags no filter can read."""
    child = k.call(435, (ctypes.c_uint64 * 8)(0, 0, 0, 0, signal.SIGCHLD), 64)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def x32(k, c):
    """Call by the x32 table, whose numbers a filter of the ordinary table does not know."""
    try:
        return k.call(0x40000000 | 39)
    except OSError as refused:
        if refused.errno == errno.ENOSYS:
            return 38  # the kernel itself answered: it has no such table, and nothing stood before it
        raise


# mov eax, 20 (getpid); int 0x80; test eax, eax; jle out; mov eax, 42; out: ret
GETPID_32 = b"\xb8\x14\x00\x00\x00\xcd\x80\x85\xc0\x7e\x05\xb8\x2a\x00\x00\x00\xc3"


def interrupt_80(k, c):
    """Call by the 32-bit table through the old interrupt, with code placed wherever it runs."""
    ways = (
        code_in_writable_memory,
        code_made_executable,
        code_by_personality,
        code_from_a_file,
        code_in_two_views,
        code_in_a_shared_segment,
        code_through_proc_mem,
        code_through_ptrace,
    )
    return by_any(*[lambda way=way: way(k, GETPID_32) for way in ways])


def memory_file_executed(k, c):
    """Execute a program that was never a file."""
    file = k.call(319, b"program", 0)
    os.write(file, tiny_program(k))
    try:
        empty = (ctypes.c_char_p * 1)(None)
        return exit_code_of(lambda: k.call(322, file, b"", empty, empty, 0x1000))
    finally:
        os.close(file)


def written_program(k, c):
    """Write a program into the scratch directory and execute it."""
    path = written(f"program-{os.getpid()}", tiny_program(k))
    try:
        os.chmod(path, 0o700)
        return exit_code_of(lambda: os.execve(path, [path], {}))
    finally:
        removed(path)


def host_program(k, c):
    """Execute a program that the machine has, by name or through its loader."""
    shell = ["/bin/sh", "-c", "exit 42"]
    ways = [
        shell,
        ["/lib64/ld-linux-x86-64.so.2", *shell],
        [c["python"], "-c", "raise SystemExit(42)"],
        ["/lib64/ld-linux-x86-64.so.2", c["python"], "-c", "raise SystemExit(42)"],
    ]
    return by_any(*[lambda way=way: exit_code_of(lambda: os.execve(way[0], way, {})) for way in ways])


def exec_as_root(k, c):
    """Regain by execve(2) what was dropped: see whom a set-user-id program becomes while it waits at a full pipe."""
    into, out = os.pipe()
    os.set_blocking(out, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(out, bytes(4096))
    os.set_blocking(out, True)
    child = os.fork()
    if child == 0:
        try:
            os.close(into)
            os.dup2(out, 1)
            os.execve(c["setuid"], [c["setuid"], "--help"], {})
        finally:
            os._exit(99)
    os.close(out)
    try:
        return in_time(lambda: effective_user(child) if name_of(child) == os.path.basename(c["setuid"]) else None) == 0
    finally:
        os.close(into)
        os.waitpid(child, 0)


def in_time(ask):
    """Return the first answer that is not None."""
    import time

    end = time.monotonic() + 3
    while time.monotonic() < end:
        if (said := ask()) is not None:
            return said
        time.sleep(0.005)
    raise RefusedError("it never became that program")


def name_of(pid):
    """Return the name of a process."""
    with open(f"/proc/{pid}/comm") as file:
        return file.read().strip()


def effective_user(pid):
    """Return the effective user of a process."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[2]) for line in file if line.startswith("Uid:"))


def rwx_anonymous(k, c):
    """Execute memory that can be written."""
    return code_in_writable_memory(k)


def rwx_later(k, c):
    """Execute memory that was written before."""
    return code_made_executable(k)


def rwx_personality(k, c):
    """Execute memory that the personality makes executable, past any filter of mmap's arguments."""
    return code_by_personality(k)


def rwx_file(k, c):
    """Execute a mapping of a file that was just written."""
    return code_from_a_file(k)


def rwx_two_views(k, c):
    """Execute one view of memory that another writes."""
    return code_in_two_views(k)


def rwx_segment(k, c):
    """Execute a System V segment."""
    return code_in_a_shared_segment(k)


def rwx_proc_mem(k, c):
    """Execute what was written through /proc."""
    return code_through_proc_mem(k)


def rwx_ptrace(k, c):
    """Execute what a debugger wrote."""
    return code_through_ptrace(k)


def terminal_injection(k, c):
    """Type into somebody's terminal (TIOCSTI)."""

    def typed():
        os.setsid()
        file = os.open(c["terminal"], os.O_RDWR)
        fcntl.ioctl(file, termios.TIOCSCTTY, 0)
        for letter in c["typed"].encode():
            fcntl.ioctl(file, termios.TIOCSTI, bytes([letter]))
        return 1

    return in_child(typed)


def kill_another(k, c):
    """Send a signal to a process outside: one that it ignores."""

    def by_descriptor():
        file = k.call(434, c["victim"], 0)
        try:
            k.call(424, file, signal.SIGURG, 0, 0)
        finally:
            os.close(file)
        return True

    def by_number():
        os.kill(c["victim"], signal.SIGURG)
        return True

    return by_any(by_number, by_descriptor)


def kernel_log(k, c):
    """Read the kernel's log."""
    return k.call(103, 3, ctypes.create_string_buffer(4096), 4096)


def watch_everything(k, c):
    """Ask for a group of fanotify, which watches whole mounts."""
    return closed(k.call(300, 0x200, 0))


def host_name(k, c):
    """Learn the name of the host."""
    return os.uname().nodename == c["host"]


def host_control_group(k, c):
    """Learn the server's control group, and with it how the host names what runs there."""
    with open("/proc/self/cgroup") as file:
        return [group for group in c["groups"] if group in file.read()]


def shared_segment(k, c):
    """Read a System V segment that a process outside made."""
    k.libc.shmat.restype = ctypes.c_void_p
    address = k.libc.shmat(k.call(29, c["segment"], 64, 0), None, 0)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "shmat")
    return ctypes.string_at(address, len(c["greeting"])).decode() == c["greeting"]


def lock_memory(k, c):
    """Lock memory, which then cannot be taken back."""
    address = k.map(1 << 20, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    k.call(149, address, 1 << 20)
    return True

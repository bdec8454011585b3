"""Attacks on the host's files: paths, links, nodes, handles, and the bare question whether something exists."""

import ctypes
import os
import stat


def text_of(path):
    """Return what a file says."""
    with open(path) as file:
        return file.read(256)


def read_host_file(k, c):
    """Read a file of the host, straight or round about."""
    up = "../" * 12 + c["secret"].lstrip("/")
    ways = [
        c["secret"],
        up,
        "/proc/self/root" + c["secret"],
        "/proc/1/root" + c["secret"],
        f"/proc/{c['server']}/root" + c["secret"],
    ]
    return by_any(*[lambda way=way: text_of(way) == c["file"] for way in ways])


def write_host_file(k, c):
    """Write a file into a directory of the host that anybody may write to."""
    path = os.path.join(c["public"], f"written-{os.getpid()}")
    with open(path, "w") as file:
        file.write("here")
    os.unlink(path)
    return True


def symbolic_link(k, c):
    """Follow a symbolic link of one's own out of the scratch directory."""
    link = os.path.join(scratch(), f"link-{os.getpid()}")
    os.symlink(c["secret"], link)
    try:
        return text_of(link) == c["file"]
    finally:
        removed(link)


def hard_link(k, c):
    """Give a file of the host a second name, in the scratch directory or beside it, and read that."""

    def linked(link):
        os.link(c["secret"], link)
        try:
            return text_of(link) == c["file"]
        finally:
            removed(link)

    name = f"hard-{os.getpid()}"
    return by_any(lambda: linked(os.path.join(scratch(), name)), lambda: linked(os.path.join(c["public"], name)))


def device_node(k, c):
    """Make a device of one's own and use it."""
    path = os.path.join(scratch(), f"node-{os.getpid()}")
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    try:
        file = os.open(path, os.O_WRONLY)
        written_bytes = os.write(file, b"x")
        os.close(file)
        return written_bytes
    finally:
        removed(path)


def host_device(k, c):
    """Open a device that is no plain source of bytes."""

    def opened(path):
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        return path

    return by_any(*[lambda path=path: opened(path) for path in ("/dev/ptmx", "/dev/fuse", "/dev/net/tun")])


def existence(k, c):
    """Ask in many ways for a file that exists and for one that does not, and compare the answers."""
    missing = c["secret"] + "-not"

    def errno_of(ask, path):
        try:
            ask(path)
        except OSError as refused:
            return refused.errno
        return 0

    def execute(path):
        raise OSError(exit_or_errno(lambda: os.execv(path, [path])), "execv")

    questions = (
        os.stat,
        os.lstat,
        os.readlink,
        text_of,
        os.chdir,
        os.listxattr,
        os.statvfs,
        execute,
        os.listdir,
        lambda path: None if os.access(path, os.F_OK) else (_ for _ in ()).throw(OSError(2, "access")),
        lambda path: os.stat(path + "/.."),
        lambda path: k.call(254, k.call(294, 0), path.encode(), 2),
    )
    told = [str(n) for n, ask in enumerate(questions) if errno_of(ask, c["secret"]) != errno_of(ask, missing)]
    return ",".join(told)


def exit_or_errno(program):
    """Return the error number that *program* meets in a child."""
    child = os.fork()
    if child == 0:
        try:
            program()
        except OSError as refused:
            os._exit(refused.errno)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def file_handle(k, c):
    """Open a file by its handle, past every path: only a descriptor on the same file system is needed."""
    kind, handle = c["handle"]
    raw = bytes.fromhex(handle)
    blob = len(raw).to_bytes(4, "little") + kind.to_bytes(4, "little", signed=True) + raw

    def opened(place):
        mount = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            file = k.call(304, mount, ctypes.create_string_buffer(blob), os.O_RDONLY)
            with os.fdopen(file) as text:
                return text.read(256) == c["file"]
        finally:
            os.close(mount)

    return by_any(*[lambda place=place: opened(place) for place in ("/usr", "/usr/lib", "/", ".", "/tmp")])

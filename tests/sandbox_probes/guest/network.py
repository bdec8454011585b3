"""Attacks on the network: a database on loopback and by path, abstract sockets, metadata, the odd families."""

import socket


def greeted(connection, c):
    """Return whether the other side says what only the test's listener says."""
    with connection:
        connection.settimeout(5)
        return connection.recv(64).decode() == c["greeting"]


def connected(family, kind, address, protocol=0):
    """Return a connected socket."""
    made = socket.socket(family, kind, protocol)
    made.settimeout(5)
    made.connect(address)
    return made


def tcp_loopback(k, c):
    """Connect to a listener on 127.0.0.1."""
    return greeted(connected(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", c["port"])), c)


def tcp_mapped(k, c):
    """Connect to the same listener by an IPv4-mapped IPv6 address."""
    return greeted(connected(socket.AF_INET6, socket.SOCK_STREAM, ("::ffff:127.0.0.1", c["port"])), c)


def tcp_fast_open(k, c):
    """Connect by sending (MSG_FASTOPEN), never by connect(2)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        made.sendto(b"hello", 0x20000000, ("127.0.0.1", c["port"]))
        return greeted(made, c)


def multipath_tcp(k, c):
    """Connect by multipath TCP, a protocol of its own to the kernel."""
    return greeted(connected(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", c["port"]), 262), c)


def unix_path(k, c):
    """Connect to a unix socket in the file system."""
    return greeted(connected(socket.AF_UNIX, socket.SOCK_STREAM, c["unix"]), c)


def abstract_socket(k, c):
    """Connect to an abstract unix socket."""
    return greeted(connected(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + c["abstract"]), c)


def sent_by_a_pair(address):
    """Send a datagram to *address* with neither socket(2) nor connect(2): over one end of a pair."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        return one.sendto(b"hello", address)


def datagram_pair_path(k, c):
    """Send to a unix datagram socket in the file system over a pair."""
    return sent_by_a_pair(c["unix_datagram"])


def datagram_pair_abstract(k, c):
    """Send to an abstract datagram socket over a pair."""
    return sent_by_a_pair("\0" + c["abstract"] + "-datagram")


def datagram(k, c):
    """Ask a resolver over UDP."""
    with connected(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", c["resolver"])) as made:
        made.send(b"who is there")
        return made.recv(64).decode() == c["greeting"]


def metadata_address(k, c):
    """Look for a route to the clouds' metadata address; nothing is sent."""
    with connected(socket.AF_INET, socket.SOCK_DGRAM, ("169.254.169.254", 80)) as made:
        return made.getsockname()[0]


def vsock(k, c):
    """Make a socket to the hypervisor."""
    with socket.socket(40, socket.SOCK_STREAM) as made:
        return made.fileno() + 1


def netlink(k, c):
    """Ask the kernel for its network interfaces."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as made:
        made.settimeout(5)
        made.send(b"\x14\x00\x00\x00\x12\x00\x01\x03" + bytes(12))
        return len(made.recv(65536))


def raw_socket(k, c):
    """Make a raw socket: as one is, or as the root of a nested namespace."""

    def made(family, protocol):
        with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
            return raw.fileno() + 1

    def nested():
        k.checked(k.libc.unshare(NEWUSER | NEWNET))
        return made(socket.AF_INET, 1)

    return by_any(lambda: made(socket.AF_INET, 1), lambda: made(socket.AF_PACKET, 0), lambda: in_child(nested))

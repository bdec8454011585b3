"""What a process listens on is read from the kernel, whatever the address's family."""

from __future__ import annotations

import os
import socket

from heldtrue.claims.attacks.ports import Listening, listening


def test_every_listening_socket_of_a_process_is_found_and_no_other() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
        socket.create_connection(four.getsockname()) as linked,
    ):
        found = set(listening(os.getpid()))
        for server, address in ((four, "127.0.0.1"), (six, "::1")):
            inode, port = os.fstat(server.fileno()).st_ino, server.getsockname()[1]
            assert Listening(inode, address, port) in found
        assert linked.getsockname()[1] not in {one.port for one in found}
    assert not found & set(listening(os.getpid()))


def test_a_process_that_has_ended_listens_on_nothing() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert list(listening(child)) == []

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
        ours = {
            Listening(os.fstat(server.fileno()).st_ino, address, server.getsockname()[1])
            for server, address in ((four, "127.0.0.1"), (six, "::1"))
        }
        assert ours <= found
        assert linked.getsockname()[1] not in {one.port for one in found}
    assert not ours & set(listening(os.getpid()))  # other tests of this process may serve still


def test_a_process_that_has_ended_listens_on_nothing() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert list(listening(child)) == []

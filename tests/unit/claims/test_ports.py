"""What a process listens on is read from the kernel, whatever the address's family."""

from __future__ import annotations

import codecs
import ctypes
import itertools
import os
import signal
import socket
from collections.abc import Callable

import pytest

from heldtrue.attack import AttackHinderedError
from heldtrue.attack.caller import Address
from heldtrue.claims.attacks.ports import Listening, listened_on, listening

PR_SET_DUMPABLE = 4
USERS = itertools.count(54_321 + os.getpid() % 1_000 * 10)
"""Nobody else's, and another each time: what one test has started may be about to end when the next looks."""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has other users to become")


def test_every_listening_socket_of_a_process_is_found_and_no_other() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
        socket.create_connection(four.getsockname()) as linked,
    ):
        found = set(listening(os.getpid()))
        ours = {
            Listening(os.fstat(server.fileno()).st_ino, address, server.getsockname()[1], os.geteuid())
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


def told(work: Callable[[], str]) -> str:
    """Return what *work* says in a process of its own, of a user whom nobody else is."""
    codecs.lookup("ascii")  # another user may not be able to read the installation
    user, (reader, writer) = next(USERS), os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # the change of user took it away
            os.write(writer, work().encode())
        except BaseException as error:  # noqa: BLE001 - the last line of a process
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as said:
        return said.read().decode()


def closed_listener() -> tuple[int, int]:
    """Start a process that listens and lets nobody look; return its id and its port. It ends with who started it."""
    reader, writer = os.pipe()
    started = os.fork()
    if not started:
        ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        with socket.create_server(("127.0.0.1", 0)) as server:
            os.write(writer, str(server.getsockname()[1]).encode())
            signal.pause()  # it listens until it is killed
    return started, int(os.read(reader, 16))


@as_root
def test_what_lets_nobody_look_is_found_by_its_user() -> None:
    def work() -> str:
        process, port = closed_listener()
        with pytest.raises(PermissionError):
            set(listening(process))
        assert [(one.address, one.port) for one in listened_on({process}, [])] == [("127.0.0.1", port)]
        return "found"

    assert told(work) == "found"


@as_root
def test_what_could_be_a_strangers_is_said_to_be_doubtful_unless_it_is_declared() -> None:
    def work() -> str:
        (process, port), (_, other) = closed_listener(), closed_listener()
        places = [Address("127.0.0.1", one, "localhost") for one in (port, other)]
        assert {one.port for one in listened_on({process}, places)} == {port, other}
        with pytest.raises(AttackHinderedError, match=f"port {other} is listened on"):
            listened_on({process}, places[:1])
        return "doubtful"

    assert told(work) == "doubtful"

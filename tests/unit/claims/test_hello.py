"""The hello by hand agrees with a real TLS library about what a server speaks, older versions included."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from certificates import key_and_cert, write

from heldtrue.attack import AttackHinderedError
from heldtrue.attack.caller import Address
from heldtrue.claims.attacks.hello import VERSIONS, chosen

V = ssl.TLSVersion
GREETING = b"220 mx.example.test ESMTP\r\n"


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("pems")
    authority = key_and_cert("authority", None)
    write(home, "authority", *authority)
    write(home, "server", *key_and_cert("localhost", authority, host=True))
    return home


def context(pems: Path, lowest: ssl.TLSVersion, highest: ssl.TLSVersion) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version, made.maximum_version = lowest, highest
    made.set_ciphers("ALL:@SECLEVEL=0")
    made.load_cert_chain(pems / "server.pem", pems / "server.key")
    return made


@contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Generator[int]:
    """Answer every connection with *talk*, one after the other, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):  # it is closed at the end
                while True:
                    link, _ = listener.accept()
                    with link, contextlib.suppress(OSError):  # a handshake that fails is what some of them are for
                        link.settimeout(5)
                        talk(link)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def over(made: ssl.SSLContext) -> Callable[[socket.socket], None]:
    def talk(link: socket.socket) -> None:
        with made.wrap_socket(link, server_side=True) as wrapped:
            wrapped.recv(1)

    return talk


def agreed(port: int, **more: bool) -> dict[str, int | None]:
    return {name: chosen(Address("127.0.0.1", port, "localhost", **more), number) for name, number in VERSIONS.items()}


@pytest.mark.parametrize(
    ("lowest", "highest", "spoken"),
    [
        (V.TLSv1, V.TLSv1_3, {"TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"}),
        (V.TLSv1, V.TLSv1_1, {"TLS 1.0", "TLS 1.1"}),
        (V.TLSv1_2, V.TLSv1_2, {"TLS 1.2"}),
        (V.TLSv1_2, V.TLSv1_3, {"TLS 1.2", "TLS 1.3"}),
        (V.TLSv1_3, V.TLSv1_3, {"TLS 1.3"}),
    ],
    ids=["old-to-new", "old-only", "1.2-only", "today", "1.3-only"],
)
def test_it_is_told_what_the_library_serves(
    pems: Path, lowest: ssl.TLSVersion, highest: ssl.TLSVersion, spoken: set[str]
) -> None:
    with serving(over(context(pems, lowest, highest))) as port:
        found = agreed(port)
    assert {name for name, number in VERSIONS.items() if found[name] == number} == spoken


def test_a_server_that_asks_for_a_certificate_is_heard_all_the_same(pems: Path) -> None:
    made = context(pems, V.TLSv1_2, V.TLSv1_3)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(pems / "authority.pem")
    with serving(over(made)) as port:
        found = agreed(port)
    assert (found["TLS 1.2"], found["TLS 1.3"]) == (0x0303, 0x0304)


def test_a_server_without_tls_agrees_to_nothing() -> None:
    with serving(lambda link: link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(200))) as port:
        assert set(agreed(port).values()) == {None}


def test_a_mail_server_is_asked_after_starttls(pems: Path) -> None:
    made = context(pems, V.TLSv1, V.TLSv1_3)

    def talk(link: socket.socket) -> None:
        lines = link.makefile("rb")
        link.sendall(GREETING)
        assert lines.readline().startswith(b"EHLO ")
        link.sendall(b"250-mx.example.test\r\n250 STARTTLS\r\n")
        assert lines.readline() == b"STARTTLS\r\n"
        link.sendall(b"220 go ahead\r\n")
        over(made)(link)

    with serving(talk) as port:
        found = agreed(port, starttls=True)
    assert found["TLS 1.0"] == 0x0301
    assert found["TLS 1.3"] == 0x0304


def test_what_cannot_be_asked_is_hindered_and_not_held() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.MonkeyPatch.context() as patch:
        patch.setattr("heldtrue.claims.attacks.hello.TIMEOUT", 0.2)
        with pytest.raises(AttackHinderedError):
            chosen(Address("127.0.0.1", silent.getsockname()[1], "localhost"), VERSIONS["TLS 1.3"])
    with serving(lambda link: link.sendall(b"554 no\r\n")) as port, pytest.raises(AttackHinderedError, match="554"):
        chosen(Address("127.0.0.1", port, "localhost", starttls=True), VERSIONS["TLS 1.3"])

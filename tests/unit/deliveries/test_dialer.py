"""The way out, against a receiver that misbehaves over real TLS."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvloop
from aiohttp.abc import AbstractResolver, ResolveResult
from receiver import Receiver, answers, babbles, drips, drops, floods, hangs

from heldtrue.capabilities.deliveries import connector
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.dialer import EXCERPT, Dialer, Response

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LOOPBACK = AllowList.parse(["127.0.0.0/8"])


class Names(AbstractResolver):
    """A name server that answers with the next of its answers at each question."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host, host=address, port=port, proto=0, flags=0,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
            )
            for address in found
        ]  # fmt: skip

    async def close(self) -> None:
        return None


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Generator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("receiver")) as one:
        yield one


def post(
    receiver: Receiver,
    url: str,
    *,
    allow: AllowList = LOOPBACK,
    ca_file: Path | None = None,
    resolver: AbstractResolver | None = None,
    timeout: float = 15,
) -> Response:
    async def once() -> Response:
        async with Dialer(
            allow, ca_file=ca_file or receiver.ca_file, resolver=resolver, timeout=timedelta(seconds=timeout)
        ) as dialer:
            return await dialer.post(url, b"{}", {"webhook-id": "del_1"}, NOON)

    return uvloop.run(once())  # the loop of the worker


def test_a_receiver_that_is_well_gets_the_body_and_the_headers(receiver: Receiver) -> None:
    got = post(receiver, receiver.url("/well"))
    assert (got.status, got.failure, got.excerpt, got.delivered) == (200, None, b"thank you", True)
    last = receiver.received[-1]
    assert (last.path, last.body, last.headers["webhook-id"]) == ("/well", b"{}", "del_1")
    assert last.headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.behave["/moved"] = answers(status, Location=receiver.url("/target"))
    receiver.behave["/metadata"] = answers(status, Location="https://169.254.169.254/latest/meta-data")
    for path in ("/moved", "/metadata"):
        got = post(receiver, receiver.url(path))
        assert (got.status, got.delivered) == (status, False)
    assert "/target" not in receiver.paths()


def test_a_receiver_that_hangs_times_out(receiver: Receiver) -> None:
    receiver.behave["/hangs"] = hangs
    got = post(receiver, receiver.url("/hangs"), timeout=0.5)
    assert (got.status, got.failure) == (None, "timeout")
    assert got.latency_ms >= 450


def test_a_listener_that_never_shakes_hands_times_out(receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        assert post(receiver, url, timeout=0.5).failure == "timeout"


def test_nobody_listens(receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert post(receiver, f"https://127.0.0.1:{port}/").failure == "connect"


def test_a_dropped_connection_and_babble_are_failures(receiver: Receiver) -> None:
    receiver.behave.update({"/drops": drops, "/babbles": babbles})
    assert post(receiver, receiver.url("/drops")).failure in {"protocol", "connect"}
    assert post(receiver, receiver.url("/babbles")).failure == "protocol"


def test_an_endless_body_is_read_to_two_kibibytes(receiver: Receiver) -> None:
    receiver.behave["/floods"] = floods
    began = time.monotonic()
    got = post(receiver, receiver.url("/floods"), timeout=5)
    assert time.monotonic() - began < 4
    assert (got.status, got.excerpt) == (200, b"x" * EXCERPT)


def test_a_body_that_is_never_finished_does_not_undo_the_status(receiver: Receiver) -> None:
    receiver.behave["/drips"] = drips
    got = post(receiver, receiver.url("/drips"), timeout=0.5)
    assert (got.status, got.excerpt, got.failure) == (200, b"a little", None)


@contextmanager
def raw(receiver: Receiver, says: Callable[[ssl.SSLSocket], None]) -> Generator[str]:
    """Serve one TLS connection that answers with whatever bytes *says* sends."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(receiver.tls.cert, receiver.tls.key)

    def serve() -> None:
        with suppress(OSError), listener.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as secure:
            secure.recv(65536)
            says(secure)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
    thread.join(10)


def test_headers_without_end_are_cut(receiver: Receiver) -> None:
    def endless(secure: ssl.SSLSocket) -> None:
        secure.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(1_000_000):
            secure.sendall(b"x-%d: %s\r\n" % (number, b"y" * 1000))

    with raw(receiver, endless) as url:
        assert post(receiver, url, timeout=10).failure == "protocol"


def test_one_header_that_is_too_long_is_refused(receiver: Receiver) -> None:
    with raw(receiver, lambda secure: secure.sendall(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n")) as url:
        assert post(receiver, url, timeout=10).failure == "protocol"


def test_headers_that_drip_time_out(receiver: Receiver) -> None:
    gone = threading.Event()

    def drip(secure: ssl.SSLSocket) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"x" * 1000:
            if gone.wait(0.05):
                return
            secure.sendall(bytes([byte]))

    with raw(receiver, drip) as url:
        got = post(receiver, url, timeout=1)
        gone.set()
    assert (got.status, got.failure) == (None, "timeout")


def test_retry_after_is_told(receiver: Receiver) -> None:
    receiver.behave["/busy"] = answers(429, **{"Retry-After": "17"})
    assert post(receiver, receiver.url("/busy")).retry_after == timedelta(seconds=17)


def test_a_certificate_of_an_unknown_authority_is_refused(receiver: Receiver, tmp_path: Path) -> None:
    with Receiver(tmp_path / "other") as other:
        assert post(receiver, other.url("/")).failure == "tls"
        assert other.received == []


def test_a_certificate_for_another_name_is_refused(receiver: Receiver) -> None:
    names = Names(["127.0.0.1"])
    assert post(receiver, f"https://example.test:{receiver.port}/", resolver=names).failure == "tls"
    assert post(receiver, f"https://localhost:{receiver.port}/", resolver=names).status == 200


def test_nothing_below_tls_1_2_is_spoken(receiver: Receiver, tmp_path: Path) -> None:
    with Receiver(tmp_path / "old", maximum=ssl.TLSVersion.TLSv1_1) as old:
        assert post(receiver, old.url("/"), ca_file=old.ca_file).failure in {"tls", "connect"}
        assert old.received == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_without_an_allow_list_no_notation_leads_to_loopback(receiver: Receiver, host: str) -> None:
    before = len(receiver.received)
    got = post(receiver, f"https://{host}:{receiver.port}/", allow=AllowList())
    assert got.failure == "refused-address"
    assert len(receiver.received) == before


def test_a_name_that_leads_inside_is_refused(receiver: Receiver) -> None:
    for inner in ("10.0.0.1", "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254"):
        got = post(receiver, f"https://example.test:{receiver.port}/", resolver=Names([inner]))
        assert got.failure == "refused-address", inner


def test_a_name_is_asked_for_once_a_connection_and_what_it_led_to_is_judged(receiver: Receiver) -> None:
    """DNS rebinding: there is no second answer that could differ from the judged one, and each new connection asks."""
    before = len(receiver.received)
    rebinding = Names(["127.0.0.1"], ["10.0.0.1"], ["203.0.114.7", "127.0.0.1"])

    async def posts() -> list[Response]:
        async with Dialer(LOOPBACK, ca_file=receiver.ca_file, resolver=rebinding) as dialer:
            url = f"https://localhost:{receiver.port}/"
            first = await dialer.post(url, b"{}", {}, NOON)
            assert (first.status, rebinding.asked) == (200, 1)
            dialer._lines._tidy()  # pyright: ignore[reportPrivateUsage]
            kept = await dialer.post(url, b"{}", {}, NOON)
            other = await dialer.post(f"https://other.test:{receiver.port}/", b"{}", {}, NOON)
            both = await dialer.post(f"https://both.test:{receiver.port}/", b"{}", {}, NOON)
            return [first, kept, other, both]

    got = uvloop.run(posts())
    assert [one.status for one in got[:2]] == [200, 200]
    assert got[2].failure == "refused-address"
    assert got[3].failure == "tls"  # the listed one of both, whose certificate is for another name
    assert rebinding.asked == 3
    assert len(receiver.received) == before + 2


def test_the_socket_factory_judges_what_the_kernel_is_asked_for(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was believed of a name before: without the first judgement the second one refuses."""
    monkeypatch.setattr(connector, "_permitted", lambda *_: True)
    before = len(receiver.received)
    for url in (f"https://127.0.0.1:{receiver.port}/", f"https://[::ffff:127.0.0.1]:{receiver.port}/"):
        assert post(receiver, url, allow=AllowList()).failure == "refused-address"
    assert len(receiver.received) == before


def test_the_inner_authority_does_not_vouch_for_public_addresses(receiver: Receiver) -> None:
    roads = connector.Roads(LOOPBACK, ca_file=receiver.ca_file, authorities=None)
    assert roads.inner is not None
    ours = [
        len([c for c in road.context.get_ca_certs() if "Heldtrue" in str(c)]) for road in (roads.inner, roads.public)
    ]
    assert ours == [1, 0]


def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert post(receiver, receiver.url("/well")).status == 200

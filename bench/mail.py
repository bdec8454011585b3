"""Messages per second by mail, sealed and synced before each 250, beside a bare aiosmtpd that stores nothing.

One client process on the same cores: over fresh connections (TCP, EHLO, STARTTLS, EHLO, one message, QUIT), and over
connections that are kept. SPF and DMARC of the sender are asked for at a name server on loopback, as for real mail.
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from dns_server import serve_names
from instance import Instance, free_port, until

from bench.report import Row, row, write

CONNECTIONS = 32
SECONDS = 6.0
SIZE = 4096
TEXT = b"From: Ann <ann@sender.test>\r\nSubject: bench\r\n\r\n" + (b"x" * 76 + b"\r\n") * (SIZE // 78)
SETTINGS = """
[limits]
requests_per_second = 1000000
burst = 1000000
[mail]
listen = "127.0.0.1:{port}"
domain = "in.example.test"
resolvers = ["127.0.0.1:{names}"]
connections_per_source = 1000
connections_per_minute = 10000000
messages_per_connection = 1000000
"""


class Client:
    """A connection that sends messages."""

    def __init__(self, port: int, context: ssl.SSLContext, address: str) -> None:
        self._port, self._context = port, context
        self._mail = f"MAIL FROM:<ann@sender.test>\r\nRCPT TO:<{address}>\r\nDATA\r\n".encode()

    async def open(self) -> None:
        self._in, self._out = await asyncio.open_connection("127.0.0.1", self._port)
        await self._said(b"220")
        await self._say(b"EHLO bench.test\r\n", b"250")
        await self._say(b"STARTTLS\r\n", b"220")
        await self._out.start_tls(self._context, server_hostname="localhost")
        await self._say(b"EHLO bench.test\r\n", b"250")

    async def send(self) -> None:
        self._out.write(self._mail)
        for code in (b"250", b"250", b"354"):
            await self._said(code)
        await self._say(TEXT + b".\r\n", b"250")

    async def close(self) -> None:
        await self._say(b"QUIT\r\n", b"221")
        self._out.transport.abort()

    async def _say(self, words: bytes, code: bytes) -> None:
        self._out.write(words)
        await self._said(code)

    async def _said(self, code: bytes) -> None:
        while (line := await self._in.readline())[3:4] == b"-":
            continue
        if not line.startswith(code):
            raise RuntimeError(f"expected {code!r}, heard {line!r}")


async def load(port: int, ca_file: Path, address: str, *, fresh: bool) -> float:
    """Return the messages that were answered with 250 in a second."""
    context = ssl.create_default_context(cafile=str(ca_file))
    count, end = 0, time.perf_counter() + SECONDS

    async def some() -> None:
        nonlocal count
        client = Client(port, context, address)
        await client.open()
        while time.perf_counter() < end:
            await client.send()
            count += 1
            if fresh:
                await client.close()
                client = Client(port, context, address)
                await client.open()
        await client.close()

    begun = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(CONNECTIONS)))
    return count / (time.perf_counter() - begun)


@contextmanager
def bare(root: Path, instance: Instance) -> Iterator[int]:
    """Serve a bare aiosmtpd with the same certificate, which answers 250 and forgets."""
    port = free_port()
    tls = instance.data / "tls"
    program = f"""
import asyncio, ssl
from aiosmtpd.smtp import SMTP
class Sink:
    async def handle_DATA(self, server, session, envelope):
        return "250 ok"
async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain({str(tls / "cert.pem")!r}, {str(tls / "key.pem")!r})
    make = lambda: SMTP(Sink(), hostname="mx", tls_context=context, require_starttls=True)
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", {port}, backlog=512)
    await server.serve_forever()
asyncio.run(main())
"""
    with (
        (root / "bare.txt").open("wb") as output,
        subprocess.Popen([sys.executable, "-c", program], stdout=output, stderr=output) as process,
    ):
        try:
            until(lambda: _answers(port), 20, "the bare server answers")
            yield port
        finally:
            process.kill()


def _answers(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> None:
    """Measure, print and write."""
    rows: list[Row] = []
    zone = {
        ("sender.test", "TXT"): ['"v=spf1 ip4:127.0.0.1 -all"'],
        ("_dmarc.sender.test", "TXT"): ['"v=DMARC1; p=reject"'],
    }
    with tempfile.TemporaryDirectory() as name, serve_names(zone) as names:
        root, port = Path(name), free_port()
        (root / "heldtrue.toml").write_text(SETTINGS.format(port=port, names=names.port))
        instance = Instance(root, ("--no-claims", "--config", str(root / "heldtrue.toml")))
        instance.start()
        try:
            key = instance.organisation("Benchmark")
            address = instance.done("POST", "/v1/addresses", {}, key)["address"]
            with bare(root, instance) as bare_port:
                for fresh, what in ((True, "over fresh TLS connections"), (False, "over connections that are kept")):
                    ours = uvloop.run(load(port, instance.ca_file, address, fresh=fresh))
                    theirs = uvloop.run(load(bare_port, instance.ca_file, address, fresh=fresh))
                    rows.append(row(f"messages {what}, sealed and synced", ours, "1/s", "bare aiosmtpd", theirs))
        finally:
            instance.stop()
    write("mail", rows)

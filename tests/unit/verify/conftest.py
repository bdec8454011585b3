"""A real HTTPS server on loopback, whose files each test decides, and the command as a user runs it."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from heldtrue_verify.cli import main


@dataclass
class Site:
    """Where the server is, and what it serves."""

    url: str
    ca_file: Path
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    later: list[tuple[int, str | None]] = field(default_factory=list)
    """Statuses that come first, one a request, each with its `Retry-After`."""


@dataclass
class Run:
    """What one run of the command gave."""

    exit: int
    report: dict[str, Any]
    text: str

    def step(self, number: int) -> tuple[str, list[str]]:
        step = self.report["steps"][number - 1]
        return step["outcome"], step["found"]

    @property
    def failed(self) -> list[int]:
        return [step["step"] for step in self.report["steps"] if step["outcome"] in ("fails", "unusable")]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem"


@pytest.fixture
def site(certificate: Path) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one segment an answer

        def do_GET(self) -> None:
            served.asked.append(self.path)
            body = served.files.get(self.path)
            status, wait = served.later.pop(0) if served.later else (404 if body is None else 200, None)
            self.send_response(status)
            if wait is not None:
                self.send_header("Retry-After", wait)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: Any) -> None:
            del args

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of refused handshakes: tests assert what the client says of them."""

    server = Quiet(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    served = Site(f"https://localhost:{server.server_address[1]}", certificate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Run the command; files may be given as objects. The state is the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(*arguments: Any) -> Run:
        words: list[str] = []
        for number, argument in enumerate(arguments):
            if isinstance(argument, dict | bytes):
                file = tmp_path / f"input-{number}"
                file.write_bytes(argument if isinstance(argument, bytes) else json.dumps(argument).encode())
                words.append(str(file))
            else:
                words.append(str(argument))
        capsys.readouterr()  # what others printed before
        status = main([*words, "--json"])
        report = json.loads(capsys.readouterr().out)
        again = main(words)
        text = capsys.readouterr().out
        assert status == again == report["exit"]
        return Run(status, report, text)

    return run

"""A door on a network: whoever asks proves who it is by a certificate. And the built-in proxy in HTTP/2."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Generator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from certificates import key_and_cert, write
from instance import Instance, free_port, until

from heldtrue.capabilities.edge.doors.remote import RemoteDoor
from heldtrue.capabilities.edge.model import EdgeCall, Verdict

pytestmark = [pytest.mark.drill, pytest.mark.timeout(120)]
HOST = "api.example.test"


class Api(BaseHTTPRequestHandler):
    """The API behind the proxy; answers with what it was asked and sent."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps([self.request_version, self.path, sent.decode()]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return None


@dataclass(frozen=True)
class Stage:
    instance: Instance
    files: Path
    door: int
    proxy: int
    key: str

    def remote(self, client: str) -> Verdict:
        """Ask as an application elsewhere does, with the certificate of *client*."""

        async def once() -> Verdict:
            door = RemoteDoor.tls(
                f"localhost:{self.door}",
                str(self.instance.ca_file),
                str(self.files / f"{client}.pem"),
                str(self.files / f"{client}.key"),
                timeout=20,
            )
            bearer = f"Bearer {self.key}".encode()
            call = EdgeCall("GET", b"/v1/a", (bearer,), None, "203.0.113.9", HOST, "req_" + os.urandom(16).hex())
            try:
                return await door.judge(call)
            finally:
                await door.close()

        return asyncio.run(once())


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stage]:
    root = tmp_path_factory.mktemp("mtls")
    authority = key_and_cert("proxies", None)
    write(root, "ca", *authority)
    write(root, "proxy", *key_and_cert("proxy", authority))
    write(root, "stranger", *key_and_cert("stranger", None))
    api = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    serving = threading.Thread(target=api.serve_forever, args=(0.01,))
    serving.start()
    door, proxy = free_port(), free_port()
    (root / "data").mkdir(mode=0o700)
    (root / "data" / "heldtrue.toml").write_text(
        f'[edge]\nlisten = "127.0.0.1:{door}"\nclient_ca = "{root / "ca.pem"}"\ntrusted_proxies = ["127.0.0.0/8"]\n'
        f'upstream = "http://127.0.0.1:{api.server_port}"\nproxy_listen = "127.0.0.1:{proxy}"\npublic_host = "{HOST}"\n'
    )
    instance = Instance(root, ("--no-claims",))
    try:
        instance.start()
        stage = Stage(instance, root, door, proxy, instance.organisation("Edge"))
        until(lambda: stage.remote("proxy").allowed, 20, "the door knows the new key")
        yield stage
    finally:
        instance.stop()
        api.shutdown()
        serving.join()
        api.server_close()


def test_an_application_elsewhere_is_answered_when_its_certificate_is_of_the_authority(stage: Stage) -> None:
    verdict = stage.remote("proxy")
    assert (verdict.allowed, verdict.status) == (True, 200)


def test_a_certificate_of_somebody_else_opens_no_door(stage: Stage) -> None:
    verdict = stage.remote("stranger")
    assert (verdict.allowed, verdict.status, verdict.code) == (False, 503, "door-away")


@pytest.mark.parametrize("client", ["nobody", "stranger", "proxy"])
def test_the_door_answers_only_whoever_proves_itself(stage: Stage, client: str) -> None:
    """A raw question, so that the door's own refusal is seen, and not the asking side's word for it."""
    context = ssl.create_default_context(cafile=str(stage.instance.ca_file))
    if client != "nobody":
        context.load_cert_chain(stage.files / f"{client}.pem", stage.files / f"{client}.key")
    connection = http.client.HTTPSConnection("localhost", stage.door, timeout=20, context=context)
    headers = {"X-Original-Method": "GET", "X-Original-URI": "/v1/a", "X-Original-Host": HOST}
    try:
        connection.request("GET", "/auth/nginx", headers={**headers, "Authorization": f"Bearer {stage.key}"})
        status = connection.getresponse().status
    except (ssl.SSLError, ConnectionError):
        status = None
    finally:
        connection.close()
    assert status == (204 if client == "proxy" else None)


def test_in_clear_there_is_no_door(stage: Stage) -> None:
    connection = http.client.HTTPConnection("localhost", stage.door, timeout=20)
    try:
        connection.request("GET", "/auth/nginx")
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            connection.getresponse()
    finally:
        connection.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("http", ["2", "1.1"])
def test_the_built_in_proxy_speaks_http_2_to_clients(stage: Stage, http: str) -> None:
    """The upstream is spoken to in HTTP/1.1 all the same; what was sent and answered arrives whole."""
    body = "x" * 70_000
    done = subprocess.run(
        ["curl", "--silent", "--show-error", f"--http{http}", "--cacert", stage.instance.ca_file, "--data-binary", "@-",
         "--header", f"Authorization: Bearer {stage.key}", "--header", f"Host: {HOST}",
         "--write-out", "\n%{http_version} %{http_code}", f"https://localhost:{stage.proxy}/v1/a?b"],
        input=body, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    answer, _, said = done.stdout.rpartition("\n")
    assert said == f"{http} 200"
    assert json.loads(answer) == ["HTTP/1.1", "/v1/a?b", body]

"""A real instance with a door for proxies and a proxy of its own: they serve, survive, refuse, and leave nothing."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from instance import HELDTRUE, Instance, Said, free_port, until

from heldtrue.capabilities.edge.doors.remote import RemoteDoor
from heldtrue.capabilities.edge.model import EdgeCall, Verdict
from heldtrue_verify.identity import verify_identity

pytestmark = [pytest.mark.drill, pytest.mark.timeout(120)]
HOST = "api.example.test"


class Api(BaseHTTPRequestHandler):
    """The API behind the proxy; tells what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps([self.path, list(self.headers.items())]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return None


class Stage:
    """The instance, its two doors, and an organisation's key."""

    def __init__(self, root: Path, api: int) -> None:
        self.proxy, self.socket = free_port(), root / "edge.sock"
        (root / "data").mkdir(mode=0o700)
        (root / "data" / "heldtrue.toml").write_text(
            f'[edge]\nlisten = "unix:{self.socket}"\nprocesses = 2\ntrusted_proxies = ["unix"]\n'
            f'upstream = "http://127.0.0.1:{api}"\nproxy_listen = "127.0.0.1:{self.proxy}"\npublic_host = "{HOST}"\n'
        )
        self.instance = Instance(root, ("--no-claims",))
        self.instance.start()
        made = {"upstream": "default"}
        operator = self.instance.operator_key()
        self.upstream_key = self.instance.done("POST", "/v1/upstream-keys", made, operator)["secret"]
        self.key = self.instance.organisation("Edge")

    def children(self) -> list[psutil.Process]:
        """Return the edge processes."""
        assert self.instance.process is not None
        below = psutil.Process(self.instance.process.pid).children()
        return sorted(
            (p for p in below if p.name().startswith("heldtrue-edge")), key=lambda p: (p.create_time(), p.pid)
        )

    def ask(self, key: str | None = None) -> Said:
        """Ask at the forward-auth door, as nginx does."""
        connection = http.client.HTTPConnection("door", timeout=5)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        connection.sock.connect(str(self.socket))
        with contextlib.closing(connection):
            connection.request("GET", "/auth/nginx", headers={
                "X-Original-Method": "GET", "X-Original-URI": "/v1/a?b", "X-Original-Host": HOST,
                "Authorization": f"Bearer {key or self.key}",
            })  # fmt: skip
            answer = connection.getresponse()
            return Said(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def get(self, key: str | None, timeout: float = 5.0) -> Said:
        """Call the API through the built-in proxy."""
        context = ssl.create_default_context(cafile=str(self.instance.ca_file))
        connection = http.client.HTTPSConnection("127.0.0.1", self.proxy, timeout=timeout, context=context)
        with contextlib.closing(connection):
            headers = {"Host": HOST, **({"Authorization": f"Bearer {key}"} if key else {})}
            connection.request("GET", "/v1/a?b", headers=headers)
            answer = connection.getresponse()
            return Said(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def remote(self, *, timeout: float = 2.0) -> Verdict:
        """Ask as an application elsewhere does."""

        async def once() -> Verdict:
            door = RemoteDoor.unix(str(self.socket), timeout=timeout)
            request = "req_" + os.urandom(16).hex()
            call = EdgeCall("GET", b"/v1/a?b", (f"Bearer {self.key}".encode(),), None, "203.0.113.9", HOST, request)
            try:
                return await door.judge(call)
            finally:
                await door.close()

        return asyncio.run(once())


@pytest.fixture(scope="module")
def opened_stage(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stage]:
    api = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    serving = threading.Thread(target=api.serve_forever, args=(0.01,))
    serving.start()
    opened = None
    try:
        opened = Stage(tmp_path_factory.mktemp("edge"), api.server_port)
        yield opened
    finally:
        if opened is not None:
            opened.instance.stop()
        api.shutdown()
        serving.join()
        api.server_close()


@pytest.fixture
def stage(opened_stage: Stage) -> Stage:
    """The same for every test; started again where one has ended it."""
    process = opened_stage.instance.process
    if process is not None and process.poll() is not None:
        opened_stage.instance.start()
    return opened_stage


def test_both_doors_admit_and_vouch_for_whoever_has_a_key(stage: Stage) -> None:
    def vouched_through() -> list | None:
        """What the API was asked, once the process that answered stamps: each looks at the new key on its own."""
        said = stage.get(stage.key)
        assert said.status == 200, said
        asked = said.json()
        return asked if any(name == "heldtrue-identity" for name, _ in asked[1]) else None

    def vouched_beside() -> Said | None:
        said = stage.ask()
        assert (said.status, said.body) == (204, b"")
        return said if "heldtrue-identity" in said.headers else None

    target, headers = until(vouched_through, 20, "an identity through the proxy")
    assert target == "/v1/a?b"
    through = verify_identity(headers, "GET", HOST, target, [stage.upstream_key])
    asked = until(vouched_beside, 20, "an identity at the door")
    beside = verify_identity(asked.headers, "GET", HOST, "/v1/a?b", [stage.upstream_key])
    assert (through.tenant, through.subject) == (beside.tenant, beside.subject)
    assert stage.remote().allowed
    assert stage.get(None).status == 401
    assert stage.ask("ht_sk_live_x").status == 401


def test_the_door_is_for_its_owner_and_group_alone(stage: Stage) -> None:
    found = stage.socket.stat()
    assert stat.S_IMODE(found.st_mode) == 0o660
    uids = {process.uids().real for process in stage.children()}
    assert uids == {found.st_uid}
    assert os.geteuid() != 0 or 0 not in uids


def test_a_revoked_key_is_refused_at_both_doors_within_a_second(stage: Stage) -> None:
    admin = stage.key
    made = stage.instance.done("POST", "/v1/keys", {"name": "short", "role": "sender"}, admin)
    until(lambda: stage.ask(made["secret"]).status == 204, 5, "the new key is known")
    stage.instance.call("DELETE", f"/v1/keys/{made['id']}", key=admin)
    until(lambda: stage.ask(made["secret"]).status == 401, 1, "the door refuses")
    until(lambda: stage.get(made["secret"]).status == 401, 1, "the proxy refuses")


def test_a_new_certificate_exchanges_the_processes_one_by_one_and_nobody_is_turned_away(stage: Stage) -> None:
    before = {process.pid for process in stage.children()}
    assert len(before) == 2
    assert stage.instance.process is not None
    stage.instance.process.send_signal(signal.SIGHUP)

    def exchanged() -> bool:
        assert stage.get(stage.key).status == 200
        assert stage.ask().status == 204
        now = {process.pid for process in stage.children()}
        return len(now) == 2 and not now & before

    until(exchanged, 30, "both are new")


def test_a_process_that_dies_comes_back_and_meanwhile_nobody_is_let_in(stage: Stage) -> None:
    dead = stage.children()
    for process in dead:
        process.send_signal(signal.SIGSTOP)
    assert (stage.remote(timeout=0.5).allowed, stage.remote(timeout=0.5).code) == (False, "door-away")
    with pytest.raises(OSError, match="timed out"):
        stage.get(stage.key, timeout=0.5)
    for process in dead:
        process.kill()
    killed = {process.pid for process in dead}
    until(lambda: len({p.pid for p in stage.children()} - killed) == 2, 10, "two new ones")
    until(lambda: stage.ask().status == 204, 10, "the door answers")
    assert stage.get(stage.key).status == 200


def test_the_end_leaves_no_socket_and_no_process(stage: Stage) -> None:
    tree = stage.instance.tree()
    assert stage.instance.stop() == 0
    assert not stage.socket.exists()
    gone, alive = psutil.wait_procs(tree, timeout=5)
    assert (len(gone), alive) == (len(tree), [])
    assert stage.remote().code == "door-away"
    assert "imported late" not in stage.instance.output()
    assert "Traceback" not in stage.instance.output()


def test_a_second_start_on_the_same_directory_says_what_to_do(stage: Stage) -> None:
    """`heldtrue edge` is `up` with the proxy in front; on a served directory it explains how to add it there."""
    command = [HELDTRUE, "edge", "--upstream", "http://127.0.0.1:3000", "--data-dir", stage.instance.data]
    command += [
        "--listen",
        f"127.0.0.1:{free_port()}",
        "--platform-key",
        f"file:{stage.instance.keys / 'platform.key'}",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert 'upstream = "http://127.0.0.1:3000"' in " ".join(said.stderr.split())

"""The witness as a program: it serves over TLS, and a SIGKILL between any two requests makes it forget nothing."""

from __future__ import annotations

import http.client
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from instance import free_port, until
from tests.unit.verify.conftest import certificate
from tests.unit.verify.simulator import Operator, b64, jcs
from tests.unit.witness.conftest import request

from heldtrue_witness import keys
from heldtrue_witness.cli import main

__all__ = ["certificate"]


class Program:
    """`python -m heldtrue_witness serve` in a process of its own."""

    def __init__(self, folder: Path, log: str, certificate: Path | None) -> None:
        self.folder, self.log, self.certificate, self.port = folder, log, certificate, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "heldtrue_witness", "serve", "--listen", f"127.0.0.1:{self.port}"]
        command += ["--key", str(self.folder / "key"), "--state", str(self.folder / "state"), "--log", self.log]
        if self.certificate:
            command += ["--tls-cert", str(self.certificate), "--tls-key", str(self.certificate.with_name("key.pem"))]
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        until(lambda: self.alive() and self.answers(), 30, "the witness serves")

    def alive(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "output").read_text()
        return True

    def answers(self) -> bool:
        try:
            return self.call("GET", "/")[0] == 405
        except OSError:
            return False

    def call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        if self.certificate:
            context = ssl.create_default_context(cafile=str(self.certificate))
            link: http.client.HTTPConnection = http.client.HTTPSConnection(
                "localhost", self.port, timeout=15, context=context
            )
        else:
            link = http.client.HTTPConnection("localhost", self.port, timeout=15)
        link.request(method, path, body=body)
        answer = link.getresponse()
        found = answer.status, answer.read()
        link.close()
        return found

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def program(operator: Operator, tmp_path: Path, certificate: Path) -> Iterator[Program]:
    made = Program(tmp_path, operator.log_key.vkey(), certificate)
    code = main(["new", "--name", "w.example", "--key", str(tmp_path / "key"), "--state", str(tmp_path / "state")])
    assert code == 0
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end(signal.SIGKILL)


def test_killed_between_requests_it_never_signs_a_second_history(program: Program, operator: Operator) -> None:
    seen = 0
    for size in (100, 200):
        program.start()
        status, body = program.call("POST", "/w/add-checkpoint", request(operator, seen, size))
        assert (status, body[:12]) == (200, "— w.example ".encode()[:12])
        program.end(signal.SIGKILL)
        seen = size
    forked = Operator(operator.origin, operator.now)
    forked.log_key, forked.entries = operator.log_key, [*operator.entries]
    forked.entries[3] = jcs({"v": 1, "kind": "tenant", "c": b64(bytes(32))})
    program.start()
    assert program.call("POST", "/add-checkpoint", request(forked, 200, 200))[0] == 409
    assert program.call("POST", "/add-checkpoint", request(forked, 200, 300))[0] == 422
    assert program.call("POST", "/add-checkpoint", request(operator, 0, 100)) == (409, b"200\n")
    assert program.call("POST", "/add-checkpoint", b"x" * 70_000)[0] == 413
    assert program.call("POST", "/other", b"x")[0] == 404
    assert program.call("POST", "/add-checkpoint", request(operator, 200))[0] == 200
    assert program.end() == 0


def test_a_second_program_on_the_same_record_does_not_start(program: Program, operator: Operator) -> None:
    program.start()
    command = [sys.executable, "-m", "heldtrue_witness", "serve", "--listen", f"127.0.0.1:{free_port()}", "--key"]
    command += [str(program.folder / "key"), "--state", str(program.folder / "state"), "--log", program.log]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (second.returncode, "Another witness holds" in second.stderr) == (2, True)
    assert program.end() == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--listen", "0.0.0.0:1"], "loopback only"),
        (["--listen", "nonsense"], "HOST:PORT"),
        (["--log", "@/no/such/file"], "cannot be read"),
        (["--log", "w.example+00000000+AAAA"], "verifier key"),
        (["--tls-cert", "cert.pem"], "together"),
    ],
    ids=["in clear to others", "no port", "no file", "no key", "half a certificate"],
)
def test_what_cannot_be_used_is_named(
    program: Program, change: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["serve", "--key", str(program.folder / "key"), "--state", str(program.folder / "state")]
    assert main([*command, "--log", program.log, *change]) == 2
    assert said in capsys.readouterr().err


def test_the_key_is_shown_again(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "--key", str(program.folder / "key")]) == 0
    assert capsys.readouterr().out == f"{keys.load(program.folder / 'key').public}\n"

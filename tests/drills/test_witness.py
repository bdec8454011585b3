"""A real instance and a real witness, each a program of its own: cosigned, verified, killed, lagging, and caught up."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from instance import HELDTRUE, Instance, until
from tests.unit.verify.conftest import certificate, site
from tests.unit.witness.test_program import Program

from heldtrue_verify.note import VerifierKey
from heldtrue_witness import keys

__all__ = ["certificate", "site"]
pytestmark = pytest.mark.drill
VERIFY = (sys.executable, "-m", "heldtrue_verify.cli", "page")


class Pair:
    """The instance, and the witness that it is told of before either has started."""

    def __init__(self, folder: Path, certificate: Path) -> None:
        self.instance = Instance(folder / "i", ("--no-claims",))
        (folder / "w").mkdir()
        (folder / "i" / "data").mkdir(parents=True)
        command = [sys.executable, "-m", "heldtrue_witness", "new", "--name", "w.example", "--key", folder / "w/key"]
        made = subprocess.run([*command, "--state", folder / "w/state"], check=True, capture_output=True, text=True)
        self.vkey = made.stdout.strip()
        assert str(keys.load(folder / "w/key").public) == self.vkey
        self.witness = Program(folder / "w", "", certificate)
        (folder / "i" / "data" / "heldtrue.toml").write_text(
            f'[[witness]]\nurl = "https://localhost:{self.witness.port}/w"\nvkey = "{self.vkey}"\n'
            f'[destinations]\nallow = ["127.0.0.0/8", "::1/128"]\nca_file = "{certificate}"\n'
        )

    def standing(self) -> dict[str, Any]:
        return self.instance.call("GET", "/log/witnesses").json()["witnesses"][0]

    def caught_up(self) -> dict[str, Any] | None:
        found = self.standing()
        return found if found["behind"] == 0 and not found["trouble"] else None

    def verify(self, state: Path, *more: str, url: str | None = None, ca: Path | None = None) -> tuple[int, Any]:
        command = [*VERIFY, url or self.instance.url, "--pin", self.instance.pin(), "--witness", self.vkey]
        command += ["--ca-file", str(ca or self.instance.ca_file), "--state-dir", str(state), "--json", *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("witness"), certificate)
    made.instance.start()
    yield made
    if made.witness.process is not None and made.witness.process.poll() is None:
        made.witness.end(signal.SIGKILL)
    made.instance.stop()


def test_from_a_dead_witness_to_a_page_that_a_stranger_trusts(pair: Pair, tmp_path: Path, site: Any) -> None:
    """One story, in order: each part begins where the one before ended."""
    instance, witness = pair.instance, pair.witness

    # The instance serves and publishes though its witness does not exist yet; the lag is shown everywhere.
    before = pair.standing()
    assert (before["size"], before["late"]) == (None, True)
    assert int(instance.call("GET", "/log/checkpoint").body.split(b"\n")[1]) > 0
    until(lambda: pair.standing()["trouble"] == "it cannot be reached", 30, "the trouble is told")
    told = subprocess.run(
        [HELDTRUE, "log", "witnesses", "--data-dir", instance.data], capture_output=True, text=True, check=False
    )
    assert (told.returncode, "it cannot be reached" in told.stdout) == (1, True)
    examined = subprocess.run(
        [HELDTRUE, "doctor", "--data-dir", instance.data], capture_output=True, text=True, check=False
    )
    assert "w.example has cosigned nothing yet; it cannot be reached" in examined.stdout
    assert pair.verify(tmp_path / "a")[0] == 1  # who pins the witness is not content

    # The witness starts, given the pin, and everything holds.
    witness.log = instance.pin()
    witness.start()
    until(pair.caught_up, 90, "the witness has cosigned")
    status, report = pair.verify(tmp_path / "a")
    assert status == 0, report
    assert "by the clock of w.example" in report["steps"][1]["found"][0]
    served = until(lambda: _cosigned(instance), 30, "the served checkpoint carries it").decode()
    assert served.splitlines()[4].startswith(f"— {served.splitlines()[0]} ")  # the log's own signature comes first
    assert instance.call("GET", f"/log/witnesses/{VerifierKey.parse(pair.vkey).id.hex()}").status == 200
    assert instance.call("GET", "/log/witnesses/00000000").status == 404
    assert pair.vkey in instance.done("GET", "/.well-known/heldtrue.json")["witnesses"]
    assert instance.done("GET", "/trust.json")["witnesses"][0]["name"] == "w.example"
    until(lambda: b'heldtrue_witness_behind_entries{witness="w.example"}' in _metrics(instance), 30, "the metric")

    # A receipt's proof carries the cosignature, so that a witness dates it.
    key = instance.organisation("Acme")
    leaf = until(lambda: instance.done("GET", "/v1/audit", key=key)["data"], 30, "an entry")[0]["leaf_id"]
    proven = until(lambda: _proof(instance, leaf, key), 90, "the entry is witnessed")
    (tmp_path / "proof.json").write_bytes(proven)
    command = [*VERIFY[:-1], "proof", str(tmp_path / "proof.json"), "--pin", instance.pin(), "--witness", pair.vkey]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0

    # Both are killed, and go on where they were.
    witness.end(signal.SIGKILL)
    instance.kill_tree()
    instance.start()
    witness.start()
    until(pair.caught_up, 90, "the witness has cosigned again")
    status, report = pair.verify(tmp_path / "a")
    assert status == 0, report
    assert "are the beginning of" in report["steps"][2]["found"][0]

    # A doctored copy beside it: the same log and signatures, and a page that says better.
    site.files = _Doctored(instance, b'"state":"stale"', b'"state":"proven"')
    status, report = pair.verify(tmp_path / "b", url=site.url, ca=site.ca_file)
    assert status == 1
    assert any("The page calls" in sentence for step in report["steps"] for sentence in step["found"])


class _Doctored(dict[str, bytes]):
    """What the instance answers, but for the JSON of its page."""

    def __init__(self, instance: Instance, old: bytes, new: bytes) -> None:
        super().__init__()
        self._instance, self._old, self._new = instance, old, new

    def get(self, path: str, default: Any = None) -> Any:
        said = self._instance.call("GET", path)
        if said.status != 200:
            return default
        return said.body.replace(self._old, self._new, 1) if path == "/trust.json" else said.body


def _cosigned(instance: Instance) -> bytes | None:
    body = instance.call("GET", "/log/checkpoint").body
    return body if "— w.example ".encode() in body else None


def _metrics(instance: Instance) -> bytes:
    return instance.call("GET", "/metrics").body


def _proof(instance: Instance, leaf: str, key: str) -> bytes | None:
    said = instance.call("GET", f"/v1/audit/{leaf}/proof", key=key)
    return said.body if said.status == 200 and b"w.example" in said.body else None

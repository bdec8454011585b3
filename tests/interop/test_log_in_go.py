"""The Go team's `sumdb/note` and `sumdb/tlog` accept the log that the sequencer wrote, and nothing else."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.unit.verify.simulator import Operator

from heldtrue_verify.tiles import tile_path

pytestmark = pytest.mark.interop
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def copy(journey: Any, tmp_path: Path) -> Path:
    """A copy of the log's folder, to be spoiled."""
    return Path(shutil.copytree(journey.log, tmp_path / "log"))


def test_every_record_and_every_earlier_tree(journey: Any, checklog: Run) -> None:
    answer = checklog(journey.vkey, journey.log, *journey.earlier)
    assert answer.returncode == 0, answer.stderr
    said = answer.stdout.split()
    assert int(said[1]) > 700
    assert said[3] == "3"


def test_over_http_too(journey: Any, checklog: Run) -> None:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            del args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(journey.log))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        answer = checklog(journey.vkey, f"http://127.0.0.1:{server.server_address[1]}", journey.earlier[0])
        server.shutdown()
        thread.join()
    assert answer.returncode == 0, answer.stderr


def test_another_key_is_refused(journey: Any, checklog: Run) -> None:
    name, _, rest = journey.vkey.partition("+")
    answer = checklog(f"{name}x+{rest}", journey.log)
    assert answer.returncode == 1


@pytest.mark.parametrize("path", [tile_path("entries", 0), tile_path("entries", 1), tile_path(0, 0), "checkpoint"])
def test_one_changed_byte_is_refused(journey: Any, checklog: Run, copy: Path, path: str) -> None:
    file = copy / path
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.chmod(0o644)
    file.write_bytes(data)
    answer = checklog(journey.vkey, copy)
    assert answer.returncode == 1
    assert "refused" in answer.stderr


def test_an_earlier_tree_that_is_not_the_beginning_is_refused(checklog: Run, tmp_path: Path) -> None:
    """The operator signs another history: Go's packages see it, as ours do."""
    operator = Operator()
    operator.log_others(600)
    for path, data in operator.page().items():
        if path.startswith("/log/"):
            file = tmp_path / path.removeprefix("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    honest, forked = tmp_path / "honest", tmp_path / "forked"
    honest.write_text(operator.checkpoint(size=300))
    operator.entries[7] = b"rewritten"
    forked.write_text(operator.checkpoint(size=300))
    assert checklog(operator.log_key.vkey(), tmp_path / "log", honest).returncode == 0
    answer = checklog(operator.log_key.vkey(), tmp_path / "log", forked)
    assert answer.returncode == 1
    assert "forked" in answer.stderr

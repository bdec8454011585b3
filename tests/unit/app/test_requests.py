"""What the operator asks of a running worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from heldtrue.app import instance, requests
from heldtrue.app.publication import PAUSE
from heldtrue.kernel.errors import UnavailableError


def test_what_is_asked_for_is_heard_once(tmp_path: Path) -> None:
    data = instance.prepare(tmp_path, None)
    assert list(requests.asked(data.run)) == []
    requests.ask(data, "ledger.rewrite", "control")
    requests.ask(data, "ledger.rewrite", "broken-control")
    assert sorted(requests.asked(data.run)) == [("ledger.rewrite", "broken-control"), ("ledger.rewrite", "control")]
    assert list(requests.asked(data.run)) == []


def test_a_pause_is_a_file(tmp_path: Path) -> None:
    data = instance.prepare(tmp_path, None)
    requests.leave(data, PAUSE)
    assert (data.run / PAUSE).exists()
    requests.take_back(data, PAUSE)
    requests.take_back(data, PAUSE)
    assert not (data.run / PAUSE).exists()


def test_no_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be written"):
        requests.leave(instance.DataDir(tmp_path / "none"), PAUSE)

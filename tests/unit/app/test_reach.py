"""A data directory below a private one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from heldtrue.app import reach

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has service users to make way for")


def test_a_private_parent_is_seen(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert not reach.crossable(tmp_path / "data")
    assert reach.crossable(Path("/var/lib/heldtrue"))


def test_a_service_user_gets_through_and_nobody_else_notices(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    data = tmp_path / "data"
    data.mkdir(mode=0o711)
    (data / "file").write_text("reached")
    (data / "file").chmod(0o644)
    place = Path(tempfile.mkdtemp(prefix="heldtrue-reach-"))
    program = f"""
import os
from pathlib import Path
from heldtrue.app import reach
way = reach.reachable(Path({str(data)!r}), Path({str(place)!r}))
assert way != Path({str(data)!r})
os.setresuid(65534, 65534, 65534)
print((way / "file").read_text(), way)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert said.stdout.startswith("reached "), said.stderr
    way = Path(said.stdout.split()[1])
    assert not any(way.iterdir())
    way.rmdir()
    place.rmdir()

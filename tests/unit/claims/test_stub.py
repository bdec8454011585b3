"""`heldtrue claims new`: a package whose test fails until its attack is written, and then is green."""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from heldtrue.claims import stub
from heldtrue.kernel.errors import SettingsError

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "own-claims.md"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A package as `heldtrue claims new` leaves it, importable as its own configuration says."""
    stub.write("sample_site", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "sample_site" / "src"))
    yield tmp_path / "sample_site"
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "sample_site"]:
        del sys.modules[name]
    importlib.invalidate_caches()


def outcomes(home: Path) -> dict[str, bool]:
    """Run the package's own tests, as they stand; return which of them pass."""
    forget()
    tests = runpy.run_path(str(home / "tests" / "test_attack.py"))
    found: dict[str, bool] = {}
    for name, test in tests.items():
        if name.startswith("test_"):
            try:
                test()
                found[name] = True
            except AssertionError:
                found[name] = False
    return found


def test_the_stub_fails_for_its_own_reason_and_goes_green_as_the_guide_says(package: Path) -> None:
    assert all(
        "NAME" not in path.read_text() for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"
    )
    before = outcomes(package)
    assert len(before) == 3
    assert [name for name, good in before.items() if not good] == ["test_the_attack_sees_through_the_broken_control"]
    written = GUIDE.read_text().split("<!-- attack -->\n```python\n")[1].split("```")[0]
    attack = package / "src" / "sample_site" / "attack.py"
    head, _, rest = attack.read_text().partition("def run(")
    head = head.replace("import Attack, Finding, Place, held", "import Attack, Finding, Place, judged")
    attack.write_text(head + written + "\n\nATTACK" + rest.partition("\n\nATTACK")[2])
    assert outcomes(package) == dict.fromkeys(before, True)


@pytest.mark.parametrize("name", ["", "Sample", "1st", "a-b", "../up", "a" * 40])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        stub.write(name, tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    stub.write("mine", tmp_path)
    with pytest.raises(stub.TakenError):
        stub.write("mine", tmp_path)

"""Promises about the whole code base: tiers, primitives, secrets, size of rooms, links of the documents."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from bench.__main__ import NAMES

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py")) + sorted((ROOT / "verify" / "heldtrue_verify").rglob("*.py"))
LINES = 400


def imported(path: Path) -> set[str]:
    """Return the modules that a source file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
    return found


def top_levels(path: Path) -> set[str]:
    """Return the top-level packages that a source file imports."""
    return {name.split(".")[0] for name in imported(path)}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the import contracts of *root* over the packages in it."""
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-cache"], cwd=root, env={"PYTHONPATH": f"{root / 'src'}:{root / 'verify'}", "PATH": "/usr/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def copy_of_the_house(to: Path) -> Path:
    """Copy what the import contracts are about."""
    ignore = shutil.ignore_patterns("__pycache__", "*.woff2")
    shutil.copytree(ROOT / "src", to / "src", ignore=ignore)
    shutil.copytree(ROOT / "verify", to / "verify", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", to)
    return to


def test_each_tier_imports_only_downward(tmp_path: Path) -> None:
    outcome = lint_imports(copy_of_the_house(tmp_path))
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("src/heldtrue/kernel/clock.py", "import heldtrue.crypto.digest"),
        ("src/heldtrue/crypto/digest.py", "import heldtrue.db.tx"),
        ("src/heldtrue/http/route.py", "import heldtrue.capabilities.access.model"),
        ("verify/heldtrue_verify/tree.py", "import heldtrue.kernel.ids"),
    ],
)
def test_an_import_upward_is_seen(tmp_path: Path, module: str, line: str) -> None:
    house = copy_of_the_house(tmp_path)
    with (house / module).open("a") as file:
        file.write(f"\n{line}\n")
    outcome = lint_imports(house)
    assert outcome.returncode != 0
    assert "BROKEN" in outcome.stdout


def test_primitives_are_used_in_the_crypto_room_and_the_verifier_only() -> None:
    users = {path.relative_to(ROOT).parts[:3] for path in SOURCES if "cryptography" in top_levels(path)}
    assert {"/".join(parts[:3]) for parts in users} <= {"src/heldtrue/crypto"} | {
        f"verify/heldtrue_verify/{p.name}" for p in (ROOT / "verify/heldtrue_verify").glob("*.py")
    }


def test_the_verifier_needs_the_standard_library_and_cryptography_only() -> None:
    for path in (ROOT / "verify" / "heldtrue_verify").rglob("*.py"):
        foreign = {name for name in top_levels(path) if name not in sys.stdlib_module_names}
        assert foreign <= {"cryptography", "heldtrue_verify"}, f"{path.name} imports {foreign}"


def test_a_store_is_used_by_its_own_capability_only() -> None:
    for path in SOURCES:
        here = path.relative_to(ROOT).parts
        mine = here[3] if here[:3] == ("src", "heldtrue", "capabilities") else ""
        for name in imported(path):
            parts = name.split(".")
            if parts[:2] == ["heldtrue", "capabilities"] and parts[-1] == "store":
                assert parts[2] == mine, f"{path.relative_to(ROOT)} uses the store of {parts[2]}"


def test_every_dependency_is_used_and_every_import_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[\[<>=]", line)[0].replace("-", "_") for line in project["dependencies"]}
    sources = sorted((ROOT / "src").rglob("*.py"))
    used = {name for path in sources for name in top_levels(path) if name not in sys.stdlib_module_names}
    carried = {
        "psycopg_pool": "psycopg", "botocore": "boto3", "click": "typer", "yarl": "aiohttp", "anyio": "starlette",
        "markupsafe": "jinja2", "dns": "dnspython", "spf": "pyspf", "dkim": "dkimpy", "fpdf": "fpdf2",
        "fontTools": "fpdf2", "docx": "python_docx", "lxml": "python_docx",
        "gnupg": "python_gnupg",
    }  # fmt: skip
    assert {carried.get(name, name) for name in used - {"heldtrue"}} <= declared
    everything = "".join(path.read_text() for path in sources)
    assert not {name for name in declared if not re.search(rf"\b{name}\b", everything)}


def test_no_module_outgrows_its_room() -> None:
    grown = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > LINES}
    assert not grown


SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}|AKIA[0-9A-Z]{16}"
    r"|\bht_[sp]k_[a-z0-9]{1,16}_[0-9A-Za-z]{49}\b"
    r"|\bwhs(?:ec|k)_[A-Za-z0-9+/]{32,}"
)
PUBLISHED_EXAMPLES = {"docs/spec", "tests", "verify/vectors"}
"""Worked examples carry keys that anybody may read; nothing runs with them."""


def tracked() -> list[str]:
    """Return the files of the repository."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_secret_is_in_the_repository() -> None:
    found: list[str] = []
    for name in tracked():
        if any(name.startswith(place) for place in PUBLISHED_EXAMPLES):
            continue
        text = (ROOT / name).read_bytes().decode("utf-8", "replace")
        found += [f"{name}: {match.group()[:12]}…" for match in SECRETS.finditer(text)]
    assert not found


def test_the_search_for_secrets_finds_one() -> None:
    assert SECRETS.search("key = 'ht_sk_live_" + "A1b2C3d" * 7 + "'")
    assert SECRETS.search("-----BEGIN PRIVATE KEY-----\n" + "MC4CAQAwBQYDK2VwBCIEIA" * 2)


def test_every_link_between_the_documents_leads_somewhere() -> None:
    broken: list[str] = []
    for name in tracked():
        if not name.endswith(".md"):
            continue
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", (ROOT / name).read_text()):
            here = "://" not in target and not target.startswith("mailto:")
            if here and not ((ROOT / name).parent / target).exists():
                broken.append(f"{name} → {target}")
    assert not broken


def test_every_benchmark_is_on_the_list_and_finds_what_it_measures() -> None:
    """They run by hand, so nothing else would notice that a name moved."""
    parts = {"__init__", "__main__", "naive", "nginx", "plot", "report", "stored", "wrk"}
    assert {path.stem for path in (ROOT / "bench").glob("*.py")} - parts == set(NAMES)
    for name in NAMES:
        assert callable(importlib.import_module(f"bench.{name}").main)

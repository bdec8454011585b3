"""Measure every page with Lighthouse, best of up to three: `make lighthouse`. Exit 1 below 100 and 95."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[1] / "tests" / "support")]

from tests.browser import scenes  # noqa: E402
from tests.browser.serving import serving  # noqa: E402

WANTED = {"accessibility": 100, "performance": 95}
RUNS = 3


def measure(urls: Sequence[str]) -> list[dict[str, Any]]:
    """Return what Lighthouse says of each page: the best of up to three runs, for the machine may be busy."""
    asked = {"executable": shutil.which("chromium"), "urls": urls, "runs": RUNS, "wanted": WANTED}
    ran = subprocess.run(
        ["node", "lighthouse.mjs"], cwd=HERE, input=json.dumps(asked), capture_output=True, text=True, timeout=1800,
        check=False,
    )  # fmt: skip
    if ran.returncode != 0:
        raise RuntimeError(ran.stderr[-3000:])
    return json.loads(ran.stdout)


def main() -> int:
    """Print a line a page; return 1 when one is below what is wanted."""
    pages, bad = scenes.render(), 0
    with serving(pages) as url:
        for path in pages:
            (seen,) = measure([url + path])
            low = [name for name, least in WANTED.items() if seen["scores"][name] < least]
            bad += bool(low)
            told = "  ".join(f"{name} {score}" for name, score in seen["scores"].items())
            print(f"{path:32} {told}  {seen['requests']} requests  {seen['bytes'] // 1024} KiB  {'; '.join(low)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

"""Take the pictures of every page for docs/images: `make docs`, or `python tests/browser/pictures.py FOLDER [all]`.

One picture a page, light on a desktop; of the overview also dark, on a phone and on paper. With `all`, every page in
every way, for people who look over a change.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[1] / "tests" / "support")]

from PIL import Image  # noqa: E402
from tests.browser import scenes  # noqa: E402
from tests.browser.serving import serving  # noqa: E402

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WAYS: dict[str, dict[str, Any]] = {
    "desktop-light": {"scheme": "light", **DESKTOP},
    "desktop-dark": {"scheme": "dark", **DESKTOP},
    "phone-light": {"scheme": "light", **PHONE},
    "phone-dark": {"scheme": "dark", **PHONE},
    "print": {"scheme": "light", "media": "print", "width": 794, "height": 1123},
}
OVERVIEW = "/trust"
TALLEST, COLOURS = 2400, 48


def name_of(path: str) -> str:
    """Return a page's path as a file name."""
    return path.strip("/").replace("/", "-").replace("?", "_").replace("=", "-").replace(".", "-") or "root"


def jobs(url: str, folder: Path, *, every: bool) -> list[dict[str, Any]]:
    """Return what the browser is to do."""
    made: list[dict[str, Any]] = []
    for path in scenes.render():
        wanted = list(WAYS) if every or path == OVERVIEW else ["desktop-light"] if "?" not in path else []
        if not every and not path.startswith("/trust"):
            continue
        for way in wanted:
            out = str(folder / f"{name_of(path)}-{way}.png")
            made.append({"url": url + path, "full": every or path != OVERVIEW, "out": out, **WAYS[way]})
    return made


def small(file: Path) -> None:
    """Keep the top of a long page, in few colours: enough to see how it looks."""
    with Image.open(file) as found:
        found.crop((0, 0, found.width, min(found.height, TALLEST))).quantize(COLOURS).save(file, optimize=True)


def main() -> None:
    """Write the pictures."""
    folder, every = Path(sys.argv[1]).absolute(), "all" in sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    with serving(scenes.render()) as url:
        asked = {"executable": shutil.which("chromium"), "jobs": jobs(url, folder, every=every)}
        subprocess.run(["node", "look.mjs"], cwd=HERE, input=json.dumps(asked), text=True, check=True, stdout=-3)
    for file in sorted(folder.glob("*.png")):
        small(file)
        print(f"{file.stat().st_size // 1024:5} KiB  {file.name}")


if __name__ == "__main__":
    main()

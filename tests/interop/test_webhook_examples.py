"""The examples in other languages judge the table of messages as our own verifiers do, those about copies apart."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from absent import absent

pytestmark = pytest.mark.interop
ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/webhooks"
CASES: list[dict[str, Any]] = json.loads((ROOT / "verify/vectors/webhooks.json").read_text())["cases"]
TWICE = {"id twice"}
"""What a web server settles before a handler is asked: these take one value a header."""


def asked(case: dict[str, Any]) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in case["headers"].items()}
    return {
        "ID": headers.get("webhook-id", ""),
        "Timestamp": headers.get("webhook-timestamp", ""),
        "Signatures": headers.get("webhook-signature", ""),
        "Body": case["body"],
        "Keys": case["secrets"] + case["public_keys"],
        "Now": case["now"],
    }


def program(language: str, folder: Path) -> list[str]:
    """Return the command that runs an example, compiled where it must be; skip where the language is not installed."""
    found = next(
        filter(None, map(shutil.which, {"ruby": ("ruby", "ruby3.1", "ruby3.3")}.get(language, (language,)))), None
    )
    if found is None:
        absent(language)
    if language != "go":
        return [found, str(EXAMPLES / language / f"verify.{ {'ruby': 'rb'}.get(language, language) }")]
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOCACHE": str(folder / "cache"),
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
    }
    built, source = folder / "verify", EXAMPLES / "go/verify.go"
    subprocess.run([found, "build", "-o", built, source], check=True, env=environment, timeout=300)
    return [str(built)]


@pytest.mark.parametrize("language", ["go", "php", "ruby"])
def test_an_example_judges_as_our_verifiers_do(language: str, tmp_path: Path) -> None:
    cases = [case for case in CASES if case["name"] not in TWICE]
    lines = "".join(json.dumps(asked(case)) + "\n" for case in cases)
    ran = subprocess.run(
        program(language, tmp_path), input=lines, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    told = dict(zip((case["name"] for case in cases), ran.stdout.split(), strict=True))
    expected = {case["name"]: case["outcome"].replace("replayed", "accepted") for case in cases}
    assert told == expected

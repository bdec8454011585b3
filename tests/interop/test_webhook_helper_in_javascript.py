"""The JavaScript verifier: its own tests under node's runner, and messages that were really delivered."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.interop
HELPER = Path(__file__).parents[2] / "verify/js"
NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature")
JUDGE = """
import { readFileSync } from "node:fs";
import { WebhookVerifier } from %s;
const told = [];
for (const { secrets, publicKeys, headers, body, now } of JSON.parse(readFileSync(0, "utf8"))) {
  const verifier = new WebhookVerifier({ secrets, publicKeys, now: () => now });
  for (const time of [1, 2]) {
    const judged = verifier.verify(headers, Buffer.from(body, "base64"));
    told.push(await judged.then((event) => event.type, (error) => error.code));
  }
}
console.log(JSON.stringify(told));
"""


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        assert not os.environ.get("CI"), "node is not installed"
        pytest.skip("node is not installed")
    return found


def test_its_own_tests_pass(node: str) -> None:
    ran = subprocess.run(
        [node, "--test", "--test-reporter=tap"], cwd=HELPER, capture_output=True, text=True, timeout=120, check=False
    )
    counted = {name: int(count) for name, count in re.findall(r"^# (pass|fail|skipped) (\d+)$", ran.stdout, re.M)}
    vectors = json.loads((HELPER.parent / "vectors/webhooks.json").read_text())["cases"]
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert counted["pass"] >= len(vectors) + 5
    assert (counted["fail"], counted["skipped"]) == (0, 0)


def test_it_takes_what_was_delivered_once(node: str, journey: Any, tmp_path: Path) -> None:
    script = tmp_path / "judge.mjs"
    script.write_text(JUDGE % json.dumps(str(HELPER / "webhooks.mjs")))
    asked = [
        {
            "secrets": [journey.secret],
            "publicKeys": [],
            "headers": {name: received.headers[name] for name in NAMES},
            "body": base64.b64encode(received.body).decode(),
            "now": int(received.headers["webhook-timestamp"]) + 3,
        }
        for received in journey.webhooks
    ]
    ran = subprocess.run(
        [node, script], input=json.dumps(asked), capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == ["payload.forwarded", "replayed"] * len(journey.webhooks)


def test_it_needs_nothing_and_its_package_says_so() -> None:
    package = json.loads((HELPER / "package.json").read_text())
    assert not {"dependencies", "peerDependencies", "scripts.install"} & package.keys()
    source = (HELPER / "webhooks.mjs").read_text()
    assert not re.findall(r"^import|require\(|\bBuffer\.|\bprocess\.|node:", source, re.M)
    types = (HELPER / "webhooks.d.ts").read_text()
    for exported in re.findall(r"^export class (\w+)", source, re.M):
        assert f"export class {exported}" in types
    assert all((HELPER / name).is_file() for name in package["files"])

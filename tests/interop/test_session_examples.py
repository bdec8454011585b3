"""The examples for session tokens do what the guide says, against a real instance: Python mints, a script calls."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from instance import HELDTRUE, Instance, until

pytestmark = pytest.mark.interop
EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPT = """
import { execFileSync } from "node:child_process";
import { Session } from %(module)s;

const [python, server, url, keyFile, caFile] = process.argv.slice(2);
let minted = 0, now = Date.now();
const mint = async () => {
  minted += 1;
  const permissions = ["--permission", "self.read"];
  return JSON.parse(execFileSync(python, [server, url, keyFile, "user-7", "--ca-file", caFile, ...permissions]));
};
const session = new Session(mint, () => now);
const self = async () => (await session.fetch(`${url}/v1/self`)).status;
const said = { many: await Promise.all([self(), self(), self()]), asked: minted };
now += 280_000;                      // within half a minute of the end
said.late = await self();
said.refreshed = minted;
const admin = { method: "DELETE", headers: { Authorization: `Bearer ${process.env.ADMIN}` } };
said.revoked = (await fetch(`${url}/v1/sessions`, admin)).status;
const latest = Date.now() + 5_000;   // every process knows of a revocation by then
do said.again = await self();
while (minted < 3 && Date.now() < latest);
said.final = minted;
said.beyond = (await session.fetch(`${url}/v1/keys`)).status;
console.log(JSON.stringify(said));
"""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Generator[Instance]:
    made = Instance(tmp_path_factory.mktemp("sessions"))
    made.root.chmod(0o711)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def admin(instance: Instance) -> str:
    return instance.organisation("Saltmarsh Figures")


@pytest.fixture
def key_file(admin: str, tmp_path: Path) -> Path:
    path = tmp_path / "mint.key"
    path.write_text(f"{admin}\n")
    path.chmod(0o600)
    return path


def mint(instance: Instance, key_file: Path, *more: str) -> dict[str, Any]:
    command = [sys.executable, EXAMPLES / "session_server.py", instance.url, key_file, "user-7"]
    ran = subprocess.run([*command, "--ca-file", instance.ca_file, *more], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_the_server_example_mints_what_the_api_takes(instance: Instance, admin: str, key_file: Path) -> None:
    minted = mint(instance, key_file, "--permission", "self.read", "--grant", "orders.read")
    assert minted.keys() == {"token", "expires_at"}
    assert until(lambda: instance.call("GET", "/v1/self", key=minted["token"]).status == 200, 5, "the token is taken")
    assert instance.call("GET", "/v1/keys", key=minted["token"]).status == 403
    assert instance.done("DELETE", "/v1/sessions", key=admin)["generation"] >= 1
    until(lambda: instance.call("GET", "/v1/self", key=minted["token"]).status == 401, 5, "the token is refused")


def test_the_browser_example_refreshes_in_time_and_asks_once(
    instance: Instance, admin: str, key_file: Path, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None:
        assert not os.environ.get("CI"), "node is not installed"
        pytest.skip("node is not installed")
    script = tmp_path / "page.mjs"
    script.write_text(SCRIPT % {"module": json.dumps(str(EXAMPLES / "session_browser.mjs"))})
    given = [sys.executable, str(EXAMPLES / "session_server.py"), instance.url, str(key_file), str(instance.ca_file)]
    env = {**os.environ, "NODE_EXTRA_CA_CERTS": str(instance.ca_file), "ADMIN": admin}
    ran = subprocess.run([node, script, *given], capture_output=True, text=True, env=env, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "many": [200, 200, 200], "asked": 1, "late": 200, "refreshed": 2, "revoked": 200, "again": 200, "final": 3,
        "beyond": 403,
    }  # fmt: skip


def test_the_command_line_makes_a_link_to_the_customers_page(instance: Instance, key_file: Path) -> None:
    def link(*words: str) -> subprocess.CompletedProcess[str]:
        given = ["--data-dir", instance.data, *words]
        return subprocess.run([HELDTRUE, "portal", "link", *given], capture_output=True, text=True, check=False)

    made = json.loads(link("--credential-file", str(key_file), "--look-only", "--without-contents", "--json").stdout)
    page, _, token = made["url"].partition("#token=")
    assert page == f"{instance.url}/portal"
    assert instance.call("GET", "/portal").status == 200
    assert instance.call("GET", "/v1/endpoints", key=token).status == 200
    assert instance.call("GET", "/v1/payloads", key=token).status == 403
    body = {"url": "https://192.0.2.1/in"}
    assert instance.call("POST", "/v1/endpoints", body, key=token).status == 403
    plain = link("--credential-file", str(key_file), "--minutes", "1", "--transforms")
    assert "endpoint.write" not in made["permissions"]
    assert plain.stdout.startswith(f"{page}#token=")
    assert "until" in plain.stderr
    tries = plain.stdout.strip().partition("#token=")[2]
    assert [instance.call("GET", "/v1/transforms", key=one).status for one in (token, tries)] == [403, 200]
    refused = link("--demo")
    assert (refused.returncode, "Run `heldtrue demo` first." in refused.stderr) == (2, True)


def test_a_key_is_bound_by_the_command_line(instance: Instance, key_file: Path) -> None:
    def run(*words: str) -> Any:
        given = ["--data-dir", instance.data, "--credential-file", key_file, "--json"]
        ran = subprocess.run([HELDTRUE, *words, *given], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    bound = ["--grant", "orders.read", "--origin", "https://app.example.com", "--address", "192.0.2.0/24"]
    made = run("keys", "issue", "shop", "--role", "reader", "--scope", "self.read", *bound, "--expires-in", "90d")
    shown = run("keys", "show", made["id"])
    listed = next(one for one in run("keys", "list") if one["id"] == made["id"])
    for one in (made, shown, listed):
        assert one["scopes"] == ["self.read"]
        assert (one["grants"], one["origins"]) == (["orders.read"], ["https://app.example.com"])
        assert (one["addresses"], one["rotation_due"]) == (["192.0.2.0/24"], False)
        assert one["expires_at"] is not None

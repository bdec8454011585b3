"""The whole journey of some payloads, and the foreign programs that judge what came out of it.

A program that is not installed skips its tests by name; where `CI` is set, it fails them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from absent import absent
from payload_house import PayloadHouse, build_payload_house, found_house
from receiver import Received, Receiver

from heldtrue.capabilities.ledger import actions as ledger
from heldtrue.capabilities.ledger import generations
from heldtrue.capabilities.ledger.note import VerifierKey
from heldtrue.db.tx import Database

HERE = Path(__file__).parent
PAYLOADS = 3
ENTRIES = 700
"""More than two full tiles, and not a whole number of them."""


@dataclass
class Journey:
    """Payloads that were taken in, forwarded, and logged, as the outside sees them."""

    log: Path
    vkey: str
    secret: str
    bundles: list[dict[str, Any]]
    webhooks: list[Received]
    earlier: list[Path] = field(default_factory=list)
    """Checkpoints published on the way."""


@pytest.fixture(scope="session")
def journey(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[Journey]:
    name = server.create()
    database: Database = server.open(name)
    directory = tmp_path_factory.mktemp("journey")
    try:
        with Receiver(directory / "receiver") as receiver:
            house = build_payload_house(found_house(database), directory, ca_file=receiver.ca_file)
            yield _travel(house, receiver, directory)
            house.house.app.close()
    finally:
        database.close()
        server.drop(name)


def _travel(house: PayloadHouse, receiver: Receiver, directory: Path) -> Journey:
    endpoint = house.register(receiver.url("/books"))
    earlier: list[Path] = []
    for number in range(PAYLOADS):
        assert house.send(json.dumps({"invoice": number, "total": "€ 412,50"}).encode()).status == 202
        house.deliver()
        _append(house, ENTRIES // PAYLOADS)
        house.log()
        kept = directory / f"checkpoint-{number}"
        shutil.copy(house.directory / "log/checkpoint", kept)
        earlier.append(kept)
    receipts = house.admin.get("/v1/receipts").json()["data"]
    with database_of(house).system() as tx:
        origin = generations.current(tx)
    return Journey(
        log=house.directory / "log",
        vkey=str(VerifierKey(origin.origin, 1, origin.public)),
        secret=endpoint["secret"],
        bundles=[house.admin.get(f"/v1/receipts/{receipt['id']}/bundle").json() for receipt in receipts],
        webhooks=receiver.received,
        earlier=earlier,
    )


def database_of(house: PayloadHouse) -> Database:
    return house.house.database


def _append(house: PayloadHouse, count: int) -> None:
    with house.database.system() as tx:
        for number in range(count):
            ledger.append_clear(tx, "intent", {"number": number}, house.house.clock.now(), house.house.ports.entropy)


@pytest.fixture(scope="session")
def checklog(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the Go program; its packages are those of the distribution."""
    go, packages = shutil.which("go"), Path("/usr/share/gocode")
    if go is None or not (packages / "src/golang.org/x/mod/sumdb").is_dir():
        absent("Go with golang.org/x/mod (golang-go, golang-golang-x-mod-dev)")
    folder = tmp_path_factory.mktemp("go")
    program = folder / "checklog"
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(packages), "GOCACHE": str(folder / "cache")}
    environment |= {"GOFLAGS": "", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    source = HERE / "go/checklog.go"
    subprocess.run([go, "build", "-o", str(program), str(source)], check=True, env=environment, timeout=300)

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False, timeout=120)

    return run


@pytest.fixture(scope="session")
def node() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run one of the programs in `js` with an object on its standard input."""
    found, folder = shutil.which("node"), HERE / "js"
    if found is None or not (folder / "node_modules").is_dir():
        absent("node with the packages of tests/interop/js")

    def run(program: str, given: Any) -> subprocess.CompletedProcess[str]:
        text = given if isinstance(given, str) else json.dumps(given)
        words = [found, str(folder / program)]
        return subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=60)

    return run

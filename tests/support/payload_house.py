"""The house with everything a payload needs: intake, receipts, deliveries, the log, and a worker to step through."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from asgi import Caller, Got
from house import House, build_house, tenant_of

from heldtrue.capabilities.deliveries import actions as deliveries
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.engine import Engine, Outgoing
from heldtrue.capabilities.deliveries.message import Urls
from heldtrue.capabilities.deliveries.routes import DeliveryServices
from heldtrue.capabilities.deliveries.routes import routes as delivery_routes
from heldtrue.capabilities.deliveries.worker import Worker, WorkerServices
from heldtrue.capabilities.egress.routes import ROUTES as EGRESS
from heldtrue.capabilities.intake.model import Limits
from heldtrue.capabilities.intake.objects import LocalObjects, ObjectStore
from heldtrue.capabilities.intake.routes import IntakeServices
from heldtrue.capabilities.intake.routes import routes as intake_routes
from heldtrue.capabilities.intake.scanning import Scanner
from heldtrue.capabilities.keystore.actions import Signers, ensure_signing_keys, sequencer
from heldtrue.capabilities.outputs.routes import routes as output_routes
from heldtrue.capabilities.receipts import actions as receipts
from heldtrue.capabilities.receipts.routes import ReceiptServices
from heldtrue.capabilities.receipts.routes import routes as receipt_routes
from heldtrue.capabilities.transforms import run_actions as runs
from heldtrue.capabilities.transforms.planning import planner
from heldtrue.capabilities.transforms.routes import ROUTES as FLOWS
from heldtrue.db.tx import Database
from heldtrue.http.route import Route
from heldtrue.kernel.ids import TenantId

ORIGIN = "log.example.test"
BASE = "https://heldtrue.example.test"
LOOPBACK = AllowList.parse(["127.0.0.0/8"])


@dataclass
class PayloadHouse:
    """Everything between a payload and its receiver."""

    house: House
    objects: ObjectStore
    directory: Path
    log_directory: Path
    services: WorkerServices
    outgoing: Outgoing
    admin: Caller

    @property
    def database(self) -> Database:
        return self.house.database

    def engine(self) -> Engine:
        return Engine(self.services, self.outgoing)

    def worker(self) -> Worker:
        return Worker(self.services)

    def send(
        self, body: bytes | Sequence[bytes] = b'{"a":1}', content_type: str = "application/json", **more: str
    ) -> Got:
        return self.admin.call("POST", "/v1/payloads", body=body, headers={"content-type": content_type, **more})

    def register(self, url: str, **more: Any) -> dict[str, Any]:
        made = self.admin.post("/v1/endpoints", {"url": url, "description": "books", **more})
        assert made.status == 201, made.body
        return made.json()

    def deliver(self) -> int:
        """Forward what waits and attempt what is due, once."""
        engine = self.engine()
        engine.step_forward()
        return asyncio.run(engine.step_send())

    def deliveries(self, query: str = "") -> list[dict[str, Any]]:
        return self.admin.get(f"/v1/deliveries{query}").json()["data"]

    def deliveries_delivered(self) -> list[dict[str, Any]]:
        return self.deliveries("?state=delivered")

    @property
    def tenant(self) -> TenantId:
        return tenant_of(self.house, self.admin)

    def delivery(self, id: str) -> dict[str, Any]:  # noqa: A002
        return self.admin.get(f"/v1/deliveries/{id}").json()

    def log(self) -> int:
        """Sequence what is pending."""
        log = sequencer(self.database, self.log_directory, self.services.platform, self.house.clock)
        return log.step()

    def close(self) -> None:
        """Leave nothing that a later test would send."""
        for endpoint in self.admin.get("/v1/endpoints").json()["data"]:
            self.admin.delete(f"/v1/endpoints/{endpoint['id']}")
        self.engine().step_forward()
        self.house.app.close()

    def stored_files(self) -> list[Path]:
        return [path for path in (self.directory / "objects").rglob("*") if path.is_file()]


def payload_routes(
    objects: ObjectStore, limits: Limits, reach: Outgoing, scanner: Scanner | None = None
) -> list[Route]:
    """The routes as the product wires them."""
    erasures = (receipts.forget, deliveries.end_deliveries, runs.forget)
    return [
        *intake_routes(IntakeServices(objects=objects, limits=limits, scanner=scanner, erasures=erasures)),
        *receipt_routes(ReceiptServices(objects=objects)),
        *delivery_routes(DeliveryServices(allow=reach.allow, outgoing=reach)),
        *output_routes(objects),
        *FLOWS,
        *EGRESS,
    ]


def found_house(database: Database) -> House:
    """Return the plain house over a fresh *database*, with signing keys; several payload houses may share it."""
    house = build_house(database)
    with database.system() as tx:
        ensure_signing_keys(tx, house.ports.platform, ORIGIN, house.clock.now(), house.ports.entropy)
    return house


def build_payload_house(
    plain: House,
    directory: Path,
    *,
    ca_file: Path | None = None,
    limits: Limits | None = None,
    allow: AllowList = LOOPBACK,
    objects: ObjectStore | None = None,
    log: Path | None = None,
    scanner: Scanner | None = None,
    more: Sequence[Route] = (),
    **outgoing: Any,
) -> PayloadHouse:
    """Return *plain* with everything a payload needs, and a new organisation with its administrator."""
    store = objects or LocalObjects(directory / "objects")
    database = plain.database
    reach = Outgoing(allow=allow, ca_file=ca_file, **outgoing)
    house = plain.served(
        *payload_routes(store, limits or Limits(), reach, scanner),
        *more,
        resolve_link=partial(receipts.resolve_link, database),
    )
    ports = house.ports
    services = WorkerServices(
        database=database,
        platform=ports.platform,
        cache=ports.key_cache,
        clock=house.clock,
        entropy=ports.entropy,
        objects=store,
        signers=Signers(ports.platform),
        origin=ORIGIN,
        urls=Urls(BASE),
        plan=planner(store),
    )
    log = log or directory / "log"
    log.mkdir(parents=True, exist_ok=True)
    return PayloadHouse(house, store, directory, log, services, reach, house.organisation())


def multipart(*parts: tuple[Mapping[str, str], bytes], boundary: str = "limit") -> tuple[bytes, str]:
    """Return a multipart/form-data body of (headers, bytes) and its content type."""
    body = b""
    for headers, content in parts:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        body += f"--{boundary}\r\n{lines}\r\n".encode() + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def webhook(body: bytes) -> dict[str, Any]:
    return json.loads(body)

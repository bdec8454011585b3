"""A house with a document room: its operator's routes, its readers' pages, and the mails that they are sent."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from asgi import Caller, Got
from house import ROUTES, House, build_house

from heldtrue.app.registers import KINDS
from heldtrue.capabilities.intake.objects import LocalObjects
from heldtrue.capabilities.papers import pdf
from heldtrue.capabilities.papers.model import Meta, Paper, Text
from heldtrue.capabilities.post import actions as post
from heldtrue.capabilities.post.model import Draft
from heldtrue.capabilities.post.routes import routes as post_routes
from heldtrue.capabilities.registers.company import Company
from heldtrue.capabilities.registers.routes import routes as register_routes
from heldtrue.capabilities.room.routes import routes as room_routes
from heldtrue.capabilities.room.services import RoomServices
from heldtrue.capabilities.tenants.actions import operator_in
from heldtrue.capabilities.tenants.model import OPERATOR_ENVIRONMENT
from heldtrue.db.tx import Database
from heldtrue.http.transaction import system_operation
from heldtrue.kernel.ids import MailId, RequestId
from heldtrue.op import Actor, SystemOperation
from heldtrue.trust.documents import routes as document_pages
from heldtrue.trust.render import Pages
from heldtrue.trust.site import Site

URL = "https://trust.example.com"
COMPANY = Company(
    name="Example Ltd", legal_name="Example Limited", country="US", timezone="America/New_York",
    support_mail="desk@example.com", legal_mail="legal@example.com",
)  # fmt: skip
SITE = Site(name="Example", origin="log.example.test", url=URL)
READER = {"name": "Rae Reader", "company": "Reader & Co", "mail": "rae@example.com"}
AGREEMENT = {"title": "Mutual non-disclosure agreement", "text": "Keep it to yourself.\n\nFor two years."}
JSON = {"content-type": "application/json"}


@dataclass
class Room:
    """The house, its room, and who calls."""

    house: House
    services: RoomServices

    @property
    def operator(self) -> Caller:
        return self.house.operator

    @property
    def reader(self) -> Caller:
        return self.house.caller()

    def add(
        self, name: str, content: bytes | None = None, kind: str = "application/pdf", **more: Any
    ) -> dict[str, Any]:
        """Send a file and publish its document; return it."""
        content = a_pdf(name) if content is None else content
        sent = self.operator.call(
            "PUT", f"/v1/documents/{name}/file", body=content, headers={"content-type": kind}
        )  # fmt: skip
        assert sent.status == 200, sent.body
        got = self.publish(name, **more)
        assert got.status == 200, got.body
        return got.json()

    def publish(self, name: str, **more: Any) -> Got:
        asked = {"title": f"The {name}", "level": "on-request", **more}
        return self.operator.call("PUT", f"/v1/documents/{name}", body=json.dumps(asked).encode(), headers=JSON)

    def agreement(self, **more: str) -> None:
        body = json.dumps({"document": {**AGREEMENT, **more}}).encode()
        got = self.operator.call("PUT", "/v1/registers/agreements-nda/standard", body=body, headers=JSON)
        assert got.status == 200, got.body

    def send(self, path: str, **fields: str) -> Got:
        """Send a form as a browser does."""
        return self.reader.call(
            "POST", path, body=urlencode(fields).encode(),
            headers={"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"},
        )  # fmt: skip

    def ask(self, about: str, **more: str) -> str:
        """Ask by the page, and return the request's number."""
        got = self.send("/trust/documents/ask", about=about, **{**READER, **more})
        assert got.status == 200, got.body
        found = re.search(r"ask_[0-9a-f]{32}", got.body.decode())
        assert found is not None
        return found[0]

    def grant(self, about: str, **more: Any) -> tuple[str, str]:
        """Ask for a document and grant it; return the grant's id and the path of its link."""
        made = self.operator.post(f"/v1/requests/{self.ask(about)}/grant", more)
        assert made.status == 200, made.body
        return made.json()["id"], made.json()["link"].removeprefix(URL)

    def mails(self, about: str = "") -> list[Draft]:
        """Return the mails that wait, the oldest first."""
        with self.house.database.system() as tx:
            rows = tx.many(_Waiting, "SELECT mail_id, about, draft_sealed FROM heldtrue.post_mails ORDER BY mail_id")
            now = self.house.clock.now()
            ring = post.keyring(tx, lambda tenant, environment: self.house.ports.keyring(tx, tenant, environment, now))
            return [
                post.opened(ring, MailId(row.mail_id), row.draft_sealed) for row in rows if row.about.startswith(about)
            ]


@dataclass
class _Waiting:
    mail_id: Any
    about: str
    draft_sealed: bytes


def open_room(database: Database, directory: Path) -> Room:
    """Return a room over a fresh database."""
    house = build_house(database, ROUTES)

    @contextmanager
    def strangers() -> Generator[SystemOperation]:
        with database.system() as tx:
            operator = operator_in(tx)
        assert operator is not None
        actor = Actor(kind="public", tenant=operator, environment=OPERATOR_ENVIRONMENT)
        request = RequestId.new(house.clock.now(), house.ports.entropy)
        with system_operation(house.ports, actor, request) as op:
            yield op

    services = RoomServices(objects=LocalObjects(directory), company=COMPANY, url=URL, strangers=strangers)
    more = [*register_routes(KINDS), *post_routes(sends=False), *room_routes(services)]
    more += document_pages(services, Pages(SITE))
    return Room(house.served(*more), services)


def a_pdf(title: str, pages: int = 2) -> bytes:
    """Return a small PDF."""
    meta = Meta(author="Example Ltd", dated=datetime(2026, 11, 1, tzinfo=UTC), contents=False)
    return pdf.render(Paper(title=title, meta=meta, blocks=[Text("A page of words. " * 160 * pages)]))

"""The story of the demo, step by step; each step returns what it found and raises when its proof does not hold."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import orjson

from heldtrue.app import instance
from heldtrue.app.cli.client import Api, RefusedError, segment
from heldtrue.app.cli.payloads import send_file
from heldtrue.app.demo.receiver import Received, Receiver, receiving
from heldtrue.app.demo.samples import Sample
from heldtrue.app.secret_uri import resolve_secret
from heldtrue.kernel.errors import HeldtrueError, SettingsError, UnavailableError
from heldtrue_verify.checkpoint import Roots
from heldtrue_verify.receipt import RECEIPT_STEPS, ReceiptCase
from heldtrue_verify.state import Memory
from heldtrue_verify.verdicts import Report, Verdict, walk

COMPANY = "Saltmarsh Figures (sample)"
ENVIRONMENT = "live"
MARK = "heldtrue demo"
"""The description of endpoints that the demo made, and may delete."""
PATIENCE = 60.0


class DemoFailedError(HeldtrueError):
    """A step of the demo did not do what it should; the message names it."""

    code = "demo-failed"


@dataclass(slots=True)
class Story:
    """One run of the demo against one instance."""

    url: str
    ca_file: Path | None
    data: Path
    operator_file: Path
    pin: str
    out: Path
    mail: str | None = None
    """`HOST:PORT` of the mail listener; None: no mail is taken, or not under the local authority."""
    sent: list[tuple[Sample, str]] = field(default_factory=list[tuple[Sample, str]])

    @property
    def key_file(self) -> Path:
        """Where the company keeps its key between two runs."""
        return self.operator_file.with_suffix(".demo")

    def operator(self) -> Api:
        """Return the API as the operator."""
        return Api(self.url, self.ca_file, resolve_secret(f"file:{self.operator_file}"))

    def company(self) -> Api:
        """Return the API as the company."""
        return Api(self.url, self.ca_file, resolve_secret(f"file:{self.key_file}"))

    def found_company(self) -> tuple[str, bool]:
        """Return the sample company's id, and whether it was made just now."""
        operator = self.operator()
        for known in operator.pages("/v1/organisations"):
            if known["name"] == COMPANY:
                return known["id"], False
        made = operator.post("/v1/organisations", {"name": COMPANY, "environments": [ENVIRONMENT]})
        return made["id"], True

    def issue_key(self, company: str) -> dict[str, Any]:
        """Return who the company's key is; one from an earlier run is used again while it works."""
        if self.key_file.exists():
            try:
                known = cast("dict[str, Any]", self.company().get("/v1/self"))
            except RefusedError:
                known = {}
            if known.get("organisation_id") == company:
                return known
            self.key_file.unlink()
        asked = {"name": MARK, "role": "admin", "environment": ENVIRONMENT}
        made = self.operator().post(f"/v1/organisations/{segment(company)}/keys", asked)
        instance.write_durably(self.key_file, f"{made['secret']}\n".encode(), 0o600)
        return cast("dict[str, Any]", self.company().get("/v1/self"))

    @contextmanager
    def receiver(self) -> Generator[Receiver]:
        """Serve the company's receiver, registered as an endpoint in place of those of earlier runs."""
        company = self.company()
        with receiving(self.data / "demo/cert.pem", self.data / "demo/key.pem") as receiver:
            for known in list(company.pages("/v1/endpoints")):
                if known["description"] == MARK:
                    company.delete(f"/v1/endpoints/{segment(known['id'])}")
            made = company.post("/v1/endpoints", {"url": receiver.url, "description": MARK})
            receiver.secrets[:] = [made["secret"], made["public_key"]]
            yield receiver

    def send(self, sample: Sample) -> dict[str, Any]:
        """Send one sample and return the acknowledgement."""
        taken = send_file(self.company(), sample.file, None, sample.attachments)
        self.sent.append((sample, taken["id"]))
        return taken

    def matched(self, receiver: Receiver) -> list[tuple[Sample, Received]]:
        """Return each sample with the webhook that brought it, after comparing every byte that came by value."""
        by_payload = {webhook.event["data"]["payload"]["id"]: webhook for webhook in receiver.received.values()}  # type: ignore[index,call-overload]
        pairs: list[tuple[Sample, Received]] = []
        for sample, payload in self.sent:
            webhook = by_payload.get(payload)
            if webhook is None:
                raise DemoFailedError(f"{sample.file.name} did not arrive")
            told = cast("dict[str, Any]", webhook.event["data"])["payload"]
            self._compare(sample.file, told)
            for path, attachment in zip(sample.attachments, told["attachments"], strict=True):
                self._compare(path, attachment)
            pairs.append((sample, webhook))
        return pairs

    def fetch_bundle(self, webhook: Received) -> tuple[Path, Report]:
        """Fetch the receipt with its proofs by the webhook's own link, keep it, and verify it under the pinned key."""
        told = cast("dict[str, Any]", webhook.event["data"])
        link = urlsplit(str(told["bundle_url"])).path
        content = self._patiently(link)
        if orjson.loads(content)["receipt"] != told["receipt"]:
            raise DemoFailedError("the bundle holds another receipt than the webhook")
        file = self.out / f"{told['receipt']['id']}.json"
        file.write_bytes(content)
        return file, self.verify(content, str(file))

    def verify(self, content: bytes, name: str) -> Report:
        """Verify a receipt file under the pinned log key."""
        roots = Roots.parse(self.pin, [])
        case = ReceiptCase(content, roots, datetime.now(UTC), Memory(self.out / "state", roots.log))
        return walk(name, RECEIPT_STEPS, case)

    def tampered(self, content: bytes) -> Report:
        """Verify the same receipt with one digit of its size changed: it must be refused."""
        document = orjson.loads(content)
        document["receipt"]["payload"]["size"] += 1
        report = self.verify(orjson.dumps(document), "a copy with another size")
        if report.verdict is Verdict.HOLDS:
            raise DemoFailedError("a changed receipt was accepted")
        return report

    def trust(self) -> dict[str, Any]:
        """Return the trust page as JSON."""
        return cast("dict[str, Any]", Api(self.url, self.ca_file, None).get("/trust.json"))

    def _patiently(self, path: str) -> bytes:
        """Return what is at *path*; while it says "not yet", ask again, as it tells."""
        public = Api(self.url, self.ca_file, None)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return public.raw("GET", path)
            except RefusedError as error:
                if error.status != 503 or time.monotonic() > deadline:
                    raise
            time.sleep(0.25)  # between two requests of a condition, bounded by the deadline

    def _compare(self, path: Path, told: dict[str, Any]) -> None:
        content = path.read_bytes()
        if told["size"] != len(content) or told["sha256"] != hashlib.sha256(content).hexdigest():
            raise DemoFailedError(f"{path.name} arrived as something else")
        if told["content"] is not None and base64.b64decode(told["content"]) != content:
            raise DemoFailedError(f"{path.name} arrived with other bytes")


def open_story(data: Path, serving: dict[str, Any] | None, out: Path) -> Story:
    """Return a story about the instance in *data*, which must serve and allow the demo."""
    if serving is None:
        raise UnavailableError(f"no instance serves from {data}", advice="Start it in another terminal: `make up`.")
    if not serving.get("demo"):
        raise SettingsError(
            "this instance does not deliver to 127.0.0.1, where the demo's receiver is",
            advice="Start it with `heldtrue up --demo`; `make up` does.",
        )
    operator_file = Path(serving["operator_file"])
    if not os.access(operator_file, os.R_OK):
        raise SettingsError(
            f"the operator's credential {operator_file} is not there, or not for you",
            advice="Run the demo as the user who started the instance.",
        )
    ca_file = data / "tls/ca.pem"
    return Story(
        url=serving["url"],
        ca_file=ca_file if ca_file.exists() and not serving.get("own_certificate") else None,
        data=data,
        operator_file=operator_file,
        pin=(data / "log.pin").read_text().strip(),
        out=out,
        mail=None if serving.get("own_certificate") else serving.get("mail"),
    )

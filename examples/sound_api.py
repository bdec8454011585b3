"""A small API of two organisations that authenticates, authorises and scopes as it should; a sample, not a product.

`python examples/sound_api.py --folder /tmp/sound` serves it on loopback and writes credentials and a `probe.toml`, so
that `heldtrue probe` can be tried: it must find nothing here. Its twin `vulnerable_api.py` has faults on purpose.
"""

from __future__ import annotations

import argparse
import base64
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

ORGANISATIONS = {"org_alder": "Alder Freight", "org_birch": "Birch Freight"}
DOCUMENTS = (
    "usage", "statements", "exports", "reports", "webhooks", "tokens", "limits", "plan", "profile", "regions",
    "currencies", "taxes", "notes", "files", "audits", "tickets", "alerts", "identity",
)  # fmt: skip
"""Documents of which every organisation has one, at `/v1/<name>`."""
OBJECTS = {"orders": "order_id", "members": "member_id", "invoices": "invoice_id"}
ADMIN = ("users", "settings")


@dataclass(frozen=True)
class Asked:
    """A request, as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, object]


@dataclass(frozen=True)
class Caller:
    """Who asks."""

    organisation: str
    role: str


@dataclass
class Store:
    """What the organisations have."""

    rows: dict[tuple[str, str], dict[str, object]] = field(default_factory=dict)
    """By collection and id."""

    @classmethod
    def filled(cls) -> Store:
        """Return a store with two things of every kind for each organisation."""
        store = cls()
        for organisation, name in ORGANISATIONS.items():
            short = organisation.removeprefix("org_")
            for kind in OBJECTS:
                for number in (1, 2):
                    one = f"{kind[:3]}_{short}_{number}"
                    row = {
                        "id": one,
                        "organisation": organisation,
                        "state": "open",
                        "note": f"{kind} {number} of {name}",
                    }
                    store.rows[kind, one] = row
            contract = {"id": f"con_{short}", "organisation": organisation, "customer_id": f"cus_{short}"}
            store.rows["contracts", f"con_{short}"] = {**contract, "state": "signed", "terms": f"{name}, ninety days"}
        return store


class Refused(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, word: str) -> None:
        super().__init__(word)
        self.status, self.word = status, word


class Api:
    """The API itself, without a server around it."""

    title = "A sound sample API"

    def __init__(self) -> None:
        self.secret = secrets.token_bytes(32)
        self.revoked: set[str] = set()
        self.store = Store.filled()

    # ------------------------------------------------------------ credentials: JSON Web Tokens, HS256

    def issue(self, organisation: str, role: str, seconds: int = 3600) -> str:
        """Return a credential."""
        claims = {"org": organisation, "role": role, "exp": int(time.time()) + seconds, "jti": secrets.token_hex(8)}
        head = b64(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        body = f"{head}.{b64(json.dumps(claims).encode())}"
        return f"{body}.{self.signature(body)}"

    def signature(self, body: str) -> str:
        return b64(hmac.digest(self.secret, body.encode(), "sha256"))

    def claims(self, token: str) -> dict[str, object]:
        """Return the claims of a credential that holds; raise `Refused`."""
        parts = token.split(".")
        if len(parts) != 3 or not hmac.compare_digest(self.signature(".".join(parts[:2])), parts[2]):
            raise Refused(401, "unauthenticated")
        claims = read(parts[1])
        if float(str(claims["exp"])) <= time.time() or claims["jti"] in self.revoked:
            raise Refused(401, "unauthenticated")
        return claims

    def credential(self, asked: Asked) -> str:
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "unauthenticated")
        return token

    def caller(self, asked: Asked) -> Caller:
        claims = self.claims(self.credential(asked))
        return Caller(str(claims["org"]), str(claims["role"]))

    # ------------------------------------------------------------ answers

    def answer(self, asked: Asked) -> tuple[int, object]:
        """Return status and body."""
        if asked.path == "/openapi.json":
            return 200, openapi(self.title)
        if asked.path == "/v1/health":
            return 200, {"status": "up"}
        return self.routed(asked, self.caller(asked))

    def routed(self, asked: Asked, caller: Caller) -> tuple[int, object]:
        parts = asked.path.removeprefix("/v1/").split("/") if asked.path.startswith("/v1/") else []
        match parts:
            case ["customers", customer, "contracts", contract] if asked.method == "GET":
                return 200, self.contract(customer, contract, caller)
            case [name] if name in DOCUMENTS and asked.method == "GET":
                return 200, self.document(name, caller)
            case ["admin", name] if name in ADMIN and asked.method == "GET":
                return 200, self.administer(name, caller)
            case [kind] if kind in OBJECTS:
                return self.create(kind, asked, caller) if asked.method == "POST" else (200, self.listed(kind, caller))
            case [kind, one] if kind in OBJECTS:
                return self.one(kind, one, asked, caller)
        raise Refused(404, "not-found")

    def document(self, name: str, caller: Caller) -> object:
        return {"document": name, "organisation": caller.organisation, "of": ORGANISATIONS[caller.organisation]}

    def administer(self, name: str, caller: Caller) -> object:
        if caller.role != "admin":
            raise Refused(403, "forbidden")
        return {"admin": name, "organisation": caller.organisation, "of": ORGANISATIONS[caller.organisation]}

    def contract(self, customer: str, contract: str, caller: Caller) -> object:
        row = self.found("contracts", contract, caller)
        if row["customer_id"] != customer:
            raise Refused(404, "not-found")
        return row

    def listed(self, kind: str, caller: Caller) -> object:
        rows = [row for (held, _), row in self.store.rows.items() if held == kind]
        return {"data": [shown(row) for row in rows if row["organisation"] == caller.organisation]}

    def found(self, kind: str, one: str, caller: Caller) -> dict[str, object]:
        row = self.store.rows.get((kind, one))
        if row is None or row["organisation"] != caller.organisation:
            raise Refused(404, "not-found")
        return row

    def create(self, kind: str, asked: Asked, caller: Caller) -> tuple[int, object]:
        one = f"{kind[:3]}_{secrets.token_hex(4)}"
        row = {"id": one, "organisation": caller.organisation, "state": "open", "note": asked.body.get("note", "")}
        self.store.rows[kind, one] = row
        return 201, shown(row)

    def one(self, kind: str, one: str, asked: Asked, caller: Caller) -> tuple[int, object]:
        row = self.found(kind, one, caller)
        if asked.method == "GET":
            return 200, shown(row)
        if asked.method == "PATCH":
            row["note"] = str(asked.body.get("note", ""))
            return 200, shown(row)
        if asked.method == "DELETE":
            del self.store.rows[kind, one]
            return 204, None
        raise Refused(405, "method-not-allowed")

    # ------------------------------------------------------------ HTTP

    def serve(self, asked: Asked) -> tuple[int, object]:
        """Return status and body, refusals included."""
        if asked.method not in {"GET", "POST", "PATCH", "DELETE"}:
            return 405, {"error": "method-not-allowed"}
        try:
            return self.answer(asked)
        except Refused as refused:
            return refused.status, {"error": refused.word}


def shown(row: dict[str, object]) -> dict[str, object]:
    """Return what a caller may see of a row."""
    return {name: row[name] for name in ("id", "organisation", "state", "note")}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read(part: str) -> dict[str, object]:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def openapi(title: str) -> dict[str, object]:
    """Return the description of the API."""
    paths: dict[str, dict[str, object]] = {"/v1/health": {"get": operation(public=True)}}
    paths |= {f"/v1/{name}": {"get": operation()} for name in DOCUMENTS}
    paths |= {f"/v1/admin/{name}": {"get": operation()} for name in ADMIN}
    paths["/v1/customers/{customer_id}/contracts/{contract_id}"] = {"get": operation("customer_id", "contract_id")}
    for kind, parameter in OBJECTS.items():
        paths[f"/v1/{kind}"] = {"get": operation(), "post": operation(takes=True)}
        paths[f"/v1/{kind}/{{{parameter}}}"] = {
            "get": operation(parameter), "patch": operation(parameter, takes=True), "delete": operation(parameter),
        }  # fmt: skip
    return {"openapi": "3.1.0", "info": {"title": title, "version": "1"}, "security": [{"key": []}], "paths": paths,
            "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}}  # fmt: skip


def operation(*parameters: str, public: bool = False, takes: bool = False) -> dict[str, object]:
    described: dict[str, object] = {
        "parameters": [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in parameters],
        "responses": {"default": {"description": "JSON"}},
    }
    if public:
        described["security"] = []
    if takes:
        described["requestBody"] = {"content": {"application/json": {"example": {"note": "written by a probe"}}}}
    return described


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 around an `Api`."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    api: Api

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        parts = urlsplit(f"http://host{self.requestline.split(' ')[1]}")  # as it was sent: self.path is tidied
        asked = Asked(
            self.command, parts.path, dict(parse_qsl(parts.query)), {n.lower(): v for n, v in self.headers.items()},
            json.loads(raw) if raw else {},
        )  # fmt: skip
        status, body = self.api.serve(asked)
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_get = answer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing of each request."""


def serve(api: Api, port: int = 0) -> ThreadingHTTPServer:
    """Return a server of *api*, on loopback only, already answering in a thread."""
    handler = type("Bound", (Handler,), {"api": api})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


def furnish(api: Api, port: int, folder: Path) -> Path:
    """Write credentials (0600) and a `probe.toml` for a server on *port* into *folder*; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    revoked = api.issue("org_alder", "admin")
    api.revoked.add(str(read(revoked.split(".")[1])["jti"]))
    keys = {
        "a": api.issue("org_alder", "admin"), "b": api.issue("org_birch", "admin"), "revoked": revoked,
        "expired": api.issue("org_alder", "admin", -60), "lower": api.issue("org_alder", "member"),
    }  # fmt: skip
    for name, key in keys.items():
        path = folder / f"{name}.key"
        path.touch(0o600)
        path.write_text(key)
    file = folder / "probe.toml"
    file.write_text("\n".join(_lines(port)) + "\n")
    return file


def _lines(port: int) -> Iterator[str]:
    yield f'base_url = "http://127.0.0.1:{port}"'
    yield 'public = ["GET /v1/health"]'
    yield 'admin = ["GET /v1/admin/*"]'
    yield 'hidden = ["password_hash"]'
    for name, (organisation, mark) in zip("ab", ORGANISATIONS.items(), strict=True):
        yield f'[organisations.{name}]\ncredential = "file:{name}.key"\nmarks = ["{mark}", "{organisation}"]'
    yield '[credentials]\nexpired = "file:expired.key"\nrevoked = "file:revoked.key"\nlower = "file:lower.key"'
    yield '[parameters.order_id]\ndiscover = { route = "GET /v1/orders", pointer = "/data/0/id" }'
    yield '[parameters.member_id]\na = "mem_alder_1"\nb = "mem_birch_1"'
    yield '[parameters.invoice_id]\na = "inv_alder_1"\nb = "inv_birch_1"'
    yield '[parameters.customer_id]\na = "cus_alder"\nb = "cus_birch"'
    yield '[parameters.contract_id]\na = "con_alder"\nb = "con_birch"'


def main(api: Api) -> None:
    """Serve *api* until Ctrl-C."""
    parser = argparse.ArgumentParser(description=api.title)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True, help="where credentials and probe.toml are written")
    asked = parser.parse_args()
    server = serve(api, asked.port)
    file = furnish(api, server.server_port, asked.folder)
    print(f"{api.title}: http://127.0.0.1:{server.server_port}, on loopback only. Ctrl-C ends it.")
    print(f"heldtrue probe http://127.0.0.1:{server.server_port}/openapi.json --file {file} --rate 100")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.shutdown()


if __name__ == "__main__":
    main(Api())

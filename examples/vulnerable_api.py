"""WARNING: an API that is broken on purpose. Never serve it anywhere: it binds loopback only, and holds nothing real.

The same API as `sound_api.py` with faults planted, one a route, all listed in `vulnerable_api.answers.toml`; it shows
that `heldtrue probe` finds them. `python examples/vulnerable_api.py --folder /tmp/vulnerable` serves it.
"""

from __future__ import annotations

import hashlib
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

sys.path.insert(0, str(Path(__file__).parent))
from sound_api import ORGANISATIONS, Api, Asked, Caller, Refused, main, read, shown

PASSWORD_HASH = hashlib.sha256(b"nobody's password").hexdigest()
SOMEBODY = Caller("org_alder", "admin")
"""Who a request is taken for where nobody is asked."""


class VulnerableApi(Api):
    """The sample API, with its faults."""

    title = "A vulnerable sample API: broken on purpose"

    def serve(self, asked: Asked) -> tuple[int, object]:
        name = asked.path.removeprefix("/v1/")
        if name == "webhooks" and "x-http-method-override" in asked.headers:  # the judge sees another method: open
            return 200, self.document("webhooks", SOMEBODY)
        if name == "files" and asked.method == "HEAD":  # HEAD was forgotten
            return 200, self.document("files", SOMEBODY)
        if name == "audits" and asked.method == "get":  # the judge compares "GET", the router does not care
            return 200, self.document("audits", SOMEBODY)
        status, body = super().serve(asked)
        if name == "plan" and status == 401:  # refuses with a success
            return 200, {"error": "please sign in"}
        if name == "profile" and status == 401:  # refuses, and sends the data along
            return 401, {"error": "unauthenticated", "debug": self.document("profile", SOMEBODY)}
        return status, body

    def answer(self, asked: Asked) -> tuple[int, object]:
        bent = self.bent(asked.path)
        if bent is not None:  # the judge knows the path as written only, the router is generous
            return 200, self.document(bent, SOMEBODY)
        return super().answer(asked)

    def bent(self, path: str) -> str | None:
        """Return the document that a generous router finds under a path that is not canonical."""
        generous = {
            "tokens": path == "/v1/tokens/",
            "limits": path != "/v1/limits" and path.lower() == "/v1/limits",
            "regions": path == "//v1/regions",
            "currencies": path != "/v1/currencies" and unquote(path) == "/v1/currencies",
            "taxes": path.startswith("/v1/taxes;"),
            "notes": path == "/v1/notes.json",
        }
        return next((name for name, there in generous.items() if there), None)

    def caller(self, asked: Asked) -> Caller:
        name = asked.path.removeprefix("/v1/")
        if name == "usage" or (name == "alerts" and "authorization" in asked.headers):  # forgotten; any will do
            try:
                return super().caller(asked)
            except Refused:
                return SOMEBODY
        if name == "reports" and "access_token" in asked.query:  # credentials in URLs
            token = asked.query["access_token"]
            return super().caller(replace(asked, headers={"authorization": f"Bearer {token}"}))
        if name in {"statements", "exports", "tickets", "identity"}:
            return self.lax(name, self.credential(asked))
        return super().caller(asked)

    def lax(self, name: str, token: str) -> Caller:
        """Return whom a credential names, with one of its checks left out."""
        parts = token.split(".")
        if len(parts) != 3:
            raise Refused(401, "unauthenticated")
        claims, right = read(parts[1]), self.signature(".".join(parts[:2]))
        if name == "identity" and read(parts[0]).get("alg") == "none":  # the token says itself how it is checked
            return Caller(str(claims["org"]), str(claims["role"]))
        if name == "tickets" and parts[2] and parts[2][:8] == right[:8]:  # compares the beginning only
            token = f"{parts[0]}.{parts[1]}.{right}"
        if name == "statements" and parts[2] == right and claims["jti"] not in self.revoked:  # forgets the expiry
            return Caller(str(claims["org"]), str(claims["role"]))
        if name == "exports" and parts[2] == right and float(str(claims["exp"])) > time.time():  # not whether it lives
            return Caller(str(claims["org"]), str(claims["role"]))
        claims = self.claims(token)
        return Caller(str(claims["org"]), str(claims["role"]))

    def administer(self, name: str, caller: Caller) -> object:
        if name == "users":  # hidden in the client only
            return super().administer(name, replace(caller, role="admin"))
        return super().administer(name, caller)

    def contract(self, customer: str, contract: str, caller: Caller) -> object:
        if customer.removeprefix("cus_") != caller.organisation.removeprefix("org_"):
            raise Refused(404, "not-found")
        row = self.store.rows.get(("contracts", contract))  # only the parent is checked
        if row is None:
            raise Refused(404, "not-found")
        return row

    def listed(self, kind: str, caller: Caller) -> object:
        if kind == "members":  # the filter was forgotten
            return {"data": [shown(row) for (held, _), row in self.store.rows.items() if held == kind]}
        return super().listed(kind, caller)

    def one(self, kind: str, one: str, asked: Asked, caller: Caller) -> tuple[int, object]:
        row = self.store.rows.get((kind, one))
        if kind == "invoices" and asked.method == "GET" and row is not None:  # looked up by id alone
            return 200, shown(row)
        if kind == "orders" and asked.method == "PATCH" and row is not None:  # written by id alone, tells nothing
            row["note"] = f"{asked.body.get('note', '')} by {ORGANISATIONS[caller.organisation]}"
            return 200, {"ok": True}
        if kind == "invoices" and asked.method == "DELETE" and row is not None:  # deleted by id alone
            del self.store.rows[kind, one]
            return 204, None
        status, body = super().one(kind, one, asked, caller)
        if kind == "members" and asked.method == "GET" and isinstance(body, dict):  # the row is dumped
            return status, {**body, "password_hash": PASSWORD_HASH}
        return status, body


if __name__ == "__main__":
    main(VulnerableApi())

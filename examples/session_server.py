"""Mint session tokens for the users of your own application: standard library only, one request a token.

The secret key stays on your server. Your page asks your server (who checks its own login first), and your server asks
Heldtrue:

    python examples/session_server.py https://127.0.0.1:8443 example.key user-7 --ca-file tls/ca.pem --grant orders.read
"""

from __future__ import annotations

import argparse
import json
import ssl
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Minter:
    """Asks an instance for session tokens with one secret key, which needs `session.mint`."""

    def __init__(self, url: str, key: str, ca_file: Path | None = None) -> None:
        self._url, self._key = url.rstrip("/"), key
        self._tls = ssl.create_default_context(cafile=ca_file)

    def mint(
        self, subject: str, *, permissions: Sequence[str] = (), grants: Sequence[str] = (), seconds: int = 300
    ) -> dict[str, Any]:
        """Return `{"token": …, "expires_at": …}` for *subject*, your own name for the user; hand it over, keep none."""
        asked = {"subject": subject, "permissions": [*permissions], "grants": [*grants], "ttl_seconds": seconds}
        request = urllib.request.Request(
            f"{self._url}/v1/sessions",
            json.dumps(asked).encode(),
            {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10, context=self._tls) as answer:
            minted = json.load(answer)
        return {"token": minted["token"], "expires_at": minted["expires_at"]}


def main() -> None:
    """Print one token as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("key_file", type=Path)
    parser.add_argument("subject")
    parser.add_argument("--ca-file", type=Path)
    parser.add_argument("--permission", action="append", default=[])
    parser.add_argument("--grant", action="append", default=[])
    asked = parser.parse_args()
    minter = Minter(asked.url, asked.key_file.read_text().strip(), asked.ca_file)
    print(json.dumps(minter.mint(asked.subject, permissions=asked.permission, grants=asked.grant)))


if __name__ == "__main__":
    main()

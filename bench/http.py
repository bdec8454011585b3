"""Requests a second of an authenticated read, over TLS, with its audit entry; and of what costs no transaction.

The read is `GET /v1/self`: key looked up, limits counted, one entry committed to the ledger. The reference is nginx
serving a file of the same size over TLS, which does none of that.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from instance import Instance

from bench import nginx, wrk
from bench.report import Row, row, write

CONNECTIONS = (1, 16, 64)
LIMITS = "[limits]\nrequests_per_second = 1000000\nburst = 1000000\n"
REFERENCE = "nginx static over TLS"


def main() -> None:
    """Measure, print and write."""
    missing = nginx.missing()
    if missing is not None:
        raise SystemExit(f"install {missing} first: `make test-deps` does")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "heldtrue.toml").write_text(LIMITS)
        instance = Instance(root, ("--no-claims", "--config", str(root / "heldtrue.toml")))
        instance.start()
        try:
            key = instance.organisation("Benchmark")
            read = {"Authorization": f"Bearer {key}"}
            body = instance.call("GET", "/v1/self", key=key).body
            with nginx.serving(body) as url:
                for connections in CONNECTIONS:
                    reference = wrk.load(url, connections=connections).per_second
                    many = f"{connections} connections"
                    told = f"{REFERENCE}, {many}"
                    ours = wrk.load(f"{instance.url}/v1/self", connections=connections, headers=read).per_second
                    rows.append(row(f"authenticated read, {many}", ours, "requests/s", told, reference))
                health = wrk.load(f"{instance.url}/healthz", connections=CONNECTIONS[-1]).per_second
                rows.append(row(f"health, {CONNECTIONS[-1]} connections", health, "requests/s", told, reference))
        finally:
            instance.stop()
    write("http", rows)


if __name__ == "__main__":
    main()

"""The reference server: nginx with TLS, one worker, a static file; driven by the same `wrk` as ours."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from instance import free_port, until

from heldtrue.crypto.tls import ensure_local_authority

CONFIGURATION = """
worker_processes 1;
daemon off;
error_log {root}/error.log;
pid {root}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
    location / {{ root {root}/www; default_type application/json; }}
  }}
}}
"""


def missing() -> str | None:
    """Return what has to be installed first; None when all is there."""
    wanted = [name for name in ("nginx", "wrk") if shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin") is None]
    return ", ".join(wanted) or None


@contextmanager
def serving(body: bytes) -> Generator[str]:
    """Serve *body* as a static file over TLS and yield its URL."""
    with tempfile.TemporaryDirectory() as name:
        root, port = Path(name), free_port()
        root.chmod(0o755)
        (root / "www").mkdir()
        (root / "www" / "self").write_bytes(body)
        tls = ensure_local_authority(root / "tls", datetime.now(UTC))
        configuration = root / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(root=root, port=port, cert=tls.cert, key=tls.key))
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin") or "nginx"
        process = subprocess.Popen([program, "-p", name, "-c", configuration], stderr=subprocess.DEVNULL)
        try:
            until((root / "nginx.pid").exists, 10, "nginx runs")
            yield f"https://127.0.0.1:{port}/self"
        finally:
            process.terminate()
            process.wait(10)


def load(url: str, *, connections: int, seconds: int = 5, headers: Mapping[str, str] | None = None) -> float:
    """Drive *url* with `wrk` and return requests per second; raise when an answer was not 2xx."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url]
    for key, value in (headers or {}).items():
        command += ["-H", f"{key}: {value}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(said)
    found = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    if found is None:
        raise RuntimeError(said)
    return float(found[1])

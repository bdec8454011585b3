"""The reference server: nginx, one worker; static files, a plain proxy, and a proxy that asks the edge's door."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from instance import free_port, until

from heldtrue.crypto.tls import ensure_local_authority

PLACES = "/usr/sbin:/usr/bin:/usr/local/bin"
CONFIGURATION = """
worker_processes 1;
daemon off;
error_log {root}/error.log;
pid {root}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  keepalive_requests 1000000;
  {http}
}}
"""
TLS = "ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;"


def missing() -> str | None:
    """Return what has to be installed first; None when all is there."""
    wanted = [name for name in ("nginx", "wrk") if shutil.which(name, path=PLACES) is None]
    return ", ".join(wanted) or None


@contextmanager
def running(http: str, *, body: bytes = b"", core: int | None = None) -> Generator[None]:
    """Run nginx with the servers in *http*, in which `{root}`, `{cert}` and `{key}` are filled in; pinned to *core*.

    `{root}/www/self` holds *body*.
    """
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "www").mkdir()
        (root / "www" / "self").write_bytes(body)
        tls = ensure_local_authority(root / "tls", datetime.now(UTC))
        filled = http.replace("{root}", name).replace("{cert}", str(tls.cert)).replace("{key}", str(tls.key))
        (root / "nginx.conf").write_text(CONFIGURATION.format(root=name, http=filled))
        command = [shutil.which("nginx", path=PLACES) or "nginx", "-p", name, "-c", root / "nginx.conf"]
        if core is not None:
            command = ["taskset", "-c", str(core), *command]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            until(lambda: (root / "nginx.pid").exists() or process.poll() is not None, 10, "nginx runs")
            if process.poll() is not None:
                raise RuntimeError((root / "error.log").read_text())
            yield
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def serving(body: bytes) -> Generator[str]:
    """Serve *body* as a static file over TLS and yield its URL."""
    port = free_port()
    server = f"server {{ listen 127.0.0.1:{port} ssl; {TLS} location / {{ root {{root}}/www; }} }}"
    with running(server, body=body):
        yield f"https://127.0.0.1:{port}/self"

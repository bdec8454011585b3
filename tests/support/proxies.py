"""Real nginx and real Caddy with generated configurations, and a client that sends whatever bytes it is told."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from instance import free_port, until

from heldtrue.capabilities.edge.proxyconfig import Kind, Parameters, render
from heldtrue.crypto.tls import TlsFiles

PLACES = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/local/bin", "/usr/sbin"])
"""An ordinary user's PATH lacks /usr/sbin, where Debian has nginx."""
MODULE = Path("/usr/lib/nginx/modules/ngx_http_modsecurity_module.so")
RULES = Path("/usr/share/modsecurity-crs/rules")

NGINX = """
{user}
{modules}
worker_processes 1;
daemon off;
error_log {root}/error.log info;
pid {root}/nginx.pid;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  include {root}/heldtrue.conf;
}}
"""


def program(name: str) -> str | None:
    """Return where *name* is, also where an ordinary user's PATH does not lead."""
    return shutil.which(name, path=PLACES)


def has_firewall() -> bool:
    """Return whether ModSecurity and the core rule set are installed."""
    return MODULE.exists() and RULES.is_dir()


@dataclass(frozen=True)
class Answer:
    """What a client got; status 0 where the connection ended without one, -1 where it hung."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        found = self.values(name)
        assert len(found) == 1, (name, found, self)
        return found[0]


@dataclass
class Proxy:
    """A proxy that runs, and a client for it that sends whatever bytes it is told."""

    kind: Kind
    port: int
    tls: TlsFiles
    process: subprocess.Popen[bytes]
    log: Path

    def connect(self, *, name: str | None = "localhost", context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """Return a TLS connection; *name* is the one that the client asks for."""
        if context is None:
            context = ssl.create_default_context(cafile=str(self.tls.ca))
        context.check_hostname = False
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        try:
            return context.wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise

    def send(self, *pieces: bytes, patience: float = 10) -> Answer:
        """Send bytes as they are and return the first answer."""
        with contextlib.closing(self.connect()) as connection:
            connection.settimeout(patience)
            for piece in pieces:
                connection.sendall(piece)
            return self.first(connection)

    def first(self, connection: ssl.SSLSocket) -> Answer:
        """Return the first answer on *connection*."""
        response = http.client.HTTPResponse(connection)
        try:
            response.begin()
            return Answer(response.status, tuple(response.getheaders()), response.read())
        except (http.client.HTTPException, ConnectionError, ssl.SSLError):
            return Answer(0)
        except TimeoutError:
            return Answer(-1)
        finally:
            response.close()

    def ask(self, method: str, target: str, *headers: str, body: bytes = b"", host: str | None = None) -> Answer:
        """Send one well-formed request and return its answer."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host or f'localhost:{self.port}'}", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        lines += ["Connection: close", "", ""]
        return self.send("\r\n".join(lines).encode("latin-1") + body)


@contextlib.contextmanager
def serving(kind: Kind, root: Path, tls: TlsFiles, make: Callable[[int], Parameters]) -> Generator[Proxy]:
    """Run a proxy of *kind* with the configuration that `make(port)` asks for."""
    root.mkdir()
    port = free_port()
    configuration, log = render(kind, make(port)), root / "error.log"
    command = _nginx(root, configuration) if kind == "nginx" else _caddy(root, configuration)
    with (root / "output.txt").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, "HOME": str(root)})
    proxy = Proxy(kind, port, tls, process, log if kind == "nginx" else root / "output.txt")

    def listens() -> bool:
        assert process.poll() is None, (root / "output.txt").read_text()[-3000:]
        with contextlib.suppress(OSError), contextlib.closing(proxy.connect()):
            return True
        return False

    try:
        until(listens, 20, f"{kind} listens", 0.02)
        yield proxy
    finally:
        process.terminate()
        process.wait(10)


def _nginx(root: Path, configuration: str) -> list[str]:
    (root / "heldtrue.conf").write_text(configuration)
    wants = "modsecurity on" in configuration
    (root / "nginx.conf").write_text(
        NGINX.format(
            root=root,
            user="user root;" if os.geteuid() == 0 else "",
            modules=f"load_module {MODULE};" if wants else "",
        )
    )
    return [program("nginx") or "nginx", "-p", str(root), "-c", str(root / "nginx.conf")]


def _caddy(root: Path, configuration: str) -> list[str]:
    (root / "Caddyfile").write_text(configuration)
    return [program("caddy") or "caddy", "run", "--adapter", "caddyfile", "--config", str(root / "Caddyfile")]

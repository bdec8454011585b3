"""The edge beside its references in one run: decisions over HTTP, forward-auth under nginx, and the built-in proxy.

One core does the judged work (the edge, or the reference in its place); the other has the database, the upstream and
the load generator. References: nginx serving a file, nginx alone as a proxy, and a naive verifier with one database
read a request. The instance without audit, whose edge commits nothing for a request, can be had nowhere but here.
"""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import instance as support
from instance import Instance, free_port, until

from bench import nginx, wrk
from bench.plot import curve
from bench.report import OUT, Row, row, write
from bench.wrk import Load
from heldtrue.db.embedded import EmbeddedServer

JUDGED, BESIDE = 0, 1
"""The core of what is measured, and the core of everything else."""
CONNECTIONS = (1, 2, 4, 8, 16, 64, 256)
CALM = (1, 2, 4)
"""Connections at which nothing is saturated: what one request costs."""
ROUNDS, SECONDS = 3, 2
KEYS = 100_000
BODY = b'{"orders":[]}'
SETTINGS = """
claims = false
[limits]
requests_per_second = 1000000
burst = 1000000
[edge]
listen = "127.0.0.1:{door}"
trusted_proxies = ["127.0.0.1/32"]
upstream = "http://127.0.0.1:{upstream}"
proxy_listen = "127.0.0.1:{proxy}"
[edge.limits.organisation]
burst = 10000000
per_second = 10000000
[edge.limits.key]
burst = 10000000
per_second = 10000000
"""
WITHOUT_AUDIT = """
import sys
from heldtrue.capabilities.edge import journal
async def nothing(self, served): return None
journal.Journal.append = nothing
from heldtrue.app.cli import main
sys.argv[0] = "heldtrue"
main()
"""
PLAIN = """
upstream behind {{ server 127.0.0.1:{upstream}; keepalive 256; }}
server {{ listen 127.0.0.1:{plain}; location / {{
  proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
server {{ listen 127.0.0.1:{tls} ssl; {certificate} location / {{
  proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
"""
ASKING = """
upstream behind {{ server 127.0.0.1:{upstream}; keepalive 256; }}
upstream door {{ server 127.0.0.1:{door}; keepalive 256; }}
server {{ listen 127.0.0.1:{asking};
  location = /ask {{ internal; proxy_pass http://door/auth/nginx; proxy_http_version 1.1;
    proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_set_header Connection "";
    proxy_set_header X-Original-Method $request_method; proxy_set_header X-Original-URI $request_uri;
    proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $host; }}
  location / {{ auth_request /ask;
    proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens."""

    door: int
    proxy: int
    upstream: int
    plain: int
    tls: int
    asking: int


class Unaudited(Instance):
    """An instance whose edge commits nothing for a request."""

    def start(self, *, ready: bool = True) -> None:
        script = self.root / "heldtrue"
        script.write_text(f"#!{sys.executable}\n{WITHOUT_AUDIT}")
        script.chmod(0o755)
        usual, support.HELDTRUE = support.HELDTRUE, script
        try:
            super().start(ready=ready)
        finally:
            support.HELDTRUE = usual


def main() -> None:
    """Measure, print, write and plot."""
    if (lacking := nginx.missing()) is not None:
        raise SystemExit(f"install {lacking} first: `make test-deps` does")
    os.sched_setaffinity(0, {BESIDE})
    ports = Ports(*(free_port() for _ in range(6)))
    rows: list[Row] = []
    static = f"server {{ listen 127.0.0.1:{ports.upstream}; location / {{ root {{root}}/www; }} }}"
    with nginx.running(static, body=BODY, core=JUDGED):
        reference = sweep("nginx static", plain(ports.upstream, "/self"))
    with nginx.running(static, body=BODY, core=BESIDE):
        numbers = {**ports_of(ports), "certificate": nginx.TLS}
        with nginx.running(PLAIN.format(**numbers), core=JUDGED):
            proxied = sweep("nginx proxy", plain(ports.plain, "/self"))
            proxied_tls = sweep("nginx proxy, TLS", plain(ports.tls, "/self", "https"))
        with naive() as (port, token):
            asked = sweep("naive verifier", plain(port, "/", token=token))
        with edge(Instance, ports) as token:
            door = sweep("edge", doored(ports.door, token))
            built_in = sweep("built-in proxy, TLS", plain(ports.proxy, "/self", "https", token))
            with nginx.running(ASKING.format(**numbers), core=JUDGED):
                guarded = sweep("nginx asking the edge", plain(ports.asking, "/self", token=token))
        with edge(Unaudited, ports) as token:
            bare = sweep("edge without audit", doored(ports.door, token))
            with nginx.running(ASKING.format(**numbers), core=JUDGED):
                guarded_bare = sweep("nginx asking, without audit", plain(ports.asking, "/self", token=token))

    best = max(reference, key=lambda one: one.per_second).per_second
    for name, loads in (
        ("edge: verified, limited, audited", door), ("edge, audit left out", bare), ("naive verifier", asked),
        ("nginx proxy", proxied), ("nginx asking the edge", guarded),
    ):  # fmt: skip
        top = max(loads, key=lambda one: one.per_second)
        rows.append(row(f"{name}, {top.connections} connections", top.per_second, "requests/s", "nginx static", best))
    within = [one for one in door if one.p99 < 6.0]
    if within:
        top = max(within, key=lambda one: one.per_second)
        rows.append(row("edge, most at p99 under 6 ms", top.per_second, "requests/s", "nginx static", best))
        rows.append(row("edge, p99 there", top.p99, "ms"))
    top, plain_tls = (max(one, key=lambda load: load.per_second).per_second for one in (built_in, proxied_tls))
    rows.append(row("built-in proxy, TLS", top, "requests/s", "nginx proxy, TLS", plain_tls))
    for name, loads in (("audited", guarded), ("audit left out", guarded_bare)):
        for connections in CALM:
            alone, asking = at(proxied, connections), at(loads, connections)
            told = f"nginx asking the edge ({name}), added at p99, {connections} connections"
            rows.append(row(told, asking.p99 - alone.p99, "ms", "nginx proxy, p99 ms", alone.p99))
    write("edge", rows)
    drawn = {
        "nginx static": reference, "nginx proxy": proxied, "naive verifier": asked, "edge": door,
        "edge, audit left out": bare, "nginx asking the edge": guarded, "built-in proxy, TLS": built_in,
    }  # fmt: skip
    curve(OUT / "edge.svg", "Latency against load", "requests/s", "p99, ms",
          {name: [(one.per_second, one.p99) for one in loads] for name, loads in drawn.items()})  # fmt: skip


def sweep(name: str, drive: Callable[[int], Load]) -> list[Load]:
    """Drive over more and more connections; each point is the median of some rounds."""
    drive(CONNECTIONS[3])
    found: list[Load] = []
    for connections in CONNECTIONS:
        rounds = [drive(connections) for _ in range(ROUNDS)]
        rate, p50, p99 = (
            statistics.median(getattr(one, what) for one in rounds) for what in ("per_second", "p50", "p99")
        )
        found.append(Load(connections, rate, p50, p99))
        print(
            f"{name:32} {connections:4} connections {rate:10,.0f}/s   p50 {p50:8.3f} ms   p99 {p99:8.3f} ms", flush=True
        )
    return found


def plain(port: int, path: str, scheme: str = "http", token: str | None = None) -> Callable[[int], Load]:
    """Return what drives a server, with a credential where one is given."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return lambda connections: wrk.load(
        f"{scheme}://127.0.0.1:{port}{path}", connections=connections, seconds=SECONDS, headers=headers, core=BESIDE
    )


def doored(port: int, token: str) -> Callable[[int], Load]:
    """Return what asks the forward-auth door as nginx would."""
    headers = {
        "Authorization": f"Bearer {token}", "X-Original-Method": "GET", "X-Original-URI": "/self",
        "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "api.example.com",
    }  # fmt: skip
    return lambda connections: wrk.load(
        f"http://127.0.0.1:{port}/auth/nginx", connections=connections, seconds=SECONDS, headers=headers, core=BESIDE
    )


def at(loads: list[Load], connections: int) -> Load:
    """Return the load of so many connections."""
    return next(one for one in loads if one.connections == connections)


def ports_of(ports: Ports) -> dict[str, int]:
    """Return the ports by name."""
    return {name: getattr(ports, name) for name in Ports.__slots__}


@contextlib.contextmanager
def edge(kind: type[Instance], ports: Ports) -> Generator[str]:
    """Run an instance with its edge on the judged core and all else on the other; yield a live key."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "heldtrue.toml").write_text(SETTINGS.format(**ports_of(ports)))
        running = kind(root, ("--config", str(root / "heldtrue.toml")))
        running.start()
        try:
            token = running.organisation("Benchmark")
            for process in running.tree():
                core = JUDGED if process.name().startswith("heldtrue-edge") else BESIDE
                with contextlib.suppress(psutil.NoSuchProcess):
                    for thread in process.threads():
                        os.sched_setaffinity(thread.id, {core})
            yield token
        finally:
            running.stop()


@contextlib.contextmanager
def naive() -> Generator[tuple[int, str]]:
    """Run the naive verifier on the judged core with its database on the other; yield its port and a key it knows."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        home.chmod(0o711)
        server = EmbeddedServer(home)
        dsn = server.start().reveal()
        try:
            with psycopg.connect(dsn, autocommit=True) as conn:
                conn.execute("CREATE TABLE keys (digest bytea PRIMARY KEY, state text NOT NULL)")
                with conn.cursor().copy("COPY keys FROM STDIN") as copy:
                    for number in range(KEYS):
                        copy.write_row((sha256(b"key%d" % number).digest(), "active"))
                conn.execute("ANALYZE keys")
            port = free_port()
            command = ["taskset", "-c", str(JUDGED), sys.executable, "-m", "bench.naive", str(port)]
            process = subprocess.Popen(command, env={**os.environ, "NAIVE_DSN": dsn})
            try:
                until(lambda: answers(port), 20, "the naive verifier answers")
                yield port, "key7"
            finally:
                process.terminate()
                process.wait(10)
        finally:
            server.stop()


def answers(port: int) -> bool:
    """Return whether something listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


if __name__ == "__main__":
    main()

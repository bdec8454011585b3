"""Rendered pages on loopback, with the headers that the application gives them, compressed as a proxy would."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from heldtrue.http.headers import protective
from heldtrue.http.pages import STYLE
from heldtrue.http.route import CacheClass
from heldtrue.trust.render import ASSETS

HTML = "text/html; charset=utf-8"


@contextmanager
def serving(pages: Mapping[str, bytes]) -> Generator[str]:
    """Serve *pages* by path and query, and the assets; yield the address."""
    files = {f"/assets/{name}": asset for name, asset in ASSETS.items()}
    files["/docs/reference.css"] = (STYLE, "text/css; charset=utf-8")
    made = {**files, **{path: (content, HTML) for path, content in pages.items()}}
    small = {path: gzip.compress(content, 6) for path, (content, kind) in made.items() if not kind.startswith("font")}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            content, kind = made.get(self.path, (None, HTML))
            self.send_response(200 if content is not None else 404)
            for name, value in protective(kind, CacheClass.PAGE):
                if name != "strict-transport-security":
                    self.send_header(name, value)
            if content is not None and self.path in small and "gzip" in self.headers.get("accept-encoding", ""):
                content = small[self.path]
                self.send_header("content-encoding", "gzip")
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

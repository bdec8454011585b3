"""The routes of the API itself: health, metrics, its description, its problem types."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import msgspec

from heldtrue.http import openapi, pages
from heldtrue.http.exchange import Page
from heldtrue.http.ports import Check, Ports
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.errors import NotFoundError

HTML = "text/html; charset=utf-8"
FRESH = 1.0
"""Seconds for which one readiness check answers everybody who asks."""


class Health(msgspec.Struct, frozen=True):
    """The process runs."""

    status: str


class CheckResult(msgspec.Struct, frozen=True):
    """One check of readiness."""

    name: str
    ok: bool
    note: str


class Readiness(msgspec.Struct, frozen=True):
    """Whether requests can be served now, and by which checks."""

    ready: bool
    checks: list[CheckResult]


class ProblemQuery(msgspec.Struct, frozen=True):
    """Which problem type."""

    code: str


class Probe:
    """Readiness, asked at most once a second whoever asks how often."""

    def __init__(self, ready: Callable[[], Sequence[Check]], monotonic: Callable[[], float]) -> None:
        self._ready = ready
        self._monotonic = monotonic
        self._asked: float | None = None
        self._checks: Sequence[Check] = ()
        self._lock = threading.Lock()

    def page(self) -> Page:
        """Return 200 when every check is well, 503 with the names of those that are not."""
        with self._lock:
            if self._asked is None or self._monotonic() - self._asked >= FRESH:
                self._checks = self._ready()
                self._asked = self._monotonic()
            checks = self._checks
        well = all(check.ok for check in checks)
        body = Readiness(well, [CheckResult(check.name, check.ok, check.note) for check in checks])
        return Page(
            content=msgspec.json.encode(body), content_type="application/json", status=200 if well else 503,
            headers={} if well else {"retry-after": "2"},
        )  # fmt: skip


def routes(ports: Ports, table: Sequence[Route]) -> list[Route]:
    """Return the routes of the API itself, describing *table* and themselves."""
    probe = Probe(ports.ready, ports.monotonic)
    described: dict[str, bytes] = {}
    index, problems = pages.problem_pages()

    def problem(asked: ProblemQuery) -> Page:
        if asked.code not in problems:
            raise NotFoundError("There is no problem type of this name.")
        return Page(content=problems[asked.code], content_type=HTML)

    own = [
        _route("/healthz", lambda: Health("ok"), "Whether the process runs", gives=Health, tag="health"),
        _route("/readyz", probe.page, "Whether requests can be served", gives=Readiness, tag="health"),
        _route(
            "/metrics", lambda: Page(content=ports.metrics(), content_type="text/plain; version=0.0.4; charset=utf-8"),
            "Measurements, in Prometheus text", produces="text/plain", tag="health",
        ),
        _route(
            "/openapi.json", lambda: Page(content=described["json"], content_type="application/json"),
            "This description, as OpenAPI 3.1", cache=CacheClass.PAGE, tag="reference",
        ),
        _route(
            "/docs", lambda: Page(content=described["html"], content_type=HTML),
            "This description, to read", cache=CacheClass.PAGE, produces="text/html", tag="reference",
        ),
        _route(
            "/docs/reference.css", lambda: Page(content=pages.STYLE, content_type="text/css; charset=utf-8"),
            "The look of this description", cache=CacheClass.PAGE, produces="text/css", tag="reference",
        ),
        _route(
            "/problems", lambda: Page(content=index, content_type=HTML),
            "The problem types", cache=CacheClass.PAGE, produces="text/html", tag="reference",
        ),
        _route(
            "/problems/{code}", problem, "What a problem type means and what to do",
            takes=ProblemQuery, cache=CacheClass.PAGE, produces="text/html", tag="reference",
        ),
    ]  # fmt: skip
    everything = [*table, *own]
    document = openapi.document(everything)
    described["json"] = msgspec.json.encode(document)
    described["html"] = pages.reference(everything, document)
    return own


def _route(
    path: str, action: Callable[..., object], summary: str, *, tag: str, takes: type | None = None,
    gives: type | None = None, cache: CacheClass = CacheClass.PRIVATE, produces: str = "application/json",
) -> Route:  # fmt: skip
    return Route(
        at=f"GET {path}", action=action, summary=summary, takes=takes, gives=gives, realm=Realm.PUBLIC, cache=cache,
        produces=produces, tags=(tag,),
    )  # fmt: skip

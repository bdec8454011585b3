"""The ASGI application: every answer that leaves here has a request id, protective headers, and no internals in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

import msgspec
import structlog

from heldtrue.http import headers, system
from heldtrue.http.exchange import Receive, TruncatedBodyError
from heldtrue.http.gate import Gate
from heldtrue.http.incoming import Incoming, Reply, Scope, Send, incoming
from heldtrue.http.limits import Standing
from heldtrue.http.limits import headers_of as limit_headers
from heldtrue.http.pipeline import Call, NotHereError, Pipeline
from heldtrue.http.ports import Ports
from heldtrue.http.problems import MEDIA_TYPE, headers_of, known, problem_of, status_of
from heldtrue.http.refusals import MINUTE, RefusedSummary
from heldtrue.http.requestid import Trace, begin
from heldtrue.http.route import CacheClass, Route
from heldtrue.http.router import Router
from heldtrue.kernel.errors import UnavailableError

T = TypeVar("T")
log = structlog.get_logger("heldtrue.http")


class Application:
    """The whole API of one process, for any ASGI server; call `close` when the server has stopped."""

    def __init__(self, table: Sequence[Route], ports: Ports) -> None:
        self.table = [*table, *system.routes(ports, table)]
        self._ports = ports
        self._threads = ThreadPoolExecutor(ports.workers, thread_name_prefix="action")
        self._gate = Gate(ports)
        self._pipeline = Pipeline(Router(self.table), ports, self._gate, self._in_thread)
        self._collecting: asyncio.Task[None] | None = None
        self._log = log.bind()  # once, not for every request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; lifespan is acknowledged, anything else refused."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"a scope of type {scope['type']} is not served")
        await self._serve(incoming(scope, receive), send)

    def close(self) -> None:
        """Finish what runs in threads and record the refusals that were counted and not recorded yet."""
        self._pipeline.close()
        self._threads.shutdown(wait=True)
        for summary in self._gate.refusals.collect(None):
            self._keep(summary)

    async def _serve(self, request: Incoming, send: Send) -> None:
        started = self._ports.monotonic()
        trace = begin(self._ports.clock.now(), self._ports.entropy, request.headers.get("traceparent"))
        standings: list[Standing] = []
        at = "none"
        try:
            match, chosen = self._pipeline.match(request, standings)
            if chosen is None:
                reply = Reply(status=204, content_type="text/plain", headers=[("allow", match.allow)])
            else:
                at = chosen[0].at
                reply = await self._pipeline.answer(Call(request, trace, match, *chosen, standings))
        except Exception as error:  # noqa: BLE001 - the rim: whatever it was becomes a problem document, and is logged
            reply = self._problem(error, trace, at)
        ours = [*trace.headers(), *limit_headers(standings)]
        reply.headers = headers.complete(reply.content_type, reply.cache, ours, reply.headers)
        try:
            await reply.send(send, bodyless=request.method == "HEAD")
        except Exception:
            log.exception("answer cut", request=str(trace.request), route=at)
            raise
        finally:
            seconds = self._ports.monotonic() - started
            self._ports.observe(at, reply.status, seconds)
            took = round(seconds * 1000, 1)
            self._log.info("request", request=str(trace.request), route=at, status=reply.status, milliseconds=took)
            self._collect_later()

    def _problem(self, error: Exception, trace: Trace, at: str) -> Reply:
        meant = known(error)
        if isinstance(error, TruncatedBodyError):
            log.info("body cut", request=str(trace.request), route=at)
        elif isinstance(error, UnavailableError):
            log.warning("unavailable", request=str(trace.request), route=at, code=meant.code, why=meant.message)
        elif status_of(type(meant)) >= 500:
            log.error("failed", request=str(trace.request), route=at, code=meant.code, exc_info=error)
        problem = problem_of(meant, trace.request)
        extra = headers_of(meant)
        if isinstance(meant, NotHereError):
            extra.append(("allow", meant.allow))
        return Reply(
            status=problem.status, content_type=MEDIA_TYPE, content=msgspec.json.encode(problem),
            cache=CacheClass.PRIVATE, headers=extra,
        )  # fmt: skip

    async def _in_thread(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, act)

    def _collect_later(self) -> None:
        """Have the minute's refusals recorded when it is over; one task at a time, none while nothing was refused."""
        if self._gate.refusals.waiting() and (self._collecting is None or self._collecting.done()):
            self._collecting = asyncio.get_running_loop().create_task(self._collect())

    async def _collect(self) -> None:
        while self._gate.refusals.waiting():
            await asyncio.sleep(_until_next_minute(self._ports.clock.now()))
            for summary in self._gate.refusals.collect(self._ports.clock.now()):
                await self._in_thread(lambda summary=summary: self._keep(summary))

    def _keep(self, summary: RefusedSummary) -> None:
        try:
            self._ports.record_refusals(summary)
        except Exception:
            log.exception("refusals not recorded, kept for later", count=summary.count)
            self._gate.refusals.put_back(summary)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await asyncio.get_running_loop().run_in_executor(None, self.close)
                await send({"type": "lifespan.shutdown.complete"})
                return


def _until_next_minute(now: datetime) -> float:
    return MINUTE.total_seconds() - now.second - now.microsecond / 1e6 + 0.01


def build_app(table: Sequence[Route], ports: Ports) -> Application:
    """Return the application that serves *table* and the routes of the API itself."""
    return Application(table, ports)

"""Journey 1, a request: match → authenticate → authorise → limit → read → act and audit in one transaction → answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from heldtrue.http import idempotency, squeezing, transaction, wire
from heldtrue.http.credential import DuplicateCredentialError
from heldtrue.http.exchange import Answer, Exchange, MalformedRequestError, Page, Signed
from heldtrue.http.gate import Gate, needs_credential
from heldtrue.http.group import GroupCommits, Member
from heldtrue.http.idempotency import Repeatable
from heldtrue.http.incoming import Incoming, Reply
from heldtrue.http.limits import Standing
from heldtrue.http.ports import Ports
from heldtrue.http.problems import MethodNotAllowedError, status_of
from heldtrue.http.requestid import Trace
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.http.router import Match, Router
from heldtrue.http.wire import Binder
from heldtrue.kernel.errors import DeniedError, HeldtrueError, LimitedError, NotFoundError, UnauthenticatedError
from heldtrue.op import Actor, Operation

T = TypeVar("T")
MOST_IGNORED = 64 * 1024
"""Bytes of a body that are read to say that there should be none."""


class InThread(Protocol):
    """Run a blocking function in a worker thread."""

    async def __call__(self, act: Callable[[], T]) -> T:
        """Return what it returns."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One request with the route that it found."""

    request: Incoming
    trace: Trace
    match: Match
    route: Route
    binder: Binder
    standings: list[Standing]
    """Where the caller stands with each limit, filled in on the way."""


class Pipeline:
    """The way of every request through one process."""

    def __init__(self, router: Router, ports: Ports, gate: Gate, in_thread: InThread) -> None:
        self._router = router
        self._ports = ports
        self._gate = gate
        self._in_thread = in_thread
        self._groups = GroupCommits(ports)

    def close(self) -> None:
        """End what commits. Blocking."""
        self._groups.close()

    def match(self, request: Incoming, standings: list[Standing]) -> tuple[Match, tuple[Route, Binder] | None]:
        """Return what is at the request's path and, by its method, the route; None for OPTIONS.

        Whatever leads nowhere counts against the source's limit.
        """
        try:
            if len(request.authorization) > 1:
                raise DuplicateCredentialError
            match = self._router.find(request.raw_path, request.path)
            method = "GET" if request.method == "HEAD" and "GET" in match.routes else request.method
            if method in match.routes:
                return match, match.routes[method]
            if method == "OPTIONS":
                self._gate.limit_anonymous(request.source, standings)
                return match, None
            raise NotHereError(match.allow)
        except HeldtrueError as error:
            if not isinstance(error, LimitedError):
                self._gate.limit_anonymous(request.source, standings)
            raise

    async def answer(self, call: Call) -> Reply:
        """Take one request the whole way; raise a domain error for whatever stops it."""
        route, request = call.route, call.request
        if needs_credential(route):
            actor = await self._gate.identify(request, call.standings)
            return await self._for_actor(call, actor)
        if route.path != "/healthz":
            self._gate.limit_anonymous(request.source, call.standings)
        if route.realm is Realm.LINK:
            return await self._for_link(call)
        if route.path == "/metrics" and not self._ports.may_scrape(request.client):
            raise NotFoundError("Metrics are for the networks that the operator named.")
        if route.form:
            self._gate.admit_form(route, request, call.standings)
        page = await (self._for_signer(call) if route.signed else self._for_everybody(call))
        cache = page.cache if isinstance(page, Page) and page.cache is not None else route.cache
        return await self._squeezed(request, _reply(route, _public(page), cache))

    async def _squeezed(self, request: Incoming, reply: Reply) -> Reply:
        """Return the answer as the reader accepts it; caches keep both forms apart."""
        if not squeezing.varies(reply):
            return reply
        reply.headers.append(("vary", "accept-encoding"))
        content = reply.content or b""
        if squeezing.accepted(request.headers.get("accept-encoding", "")):
            reply.content = await self._in_thread(lambda: squeezing.packed(content))
            reply.headers.append(("content-encoding", "gzip"))
        return reply

    async def _for_everybody(self, call: Call) -> object:
        given, _ = await self._input(call)
        route = call.route
        told = (() if route.takes is None else (given,)) + ((call.request.source,) if route.by_source else ())
        return await self._in_thread(lambda: route.action(*told))

    async def _for_signer(self, call: Call) -> object:
        """Hand the body over as it came; whom its signature does not satisfy is counted among the refused."""
        request = call.request
        body = await request.body.whole(self._ports.body_limit)
        signed = Signed(request.headers, body, call.trace.request, self._ports)
        try:
            return await self._in_thread(lambda: call.route.action(signed))
        except (UnauthenticatedError, DeniedError) as error:
            self._gate.refusals.count(self._ports.clock.now(), request.source, error.code)
            raise

    async def _for_actor(self, call: Call, actor: Actor) -> Reply:
        denied = self._gate.judge(actor, call.route)
        self._gate.limit(actor, call.standings)
        try:
            if denied is not None:
                raise denied
            answer = await (self._stream if call.route.streams else self._act)(call, actor)
        except HeldtrueError as error:
            if status_of(type(error)) < 500:
                await self._record_refusal(call, actor, error)
            raise
        return _reply(call.route, answer, CacheClass.PRIVATE)

    async def _record_refusal(self, call: Call, actor: Actor, error: HeldtrueError) -> None:
        ports, route, request = self._ports, call.route, call.trace.request
        await self._in_thread(lambda: transaction.record_refusal(ports, route, actor, request, error))

    async def _act(self, call: Call, actor: Actor) -> Answer:
        route = call.route
        given, body = await self._input(call)
        content_type = call.request.headers.get("content-type", "")
        digest = idempotency.digest_request(call.request.target, content_type, body)

        def act(op: object) -> object:
            return route.action(op) if route.takes is None else route.action(op, given)

        return await self._transact(call, actor, act, self._repeatable(call, actor, digest))

    async def _stream(self, call: Call, actor: Actor) -> Answer:
        request, route = call.request, call.route

        async def transact(act: Callable[[Operation], Answer], body_digest: bytes | None, *, group: bool) -> Answer:
            repeatable = None
            if route.creates and "idempotency-key" in request.headers:
                if body_digest is None:
                    raise TypeError(f"{route.at} creates, so its handler sets the body's digest before it transacts")
                repeatable = self._repeatable(call, actor, idempotency.digest_request(request.target, "", body_digest))
            if group:
                return await self._groups.perform(Member(route, actor, call.trace.request, act, repeatable))
            return await self._transact(call, actor, act, repeatable)

        exchange = Exchange(
            route=route, actor=actor, request=call.trace.request, headers=request.headers, path=call.match.path,
            query=dict(request.query()), tls=request.tls, ports=self._ports, body=request.body, transact=transact,
            run_sync=self._in_thread,
        )  # fmt: skip
        if route.bodiless and await exchange.whole_body(MOST_IGNORED):
            raise MalformedRequestError("This operation takes no body.")
        answer = await route.action(exchange)
        if not exchange.transacted:
            raise TypeError(f"{route.at} answered without its transaction, so without an audit entry")
        return answer

    async def _for_link(self, call: Call) -> Reply:
        token, route = call.match.path.get("token", ""), call.route
        linked = await self._in_thread(lambda: self._ports.resolve_link(token))
        if linked is None:
            nowhere = NotFoundError("This link leads nowhere.")
            self._gate.refuse_stranger(nowhere, call.request.source)
            raise nowhere
        actor = Actor(kind="link", tenant=linked.tenant, environment=linked.environment)
        given = () if route.takes is None else ((await self._input(call))[0],)
        answer = await self._transact(call, actor, lambda op: route.action(op, linked.row, *given), None)
        return _reply(route, answer, CacheClass.PRIVATE)

    async def _transact(
        self, call: Call, actor: Actor, act: Callable[[Any], object], repeatable: Repeatable | None
    ) -> Answer:
        ports, route, request = self._ports, call.route, call.trace.request
        answer = await self._in_thread(
            lambda: transaction.perform(ports, route, actor, request, act=act, repeatable=repeatable)
        )
        if route.changes_access:
            await ports.agreed()  # in vain when the database went away: then nobody is let in soon
        return answer

    async def _input(self, call: Call) -> tuple[Any, bytes]:
        """Return the action's input, and the body that it was made of."""
        request = call.request
        body = await request.body.whole(call.route.body_limit or self._ports.body_limit)
        content_type = request.headers.get("content-type")
        return call.binder.bind(call.match.path, request.query(), body, content_type), body

    def _repeatable(self, call: Call, actor: Actor, digest: bytes) -> Repeatable | None:
        header = call.request.headers.get("idempotency-key")
        if not call.route.creates or header is None or actor.key is None:
            return None
        return Repeatable(
            tenant=actor.tenant.value, environment=actor.environment, credential=actor.key.value, route=call.route.at,
            key_digest=idempotency.digest_key(header), body_digest=digest,
        )  # fmt: skip


class NotHereError(MethodNotAllowedError):
    """The path exists, but not with this method; `Allow` names those it has."""

    def __init__(self, allow: str) -> None:
        super().__init__(f"Only {allow} here.")
        self.allow = allow


def _public(given: object) -> Answer:
    if isinstance(given, Page):
        return Answer(
            content=given.content, content_type=given.content_type, headers=given.headers, status=given.status
        )
    return Answer(content=wire.encode(given)) if given is not None else Answer()  # pyright: ignore[reportArgumentType]


def _reply(route: Route, answer: Answer, cache: CacheClass) -> Reply:
    status = answer.status if answer.status is not None else route.status
    headers = [(name.lower(), value) for name, value in answer.headers.items()]
    return Reply(
        status=status, content_type=answer.content_type, content=answer.content, chunks=answer.chunks,
        cache=cache, headers=headers,
    )  # fmt: skip

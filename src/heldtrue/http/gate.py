"""Who may come in: authenticate, then authorise, then limit. Nobody who was refused a moment ago costs a look-up."""

from __future__ import annotations

import threading
from collections import OrderedDict

from heldtrue.crypto.digest import sha256
from heldtrue.http.credential import MissingCredentialError, Presented, UnknownCredentialError, bearer
from heldtrue.http.incoming import Incoming
from heldtrue.http.limits import Gcra, Standing
from heldtrue.http.ports import Ports
from heldtrue.http.refusals import Refusals
from heldtrue.http.route import Realm, Route
from heldtrue.kernel.errors import DeniedError, LimitedError, NotFoundError, UnauthenticatedError, UnavailableError
from heldtrue.op import Actor
from heldtrue.policy.decide import decide

MOST_KNOWN = 10_000


class CrossSiteError(DeniedError):
    """The form was sent by another site's page; open the page here and send it from there."""

    code = "cross-site"


class Gate:
    """Authentication, authorisation and limits of one process."""

    def __init__(self, ports: Ports) -> None:
        limits = ports.limits
        self._ports = ports
        self._organisations = Gcra("organisation", limits.organisation, ports.monotonic, limits.buckets)
        self._keys = Gcra("key", limits.key, ports.monotonic, limits.buckets)
        self._anonymous = Gcra("source", limits.anonymous, ports.monotonic, limits.buckets)
        self._forms = Gcra("form", limits.forms, ports.monotonic, limits.buckets)
        self._known: OrderedDict[bytes, Actor] = OrderedDict()
        self._lock = threading.Lock()
        self.refusals = Refusals()

    async def identify(self, request: Incoming, standings: list[Standing]) -> Actor:
        """Return who the bearer token says it is; raise `UnauthenticatedError`, or `LimitedError` when too many were.

        Tokens that were good before are remembered by digest, for two refusals only: a source that was refused too
        often is not looked at unless its token was good, and a token over its limit is refused before it is judged.
        Every admission is judged anew.
        """
        source = request.source
        try:
            presented = Presented(
                bearer(request.authorization).decode("latin-1"), request.headers.get("origin"), request.client
            )
        except MissingCredentialError as error:
            raise self._refused(error, source, standings) from error
        digest = sha256(presented.token.encode("utf-8", "surrogateescape"))
        with self._lock:
            known = self._known.get(digest)
        if known is None:
            self._admit(self._anonymous.look(source), standings)
        else:
            for table, bucket in ((self._organisations, str(known.tenant)), (self._keys, str(known.key))):
                if table.over(bucket):
                    self._admit(table.look(bucket), standings)
        try:
            actor = await self._authenticate(presented)
        except UnauthenticatedError as error:
            with self._lock:
                self._known.pop(digest, None)
            raise self._refused(error, source, standings) from error
        with self._lock:
            self._known[digest] = actor
            while len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
        standings.clear()
        return actor

    async def _authenticate(self, presented: Presented) -> Actor:
        """Return the actor; a credential that is unknown may have been made a moment ago, so that is awaited once."""
        try:
            return self._ports.authenticate(presented)
        except UnknownCredentialError:
            if not await self._ports.agreed():
                raise UnavailableError("Whether this credential is known cannot be told now.") from None
        return self._ports.authenticate(presented)

    def judge(self, actor: Actor, route: Route) -> DeniedError | None:
        """Return why *actor* may not use *route*, None when it may. A route without a permission is refused."""
        if route.needs is None:
            return DeniedError("This operation declares no permission, so nobody has it.")
        try:
            decide(actor.permissions, route.needs)
        except DeniedError as error:
            return error
        return None

    def limit(self, actor: Actor, standings: list[Standing]) -> None:
        """Count one request of *actor*; raise `LimitedError` when its key or its organisation is over the limit."""
        if actor.key is None:
            raise LimitedError("A caller without a key has no limit to count against.")
        self._admit(self._organisations.take(str(actor.tenant)), standings)
        self._admit(self._keys.take(str(actor.key)), standings)

    def limit_anonymous(self, source: str, standings: list[Standing]) -> None:
        """Count one request of *source*; raise `LimitedError` when it is over the limit for strangers."""
        self._admit(self._anonymous.take(source), standings)

    def admit_form(self, route: Route, request: Incoming, standings: list[Standing]) -> None:
        """Count one form; raise `LimitedError` over the limit, `CrossSiteError` where another site's page sent it.

        Browsers say whose page sends (W3C Fetch Metadata); who is no browser says nothing and needs no protection.
        """
        if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            raise CrossSiteError
        self._admit(self._forms.take(f"{route.at} {request.source}"), standings)

    def refuse_stranger(self, error: NotFoundError, source: str) -> None:
        """Count a link that leads nowhere among the refusals."""
        self.refusals.count(self._ports.clock.now(), source, error.code)

    def _refused(self, error: UnauthenticatedError, source: str, standings: list[Standing]) -> UnauthenticatedError:
        self.refusals.count(self._ports.clock.now(), source, error.code)
        self._admit(self._anonymous.take(source), standings)
        return error

    def _admit(self, standing: Standing, standings: list[Standing]) -> None:
        if standings:
            standings[:] = [one for one in standings if one.name != standing.name]
        standings.append(standing)
        if not standing.admitted:
            raise LimitedError(
                f"Over the limit by {standing.name}.",
                advice=f"At most {standing.rate.per_second:g} a second in the long run, {standing.rate.burst} at once.",
                retry_after=standing.retry_after,
            )


def needs_credential(route: Route) -> bool:
    """Return whether *route* is for callers with a credential; every realm but two is."""
    return route.realm not in {Realm.PUBLIC, Realm.LINK}

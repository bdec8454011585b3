"""What a process needs to know who comes in: the snapshot, the feed that keeps it, and the judge over both."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from heldtrue.capabilities.access.sessions import SessionVerifier
from heldtrue.capabilities.edge.agreement import Agreement
from heldtrue.capabilities.edge.decision import Admits, Decider
from heldtrue.capabilities.edge.feed import Feed
from heldtrue.capabilities.edge.model import STALE_AFTER, EdgePolicy
from heldtrue.capabilities.edge.snapshot import Snapshot, boottime
from heldtrue.http.credential import Presented
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.secret import Secret
from heldtrue.op import Actor


class Gatekeeper:
    """One a process; to be made after a fork."""

    def __init__(
        self,
        dsn: Secret[str],
        clock: Clock,
        issuer: str,
        *,
        policy: EdgePolicy | None = None,
        limiter: Admits | None = None,
        boot: Callable[[], float] = boottime,
    ) -> None:
        """Prepare; *dsn* is the edge role's, *issuer* that of the session tokens, and their audience."""
        self._boot = boot
        self.snapshot = Snapshot()
        self.feed = Feed(dsn, self.snapshot, boot=boot)
        self.agreement = Agreement(self.feed, boot=boot)
        verifier = SessionVerifier(lambda kid: self.snapshot.public_key(kid, clock.now()), issuer, issuer)
        self.decider = Decider(self.snapshot, clock, policy, limiter=limiter, sessions=verifier, boot=boot)

    @contextmanager
    def running(self) -> Generator[Gatekeeper]:
        """Start the feed and have the keys before the block begins, if the database is there; end it with the block."""
        with self.feed:
            self.feed.start()
            yield self

    def age(self) -> float:
        """Return the seconds since the snapshot was last known to be right; infinite before the first time."""
        return self._boot() - self.snapshot.agreed_at

    @property
    def stale(self) -> bool:
        """Whether nobody is let in, because the snapshot is too old."""
        return self.age() > STALE_AFTER

    def authenticate(self, presented: Presented) -> Actor:
        """Return who holds what was presented to the API itself; raise what `Decider.identify` raises."""
        caller = self.decider.identify(presented.token, origin=presented.origin, address=presented.address)
        return Actor(
            kind=caller.kind, tenant=caller.tenant, environment=caller.environment, key=caller.key, role=caller.role,
            permissions=caller.permissions,
        )  # fmt: skip

    async def agreed(self) -> bool:
        """Wait until everything committed before this call is known; False when that takes too long."""
        return await self.agreement.reached()

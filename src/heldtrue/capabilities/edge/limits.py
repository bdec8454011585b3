"""The limits of the edge: per organisation, key and class of routes, shared by all processes through leases."""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from weakref import WeakValueDictionary

from heldtrue.capabilities.edge.allowances import (
    DEFAULT,
    Allowance,
    LimitPolicies,
    Policy,
    PolicySource,
    by_class,
    shared_by_all,
)
from heldtrue.capabilities.edge.leases import Ask, Grant, Lease
from heldtrue.capabilities.edge.rounds import ANSWER_WITHIN, Lessor, LimiterUnavailableError, Rounds
from heldtrue.http.limits import Standing, policy_of
from heldtrue.kernel.errors import LimitedError
from heldtrue.kernel.ids import KeyId, TenantId

__all__ = [
    "DEFAULT", "Admission", "Allowance", "Ask", "Grant", "Lessor", "LimitPolicies", "Limiter",
    "LimiterUnavailableError", "Policy", "PolicySource", "by_class",
]  # fmt: skip

REMEMBERED = 100_000
"""Callers whose leases a process remembers; beyond, whoever came first is forgotten first."""


class Admission:
    """Whether a call is within its limits, and how these stand."""

    __slots__ = ("_leases", "_monotonic", "_policy", "_refused", "admitted", "retry_after")

    def __init__(
        self,
        admitted: bool,
        retry_after: float,
        leases: tuple[Lease, ...],
        refused: tuple[Lease, ...],
        monotonic: Callable[[], float],
    ) -> None:
        self.admitted = admitted
        self.retry_after = retry_after
        """Seconds after which the same call is admitted, if nobody else takes what comes back until then."""
        self._leases = leases
        self._policy = ""
        self._refused = refused
        self._monotonic = monotonic

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How each limit stands when this is read."""
        now = self._monotonic()
        return tuple(
            lease.standing(now, admitted=True)
            if lease not in self._refused
            else lease.standing(now, admitted=False, retry_after=max(0.0, lease.open_at - now))
            for lease in self._leases
        )

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return `ratelimit-policy` and `ratelimit`, and `retry-after` where refused."""
        now = self._monotonic()
        policy = self._policy or policy_of(tuple([(lease.name, lease.rate) for lease in self._leases]))
        self._policy = policy
        left = ", ".join([lease.told(now) for lease in self._leases])
        if not left:
            return ()
        found = (("ratelimit-policy", policy), ("ratelimit", left))
        if self.admitted:
            return found
        return (*found, ("retry-after", str(max(1, math.ceil(self.retry_after)))))

    def refusal(self) -> LimitedError:
        """Return the error that a refused caller is told."""
        names = " and ".join(lease.name for lease in self._refused)
        return LimitedError(f"the limit of {names} is used up", retry_after=self.retry_after)


class _Caller:
    """The leases that calls of one key to one class of routes need, and the answer while all are at hand."""

    __slots__ = ("admission", "leases")

    def __init__(self, leases: tuple[Lease, ...], monotonic: Callable[[], float]) -> None:
        self.leases = leases
        self.admission = Admission(True, 0.0, leases, (), monotonic)


class Limiter:
    """Admit calls by leases; one a process, used from its event loop alone."""

    def __init__(
        self,
        policies: Mapping[str, LimitPolicies] | PolicySource,
        lessor: Lessor,
        *,
        naming: bytes = b"",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is asked before the first call. Every process that shares *lessor* must pass the same *naming* key.

        *policies* is a mapping by class of routes, which has `DEFAULT`, or a function of organisation and class.
        """
        self._policies_of = policies if callable(policies) else shared_by_all(policies)
        self._rounds = Rounds(lessor, monotonic)
        self._naming = naming[:64]
        self._monotonic = monotonic
        self._callers: OrderedDict[tuple[int, str], _Caller] = OrderedDict()
        self._leases: WeakValueDictionary[bytes, Lease] = WeakValueDictionary()

    # ------------------------------------------------------------ deciding

    def admit(self, tenant: TenantId, key: KeyId, route_class: str) -> Admission | None:
        """Take one request of every limit of the call, or of none; None: `lease` first.

        Not a coroutine, and no round trip: microseconds.
        """
        caller = self._callers.get((key.value.int, route_class))
        if caller is None:
            caller = self._remember(tenant, key, route_class)
        now = self._monotonic()
        for lease in caller.leases:
            if now > lease.stamp:
                return self._settle(caller, now, lease)
            lease.left = left = lease.left - 1
            lease.stamp += lease.step
            if left <= lease.low:
                self._run_low(lease, now)
        return caller.admission

    async def lease(self, tenant: TenantId, key: KeyId, route_class: str) -> None:
        """Wait until what `admit` misses was asked for; one round trip for all calls of a tick of the event loop.

        Raise `LimiterUnavailableError` after half a second: then deny.
        """
        caller = self._callers.get((key.value.int, route_class)) or self._remember(tenant, key, route_class)
        await self._rounds.missing(caller.leases)

    async def take(self, tenant: TenantId, key: KeyId, route_class: str) -> Admission:
        """Decide, with as many leases as that takes; raise `LimiterUnavailableError` after half a second."""
        deadline = self._monotonic() + ANSWER_WITHIN
        while (found := self.admit(tenant, key, route_class)) is None:
            if self._monotonic() > deadline:
                raise LimiterUnavailableError
            await self.lease(tenant, key, route_class)
        return found

    def forget(self) -> None:
        """Read every caller's policies anew, because they changed; what was leased under the old ones is lost."""
        self._callers.clear()

    def close(self) -> None:
        """End the thread; whoever waits is denied. Blocks while a connection is being made, two seconds at most."""
        self._rounds.close()

    def _settle(self, caller: _Caller, now: float, reached: Lease) -> Admission | None:
        """Decide where a cell is missing, or is only expired: first give back what was taken before *reached*."""
        for lease in caller.leases:
            if lease is reached:
                break
            lease.give_back()
        missing = [lease for lease in caller.leases if not lease.refresh(now)]
        if not missing:
            for lease in caller.leases:
                lease.spend()
                if lease.left <= lease.low:
                    self._run_low(lease, now)
            return caller.admission
        refused = tuple(lease for lease in missing if lease.open_at > now)
        if not refused:
            return None
        retry_after = max(lease.open_at for lease in refused) - now
        return Admission(False, retry_after, caller.leases, refused, self._monotonic)

    def _remember(self, tenant: TenantId, key: KeyId, route_class: str) -> _Caller:
        now = self._monotonic()
        leases = tuple(
            self._lease_of(policy, tenant, key, now) for policy in self._policies_of(tenant, route_class).policies
        )
        caller = self._callers[key.value.int, route_class] = _Caller(leases, self._monotonic)
        if len(self._callers) > REMEMBERED:
            self._callers.popitem(last=False)
        return caller

    def _lease_of(self, policy: Policy, tenant: TenantId, key: KeyId, now: float) -> Lease:
        """Return the lease of the bucket of *policy* and its subject, the same for all who share the bucket."""
        subject = tenant.value.bytes + (key.value.bytes if policy.per == "key" else b"")
        bucket = hashlib.blake2b(policy.name.encode() + b"\0" + subject, digest_size=16, key=self._naming).digest()
        lease = self._leases.get(bucket)
        if lease is None or lease.rate != policy.rate:
            lease = self._leases[bucket] = Lease(policy.name, bucket, policy.rate, now)
        return lease

    def _run_low(self, lease: Lease, now: float) -> None:
        """Ask for more before the last is spent, unless that was done, or there is nothing to be had yet."""
        if lease.run_low() and now >= lease.open_at:
            self._rounds.prefetch(lease)

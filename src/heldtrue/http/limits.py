"""Rate limits in process: GCRA, told to the caller by `RateLimit-Policy` and `RateLimit` (structured fields, RFC 9651).

The generic cell rate algorithm keeps one number a bucket: the theoretical arrival time (ITU-T I.371, annex A). Memory
is bounded: when a table is full of unfinished buckets, newcomers share one bucket, which limits them rather than
letting them in uncounted.
"""

from __future__ import annotations

import functools
import ipaddress
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import http_sf
from http_sf.types import StructuredType

SHARED = "\0newcomers"
"""The bucket of whoever finds the table full."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, so many a second in the long run."""

    burst: int
    per_second: float

    def __post_init__(self) -> None:
        if self.burst < 1 or self.per_second <= 0:
            raise ValueError("a rate lets at least one request through, some time")

    @property
    def window(self) -> int:
        """The seconds in which an empty bucket becomes full again, rounded up: the policy's `w`."""
        return math.ceil(self.burst / self.per_second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of an instance."""

    organisation: Rate = field(default_factory=lambda: Rate(200, 100))
    key: Rate = field(default_factory=lambda: Rate(200, 100))
    anonymous: Rate = field(default_factory=lambda: Rate(400, 50))
    """By source address: pages, links and whatever is refused for want of a credential."""
    forms: Rate = field(default_factory=lambda: Rate(12, 1 / 300))
    """By source address and form: what strangers send by the public pages, beside the limit for reading them."""
    buckets: int = 100_000
    """Buckets remembered in each table."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands with one limit after a request."""

    name: str
    rate: Rate
    admitted: bool
    remaining: int
    reset: int
    """Seconds until the bucket is full again."""
    retry_after: float = 0.0


class Gcra:
    """One table of buckets under one rate; safe to use from several threads."""

    def __init__(self, name: str, rate: Rate, monotonic: Callable[[], float], buckets: int = 100_000) -> None:
        self.name = name
        self.rate = rate
        self._monotonic = monotonic
        self._buckets = buckets
        self._interval = 1.0 / rate.per_second
        self._tolerance = (rate.burst - 1) * self._interval
        self._arrivals: dict[str, float] = {}
        self._swept = 0.0
        self._lock = threading.Lock()

    def take(self, bucket: str) -> Standing:
        """Count one request against *bucket* and say whether it is admitted; a refused one costs nothing."""
        now = self._monotonic()
        with self._lock:
            bucket = self._place(bucket, now)
            arrival = max(self._arrivals.get(bucket, now), now)
            wait = arrival - self._tolerance - now
            if wait > 1e-9:
                return self._standing(now, arrival, admitted=False, retry_after=wait)
            arrival += self._interval
            self._arrivals[bucket] = arrival
            return self._standing(now, arrival, admitted=True)

    def over(self, bucket: str) -> bool:
        """Return whether the next request of *bucket* would be refused; counts nothing."""
        now = self._monotonic()
        with self._lock:
            return self._arrivals.get(self._place(bucket, now), now) - self._tolerance - now > 1e-9

    def look(self, bucket: str) -> Standing:
        """Say how *bucket* stands without counting anything."""
        now = self._monotonic()
        with self._lock:
            arrival = max(self._arrivals.get(self._place(bucket, now), now), now)
            wait = max(arrival - self._tolerance - now, 0.0)
            return self._standing(now, arrival, admitted=wait <= 1e-9, retry_after=wait)

    def _standing(self, now: float, arrival: float, *, admitted: bool, retry_after: float = 0.0) -> Standing:
        remaining = max(0, int((self._tolerance + self._interval - (arrival - now)) / self._interval + 1e-9))
        return Standing(self.name, self.rate, admitted, remaining, math.ceil(arrival - now), retry_after)

    def _place(self, bucket: str, now: float) -> str:
        """Return the bucket to use, sweeping full ones out at most once a second when there is no room."""
        if bucket in self._arrivals or len(self._arrivals) < self._buckets:
            return bucket
        if now - self._swept >= 1.0:
            self._swept = now
            self._arrivals = {name: arrival for name, arrival in self._arrivals.items() if arrival > now}
        return bucket if len(self._arrivals) < self._buckets else SHARED


def source_of(client: object) -> str:
    """Return the bucket of a source address: an IPv4 address, or the /64 that one IPv6 subscriber commonly holds."""
    if not (isinstance(client, (tuple, list)) and client and isinstance(client[0], str)):
        return "local"
    return _source(client[0])


@functools.lru_cache(4096)
def _source(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "local"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)


def headers_of(standings: Sequence[Standing]) -> list[tuple[str, str]]:
    """Return `RateLimit-Policy` and `RateLimit` for *standings*, by draft-ietf-httpapi-ratelimit-headers."""
    if not standings:
        return []
    left = ", ".join([f"{quoted(one.name)};r={one.remaining};t={one.reset}" for one in standings])
    return [("ratelimit-policy", policy_of(tuple([(one.name, one.rate) for one in standings]))), ("ratelimit", left)]


@functools.lru_cache(1024)
def policy_of(limits: tuple[tuple[str, Rate], ...]) -> str:
    """Return `RateLimit-Policy` for *limits*: names and rates."""
    policies: StructuredType = [(name, {"q": rate.burst, "w": rate.window}) for name, rate in limits]
    return http_sf.ser(policies)


@functools.lru_cache(1024)
def quoted(name: str) -> str:
    """Return *name* as a string of structured fields (RFC 9651, section 3.3.3)."""
    return http_sf.ser(name)

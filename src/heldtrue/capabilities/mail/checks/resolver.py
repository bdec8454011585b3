"""DNS as the checks use it, by dnspython: a time limit for each question, and a count of them for each message."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import dns.exception
import dns.name
import dns.nameserver
import dns.resolver
from dns.rdata import Rdata

from heldtrue.kernel.errors import UnavailableError

QUESTION_SECONDS = 4.0
MESSAGE_SECONDS = 20.0
MESSAGE_QUESTIONS = 80
"""More than SPF may cause (RFC 7208, section 4.6.4), and five signatures, ten ARC sets and two policies need."""
REMEMBERED = 10_000


class DnsTemporaryError(UnavailableError):
    """The name servers did not answer this time; the sender's server tries again by itself."""

    code = "dns-temporary"


class Resolver:
    """Asks name servers, and remembers answers for as long as these say; safe to use from several threads."""

    def __init__(self, servers: Sequence[tuple[str, int]] = (), *, seconds: float = QUESTION_SECONDS) -> None:
        """Ask *servers* (address and port), or those that the machine's own configuration names."""
        self._dns = dns.resolver.Resolver(configure=not servers)
        if servers:
            self._dns.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
        self._dns.cache = dns.resolver.LRUCache(REMEMBERED)
        self._dns.timeout = seconds / 2
        self._seconds = seconds

    def ask(self, name: str, kind: str, seconds: float | None = None) -> tuple[Rdata, ...]:
        """Return the records of *kind* (as `TXT`) at *name*; none where there are none or the name is none.

        Raise `DnsTemporaryError` when nobody knows now.
        """
        lifetime = self._seconds if seconds is None else max(0.05, min(self._seconds, seconds))
        try:
            absolute = dns.name.from_text(name)
            return tuple(self._dns.resolve(absolute, kind, lifetime=lifetime, search=False))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except (dns.exception.Timeout, dns.resolver.NoNameservers, OSError) as error:
            raise DnsTemporaryError(f"no answer about {name[:80]}") from error
        except (dns.exception.DNSException, UnicodeError, ValueError):
            return ()


class Lookups:
    """What one message may ask: so many questions, so many seconds."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        questions: int = MESSAGE_QUESTIONS,
        seconds: float = MESSAGE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = resolver
        self._left = questions
        self._monotonic = monotonic
        self._end = monotonic() + seconds

    def ask(self, name: str, kind: str) -> tuple[Rdata, ...]:
        """Ask, as `Resolver.ask` does; raise `DnsTemporaryError` as well when the message has asked enough."""
        left = self._end - self._monotonic()
        if self._left <= 0 or left <= 0:
            raise DnsTemporaryError("this message has asked for too many names, or for too long")
        self._left -= 1
        return self._resolver.ask(name, kind, left)

    def texts(self, name: str) -> list[bytes]:
        """Return the TXT records at *name*, each joined."""
        return [b"".join(record.strings) for record in self.ask(name, "TXT")]  # pyright: ignore[reportAttributeAccessIssue]

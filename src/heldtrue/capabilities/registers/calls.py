"""The hosts that the house itself calls, recorded as it calls them, and compared with the list of sub-processors.

Not meant: endpoints, which customers name. Meant: object store, mail relay, database and caches on other machines.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from heldtrue.capabilities.registers import actions
from heldtrue.capabilities.registers.kinds import LOCATIONS, SUB_PROCESSORS
from heldtrue.capabilities.registers.subprocessors import State
from heldtrue.db.tx import Database, SystemTx
from heldtrue.kernel.clock import Clock

AGAIN = timedelta(hours=1)
"""A host that is called all the time is written down this often."""
LOOKED_AT = timedelta(days=30)
"""Calls longer ago than this are not compared any more."""


@dataclass(frozen=True, slots=True)
class Call:
    """A host, and which part of the house called it last when."""

    host: str
    part: str
    first_at: datetime
    last_at: datetime


class HouseCalls:
    """Writes down which hosts a process calls; a call that cannot be written down must not be made."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._written: dict[tuple[str, str], datetime] = {}
        self._lock = threading.Lock()

    def note(self, host: str, part: str) -> None:
        """Write down that *part* is about to call *host*; raise `UnavailableError` where that cannot be done."""
        now, name = self._clock.now(), (host.strip("[]").rstrip(".").lower(), part)
        with self._lock:
            last = self._written.get(name)
            if last is not None and timedelta() <= now - last < AGAIN:
                return
        with self._database.system() as tx:
            record(tx, name[0], part, now)
        with self._lock:
            self._written[name] = now


def record(tx: SystemTx, host: str, part: str, now: datetime) -> None:
    """Keep that *part* calls *host*."""
    tx.execute(
        """INSERT INTO heldtrue.house_calls (host, part, first_at, last_at) VALUES (%s, %s, %s, %s)
           ON CONFLICT (host, part) DO UPDATE SET last_at = greatest(house_calls.last_at, excluded.last_at)""",
        (host, part, now, now),
    )


def recent(tx: SystemTx, now: datetime) -> list[Call]:
    """Return the hosts that were called of late, by name."""
    return tx.many(
        Call,
        "SELECT host, part, first_at, last_at FROM heldtrue.house_calls WHERE last_at > %s ORDER BY host, part",
        (now - LOOKED_AT,),
    )


def unlisted(tx: SystemTx, now: datetime) -> list[str]:
    """Return what is wrong with the hosts that were called of late, one sentence each.

    A host must be this machine, one of the operator's own (`locations`), or of an active sub-processor that everybody
    gets; an optional one is called for an organisation, through the gate, and never by the house itself.
    """
    own = [host for entry in actions.current(tx, LOCATIONS) for host in entry.document.hosts]
    vendors = [entry.document for entry in actions.current(tx, SUB_PROCESSORS)]
    faults: list[str] = []
    for call in recent(tx, now):
        if is_local(call.host) or any(covers(known, call.host) for known in own):
            continue
        theirs = [vendor for vendor in vendors if any(covers(known, call.host) for known in vendor.hosts)]
        if not theirs:
            faults.append(f"{call.host} was called by {call.part} and is in no list.")
        elif all(vendor.state is not State.ACTIVE for vendor in theirs):
            faults.append(f"{call.host} was called by {call.part} while the notice of {theirs[0].name} runs.")
        elif all(vendor.terms.optional for vendor in theirs):
            faults.append(f"{call.host} of the optional {theirs[0].name} was called by {call.part} for everybody.")
    return faults


def covers(known: str, host: str) -> bool:
    """Return whether *known*, a host or `*.suffix`, stands for *host*."""
    return host == known or (known.startswith("*.") and host.endswith(known[1:]) and len(host) >= len(known))


def is_local(host: str) -> bool:
    """Return whether *host* is this very machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

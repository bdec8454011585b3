"""SPF (RFC 7208) by pyspf, its questions asked through our resolver."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import spf as pyspf

from heldtrue.capabilities.mail.checks.resolver import DnsTemporaryError, Lookups

RESULTS = frozenset({"pass", "fail", "softfail", "neutral", "none", "permerror", "temperror"})
_asking: ContextVar[Lookups] = ContextVar("asking")


def check_spf(lookups: Lookups, client: str, sender: str, helo: str) -> str:
    """Return the result for *client* sending as *sender*; a null sender is judged by its name in HELO."""
    with _through(lookups):
        try:
            result, _, _ = pyspf.query(i=client, s=sender, h=helo, querytime=0).check()
        except DnsTemporaryError:
            return "temperror"
        except Exception:  # noqa: BLE001 - pyspf reads records of strangers; whatever it stumbles over is their mistake
            return "permerror"
    return result if result in RESULTS else "permerror"


@contextmanager
def _through(lookups: Lookups) -> Generator[None]:
    token = _asking.set(lookups)
    try:
        yield
    finally:
        _asking.reset(token)


def _lookup(name: str, qtype: str, _strict: object = True, _timeout: float = 0) -> list[tuple[tuple[str, str], Any]]:
    """Answer as pyspf's own `DNSLookup` does."""
    if qtype == "SPF":  # the record type that RFC 7208, section 3.1, took back
        return []
    try:
        found: tuple[Any, ...] = _asking.get().ask(name, qtype)
    except DnsTemporaryError as error:
        raise pyspf.TempError(f"DNS {error.message}") from error
    return [((name, qtype), _value(qtype, record)) for record in found]


def _value(qtype: str, record: Any) -> Any:
    match qtype:
        case "MX":
            return record.preference, record.exchange.to_text(True)
        case "PTR" | "CNAME":
            return record.target.to_text(True)
        case "TXT":
            return record.strings
        case _:
            return record.address


pyspf.DNSLookup = _lookup

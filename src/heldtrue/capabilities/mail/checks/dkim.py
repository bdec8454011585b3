"""DKIM (RFC 6376; RFC 8463 by pynacl) and ARC (RFC 8617) by dkimpy, bounded so that a hostile message costs little.

dkimpy removes white space before a line's end by a regular expression whose time is quadratic in the white space, and
canonicalises the body again for each signature. Its "relaxed" and "simple" are therefore replaced by linear ones with
the same outcome, which remember the last body of their thread.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

import dkim
import dkim.canonicalization as canonical
import structlog

from heldtrue.capabilities.intake.model import MailSignature
from heldtrue.capabilities.mail.checks.heads import Head
from heldtrue.capabilities.mail.checks.resolver import DnsTemporaryError, Lookups

MOST_SIGNATURES = 5
MOST_ARC_SETS = 10
MOST_LINES = 500_000
"""dkimpy holds a message as a list of lines."""
MOST_FIELD = 8 * 1024
"""Of a signature's own field."""
MOST_RECORD = 1_600
"""Of a key record: RSA of 8,192 bits fits, and no key whose use takes seconds."""
SHORTEST_KEY = 1024
UNCHECKED = "unchecked"
_heavy = threading.Semaphore(2)
"""Messages that are copied about at the same time."""
_quiet = logging.getLogger("heldtrue.mail.dkimpy")
_quiet.setLevel(logging.CRITICAL)
_quiet.propagate = False
log = structlog.get_logger("heldtrue.mail")


def check_dkim(lookups: Lookups, message: bytes, head: Head) -> list[MailSignature]:
    """Return what came of each signature, the first five at most."""
    fields = head.all(b"dkim-signature")[:MOST_SIGNATURES]
    if not fields:
        return []
    if not _bearable(message, head):
        return [MailSignature(result="policy", reason=UNCHECKED) for _ in fields]
    keys = _Keys(lookups, [_key_name(field) for field in fields])
    with _heavy:
        return [_checked(message, number, field, keys) for number, field in enumerate(fields)]


def check_arc(lookups: Lookups, message: bytes, head: Head) -> str:
    """Return the state of the chain: none, pass or fail; `temperror` where DNS did not answer."""
    seals = head.all(b"arc-seal")
    others = [*head.all(b"arc-message-signature"), *head.all(b"arc-authentication-results")]
    if not seals and not others:
        return "none"
    if len(seals) > MOST_ARC_SETS or len(others) > 2 * MOST_ARC_SETS or not _bearable(message, head):
        return "fail"
    keys = _Keys(lookups, [_key_name(field) for field in (*seals, *head.all(b"arc-message-signature"))])
    try:
        with _heavy:
            state: bytes | None
            state, _, _ = dkim.ARC(message, logger=_quiet, minkey=SHORTEST_KEY).verify(dnsfunc=keys.get)
    except DnsTemporaryError:
        return "temperror"
    except Exception:  # noqa: BLE001 - dkimpy reads fields of strangers; whatever it stumbles over is their mistake
        return "fail"
    return "pass" if state == b"pass" else "none" if state == b"none" else "fail"


def _checked(message: bytes, number: int, field: bytes, keys: _Keys) -> MailSignature:
    signer = dkim.DKIM(message, logger=_quiet, minkey=0)
    result: str = "permerror"
    reason: str | None = None
    try:
        if len(field) <= MOST_FIELD:
            result = "pass" if signer.verify(number, dnsfunc=keys.get) else "fail"
    except DnsTemporaryError:
        result = "temperror"
    except dkim.ValidationError:
        result = "fail"
    except Exception as error:  # noqa: BLE001 - as above
        log.debug("signature cannot be checked", why=type(error).__name__)
    tags: dict[bytes, bytes] = getattr(signer, "signature_fields", None) or {}
    bits = getattr(signer, "keysize", None) or None
    if result == "fail" and keys.missing(field):
        result, reason = "permerror", "no-key"
    if result == "pass" and b"l" in tags:
        result, reason = "policy", "length"  # whoever passed it on may have added whatever he liked
    if result == "pass" and bits is not None and bits < SHORTEST_KEY and getattr(signer, "ktag", b"") == b"rsa":
        result, reason = "policy", "short-key"
    return MailSignature(
        result=result,
        domain=_text(tags.get(b"d")),
        selector=_text(tags.get(b"s")),
        key_bits=bits,
        reason=reason,
    )


class _Keys:
    """The key records that a message's signatures name, looked up before the heavy part."""

    def __init__(self, lookups: Lookups, names: Sequence[str | None]) -> None:
        self._found: dict[str, bytes | DnsTemporaryError | None] = {}
        for name in names:
            if name is not None and name not in self._found:
                self._found[name] = self._look(lookups, name)

    @staticmethod
    def _look(lookups: Lookups, name: str) -> bytes | DnsTemporaryError | None:
        try:
            found = lookups.texts(name)
        except DnsTemporaryError as error:
            return error
        return found[0] if len(found) == 1 and len(found[0]) <= MOST_RECORD else None

    def missing(self, field: bytes) -> bool:
        """Return whether the signature in *field* names no usable key record."""
        name = _key_name(field)
        return name is None or self._found.get(name) is None

    def get(self, name: bytes | str, timeout: float = 0) -> bytes | None:  # noqa: ARG002 - dkimpy's own shape
        """Return the record at *name*, as dkimpy asks for it."""
        text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
        found = self._found.get(text.rstrip(".").lower())
        if isinstance(found, DnsTemporaryError):
            raise found
        return found


def _key_name(field: bytes) -> str | None:
    tags = {
        name.strip(): re.sub(rb"\s+", b"", value)
        for name, mark, value in (part.partition(b"=") for part in field[:MOST_FIELD].split(b";"))
        if mark
    }
    domain, selector = tags.get(b"d"), tags.get(b"s")
    if not domain or not selector:
        return None
    return f"{selector.decode('utf-8', 'replace')}._domainkey.{domain.decode('utf-8', 'replace')}".rstrip(".").lower()


def _bearable(message: bytes, head: Head) -> bool:
    return head.whole and message.count(b"\n") <= MOST_LINES


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")[:255]


# ---------------------------------------------------------------- linear canonicalisation

_last = threading.local()


def _once(name: str, make: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Return *make*, which remembers its last body and what it made of it, by thread."""

    def made(body: bytes) -> bytes:
        known: tuple[bytes, bytes] | None = getattr(_last, name, None)
        if known is not None and known[0] is body:
            return known[1]
        result = make(body)
        setattr(_last, name, (body, result))
        return result

    return made


def simple_body(body: bytes) -> bytes:
    """Return *body* as "simple" wants it (RFC 6376, section 3.4.3): one CRLF at its end."""
    end = len(body)
    while body.endswith(b"\r\n", 0, end):
        end -= 2
    return body[:end] + b"\r\n"


def relaxed_body(body: bytes) -> bytes:
    """Return *body* as "relaxed" wants it (RFC 6376, section 3.4.4)."""
    lines = [b" ".join(_words(line)) for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join([line + b"\r\n" for line in lines])


def _words(line: bytes) -> list[bytes]:
    """Return what is between white space; a first empty word where the line begins with some, none at the end."""
    if b" " not in line and b"\t" not in line:
        return [line]
    line = line.replace(b"\t", b" ").rstrip(b" ")
    words = [word for word in line.split(b" ") if word]
    return [b"", *words] if line.startswith(b" ") else words


class _Simple(canonical.Simple):
    canonicalize_body: Any = staticmethod(_once("simple", simple_body))


class _Relaxed(canonical.Relaxed):
    canonicalize_body: Any = staticmethod(_once("relaxed", relaxed_body))


_algorithms: dict[bytes, Any] = canonical.ALGORITHMS
_algorithms.update({b"simple": _Simple, b"relaxed": _Relaxed})

"""DMARC (RFC 7489): whether SPF or DKIM proved the domain that the message shows as its author's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import publicsuffix2

from heldtrue.capabilities.mail.checks.resolver import DnsTemporaryError, Lookups

_POLICIES = frozenset({"none", "quarantine", "reject"})
_suffixes = publicsuffix2.PublicSuffixList()
"""Read once: a service user may not be able to open the file later."""


@dataclass(frozen=True, slots=True)
class Proven:
    """What the other checks proved, and whether one of them might have proved more."""

    spf_domain: str | None
    dkim_domains: tuple[str, ...]
    unsure: bool = False
    """Whether DNS failed for one of them."""


@dataclass(frozen=True, slots=True)
class Dmarc:
    """The result, and what the author's domain asks for."""

    result: str
    policy: str | None = None


def check_dmarc(lookups: Lookups, author: str, proven: Proven) -> Dmarc:
    """Return whether *author*'s domain is proven; `none` where it publishes no policy."""
    try:
        found, at = _record(lookups, author)
    except DnsTemporaryError:
        return Dmarc("temperror")
    if found is None:
        return Dmarc("none")
    policy = found.get("sp", found.get("p")) if at != author else found.get("p")
    if policy not in _POLICIES:
        if "rua" not in found:  # RFC 7489, section 6.6.3
            return Dmarc("permerror")
        policy = "none"
    by_spf = proven.spf_domain is not None and aligned(author, proven.spf_domain, strict=found.get("aspf") == "s")
    strict = found.get("adkim") == "s"
    if by_spf or any(aligned(author, domain, strict=strict) for domain in proven.dkim_domains):
        return Dmarc("pass", policy)
    return Dmarc("temperror" if proven.unsure else "fail", policy)


def aligned(author: str, proven: str, *, strict: bool) -> bool:
    """Return whether *proven* speaks for *author* (RFC 7489, section 3.1)."""
    author, proven = author.lower().rstrip("."), proven.lower().rstrip(".")
    return author == proven if strict else organisation_of(author) == organisation_of(proven)


def organisation_of(domain: str) -> str:
    """Return the organisational domain: one label below a public suffix (RFC 7489, section 3.2)."""
    return _suffixes.get_sld(domain.lower().rstrip(".")) or domain


def _record(lookups: Lookups, author: str) -> tuple[Mapping[str, str] | None, str]:
    for domain in dict.fromkeys((author, organisation_of(author))):
        records = [tags for text in lookups.texts(f"_dmarc.{domain}") if (tags := _tags(text)) is not None]
        if len(records) > 1:
            return None, domain
        if records:
            return records[0], domain
    return None, author


def _tags(text: bytes) -> Mapping[str, str] | None:
    parts: Iterable[tuple[str, str, str]] = (
        part.partition("=") for part in text[:4096].decode("utf-8", "replace").split(";")
    )
    tags = [(name.strip().lower(), value.strip()) for name, mark, value in parts if mark]
    if not tags or tags[0] != ("v", "DMARC1"):
        return None
    return {name: value.lower() for name, value in tags[1:]}

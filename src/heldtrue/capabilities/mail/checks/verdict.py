"""Everything that is found out about a message's sender, and what the address makes of it."""

from __future__ import annotations

from dataclasses import dataclass

from heldtrue.capabilities.intake.model import MailSignature
from heldtrue.capabilities.mail.checks.dkim import UNCHECKED, check_arc, check_dkim
from heldtrue.capabilities.mail.checks.dmarc import Dmarc, Proven, check_dmarc
from heldtrue.capabilities.mail.checks.heads import author_of, head_of
from heldtrue.capabilities.mail.checks.resolver import Lookups
from heldtrue.capabilities.mail.checks.spf import check_spf
from heldtrue.capabilities.mail.model import Policy
from heldtrue.capabilities.mail.terms import refused


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, as the envelope and the connection tell it."""

    client: str
    helo: str
    path: str
    """Of MAIL FROM; empty for the null sender."""

    @property
    def domain(self) -> str:
        """The domain that SPF is about."""
        return self.path.rpartition("@")[2] or self.helo


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found out."""

    spf: str
    dkim: tuple[MailSignature, ...]
    dmarc: Dmarc
    arc: str
    author: str | None
    flags: tuple[str, ...]

    @property
    def dkim_result(self) -> str:
        """One word for all signatures: the best that any of them came to."""
        results = {one.result for one in self.dkim}
        return next((word for word in ("pass", "temperror", "policy", "fail", "permerror") if word in results), "none")


def examine(lookups: Lookups, sender: Sender, message: bytes) -> Evidence:
    """Find out what can be; blocks for as long as DNS takes, some 20 seconds at most."""
    head = head_of(message)
    author = author_of(head)
    spf = check_spf(lookups, sender.client, sender.path, sender.helo)
    signatures = check_dkim(lookups, message, head)
    arc = check_arc(lookups, message, head)
    dmarc = Dmarc("none")
    if author.domain is not None:
        proven = Proven(
            spf_domain=sender.domain if spf == "pass" else None,
            dkim_domains=tuple(one.domain for one in signatures if one.result == "pass" and one.domain),
            unsure="temperror" in {spf, *(one.result for one in signatures)},
        )
        dmarc = check_dmarc(lookups, author.domain, proven)
    elif author.flags != ("no-from",):
        dmarc = Dmarc("permerror")
    flags = [*author.flags]
    flags += ["dkim-length"] if any(one.reason == "length" for one in signatures) else []
    flags += ["dkim-short-key"] if any(one.reason == "short-key" for one in signatures) else []
    flags += ["dkim-unchecked"] if any(one.reason == UNCHECKED for one in signatures) else []
    flags += ["malformed-header"] if not head.whole else []
    return Evidence(spf, tuple(signatures), dmarc, arc, author.domain, tuple(flags))


def rule(policy: Policy, evidence: Evidence) -> tuple[str, ...]:
    """Return the flags of a message that is kept; raise `RefusedReplyError` where an address refuses it.

    `refuse` takes what passes and nothing else; where DNS did not answer, the sender is asked to come back.
    """
    flags: list[str] = []
    for check, ruling, result in (
        ("spf", policy.spf, evidence.spf),
        ("dkim", policy.dkim, evidence.dkim_result),
        ("dmarc", policy.dmarc, evidence.dmarc.result),
    ):
        if ruling == "accept" or result == "pass":
            continue
        if ruling == "flag":
            flags.append(f"{check}-{result}")
        elif result == "temperror":
            raise refused(f"451 4.7.24 {check.upper()} cannot be checked now, come back", f"smtp-{check}-temperror")
        else:
            code = {"spf": "5.7.23", "dkim": "5.7.20", "dmarc": "5.7.26"}[check]
            raise refused(f"550 {code} this address takes no mail whose {check.upper()} is {result}", f"smtp-{check}")
    return (*evidence.flags, *flags)

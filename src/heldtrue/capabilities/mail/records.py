"""What the domain publishes so that senders find the listener, insist on its certificate, and report failures."""

from __future__ import annotations

from dataclasses import dataclass

from heldtrue.crypto.digest import sha256

MAX_AGE = 604_800
"""Seconds that senders remember the policy: a week (RFC 8461, section 3.2)."""
PATH = "/.well-known/mta-sts.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailDomain:
    """The domain as it is meant to be published."""

    domain: str
    host: str
    mode: str = "enforce"
    reports: str | None = None


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record to set."""

    name: str
    type: str
    value: str
    why: str


def mta_sts_policy(mail: MailDomain) -> str:
    """Return the policy file (RFC 8461, section 3.2)."""
    return f"version: STSv1\r\nmode: {mail.mode}\r\nmx: {mail.host}\r\nmax_age: {MAX_AGE}\r\n"


def policy_id(mail: MailDomain) -> str:
    """Return the policy's id: another one whenever the policy is (RFC 8461, section 3.1)."""
    return sha256(mta_sts_policy(mail).encode()).hex()[:32]


def dns_records(mail: MailDomain) -> list[DnsRecord]:
    """Return the records that the domain needs."""
    found = [
        DnsRecord(mail.domain, "MX", f"10 {mail.host}.", "senders find this host"),
        DnsRecord(mail.domain, "TXT", "v=spf1 -all", "nobody sends from this domain, which only receives"),
        DnsRecord(f"_dmarc.{mail.domain}", "TXT", "v=DMARC1; p=reject", "as above, for what is shown as the author"),
        DnsRecord(
            f"_mta-sts.{mail.domain}", "TXT", f"v=STSv1; id={policy_id(mail)};", "senders insist on the certificate"
        ),
        DnsRecord(f"mta-sts.{mail.domain}", "CNAME", "the host of this instance's web address", f"serves {PATH}"),
    ]
    if mail.reports is not None:
        report = DnsRecord(
            f"_smtp._tls.{mail.domain}", "TXT", f"v=TLSRPTv1; rua={mail.reports}", "senders report failures"
        )
        found.append(report)
    return found

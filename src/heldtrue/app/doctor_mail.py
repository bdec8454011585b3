"""What `heldtrue doctor` looks at of mail: the listener, its certificate's name, and the domain's records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from heldtrue.app.findings import Finding, Level
from heldtrue.app.settings_mail import Mail, mail_domain, resolver
from heldtrue.capabilities.mail.checks.resolver import DnsTemporaryError, Resolver
from heldtrue.capabilities.mail.records import DnsRecord, MailDomain, dns_records
from heldtrue.crypto.tls import names_in

SEE = "`heldtrue mail dns` prints the records"


def examine_mail(mail: Mail, certificate: Path | None) -> Iterator[Finding]:
    """Yield a finding for the listener, its certificate and each record; asks the name servers that mail asks."""
    domain = mail_domain(mail)
    if not mail.opens or domain is None:
        return
    where = " and ".join(one for one in (mail.listen, mail.implicit_tls) if one is not None)
    yield Finding("mail", Level.OK, f"@{domain.domain} at {where}, never before encryption")
    if mail.listen is None:
        yield Finding(
            "mail", Level.ADVICE, "other mail servers come to port 25, and nobody listens", "Set mail.listen."
        )
    yield _certificate(domain, certificate)
    yield from _records(domain, resolver(mail))


def _certificate(domain: MailDomain, path: Path | None) -> Finding:
    if path is None:
        return Finding(
            "mail certificate", Level.WRONG, f"the local certificate does not vouch for {domain.host}",
            f"Set tls_cert and tls_key to a public certificate for {domain.host} and mta-sts.{domain.domain}.",
        )  # fmt: skip
    wanted = (domain.host, f"mta-sts.{domain.domain}")
    try:
        names = names_in(path.read_bytes())
    except (OSError, ValueError) as error:
        return Finding("mail certificate", Level.WRONG, f"{path} cannot be read: {error}", "Give a PEM certificate.")
    missing = [name for name in wanted if not any(covers(known, name) for known in names)]
    if missing:
        return Finding(
            "mail certificate", Level.WRONG, f"{path} does not vouch for {' and '.join(missing)}",
            "Senders that check it will not deliver; add the names to the certificate.",
        )  # fmt: skip
    return Finding("mail certificate", Level.OK, f"{path} vouches for {' and '.join(wanted)}")


def covers(known: str, name: str) -> bool:
    """Return whether a certificate's *known* name vouches for *name* (RFC 6125, section 6.4)."""
    known, name = known.lower(), name.lower()
    return known == name or (known.startswith("*.") and name.partition(".")[2] == known[2:])


def _records(domain: MailDomain, asked: Resolver) -> Iterator[Finding]:
    for record in dns_records(domain):
        try:
            found = [_value(one) for one in asked.ask(record.name, record.type)]
        except DnsTemporaryError as error:
            yield Finding("mail records", Level.ADVICE, error.message, "Is this machine's name server reachable?")
            return
        yield _judged(record, found)


def _judged(record: DnsRecord, found: list[str]) -> Finding:
    subject = f"{record.type} {record.name}"
    if record.type == "CNAME":
        if found:
            return Finding(subject, Level.OK, found[0])
        return Finding(subject, Level.ADVICE, "no CNAME; an address record will do as well", f"So that {record.why}.")
    if record.value in found:
        return Finding(subject, Level.OK, record.value)
    if found:
        return Finding(subject, Level.ADVICE, f"is {found[0]!r}, not {record.value!r}", f"So that {record.why}; {SEE}.")
    level = Level.WRONG if record.type == "MX" else Level.ADVICE
    return Finding(subject, level, "is missing", f"So that {record.why}; {SEE}.")


def _value(record: Any) -> str:
    strings = getattr(record, "strings", None)
    return b"".join(strings).decode("utf-8", "replace") if strings is not None else record.to_text()

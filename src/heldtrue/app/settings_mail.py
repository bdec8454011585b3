"""The section `[mail]`: where mail comes in, under which domain, and how much of it."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Literal

import msgspec

from heldtrue.app.settings_edge import host_and_port
from heldtrue.capabilities.mail.checks.resolver import Resolver
from heldtrue.capabilities.mail.records import MailDomain
from heldtrue.capabilities.mail.terms import MiB, Terms
from heldtrue.http.limits import Rate
from heldtrue.kernel.errors import SettingsError

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
_DOMAIN = re.compile(r"(?=.{1,253}$(?!\n))[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+")
_REPORTS = re.compile(r"(mailto:[^\s;,]+@[^\s;,]+|https://[^\s;,]+)")


class Mail(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Mail in; without `listen` and `implicit_tls` no mail is taken."""

    listen: str | None = None
    """`HOST:PORT` for STARTTLS, as `0.0.0.0:25`."""
    implicit_tls: str | None = None
    """`HOST:PORT` where TLS comes first, as `0.0.0.0:465`."""
    domain: str | None = None
    """What stands behind the @ of every address, as `in.example.com`."""
    hostname: str | None = None
    """The name of this host in the MX record and in its certificate; the domain itself by default."""
    mta_sts: Literal["enforce", "testing", "none"] = "enforce"
    """What senders are told to do when the certificate cannot be verified (RFC 8461, section 3.2)."""
    tls_reports: str | None = None
    """Where senders report failures of encryption, as `mailto:tls@example.com` (RFC 8460)."""
    resolvers: tuple[str, ...] = ()
    """Name servers, as `127.0.0.1:53`; those of the machine by default."""
    message_bytes: Annotated[int, msgspec.Meta(ge=64 * 1024, le=1024 * MiB)] = 25 * MiB
    memory_bytes: Count = 256 * MiB
    recipients: Count = 50
    messages_per_connection: Count = 500
    connections: Count = 256
    connections_per_source: Count = 24
    connections_per_minute: Count = 300
    """Of one source: an IPv4 address or an IPv6 /64."""
    command_seconds: Seconds = 60.0
    data_seconds: Seconds = 30.0
    data_bytes_per_second: Count = 2048
    """The least rate of a message; slower ones are cut off after `data_seconds`."""

    def __post_init__(self) -> None:
        for name, value in (("mail.listen", self.listen), ("mail.implicit_tls", self.implicit_tls)):
            if value is not None:
                host_and_port(name, value)
        if self.opens and self.domain is None:
            raise SettingsError(
                "mail.listen is set and mail.domain is not",
                advice='Name the domain that addresses end in, as domain = "in.example.com".',
            )
        for name, value in (("mail.domain", self.domain), ("mail.hostname", self.hostname)):
            if value is not None and not _DOMAIN.fullmatch(value):
                raise SettingsError(
                    f"{name} = {value!r} is not a domain", advice='Write it in lower case, as "in.example.com".'
                )
        if self.tls_reports is not None and not _REPORTS.fullmatch(self.tls_reports):
            raise SettingsError(
                f"mail.tls_reports = {self.tls_reports!r} is no place for reports",
                advice='Write it as "mailto:tls@example.com" or as an https URL.',
            )
        if self.memory_bytes < self.message_bytes:
            raise SettingsError(
                "mail.memory_bytes is less than mail.message_bytes, so the largest message is never taken",
                advice="Allow several messages of the greatest size at once.",
            )
        for server in self.resolvers:
            _server(server)

    @property
    def opens(self) -> bool:
        """Whether any mail is taken."""
        return self.listen is not None or self.implicit_tls is not None

    @property
    def host(self) -> str:
        """The name that this host greets with."""
        return self.hostname or self.domain or "localhost"


def terms(mail: Mail, organisation: Rate) -> Terms:
    """Return what the listener demands and grants."""
    per_second = mail.connections_per_minute / 60
    return Terms(
        hostname=mail.host,
        domain=mail.domain or "",
        message_bytes=mail.message_bytes,
        memory_bytes=mail.memory_bytes,
        recipients=mail.recipients,
        messages=mail.messages_per_connection,
        connections=mail.connections,
        connections_per_source=mail.connections_per_source,
        connection_rate=Rate(max(1, mail.connections_per_minute // 5), per_second),
        organisation_rate=organisation,
        command_seconds=mail.command_seconds,
        data_seconds=mail.data_seconds,
        data_bytes_per_second=mail.data_bytes_per_second,
    )


def mail_domain(mail: Mail) -> MailDomain | None:
    """Return what the domain publishes; None where no mail is taken."""
    if mail.domain is None:
        return None
    return MailDomain(domain=mail.domain, host=mail.host, mode=mail.mta_sts, reports=mail.tls_reports)


def resolver(mail: Mail) -> Resolver:
    """Return who is asked about senders; call it in the process that asks."""
    return Resolver([_server(server) for server in mail.resolvers])


def _server(text: str) -> tuple[str, int]:
    host, port = host_and_port("mail.resolvers", text)
    try:
        ip_address(host)
    except ValueError as error:
        raise SettingsError(
            f"mail.resolvers: {text!r} is not an address and a port", advice='Write it as "127.0.0.1:53".'
        ) from error
    return host, port

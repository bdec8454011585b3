"""Hand one message to the operator's mail server: TLS 1.2 or newer, certificate verified, never in clear.

RFC 5321, RFC 3207 (STARTTLS), RFC 8314 (implicit TLS), RFC 4954 (AUTH, after TLS only). Blocking.
"""

from __future__ import annotations

import smtplib
import ssl
from contextlib import closing, suppress
from dataclasses import dataclass, field

from heldtrue.capabilities.post.model import Failure
from heldtrue.kernel.secret import Secret

TIMEOUT = 30.0
"""Seconds without an answer after which an attempt is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Smarthost:
    """The server that takes our mail, and in whose name we send."""

    host: str
    port: int
    implicit_tls: bool
    sender: str
    """The address in `From` and in the envelope, where failure reports go."""
    name: str = ""
    reply_to: str | None = None
    username: str | None = None
    password: Secret[str] | None = field(default=None, repr=False)
    authorities: str | None = field(default=None, repr=False)
    """PEM text of authorities that are trusted beside the system's."""
    timeout: float = TIMEOUT


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt: neither failure nor permanent when the server took the message."""

    failure: Failure | None = None
    permanent: bool = False
    """It would be refused again: the server said so of this recipient or this message."""
    status: int | None = None
    reply: str = ""


class _NoTlsError(smtplib.SMTPException):
    """The server does not offer STARTTLS."""


def deliver(host: Smarthost, recipient: str, message: bytes) -> Outcome:
    """Hand *message* over for *recipient* and say what came of it; never raises for what a server or network does."""
    try:
        with closing(_open(host)) as connection:
            return _send(connection, host.sender, recipient, message)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return _told(error)


def knock(host: Smarthost) -> Outcome:
    """Come as far as signing in, send nothing, and say what came of it."""
    try:
        with closing(_open(host)) as connection:
            connection.quit()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return _told(error)
    return Outcome()


def _open(host: Smarthost) -> smtplib.SMTP:
    """Return a connection that is encrypted and signed in."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if host.authorities is not None:
        context.load_verify_locations(cadata=host.authorities)
    greeting = host.sender.rpartition("@")[2]
    if host.implicit_tls:
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            host.host, host.port, greeting, timeout=host.timeout, context=context
        )
    else:
        connection = smtplib.SMTP(host.host, host.port, greeting, timeout=host.timeout)
    try:
        connection.ehlo_or_helo_if_needed()
        if not host.implicit_tls:
            if not connection.has_extn("starttls"):
                raise _NoTlsError
            connection.starttls(context=context)
            connection.ehlo()
        if host.username is not None and host.password is not None:
            connection.login(host.username, host.password.reveal())
    except BaseException:
        connection.close()
        raise
    return connection


def _send(connection: smtplib.SMTP, sender: str, recipient: str, message: bytes) -> Outcome:
    """Say MAIL, RCPT and DATA; once the message is taken, nothing that follows counts."""
    for step, answered in (("mail", lambda: connection.mail(sender)), ("rcpt", lambda: connection.rcpt(recipient))):
        code, text = answered()
        if code not in {250, 251}:
            return _refused(code, text, permanent=step == "rcpt" or code not in {530, 535, 538})
    try:
        code, text = connection.data(message)
    except smtplib.SMTPDataError as error:
        return _refused(error.smtp_code, error.smtp_error, permanent=True)
    if code != 250:
        return _refused(code, text, permanent=True)
    with suppress(smtplib.SMTPException, OSError):
        connection.quit()
    return Outcome(status=code, reply=_shown(text))


def _refused(code: int, text: bytes | str, *, permanent: bool) -> Outcome:
    """Return the outcome of an answer that is no success: 5xx is for good (RFC 5321, section 4.2.1)."""
    final = permanent and 500 <= code < 600
    return Outcome("refused" if final else "deferred", final, _status(code), _shown(text))


_MEANS: tuple[tuple[type[Exception], Failure], ...] = (
    (ssl.SSLCertVerificationError, "certificate"),
    (ssl.SSLError, "tls"),
    (TimeoutError, "timeout"),
    (_NoTlsError, "no-tls"),
    (smtplib.SMTPAuthenticationError, "sign-in"),
    (smtplib.SMTPNotSupportedError, "sign-in"),
    (smtplib.SMTPException, "protocol"),
    (ValueError, "protocol"),
)
"""What went wrong, the narrower first; whatever else it was kept us from connecting."""


def _told(error: Exception) -> Outcome:
    """Return what went wrong before the message was said: the server or our settings, so that it is tried again."""
    meant: list[Failure] = [word for kind, word in _MEANS if isinstance(error, kind)]
    failure: Failure = meant[0] if meant else "connect"
    if isinstance(error, smtplib.SMTPResponseException):
        return Outcome(failure, status=_status(error.smtp_code), reply=_shown(error.smtp_error))
    if isinstance(error, ssl.SSLCertVerificationError):
        return Outcome(failure, reply=_shown(error.verify_message))
    return Outcome(failure, reply=_shown(str(error)))


def _status(code: int) -> int | None:
    return code if 200 <= code <= 599 else None


def _shown(text: bytes | str) -> str:
    """Return a server's words as printable text of bounded length."""
    found = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return "".join(one if one.isprintable() else " " for one in found)[:500]

"""Who answers reports and how they are reached: what the operator's settings and the wiring say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from heldtrue.capabilities.clocks.calendar import deadline, zone_named
from heldtrue.capabilities.disclosure.model import ACKNOWLEDGED_WITHIN
from heldtrue.capabilities.tenants import actions as tenants
from heldtrue.capabilities.tenants.model import OPERATOR_ENVIRONMENT, WHOLE
from heldtrue.crypto import tokens
from heldtrue.crypto.digest import sha256
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.kernel.errors import UnavailableError
from heldtrue.kernel.ids import ReportId, TenantId
from heldtrue.op import AuditEvent, SystemOperation

PURPOSE = "disclosure"
LINKS = "disclosure-links"


class NobodyAnswersError(UnavailableError):
    """The instance has no operator yet; start it once, then try again."""

    code = "nobody-answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail that is due: to whom, and what it says."""

    to: str
    subject: str
    text: str
    about: str


Post = Callable[[SystemOperation, Mail], None]
"""Send a mail in the operation's own transaction."""


def no_post(_op: SystemOperation, _mail: Mail) -> None:
    """Send nothing: there is no mail out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """Who answers, by which calendar, and where."""

    name: str
    calendar: str
    """ISO 3166-1, or 3166-2 where a part of a country has holidays of its own."""
    zone: str
    url: str
    """Where readers find the pages, without a trailing slash."""
    mail: str = ""
    """Security contact; empty: the form only."""
    languages: tuple[str, ...] = ("en",)
    hiring: str = ""
    scope_in: tuple[str, ...] = ()
    scope_out: tuple[str, ...] = ()
    post: Post = no_post

    @property
    def place(self) -> ZoneInfo:
        """Its time zone."""
        return zone_named(self.zone)

    def due(self, received: datetime) -> datetime:
        """Return by when what came at *received* must be acknowledged."""
        return deadline(received, ACKNOWLEDGED_WITHIN, country=self.calendar, zone=self.place)

    def link(self, token: str) -> str:
        """Return the address of a reporter's own page."""
        return f"{self.url}/trust/disclosure/reports/{token}"


def operator(op: SystemOperation) -> TenantId:
    """Return the operator's organisation; raise `NobodyAnswersError` before it exists."""
    found = tenants.operator(op)
    if found is None:
        raise NobodyAnswersError
    return found


def keyring(op: SystemOperation) -> TenantKeyring:
    """Return the operator's own keys, which everything here is sealed under."""
    return op.keys_of(operator(op), WHOLE)


def token_of(keys: TenantKeyring, report: ReportId) -> str:
    """Return the unguessable token of a report's own page: keyed, so that it can be mailed again and is not stored."""
    return tokens.link_token(keys.secret_for(LINKS), report.value.bytes)


def digest_of(token: str) -> bytes:
    """Return what a token is looked up by."""
    return sha256(token.encode())


def record(op: SystemOperation, event: str, subject: ReportId | str, **detail: object) -> None:
    """Leave an entry in the operator's own ledger."""
    op.record_for(operator(op), OPERATOR_ENVIRONMENT, AuditEvent(event=event, subject=str(subject), detail=detail))

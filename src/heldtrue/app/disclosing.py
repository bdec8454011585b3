"""The wiring of disclosure: who answers, and operations for strangers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

import structlog

from heldtrue.app.services import Services
from heldtrue.app.settings import Settings
from heldtrue.capabilities.access.bootstrap import NOBODY
from heldtrue.capabilities.clocks import calendar
from heldtrue.capabilities.disclosure.office import Mail, Office
from heldtrue.capabilities.evidence import actions as evidence
from heldtrue.capabilities.ledger import actions as ledger
from heldtrue.capabilities.post import actions as post
from heldtrue.capabilities.tenants.model import OPERATOR_ENVIRONMENT
from heldtrue.http.ports import Ports
from heldtrue.http.transaction import system_operation
from heldtrue.kernel.errors import HeldtrueError, UnauthenticatedError
from heldtrue.kernel.ids import RequestId
from heldtrue.op import Actor, SystemOperation

YEARS_BEFORE, YEARS_AFTER = 2, 3
"""Years whose holidays are computed before the process gives up its rights."""

_log = structlog.get_logger("heldtrue.disclosure")


def office(settings: Settings) -> Office:
    """Return who answers reports, by the settings."""
    company, asked = settings.company, settings.disclosure
    return Office(
        name=company.name,
        calendar=asked.calendar or company.country,
        zone=company.timezone,
        url=settings.public_url,
        mail=company.security_mail,
        languages=asked.languages,
        hiring=asked.hiring or "",
        scope_in=asked.scope_in,
        scope_out=asked.scope_out,
        post=_post,
    )


def _post(op: SystemOperation, mail: Mail) -> None:
    """Give a mail into the queue, in the operation's own transaction."""
    post.enqueue(
        op.tx, keys=op.keys_of, to=mail.to, subject=mail.subject, text=mail.text, about=mail.about, now=op.now,
        entropy=op.entropy,
    )  # fmt: skip


def warm(settings: Settings, now: datetime) -> None:
    """Compute the calendar of the years around *now*; a country or zone that is not known ends the start here."""
    found = office(settings)
    calendar.warm(found.calendar, found.zone, range(now.year - YEARS_BEFORE, now.year + YEARS_AFTER))


def match_advisories(parts: Services) -> dict[str, int]:
    """Match the newest bill of materials against the advisories on this machine; return what changed.

    A file that cannot be used is told in the log, and stops nothing else.
    """
    path = parts.ground.home.settings.evidence.advisories
    if path is None:
        return {}
    try:
        with for_strangers(parts)() as op:
            tracked = evidence.rematch(op, Path(path))
    except (OSError, HeldtrueError) as error:
        _log.warning("advisories not matched", path=path, error=str(error))
        return {}
    return {} if tracked is None else {"advisories_opened": tracked.opened, "advisories_resolved": tracked.resolved}


def for_strangers(parts: Services) -> Callable[[], AbstractContextManager[SystemOperation]]:
    """Return what opens an operation for somebody without a credential; it records in the operator's own ledger."""
    home = parts.ground.home

    def nobody(_presented: object) -> Actor:
        raise UnauthenticatedError

    ports = Ports(
        database=parts.database,
        clock=home.clock,
        entropy=parts.entropy,
        platform=home.platform,
        key_cache=parts.cache,
        authenticate=nobody,
        record_audit=ledger.append_audit,
    )

    def operate() -> AbstractContextManager[SystemOperation]:
        actor = Actor(kind="stranger", tenant=NOBODY, environment=OPERATOR_ENVIRONMENT)
        return system_operation(ports, actor, RequestId.new(home.clock.now(), parts.entropy))

    return operate

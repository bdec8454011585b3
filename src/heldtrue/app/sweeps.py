"""What is done now and then: forget old idempotency answers, remove orphan objects, rotate keys, remind of old ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog
from psycopg.conninfo import conninfo_to_dict

from heldtrue.app import disclosing
from heldtrue.app.publication import company_services
from heldtrue.app.secret_uri import resolve_secret
from heldtrue.app.services import Services
from heldtrue.capabilities.access.reminders import Reminder
from heldtrue.capabilities.edge.lessors import forget_full
from heldtrue.capabilities.edge.reading import prune as prune_changes
from heldtrue.capabilities.intake.actions import sweep as sweep_objects
from heldtrue.capabilities.keystore.actions import rotate_due
from heldtrue.capabilities.post.actions import forget as forget_mails
from heldtrue.capabilities.registers import subscribers
from heldtrue.capabilities.room.keeping import forget as forget_readers
from heldtrue.capabilities.tenants.actions import operator_in

EVERY = timedelta(hours=1)
REMEMBERED = timedelta(hours=24)
"""How long an idempotency key is remembered (docs/spec/problems.md)."""

_log = structlog.get_logger("heldtrue.sweeps")


def sweep(services: Services, now: datetime) -> dict[str, int]:
    """Do all of it once; return how many of each. Each step is its own transaction and may be repeated."""
    with services.database.system() as tx:
        rotated = rotate_due(tx, services.ground.home.platform, now, services.entropy)
    with services.database.system() as tx:
        forgotten = tx.execute("DELETE FROM heldtrue.idempotency WHERE created_at < %s", [now - REMEMBERED])
    with services.database.system() as tx:
        pruned = prune_changes(tx)
    with services.database.system() as tx:
        mails, readers = forget_mails(tx, now), forget_readers(tx, now)
    told = _tell(services)
    note_hosts(services)
    removed = sweep_objects(services.database, services.objects, now)
    reminder = Reminder(services.database, services.ground.home.platform, services.cache, services.entropy)
    done = {
        "keys_rotated": len(rotated),
        "answers_forgotten": forgotten,
        "changes_pruned": pruned,
        "limits_forgotten": forget_full(services.database),
        "mails_forgotten": mails,
        "subscribers_told": told,
        "readers_forgotten": readers,
        "orphans_removed": removed,
        "reminders": reminder.remind(now),
    }
    done |= disclosing.match_advisories(services)
    if any(done.values()):
        _log.info("swept", **done)
    return done


def _tell(services: Services) -> int:
    """Queue notices for readers who have not been told yet; forget addresses that were never confirmed."""
    company = company_services(services)
    with company.office() as office:
        if operator_in(office.tx) is None:
            return 0
        subscribers.forget_unconfirmed(office.tx, office.now)
        return subscribers.tell(office)


def note_hosts(services: Services) -> None:
    """Write down the hosts that this instance is connected to for good: mail relay, database, shared limits."""
    home, settings = services.ground.home, services.ground.home.settings
    if home.smarthost is not None:
        services.calls.note(home.smarthost.host, "mail-relay")
    for host in str(conninfo_to_dict(services.ground.dsns.system.reveal()).get("host") or "").split(","):
        if host and not host.startswith(("/", "@")):
            services.calls.note(host, "database")
    if settings.edge.valkey is not None:
        host = urlsplit(resolve_secret(settings.edge.valkey).reveal()).hostname
        if host is not None:
            services.calls.note(host, "shared-limits")

"""What is done now and then: forget old idempotency answers, remove orphan objects, rotate keys, remind of old ones."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from heldtrue.app.services import Services
from heldtrue.capabilities.access.reminders import Reminder
from heldtrue.capabilities.edge.lessors import forget_full
from heldtrue.capabilities.edge.reading import prune as prune_changes
from heldtrue.capabilities.intake.actions import sweep as sweep_objects
from heldtrue.capabilities.keystore.actions import rotate_due
from heldtrue.capabilities.post.actions import forget as forget_mails
from heldtrue.capabilities.room.keeping import forget as forget_readers

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
    removed = sweep_objects(services.database, services.objects, now)
    reminder = Reminder(services.database, services.ground.home.platform, services.cache, services.entropy)
    done = {
        "keys_rotated": len(rotated),
        "answers_forgotten": forgotten,
        "changes_pruned": pruned,
        "limits_forgotten": forget_full(services.database),
        "mails_forgotten": mails,
        "readers_forgotten": readers,
        "orphans_removed": removed,
        "reminders": reminder.remind(now),
    }
    if any(done.values()):
        _log.info("swept", **done)
    return done

"""What is done now and then: forget old idempotency answers, remove orphan objects, rotate keys that are due."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from heldtrue.app.services import Services
from heldtrue.capabilities.intake.actions import sweep as sweep_objects
from heldtrue.capabilities.keystore.actions import rotate_due

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
    removed = sweep_objects(services.database, services.objects, now)
    done = {"keys_rotated": len(rotated), "answers_forgotten": forgotten, "orphans_removed": removed}
    if any(done.values()):
        _log.info("swept", **done)
    return done

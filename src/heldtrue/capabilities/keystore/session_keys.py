"""The operator's way to another key for session tokens before the present one's term ends, with overlap."""

from __future__ import annotations

from datetime import datetime

import msgspec

from heldtrue.capabilities.keystore.actions import announce_session
from heldtrue.crypto.platform import PlatformKey
from heldtrue.http.exchange import Answer
from heldtrue.http.route import Realm, Route
from heldtrue.op import SystemOperation
from heldtrue.policy.permissions import Permission


class AnnouncedSessionKey(msgspec.Struct, frozen=True, kw_only=True):
    """The next key of session tokens: published now, signing later."""

    id: str
    """Its `kid` in `/.well-known/jwks.json`."""
    state: str
    not_before: datetime
    """It signs from then on, or from the worker's next hourly round; the key before stays published 20 minutes more."""
    sign_until: datetime | None


def roll(op: SystemOperation, platform: PlatformKey) -> Answer:
    """Announce the next session key, or name the one that waits already; the worker lets it sign in its time."""
    row = announce_session(op.tx, platform, op.now, op.entropy)
    body = AnnouncedSessionKey(id=str(row.id), state=row.state, not_before=row.not_before, sign_until=row.sign_until)
    return Answer(body=body, subject=str(row.id))


def routes(platform: PlatformKey) -> list[Route]:
    """Return the operator's route of session keys."""

    def roll_key(op: SystemOperation) -> Answer:
        return roll(op, platform)

    return [
        Route(
            at="POST /v1/session-keys/roll",
            action=roll_key,
            summary="Announce the next key of session tokens; both are published while one follows the other",
            gives=AnnouncedSessionKey,
            needs=Permission.SESSION_KEY_ROLL,
            audits="session.key.rolled",
            realm=Realm.OPERATOR,
        ),
    ]

"""What the operator does with grants and copies: list, revoke, trace; and what is forgotten in time."""

from __future__ import annotations

from datetime import datetime

from heldtrue.capabilities.room import grant_store
from heldtrue.capabilities.room.grant_store import DownloadRow, GrantRow
from heldtrue.capabilities.room.grants import TABLE, opened
from heldtrue.capabilities.room.model import PURPOSE, REMEMBERED, NoSuchGrantError
from heldtrue.capabilities.room.services import keyring
from heldtrue.capabilities.room.wire import (
    DownloadView,
    GrantDetail,
    GrantView,
    RevokeGrant,
    TheDownload,
    TheGrant,
    Traced,
)
from heldtrue.db.tx import SystemTx
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, PageQuery, listing
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import AskId, DownloadId, GrantId
from heldtrue.op import SystemOperation


class NoSuchDownloadError(NotFoundError):
    """No copy of that number was handed out here; check it against the foot of a page."""

    code = "no-such-download"


def list_grants(op: SystemOperation, asked: PageQuery) -> Listing[GrantView]:
    """List grants, the newest first."""
    rows = grant_store.grants(op.tx, asked.after(), asked.limit + 1)
    return listing(rows, asked, lambda row: view(op, row), lambda row: row.grant_id)


def get_grant(op: SystemOperation, asked: TheGrant) -> GrantDetail:
    """Look at a grant and the copies that it gave."""
    row = _known(op.tx, GrantId.parse(asked.grant_id))
    shown = view(op, row)
    copies = [download_view(one) for one in grant_store.downloads(op.tx, row.grant_id)]
    return GrantDetail(**{name: getattr(shown, name) for name in shown.__struct_fields__}, downloads=copies)


def revoke_grant(op: SystemOperation, asked: RevokeGrant) -> Answer:
    """Revoke a grant: from now on its link gives nothing."""
    grant = GrantId.parse(asked.grant_id)
    _known(op.tx, grant)
    sealed = keyring(op).seal(PURPOSE, TABLE, "reason_sealed", str(grant.value), asked.reason.encode())
    grant_store.revoke(op.tx, grant.value, sealed, op.now)
    return Answer(body=view(op, _known(op.tx, grant)))


def trace(op: SystemOperation, asked: TheDownload) -> Answer:
    """Tell whose copy a number is on."""
    row = grant_store.download(op.tx, DownloadId.parse(asked.download_id).value)
    if row is None:
        raise NoSuchDownloadError
    found = Traced(download=download_view(row), grant=view(op, _known(op.tx, GrantId(row.grant_id))))
    return Answer(body=found, subject=asked.download_id)


def forget(tx: SystemTx, now: datetime) -> int:
    """Forget who asked and who read, a year after it ended and where no agreement binds them; return how many."""
    return grant_store.forget(tx, now - REMEMBERED)


def _known(tx: SystemTx, grant: GrantId) -> GrantRow:
    row = grant_store.grant(tx, grant.value)
    if row is None:
        raise NoSuchGrantError("There is no such grant; `GET /v1/grants` lists those there are.")
    return row


def view(op: SystemOperation, row: GrantRow) -> GrantView:
    """Return a grant as the operator sees it."""
    grant = opened(op, row)
    who = grant.reader
    return GrantView(
        id=str(GrantId(grant.id)), ask_id=str(AskId(grant.ask)), document=grant.item, state=grant.state(op.now),
        created_at=grant.created_at, expires_at=grant.expires_at, revoked_at=grant.revoked_at,
        accepted_at=grant.accepted_at, fetches=grant.fetches, refusals=grant.refusals, name=who and who.name,
        company=who and who.company, mail=who and who.mail,
    )  # fmt: skip


def download_view(row: DownloadRow) -> DownloadView:
    """Return a copy as the operator sees it."""
    return DownloadView(
        id=str(DownloadId(row.download_id)), grant_id=str(GrantId(row.grant_id)), document=row.item,
        version=row.version, marking=row.marking, size=row.size, sha256=row.sha256.hex(), at=row.at,
    )  # fmt: skip

"""Routes of the room: the operator's. What readers see is in the pages of the trust centre."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from heldtrue.capabilities.room import asks, documents, keeping, wire
from heldtrue.capabilities.room.services import RoomServices
from heldtrue.http.pagination import Listing, PageQuery
from heldtrue.http.route import Realm, Route
from heldtrue.policy.permissions import Permission


def routes(services: RoomServices) -> list[Route]:
    """Return the table of routes."""

    def row(needs: Permission, at: str, action: Callable[..., Any], audits: str, summary: str, **more: Any) -> Route:
        return Route(
            at=at, action=action, summary=summary, needs=needs, audits=audits, realm=Realm.OPERATOR, tags=("room",),
            **more,
        )  # fmt: skip

    document = partial(row, Permission.DOCUMENT_MANAGE)
    request = partial(row, Permission.REQUEST_MANAGE)
    return [
        document(
            "PUT /v1/documents/{document}/file", partial(documents.add_file, services), "document.file_added",
            "Send a file, which is listed once its document is published", gives=wire.FileAdded, streams=True,
        ),
        document(
            "PUT /v1/documents/{document}", documents.publish, "document.published",
            "List a document with the file that was sent last; an entry in the log", takes=wire.Publish,
            gives=wire.DocumentView,
        ),
        document(
            "GET /v1/documents", documents.list_documents, "document.listed", "List the documents",
            gives=wire.DocumentList,
        ),
        document(
            "DELETE /v1/documents/{document}", documents.withdraw, "document.withdrawn",
            "Take a document out, revoke its grants and destroy its file", takes=wire.Withdraw,
            gives=wire.DocumentView,
        ),
        request(
            "GET /v1/requests", asks.list_asks, "request.listed", "List requests, each with the time it is due",
            takes=wire.ListAsks, gives=Listing[wire.AskView],
        ),
        request(
            "POST /v1/requests", partial(asks.enter, services), "request.entered",
            "Enter a request that came by mail or was told", takes=wire.OpenAsk, gives=wire.AskView, status=201,
            creates=True,
        ),
        request(
            "GET /v1/requests/{ask_id}", asks.get_ask, "request.read", "Look at a request", takes=wire.TheAsk,
            gives=wire.AskView,
        ),
        request(
            "POST /v1/requests/{ask_id}/grant", partial(asks.grant_ask, services), "request.granted",
            "Grant a request: its reader is sent the link, which is shown here once", takes=wire.GrantAsk,
            gives=wire.GrantMade, bears_secret=True,
        ),
        request(
            "POST /v1/requests/{ask_id}/decline", partial(asks.refuse_ask, services), "request.refused_with_reason",
            "Refuse a request, with the reason", takes=wire.RefuseAsk, gives=wire.AskView,
        ),
        request(
            "POST /v1/requests/{ask_id}/answer", partial(asks.answer_ask, services), "request.answered",
            "Answer a question", takes=wire.AnswerAsk, gives=wire.AskView,
        ),
        request(
            "GET /v1/grants", keeping.list_grants, "grant.listed", "List grants", takes=PageQuery,
            gives=Listing[wire.GrantView],
        ),
        request(
            "GET /v1/grants/{grant_id}", keeping.get_grant, "grant.read", "Look at a grant and its copies",
            takes=wire.TheGrant, gives=wire.GrantDetail,
        ),
        request(
            "POST /v1/grants/{grant_id}/revoke", keeping.revoke_grant, "grant.revoked", "Revoke a grant",
            takes=wire.RevokeGrant, gives=wire.GrantView,
        ),
        request(
            "GET /v1/downloads/{download_id}", keeping.trace, "download.traced", "Tell whose copy a number is on",
            takes=wire.TheDownload, gives=wire.Traced,
        ),
    ]  # fmt: skip

"""Routes of agreements: acceptances for organisations, signed copies for the operator."""

from __future__ import annotations

from functools import partial

from heldtrue.capabilities.agreements import acceptances, copies
from heldtrue.capabilities.agreements.wire import (
    BODY_LIMIT,
    AcceptanceRecord,
    AcceptText,
    AgreementList,
    AgreementRecord,
    FileAgreement,
    ListAcceptances,
    TheAgreement,
)
from heldtrue.db.tx import Database
from heldtrue.http.pagination import Listing
from heldtrue.http.route import Realm, Route
from heldtrue.policy.permissions import Permission


def routes(database: Database) -> list[Route]:
    """Return the table of routes."""
    return [
        Route(
            at="POST /v1/acceptances",
            action=partial(acceptances.accept_text, database),
            summary="Accept a version of a legal text for the organisation",
            takes=AcceptText,
            gives=AcceptanceRecord,
            needs=Permission.TERMS_ACCEPT,
            audits="terms.accepted",
            status=201,
            creates=True,
        ),
        Route(
            at="GET /v1/acceptances",
            action=acceptances.list_acceptances,
            summary="List which legal texts the organisation accepted",
            takes=ListAcceptances,
            gives=Listing[AcceptanceRecord],
            needs=Permission.TERMS_READ,
            audits="terms.acceptances.listed",
        ),
        Route(
            at="POST /v1/agreements",
            action=copies.file_agreement,
            summary="File a signed copy of an agreement",
            takes=FileAgreement,
            gives=AgreementRecord,
            needs=Permission.REGISTER_WRITE,
            audits="agreement.filed",
            realm=Realm.OPERATOR,
            status=201,
            creates=True,
            body_limit=BODY_LIMIT,
        ),
        Route(
            at="GET /v1/agreements",
            action=copies.list_agreements,
            summary="List the signed copies on file",
            gives=AgreementList,
            needs=Permission.REGISTER_READ,
            audits="agreement.listed",
            realm=Realm.OPERATOR,
        ),
        Route(
            at="GET /v1/agreements/{agreement_id}/file",
            action=copies.read_agreement,
            summary="Read a signed copy",
            takes=TheAgreement,
            needs=Permission.REGISTER_READ,
            audits="agreement.read",
            realm=Realm.OPERATOR,
            produces="application/octet-stream",
        ),
    ]

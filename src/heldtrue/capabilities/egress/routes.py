"""The API of credentials, as a table."""

from __future__ import annotations

from heldtrue.capabilities.egress import actions
from heldtrue.capabilities.egress.model import (
    CreateCredential,
    CredentialDeleted,
    CredentialView,
    ListCredentials,
    ReplaceCredential,
    TheCredential,
)
from heldtrue.http.pagination import Listing
from heldtrue.http.route import Route
from heldtrue.policy.permissions import Permission

_TAGS = ("credentials",)

ROUTES: list[Route] = [
    Route(
        at="POST /v1/credentials",
        action=actions.create_credential,
        summary="Keep a credential for calls of transforms",
        takes=CreateCredential,
        gives=CredentialView,
        needs=Permission.CREDENTIAL_WRITE,
        audits="credential.created",
        status=201,
        creates=True,
        tags=_TAGS,
    ),
    Route(
        at="GET /v1/credentials",
        action=actions.list_credentials,
        summary="List credentials, without their values",
        takes=ListCredentials,
        gives=Listing[CredentialView],
        needs=Permission.CREDENTIAL_READ,
        audits="credential.listed",
        tags=_TAGS,
    ),
    Route(
        at="GET /v1/credentials/{credential_id}",
        action=actions.get_credential,
        summary="Look at a credential, without its value",
        takes=TheCredential,
        gives=CredentialView,
        needs=Permission.CREDENTIAL_READ,
        audits="credential.read",
        tags=_TAGS,
    ),
    Route(
        at="PUT /v1/credentials/{credential_id}",
        action=actions.replace_credential,
        summary="Replace a credential's value or hosts",
        takes=ReplaceCredential,
        gives=CredentialView,
        needs=Permission.CREDENTIAL_WRITE,
        audits="credential.replaced",
        tags=_TAGS,
    ),
    Route(
        at="DELETE /v1/credentials/{credential_id}",
        action=actions.delete_credential,
        summary="Destroy a credential",
        takes=TheCredential,
        gives=CredentialDeleted,
        needs=Permission.CREDENTIAL_WRITE,
        audits="credential.deleted",
        tags=_TAGS,
    ),
]
"""Every route of credentials."""

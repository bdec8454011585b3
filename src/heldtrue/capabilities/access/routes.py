"""Routes of API keys."""

from __future__ import annotations

from heldtrue.capabilities.access import actions
from heldtrue.capabilities.access.wire import (
    IssueAnyKey,
    IssuedKey,
    IssueKey,
    KeyRecord,
    ListKeys,
    NamedKey,
    RollKey,
    Self,
)
from heldtrue.http.pagination import Listing
from heldtrue.http.route import Realm, Route
from heldtrue.policy.permissions import Permission

ROUTES = [
    Route(
        at="POST /v1/keys",
        action=actions.issue_key,
        summary="Issue a key to your own organisation and environment",
        takes=IssueKey,
        gives=IssuedKey,
        needs=Permission.KEY_ISSUE,
        audits="key.issued",
        changes_access=True,
        status=201,
        creates=True,
        bears_secret=True,
    ),
    Route(
        at="GET /v1/keys",
        action=actions.list_keys,
        summary="List your keys",
        takes=ListKeys,
        gives=Listing[KeyRecord],
        needs=Permission.KEY_READ,
        audits="key.listed",
    ),
    Route(
        at="GET /v1/keys/{key_id}",
        action=actions.show_key,
        summary="Show a key",
        takes=NamedKey,
        gives=KeyRecord,
        needs=Permission.KEY_READ,
        audits="key.read",
    ),
    Route(
        at="DELETE /v1/keys/{key_id}",
        action=actions.revoke_key,
        summary="Revoke a key, at once and for good",
        takes=NamedKey,
        gives=KeyRecord,
        needs=Permission.KEY_REVOKE,
        audits="key.revoked",
        changes_access=True,
    ),
    Route(
        at="POST /v1/keys/{key_id}/roll",
        action=actions.roll_key,
        summary="Replace a key; both work during the overlap",
        takes=RollKey,
        gives=IssuedKey,
        needs=Permission.KEY_ISSUE,
        audits="key.rolled",
        changes_access=True,
        status=201,
        creates=True,
        bears_secret=True,
    ),
    Route(
        at="POST /v1/organisations/{organisation_id}/keys",
        action=actions.issue_any_key,
        summary="Issue a key to an organisation, as the operator",
        takes=IssueAnyKey,
        gives=IssuedKey,
        needs=Permission.KEY_ISSUE_ANY,
        audits="key.issued",
        changes_access=True,
        realm=Realm.OPERATOR,
        status=201,
        creates=True,
        bears_secret=True,
    ),
    Route(
        at="GET /v1/self",
        action=actions.show_self,
        summary="Say who you are and what you may do",
        gives=Self,
        needs=Permission.SELF_READ,
        audits="self.read",
        tags=("keys",),
    ),
]

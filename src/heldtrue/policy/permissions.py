"""The closed set of permissions and the roles that bundle them. Nothing outside this module invents a permission."""

from __future__ import annotations

from enum import StrEnum, unique


@unique
class Permission(StrEnum):
    """Everything that can be allowed. Adding one is a change of this file and of the published matrix."""

    ORGANISATION_CREATE = "organisation.create"
    ORGANISATION_READ = "organisation.read"
    ENVIRONMENT_CREATE = "environment.create"
    KEY_ISSUE_ANY = "key.issue.any"
    KEY_ISSUE = "key.issue"
    KEY_READ = "key.read"
    KEY_REVOKE = "key.revoke"
    SESSION_MINT = "session.mint"
    SESSION_REVOKE = "session.revoke"
    PAYLOAD_SEND = "payload.send"
    PAYLOAD_READ = "payload.read"
    PAYLOAD_ERASE = "payload.erase"
    ENDPOINT_WRITE = "endpoint.write"
    ENDPOINT_READ = "endpoint.read"
    DELIVERY_READ = "delivery.read"
    DELIVERY_REPLAY = "delivery.replay"
    RECEIPT_READ = "receipt.read"
    TRANSFORM_READ = "transform.read"
    TRANSFORM_WRITE = "transform.write"
    FLOW_READ = "flow.read"
    FLOW_WRITE = "flow.write"
    FLOW_RUN = "flow.run"
    AUDIT_READ = "audit.read"
    SELF_READ = "self.read"
    CLAIM_RUN = "claim.run"
    CLAIM_ATTEST = "claim.attest"
    CLAIM_ANNOTATE = "claim.annotate"
    UPSTREAM_KEY_MANAGE = "upstream.key.manage"
    SESSION_KEY_ROLL = "session.key.roll"
    PROBE_RECORD = "probe.record"
    ADDRESS_WRITE = "address.write"
    ADDRESS_READ = "address.read"
    POST_MANAGE = "post.manage"
    TERMS_READ = "terms.read"
    TERMS_ACCEPT = "terms.accept"
    DOCUMENT_MANAGE = "document.manage"
    REQUEST_MANAGE = "request.manage"
    REGISTER_READ = "register.read"
    REGISTER_WRITE = "register.write"
    VENDOR_READ = "vendor.read"
    VENDOR_CHOOSE = "vendor.choose"
    REPORT_READ = "report.read"
    REPORT_WRITE = "report.write"
    EVIDENCE_PUSH = "evidence.push"
    EVIDENCE_READ = "evidence.read"
    EVIDENCE_MANAGE = "evidence.manage"
    CREDENTIAL_WRITE = "credential.write"
    CREDENTIAL_READ = "credential.read"
    EGRESS_WRITE = "egress.write"


@unique
class Role(StrEnum):
    """Named bundles of permissions; a key carries one role and may be narrowed by scopes."""

    OPERATOR = "operator"
    ADMIN = "admin"
    SENDER = "sender"
    READER = "reader"
    PUBLISHABLE = "publishable"


_READS = frozenset(
    {
        Permission.SELF_READ,
        Permission.PAYLOAD_READ,
        Permission.ENDPOINT_READ,
        Permission.DELIVERY_READ,
        Permission.RECEIPT_READ,
        Permission.TRANSFORM_READ,
        Permission.FLOW_READ,
        Permission.ADDRESS_READ,
        Permission.TERMS_READ,
        Permission.VENDOR_READ,
    }
)

GRANTS: dict[Role, frozenset[Permission]] = {
    Role.OPERATOR: frozenset(
        {
            Permission.SELF_READ,
            Permission.ORGANISATION_CREATE,
            Permission.ORGANISATION_READ,
            Permission.ENVIRONMENT_CREATE,
            Permission.KEY_ISSUE_ANY,
            Permission.CLAIM_RUN,
            Permission.CLAIM_ATTEST,
            Permission.CLAIM_ANNOTATE,
            Permission.UPSTREAM_KEY_MANAGE,
            Permission.SESSION_KEY_ROLL,
            Permission.PROBE_RECORD,
            Permission.POST_MANAGE,
            Permission.DOCUMENT_MANAGE,
            Permission.REQUEST_MANAGE,
            Permission.REGISTER_READ,
            Permission.REGISTER_WRITE,
            Permission.REPORT_READ,
            Permission.REPORT_WRITE,
            Permission.EVIDENCE_PUSH,
            Permission.EVIDENCE_READ,
            Permission.EVIDENCE_MANAGE,
        }
    ),
    Role.ADMIN: _READS
    | {
        Permission.KEY_ISSUE,
        Permission.KEY_READ,
        Permission.KEY_REVOKE,
        Permission.SESSION_MINT,
        Permission.SESSION_REVOKE,
        Permission.PAYLOAD_SEND,
        Permission.PAYLOAD_ERASE,
        Permission.ENDPOINT_WRITE,
        Permission.ADDRESS_WRITE,
        Permission.TERMS_ACCEPT,
        Permission.DELIVERY_REPLAY,
        Permission.TRANSFORM_WRITE,
        Permission.FLOW_WRITE,
        Permission.FLOW_RUN,
        Permission.AUDIT_READ,
        Permission.VENDOR_CHOOSE,
        Permission.CREDENTIAL_WRITE,
        Permission.CREDENTIAL_READ,
        Permission.EGRESS_WRITE,
    },
    Role.SENDER: frozenset({Permission.SELF_READ, Permission.PAYLOAD_SEND}),
    Role.READER: _READS,
    Role.PUBLISHABLE: frozenset({Permission.PAYLOAD_SEND}),
}
"""What each role may do; the operator's role holds nothing of any organisation's data."""


def allowed(role: Role, scopes: frozenset[Permission] | None) -> frozenset[Permission]:
    """Return what a key of *role* may do when narrowed to *scopes* (None: not narrowed)."""
    granted = GRANTS[role]
    return granted if scopes is None else granted & scopes

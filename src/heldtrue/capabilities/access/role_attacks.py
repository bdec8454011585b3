"""The attack on roles: every route with every kind of credential, judged by the published matrix."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from heldtrue.attack import Attack, Finding, Place, judged
from heldtrue.attack.arena import Arena, Probe
from heldtrue.attack.stock import in_order, request
from heldtrue.capabilities.access.session_attacks import MAY
from heldtrue.crypto import tokens
from heldtrue.kernel.ids import (
    AddressId,
    AgreementId,
    AskId,
    CredentialId,
    CryptoKeyId,
    DeliveryId,
    DownloadId,
    EndpointId,
    FindingId,
    FlowId,
    GrantId,
    Id,
    KeyId,
    LeafId,
    MailId,
    ObjectionId,
    PayloadId,
    QuestionnaireId,
    ReceiptId,
    ReplayId,
    ReportId,
    RunId,
    TenantId,
    TransformId,
)
from heldtrue.kernel.secret import Secret
from heldtrue.policy.permissions import GRANTS, Permission, Role

PUBLISHABLE = frozenset({Permission.PAYLOAD_SEND})
"""All that a publishable key may do, whatever its role was."""


NAMED = {
    "pipeline_key_id": "0" * 64,
    "ordinal": "1",
    "number": "1",
    "register": "none",
    "item": "none",
    "document": "procurement",
}  # no document is called so
"""Sound values of path parameters that are no ids."""
_KINDS: dict[str, type[Id]] = {
    "key_id": KeyId,
    "endpoint_id": EndpointId,
    "payload_id": PayloadId,
    "delivery_id": DeliveryId,
    "replay_id": ReplayId,
    "receipt_id": ReceiptId,
    "leaf_id": LeafId,
    "organisation_id": TenantId,
    "upstream_key_id": CryptoKeyId,
    "transform_id": TransformId,
    "flow_id": FlowId,
    "run_id": RunId,
    "address_id": AddressId,
    "objection_id": ObjectionId,
    "mail_id": MailId,
    "agreement_id": AgreementId,
    "questionnaire_id": QuestionnaireId,
    "report_id": ReportId,
    "finding_id": FindingId,
    "ask_id": AskId,
    "grant_id": GrantId,
    "download_id": DownloadId,
    "credential_id": CredentialId,
}


def nothing(arena: Arena) -> dict[str, str]:
    """Return sound ids of things that do not exist."""
    now, entropy = arena.clock.now(), arena.entropy
    return {name: str(kind.new(now, entropy)) for name, kind in _KINDS.items()} | NAMED


def role_matrix(arena: Arena) -> Finding:
    """Try every route with a key of every type, role and environment, and a session token; judge by the matrix."""
    one, _ = arena.probes()
    holders = _holders(arena, one)
    ids, faults, pairs = nothing(arena), [], 0
    for route in in_order(arena.api):
        for holder in holders:
            pairs += 1
            asked = request(route, ids)
            body = b"{" if asked.body is not None and not route.streams else asked.body  # judged before it is read
            reply = arena.caller.call(asked.method, asked.path, holder.token, body, asked.headers)
            may = route.needs is not None and route.needs in holder.may
            if may == (reply.status in {401, 403}):
                faults.append(f"{route.at} answered {reply.status} to {holder.what}.")
    return judged(
        faults,
        f"Each of {len(holders)} credentials, by type, role and environment, was let through where it has the "
        "permission, and refused everywhere else.",
        credentials=len(holders),
        environments=2,
        roles=len(Role),
        routes=len(arena.api),
        pairs=pairs,
    )


@dataclass(frozen=True, slots=True)
class _Holder:
    """A credential and what the published matrix gives it."""

    what: str
    token: Secret[str]
    may: frozenset[Permission]


def _holders(arena: Arena, probe: Probe) -> list[_Holder]:
    """Return a key of each role in each of two environments, the operator's, and a session token."""
    found = [_Holder("the operator's key", arena.operator(), GRANTS[Role.OPERATOR])]
    for environment, admin in ((probe.environment, probe.admin), (probe.other_environment, probe.other_admin)):
        for role in Role:
            if role is Role.OPERATOR:
                continue
            soon = (arena.clock.now() + timedelta(minutes=10)).isoformat()
            asked = {"name": "probe", "role": role.value, "expires_at": soon}
            secret: str = arena.caller.call("POST", "/v1/keys", admin, asked).expect(201).json()["secret"]
            type_ = tokens.parse(secret).type
            may = PUBLISHABLE if type_ == "pk" else GRANTS[role]
            what = f"a key of the type {type_}, the role {role.value} and the environment {environment}"
            found.append(_Holder(what, Secret(secret), may))
    asked = {"subject": "probe", "permissions": sorted(MAY)}
    session: str = arena.caller.call("POST", "/v1/sessions", probe.admin, asked).expect(200).json()["token"]
    return [*found, _Holder("a session token", Secret(session), MAY)]


ATTACKS = (
    Attack(
        name="access.role_matrix",
        place=Place.SYNTHETIC,
        tries=(
            "Make a key of every type and role in two environments, the operator's included, and a session token.",
            "Call every route with each.",
            "It must be refused exactly where the published matrix gives no permission.",
        ),
        run=role_matrix,
        breaks="every-role-may",
        needs=("heldtrue.attack.stock",),
        limit=timedelta(seconds=120),
    ),
)

"""A sound request for every route: what would be served if the caller might.

A route that is not here hinders the attack, so a new route cannot pass by unattacked.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

RECEIVER = "https://receiver.invalid/hook"
"""An endpoint that no delivery reaches: the name is reserved never to exist (RFC 2606)."""
PAYLOAD = b'{"probe":true,"amount":1200}'
CODE = "def transform(payload, context):\n    raise ValueError('probe')\n"
SIGNED = {
    "document": "dpa", "counterparty": "probe", "signed_on": "2020-01-01", "file_name": "probe.pdf",
    "content": base64.b64encode(b"%PDF-1.4 probe").decode(),
}  # fmt: skip
ASKED = base64.b64encode(b"No,Question,Answer\n1,Is data encrypted in transit with TLS?,\n").decode()


def _json(value: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    return json.dumps(value).encode(), {"content-type": "application/json"}


ATTESTED = "company.vendors_current"
"""A claim that only a document can stand behind."""
YEAR = datetime.now(UTC).year
_MULTIKEY = "z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"  # of RFC 8032, section 7.1, test 1
NO_OBJECTION = f"obj_{bytes(16).hex()}"
_PAPER = {
    "claim": ATTESTED, "title": "Probe", "owner": "nobody", "sha256": "0" * 64,
    "dated": f"{YEAR - 1}-01-01", "expires": f"{YEAR + 1}-12-31",
}  # fmt: skip
_PROBED = {
    "target_sha256": "0" * 64, "report_sha256": "0" * 64, "source_sha256": "0" * 64, "tool_version": "0",
    "started_at": "2026-01-01T00:00:00.000Z", "finished_at": "2026-01-01T00:00:01.000Z", "ended": "interrupted",
    "coverage": dict.fromkeys(("routes", "judged", "not_judged", "checks_made", "checks_not_made", "requests"), 0),
}  # fmt: skip
CONTACT: dict[str, Any] = {
    "register": "contacts", "item": "probe",
    "document": {"about": "probe", "role": "probe", "mail": "probe@example.invalid"},
}  # fmt: skip
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
_JUST_ASK: tuple[bytes | None, dict[str, str]] = (None, {})
SOUND: dict[str, tuple[bytes | None, dict[str, str]]] = {
    "GET /v1/self": _JUST_ASK,
    "GET /v1/keys": _JUST_ASK,
    "POST /v1/keys": _json({"name": "probe", "role": "reader"}),
    "GET /v1/keys/{key_id}": _JUST_ASK,
    "DELETE /v1/keys/{key_id}": _JUST_ASK,
    "POST /v1/keys/{key_id}/roll": _json({"overlap_seconds": 0}),
    "POST /v1/sessions": _json({"subject": "probe"}),
    "DELETE /v1/sessions": _JUST_ASK,
    "POST /v1/organisations": _json({"name": "probe"}),
    "GET /v1/organisations": _JUST_ASK,
    "POST /v1/organisations/{organisation_id}/environments": _json({"environment": "attack"}),
    "POST /v1/organisations/{organisation_id}/keys": _json({"name": "probe", "environment": "probe", "role": "reader"}),
    "POST /v1/payloads": (PAYLOAD, {"content-type": "application/json"}),
    "GET /v1/payloads": _JUST_ASK,
    "GET /v1/payloads/{payload_id}": _JUST_ASK,
    "GET /v1/payloads/{payload_id}/content": _JUST_ASK,
    "GET /v1/payloads/{payload_id}/attachments/{ordinal}": _JUST_ASK,
    "DELETE /v1/payloads/{payload_id}": _JUST_ASK,
    "GET /v1/payloads/{payload_id}/outputs": _JUST_ASK,
    "POST /v1/transforms": _json({"name": "probe", "language": "python", "code": CODE}),
    "GET /v1/transforms": _JUST_ASK,
    "GET /v1/transforms/{transform_id}": _JUST_ASK,
    "DELETE /v1/transforms/{transform_id}": _JUST_ASK,
    "POST /v1/transforms/{transform_id}/versions": _json({"language": "python", "code": CODE}),
    "GET /v1/transforms/{transform_id}/versions": _JUST_ASK,
    "GET /v1/transforms/{transform_id}/versions/{number}": _JUST_ASK,
    "POST /v1/transforms/{transform_id}/rollback": _json({"number": 1}),
    "GET /v1/transforms/{transform_id}/egress": _JUST_ASK,
    "PUT /v1/transforms/{transform_id}/egress": _json({"rules": [{"host": "api.invalid"}]}),
    "POST /v1/transforms/{transform_id}/test": (PAYLOAD, {"content-type": "application/json"}),
    "POST /v1/credentials": _json({"name": "attack", "value": "attack-value", "hosts": ["api.invalid"]}),
    "GET /v1/credentials": _JUST_ASK,
    "GET /v1/credentials/{credential_id}": _JUST_ASK,
    "PUT /v1/credentials/{credential_id}": _json({"description": "probe"}),
    "DELETE /v1/credentials/{credential_id}": _JUST_ASK,
    "POST /v1/flows": _json({"name": "probe", "enabled": False}),
    "GET /v1/flows": _JUST_ASK,
    "GET /v1/flows/{flow_id}": _JUST_ASK,
    "PATCH /v1/flows/{flow_id}": _json({"name": "probe"}),
    "POST /v1/flows/{flow_id}/enable": _JUST_ASK,
    "POST /v1/flows/{flow_id}/disable": _JUST_ASK,
    "DELETE /v1/flows/{flow_id}": _JUST_ASK,
    "GET /v1/runs": _JUST_ASK,
    "GET /v1/runs/{run_id}": _JUST_ASK,
    "POST /v1/runs/{run_id}/retry": _JUST_ASK,
    "POST /v1/runs/{run_id}/cancel": _JUST_ASK,
    "GET /v1/receipts": _JUST_ASK,
    "GET /v1/receipts/{receipt_id}": _JUST_ASK,
    "GET /v1/receipts/{receipt_id}/bundle": _JUST_ASK,
    "POST /v1/endpoints": _json({"url": RECEIVER}),
    "GET /v1/endpoints": _JUST_ASK,
    "GET /v1/endpoints/{endpoint_id}": _JUST_ASK,
    "PATCH /v1/endpoints/{endpoint_id}": _json({"description": "probe"}),
    "POST /v1/endpoints/{endpoint_id}/roll": _json({"overlap_seconds": 0}),
    "POST /v1/endpoints/{endpoint_id}/disable": _JUST_ASK,
    "POST /v1/endpoints/{endpoint_id}/enable": _JUST_ASK,
    "DELETE /v1/endpoints/{endpoint_id}": _JUST_ASK,
    "POST /v1/addresses": _json({}),
    "GET /v1/addresses": _JUST_ASK,
    "DELETE /v1/addresses/{address_id}": _JUST_ASK,
    "GET /v1/deliveries": _JUST_ASK,
    "GET /v1/deliveries/{delivery_id}": _JUST_ASK,
    "POST /v1/deliveries/{delivery_id}/replay": _JUST_ASK,
    "POST /v1/deliveries/replays": _json({"dry_run": True}),
    "GET /v1/deliveries/replays": _JUST_ASK,
    "GET /v1/deliveries/replays/{replay_id}": _JUST_ASK,
    "POST /v1/endpoints/{endpoint_id}/test": _JUST_ASK,
    "GET /v1/deliveries/ledger": _JUST_ASK,
    "GET /v1/deliveries/ledger/plans": _JUST_ASK,
    "GET /v1/endpoints/{endpoint_id}/statistics": _JUST_ASK,
    "POST /v1/upstream-keys": _json({"upstream": "probe", "overlap_seconds": 0}),
    "GET /v1/upstream-keys": _JUST_ASK,
    "DELETE /v1/upstream-keys/{upstream_key_id}": _JUST_ASK,
    "POST /v1/session-keys/roll": _JUST_ASK,
    "POST /v1/probes": _json(_PROBED),
    "GET /v1/probes": _JUST_ASK,
    "POST /v1/gap-analysis": _json({"level": "on-request"}),
    "GET /v1/documents": _JUST_ASK,
    "PUT /v1/documents/{document}/file": (b"probe", {"content-type": "text/plain"}),
    "PUT /v1/documents/{document}": _json({"title": "Probe", "level": "public"}),
    "DELETE /v1/documents/{document}": _JUST_ASK,
    "GET /v1/requests": _JUST_ASK,
    "POST /v1/requests": _json({"kind": "legal", "mail": "probe@example.invalid", "name": "Probe", "text": "Probe."}),
    "GET /v1/requests/{ask_id}": _JUST_ASK,
    "POST /v1/requests/{ask_id}/grant": _json({}),
    "POST /v1/requests/{ask_id}/decline": _json({"reason": "Probe."}),
    "POST /v1/requests/{ask_id}/answer": _json({"text": "Probe."}),
    "GET /v1/grants": _JUST_ASK,
    "GET /v1/grants/{grant_id}": _JUST_ASK,
    "POST /v1/grants/{grant_id}/revoke": _json({}),
    "GET /v1/downloads/{download_id}": _JUST_ASK,
    "GET /v1/post": _JUST_ASK,
    "GET /v1/post/{mail_id}": _JUST_ASK,
    "POST /v1/post/{mail_id}/retry": _JUST_ASK,
    "POST /v1/post/test": _json({"to": "probe@example.invalid"}),
    "POST /v1/attestations": _json(_PAPER),
    "GET /v1/attestations": _JUST_ASK,
    "POST /v1/attestations/withdrawals": _json({"claim": ATTESTED}),
    "POST /v1/annotations": _json({"attack": "transport.old_tls", "text": "Probe."}),
    "GET /v1/annotations": _JUST_ASK,
    "GET /v1/registers": _JUST_ASK,
    "POST /v1/registers": _json({"entries": [CONTACT], "dry_run": True}),
    "GET /v1/registers/{register}": _JUST_ASK,
    "GET /v1/registers/{register}/{item}": _JUST_ASK,
    "GET /v1/registers/{register}/{item}/history": _JUST_ASK,
    "PUT /v1/registers/{register}/{item}": _json({"document": CONTACT["document"]}),
    "DELETE /v1/registers/{register}/{item}": _JUST_ASK,
    "POST /v1/policies/adopt": _json({"policy": "probe", "owner": "probe", "title": "probe", "text": "probe"}),
    "POST /v1/policies/review": _json({"policy": "probe"}),
    "GET /v1/vendors": _JUST_ASK,
    "PUT /v1/vendors": _json({"vendor": "probe", "permitted": False}),
    "GET /v1/objections": _JUST_ASK,
    "POST /v1/objections": _json({"sub_processor": "probe", "reason": "probe"}),
    "GET /v1/objections/received": _JUST_ASK,
    "POST /v1/objections/{objection_id}/response": _json({"response": "probe"}),
    "POST /v1/acceptances": _json({"item": "terms", "version": 1, "sha256": "0" * 64, "accepted_by": "probe"}),
    "GET /v1/acceptances": _JUST_ASK,
    "POST /v1/agreements": _json(SIGNED),
    "GET /v1/agreements": _JUST_ASK,
    "GET /v1/agreements/{agreement_id}/file": _JUST_ASK,
    "POST /v1/agreements/drafts": _json({"document": "terms", "format": "json"}),
    "POST /v1/questionnaires": _json({"name": "probe.csv", "content": ASKED}),
    "GET /v1/questionnaires": _JUST_ASK,
    "GET /v1/questionnaires/{questionnaire_id}": _JUST_ASK,
    "PUT /v1/questionnaires/{questionnaire_id}/answers/{number}": _json({"confirmed_by": "probe"}),
    "GET /v1/questionnaires/{questionnaire_id}/file": _JUST_ASK,
    "DELETE /v1/questionnaires/{questionnaire_id}": _JUST_ASK,
    "GET /v1/reports": _JUST_ASK,
    "GET /v1/reports/{report_id}": _JUST_ASK,
    "POST /v1/reports/{report_id}/acknowledge": _JUST_ASK,
    "POST /v1/reports/{report_id}/assessment": _json({"vector": VECTOR}),
    "POST /v1/reports/{report_id}/state": _json({"state": "confirmed"}),
    "POST /v1/reports/{report_id}/reward": _json({"cents": 500_000}),
    "POST /v1/reports/{report_id}/thanks": _JUST_ASK,
    "POST /v1/disclosure/key": _json({"days": 30}),
    "GET /v1/disclosure/key": _JUST_ASK,
    "POST /v1/evidence/keys": _json({"name": "probe", "public_key": _MULTIKEY}),
    "GET /v1/evidence/keys": _JUST_ASK,
    "DELETE /v1/evidence/keys/{pipeline_key_id}": _JUST_ASK,
    "POST /v1/evidence": _json({"payloadType": "application/vnd.in-toto+json", "payload": "", "signatures": []}),
    "GET /v1/evidence": _JUST_ASK,
    "GET /v1/gate": _JUST_ASK,
    "GET /v1/findings": _JUST_ASK,
    "GET /v1/findings/{finding_id}": _JUST_ASK,
    "POST /v1/findings/{finding_id}/resolve": _json({"reason": "Probe."}),
    "POST /v1/findings/{finding_id}/accept": _json({"reason": "Probe.", "owner": "nobody", "until": f"{YEAR}-12-31"}),
    "GET /v1/audit": _JUST_ASK,
    "GET /v1/audit/{leaf_id}/proof": _JUST_ASK,
}
"""Body and headers of a request that would be served if the caller might; keyed by route."""

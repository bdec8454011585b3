"""Findings of cloud providers from files in their exported formats; nothing here calls a provider.

AWS Security Finding Format (2018-10-08), Security Command Center's list of findings, Defender for Cloud's
recommendations as JSON or CSV.
"""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any, cast

import msgspec

from heldtrue.capabilities.evidence.model import (
    Found,
    Kind,
    Reading,
    UnreadableEvidenceError,
    counted,
    severity_named,
)
from heldtrue.capabilities.evidence.readers.shape import bounded, shaped

Text = Annotated[str, msgspec.Meta(max_length=5000)]
CSV_COLUMNS = ("recommendationName", "severity", "resourceId", "state")


class _AwsSeverity(msgspec.Struct):
    label: str = msgspec.field(name="Label")


class _AwsResource(msgspec.Struct):
    id: Text = msgspec.field(name="Id")


class _AwsWorkflow(msgspec.Struct):
    status: str = msgspec.field(name="Status", default="NEW")


class _AwsFinding(msgspec.Struct):
    schema: str = msgspec.field(name="SchemaVersion")
    generator: Text = msgspec.field(name="GeneratorId")
    title: Text = msgspec.field(name="Title")
    severity: _AwsSeverity = msgspec.field(name="Severity")
    resources: list[_AwsResource] = msgspec.field(name="Resources", default_factory=list[_AwsResource])
    record_state: str = msgspec.field(name="RecordState", default="ACTIVE")
    workflow: _AwsWorkflow = msgspec.field(name="Workflow", default_factory=_AwsWorkflow)


class _AwsExport(msgspec.Struct):
    findings: list[_AwsFinding] = msgspec.field(name="Findings")


class _GcpFinding(msgspec.Struct):
    category: Text
    severity: str = "SEVERITY_UNSPECIFIED"
    state: str = "ACTIVE"
    resource: Text = msgspec.field(name="resourceName", default="")
    description: str = ""


class _GcpRow(msgspec.Struct):
    finding: _GcpFinding


class _AzureStatus(msgspec.Struct):
    code: str


class _AzureMetadata(msgspec.Struct):
    severity: str = ""
    name: str = msgspec.field(name="displayName", default="")


class _AzureProperties(msgspec.Struct):
    status: _AzureStatus
    display_name: Text = msgspec.field(name="displayName", default="")
    metadata: _AzureMetadata = msgspec.field(default_factory=_AzureMetadata)
    resource: dict[str, Any] = msgspec.field(name="resourceDetails", default_factory=dict[str, Any])


class _AzureAssessment(msgspec.Struct):
    properties: _AzureProperties
    name: str = ""


def read_asff(document: Any) -> Reading:
    """Return the findings of `aws securityhub get-findings`; archived ones are over, suppressed ones are not."""
    value = {"Findings": document} if isinstance(document, list) else cast("object", document)
    export = shaped(value, _AwsExport, "export of AWS Security Hub")
    found = [
        Found(one.generator[:300], severity_named(one.severity.label), one.title[:300],
              one.resources[0].id[:500] if one.resources else "")
        for one in export.findings
        if one.record_state != "ARCHIVED" and one.workflow.status != "RESOLVED"
    ]  # fmt: skip
    return _reading(Kind.ASFF, found)


def read_scc(document: Any) -> Reading:
    """Return the active findings of `gcloud scc findings list --format=json`."""
    rows = shaped(document, list[_GcpRow], "list of Security Command Center findings")
    found = [
        Found(one.category[:300], severity_named(one.severity), (one.description or one.category)[:300],
              one.resource[:500])
        for one in (row.finding for row in rows)
        if one.state == "ACTIVE"
    ]  # fmt: skip
    return _reading(Kind.SCC, found)


def read_defender(document: Any) -> Reading:
    """Return the unhealthy assessments of Defender for Cloud: JSON as exported, or `{"csv": text}`."""
    if isinstance(document, dict) and set(cast("dict[str, Any]", document)) == {"csv"}:
        return _reading(Kind.DEFENDER, _azure_rows(str(cast("dict[str, Any]", document)["csv"])))
    listed = document.get("value") if isinstance(document, dict) else document  # pyright: ignore[reportUnknownMemberType]
    rows = shaped(listed, list[_AzureAssessment], "list of Defender for Cloud assessments")
    found = [
        Found(
            (row.name or row.properties.metadata.name)[:300], severity_named(row.properties.metadata.severity),
            (row.properties.display_name or row.properties.metadata.name)[:300],
            str(row.properties.resource.get("Id") or row.properties.resource.get("id") or "")[:500],
        )
        for row in rows
        if row.properties.status.code.lower() == "unhealthy"
    ]  # fmt: skip
    return _reading(Kind.DEFENDER, found)


def _azure_rows(text: str) -> list[Found]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in CSV_COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise UnreadableEvidenceError(f"This CSV has no column {missing[0]!r}; export the recommendations as CSV.")
    return [
        Found(row["recommendationName"][:300], severity_named(row["severity"]), row["recommendationName"][:300],
              (row["resourceId"] or "")[:500])
        for row in rows
        if (row["state"] or "").strip().lower() == "unhealthy"
    ]  # fmt: skip


def _reading(kind: Kind, found: list[Found]) -> Reading:
    once = bounded(found)
    return Reading(kind, counted(once), once)

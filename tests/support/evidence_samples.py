"""Small documents of every kind of evidence: fictional, and true to their formats."""

from __future__ import annotations

from typing import Any


def _result(rule: str, line: int, level: str = "error") -> dict[str, Any]:
    place = {"artifactLocation": {"uri": "src/app.py"}, "region": {"startLine": line}}
    return {
        "ruleId": rule, "level": level, "message": {"text": f"{rule} in line {line}"},
        "locations": [{"physicalLocation": place}],
    }  # fmt: skip


SARIF: dict[str, Any] = {
    "version": "2.1.0",
    "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
    "runs": [
        {
            "tool": {
                "driver": {
                    "name": "bandit",
                    "rules": [{"id": "B602", "properties": {"security-severity": "9.8"}}, {"id": "B105"}],
                }
            },
            "invocations": [{"executionSuccessful": True, "endTimeUtc": "2026-11-22T08:00:00Z"}],
            "results": [_result("B602", 14), _result("B105", 20), _result("B311", 31, "warning")],
        }
    ],
}
SBOM: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"timestamp": "2026-11-22T08:00:00Z"},
    "components": [
        {"bom-ref": "a", "name": "sample-parser", "version": "1.4.0", "purl": "pkg:pypi/sample-parser@1.4.0"},
        {"type": "library", "bom-ref": "b", "name": "other", "version": "2.0.0", "purl": "pkg:npm/other@2.0.0"},
    ],
    "vulnerabilities": [
        {"id": "CVE-2026-11111", "ratings": [{"score": 9.1, "severity": "critical"}], "affects": [{"ref": "b"}]}
    ],
}  # fmt: skip
VEX: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"timestamp": "2026-11-22T08:00:00Z"},
    "vulnerabilities": [
        {
            "id": "CVE-2026-11111",
            "analysis": {"state": "not_affected", "justification": "code_not_reachable"},
            "affects": [{"ref": "b"}],
        }
    ],
}
OSV: list[dict[str, Any]] = [
    {
        "id": "OSV-2026-1",
        "modified": "2026-11-22T09:00:00Z",
        "summary": "The parser can be made to loop",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": "Sample_Parser"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "1.2.0"}, {"fixed": "1.5.0"}]}],
            }
        ],
    }
]
TESTS: dict[str, Any] = {
    "result": "PASSED",
    "configuration": [{"name": "suite", "digest": {"sha256": "b" * 64}}],
    "passedTests": ["one", "two"],
    "warnedTests": [],
    "failedTests": [],
}
REVIEW: dict[str, Any] = {
    "result": "PASSED",
    "timestamp": "2026-11-22T08:00:00Z",
    "author": "author",
    "reviewers": ["first", "second"],
    "reviewLink": "https://git.example.com/changes/7",
}
LETTER: dict[str, Any] = {
    "sha256": "c" * 64, "size": 120_000, "firm": "A testing firm", "dated": "2026-10-01", "scope": "API and console",
    "open_findings": 0,
}  # fmt: skip
ASFF: dict[str, Any] = {
    "Findings": [
        {
            "SchemaVersion": "2018-10-08",
            "GeneratorId": "aws-foundational/S3.1",
            "Title": "A bucket is public",
            "Severity": {"Label": "CRITICAL"},
            "Resources": [{"Type": "AwsS3Bucket", "Id": "arn:aws:s3:::sample"}],
            "RecordState": "ACTIVE",
            "Workflow": {"Status": "SUPPRESSED"},
        },
        {
            "SchemaVersion": "2018-10-08",
            "GeneratorId": "aws-foundational/S3.2",
            "Title": "Over",
            "Severity": {"Label": "HIGH"},
            "Resources": [{"Type": "AwsS3Bucket", "Id": "arn:aws:s3:::sample"}],
            "RecordState": "ARCHIVED",
        },
    ]
}
SCC: list[dict[str, Any]] = [
    {
        "finding": {
            "category": "OPEN_FIREWALL", "severity": "HIGH", "state": "ACTIVE",
            "resourceName": "//compute.googleapis.com/projects/sample/global/firewalls/1",
        },
        "resource": {"name": "sample"},
    },
    {"finding": {"category": "OVER", "severity": "CRITICAL", "state": "INACTIVE", "resourceName": "//x"}},
]  # fmt: skip
DEFENDER: dict[str, Any] = {
    "value": [
        {
            "name": "assessment-1",
            "properties": {
                "displayName": "Disks should be encrypted",
                "status": {"code": "Unhealthy"},
                "metadata": {"severity": "High"},
                "resourceDetails": {"Id": "/subscriptions/sample/disks/1"},
            },
        },
        {"name": "assessment-2", "properties": {"displayName": "Well", "status": {"code": "Healthy"}}},
    ]
}
DEFENDER_CSV = (
    "recommendationName,severity,resourceId,state\n"
    "Ports should be closed,Medium,/subscriptions/sample/vm/1,Unhealthy\n"
    "Well,High,/subscriptions/sample/vm/2,Healthy\n"
)

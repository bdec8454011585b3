"""SARIF 2.1.0 (OASIS). What a tool suppressed counts: only an acceptance with reason, owner and end does not."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from heldtrue.capabilities.disclosure.scoring import Severity
from heldtrue.capabilities.evidence.model import Found, Kind, Reading, counted, severity_of_score
from heldtrue.capabilities.evidence.readers.shape import bounded, moment, shaped

_LEVELS = {"error": Severity.HIGH, "warning": Severity.MEDIUM, "note": Severity.LOW, "none": Severity.NONE}
_PASSING = {"pass", "notApplicable", "informational"}
Text = Annotated[str, msgspec.Meta(max_length=20_000)]


class _Message(msgspec.Struct):
    text: Text = ""


class _Configuration(msgspec.Struct):
    level: Literal["none", "note", "warning", "error"] = "warning"


class _Rule(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    default_configuration: _Configuration = msgspec.field(name="defaultConfiguration", default_factory=_Configuration)
    properties: dict[str, Any] = {}


class _Driver(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    rules: list[_Rule] = []


class _Tool(msgspec.Struct):
    driver: _Driver
    extensions: list[_Driver] = []


class _Artifact(msgspec.Struct):
    uri: Text = ""


class _Region(msgspec.Struct):
    start_line: int = msgspec.field(name="startLine", default=0)


class _Physical(msgspec.Struct):
    artifact: _Artifact = msgspec.field(name="artifactLocation", default_factory=_Artifact)
    region: _Region = msgspec.field(default_factory=_Region)


class _Location(msgspec.Struct):
    physical: _Physical = msgspec.field(name="physicalLocation", default_factory=_Physical)


class _RuleReference(msgspec.Struct):
    id: str = ""


class _Result(msgspec.Struct):
    message: _Message
    rule_id: str = msgspec.field(name="ruleId", default="")
    rule: _RuleReference = msgspec.field(default_factory=_RuleReference)
    level: Literal["none", "note", "warning", "error"] | None = None
    kind: str = "fail"
    baseline: str = msgspec.field(name="baselineState", default="new")
    locations: list[_Location] = []
    properties: dict[str, Any] = {}


class _Invocation(msgspec.Struct):
    successful: bool = msgspec.field(name="executionSuccessful")
    ended: str | None = msgspec.field(name="endTimeUtc", default=None)


class _Run(msgspec.Struct):
    tool: _Tool
    results: list[_Result] | None = None
    """Null: the run looked at nothing, which is no clean result (section 3.14.23)."""
    invocations: list[_Invocation] = []


class _Log(msgspec.Struct):
    version: Literal["2.1.0"]
    runs: Annotated[list[_Run], msgspec.Meta(min_length=1, max_length=100)]


def read(document: Any) -> Reading:
    """Return what a SARIF log says."""
    log = shaped(document, _Log, "SARIF 2.1.0 log")
    found: list[Found] = []
    failed = ""
    ended: list[str] = []
    for run in log.runs:
        if run.results is None or not all(one.successful for one in run.invocations):
            failed = f"{run.tool.driver.name} did not run to its end"
        ended += [one.ended for one in run.invocations if one.ended is not None]
        rules = {rule.id: rule for driver in (run.tool.driver, *run.tool.extensions) for rule in driver.rules}
        found += [_found(run, result, rules) for result in run.results or [] if _counts(result)]
    once = bounded(found)
    made = max((at for text in ended if (at := moment(text)) is not None), default=None)
    tools = tuple(sorted({run.tool.driver.name for run in log.runs}))
    return Reading(Kind.SARIF, {"runs": len(log.runs), **counted(once)}, once, made, failed, tools)


def _counts(result: _Result) -> bool:
    return result.kind not in _PASSING and result.baseline != "absent"


def _found(run: _Run, result: _Result, rules: dict[str, _Rule]) -> Found:
    rule_id = result.rule_id or result.rule.id or "unnamed"
    rule = rules.get(rule_id)
    score = result.properties.get("security-severity") or (rule.properties.get("security-severity") if rule else None)
    level = result.level or (rule.default_configuration.level if rule else "warning")
    severity = (severity_of_score(score) if score is not None else None) or _LEVELS[level]
    where = result.locations[0].physical if result.locations else _Physical()
    line = f":{where.region.start_line}" if where.region.start_line else ""
    title = result.message.text.strip().splitlines()[0][:300] if result.message.text.strip() else rule_id
    return Found(f"{run.tool.driver.name}/{rule_id}"[:300], severity, title, f"{where.artifact.uri}{line}"[:500])

"""Lints a page, and tells what was found: for people, as JSON, and as SARIF 2.1.0."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from heldtrue.trust.lint.model import LEVELS, Context, Finding, Level, Page
from heldtrue.trust.lint.rows import rows_of
from heldtrue.trust.lint.rules import RULES

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


class FindingView(msgspec.Struct, frozen=True, kw_only=True):
    """A finding as it is told."""

    rule: str
    level: str
    line: int
    message: str
    text: str
    rows: list[str]
    also: list[int]


class SentenceView(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence of the page and the rows that it is about."""

    line: int
    text: str
    rows: list[str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the linter says of one page."""

    source: str
    sentences: int
    findings: list[FindingView]
    map: list[SentenceView]
    """The sentences that promise something, each with its rows."""


def lint(page: Page, context: Context, *, skip: Collection[str] = ()) -> list[Finding]:
    """Return what all rules find, in the order of the page; rules named in *skip* are left out."""
    found = [
        finding if finding.rows else replace(finding, rows=rows_of(finding.text))
        for rule in RULES
        if rule.name not in skip
        for finding in rule.check(page, context)
    ]
    return sorted(set(found), key=lambda one: (one.line, one.rule, one.message))


def at_least(findings: Iterable[Finding], level: Level) -> list[Finding]:
    """Return the findings of *level* and above."""
    return [one for one in findings if LEVELS.index(one.level) >= LEVELS.index(level)]


def report(page: Page, findings: Sequence[Finding]) -> Report:
    """Return what is told as JSON."""
    promising = [(one, rows_of(one.text)) for one in page.said()]
    return Report(
        source=page.source,
        sentences=len(page.sentences),
        findings=[
            FindingView(
                rule=one.rule, level=str(one.level), line=one.line, message=one.message, text=one.text,
                rows=list(one.rows), also=list(one.also),
            )
            for one in findings
        ],
        map=[SentenceView(line=one.line, text=one.text, rows=list(rows)) for one, rows in promising if rows],
    )  # fmt: skip


def sarif(pages: Sequence[tuple[Page, Sequence[Finding]]], version: str) -> dict[str, Any]:
    """Return the findings as a SARIF log with one run."""
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "heldtrue lint",
                        "version": version,
                        "rules": [
                            {
                                "id": rule.name,
                                "shortDescription": {"text": rule.about},
                                "defaultConfiguration": {"level": str(rule.level)},
                            }
                            for rule in RULES
                        ],
                    }
                },
                "artifacts": [{"location": {"uri": page.source}} for page, _ in pages],
                "results": [_result(page.source, one) for page, findings in pages for one in findings],
            }
        ],
    }


def _result(source: str, one: Finding) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": one.rule,
        "level": str(one.level),
        "message": {"text": f"{one.message} It says: {one.text}"},
        "locations": [_location(source, one.line)],
        "properties": {"rows": list(one.rows)},
    }
    if one.also:
        result["relatedLocations"] = [_location(source, line) for line in one.also]
    return result


def _location(source: str, line: int) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": source}, "region": {"startLine": line}}}

"""Claims as OSCAL 1.2 (NIST): what is implemented, as a component definition; what came of it, as assessment results.

Every UUID is version 5 (RFC 9562, section 5.5) of the log's name and what is named, so that the same claims give the
same document, and a reader's tool sees what changed. Times are those of the checkpoint and of the log's entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from heldtrue.claims.documents import stamp
from heldtrue.claims.frameworks import FRAMEWORKS, Framework, framework_of, lines
from heldtrue.claims.model import State
from heldtrue.claims.verdict import Verdict

OSCAL = "1.2.1"
GOOD = frozenset({State.PROVEN, State.ATTESTED})
STATUS = {
    State.PROVEN: "implemented",
    State.ATTESTED: "implemented",
    State.FAILING: "partial",
    State.STALE: "partial",
    State.PROMISED: "planned",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Who says it, and as of when."""

    origin: str
    url: str
    """Where the pages are, without a trailing slash."""
    release: str
    at: datetime
    """Of the checkpoint that everything rests on."""

    def uuid(self, *what: str) -> str:
        """Return the UUID of something that this origin names."""
        return str(uuid5(uuid5(NAMESPACE_URL, f"https://{self.origin}"), "/".join(what)))

    def prop(self, name: str, value: str) -> dict[str, str]:
        """Return a property of ours."""
        return {"name": name, "ns": f"https://{self.origin}/ns/oscal", "value": value}

    def metadata(self, title: str) -> dict[str, Any]:
        """Return the head of a document."""
        return {
            "title": title,
            "last-modified": stamp(self.at),
            "version": self.release,
            "oscal-version": OSCAL,
            "remarks": f"Made from the public log {self.origin}; each piece of evidence has its proof of inclusion.",
        }


def control_id(control: str) -> str:
    """Return a control's identifier as an OSCAL token: letters, digits, `.`, `-`, `_`, a letter first."""
    framework = framework_of(control)
    if framework is None:
        return "other"
    text = control.removeprefix(framework.prefix)
    spelled = {"gdpr": f"art-{text}", "asvs": f"V{text}"}.get(framework.id, text)
    return spelled.replace("&", "and")


def component_definition(verdicts: Sequence[Verdict], by: Publication) -> dict[str, Any]:
    """Return the component definition: this instance, and which claims implement which control."""
    component = {
        "uuid": by.uuid("component"),
        "type": "service",
        "title": by.origin,
        "description": "The service whose promises are published, attacked on schedule and logged at this origin.",
        "control-implementations": [
            implementation for framework in FRAMEWORKS if (implementation := _implementation(framework, verdicts, by))
        ],
    }
    document = {
        "uuid": by.uuid("component-definition", stamp(by.at)),
        "metadata": by.metadata(f"Component definition of {by.origin}"),
        "components": [component],
        "back-matter": {"resources": [_source(framework, by) for framework in FRAMEWORKS]},
    }
    return {"component-definition": document}


def assessment_results(verdicts: Sequence[Verdict], by: Publication) -> dict[str, Any]:
    """Return the assessment results: the latest result of each attack, and what follows for each control."""
    observations = [observation for verdict in verdicts for observation in _observations(verdict, by)]
    result = {
        "uuid": by.uuid("result", stamp(by.at)),
        "title": f"Claims of {by.origin} as of the checkpoint",
        "description": "Each claim stands where its attacks and documents leave it; a missed check is a failure.",
        "start": stamp(min([_time(found["collected"]) for found in observations] or [by.at])),
        "end": stamp(by.at),
        "reviewed-controls": {"control-selections": list(_selections(verdicts))},
        **({"observations": observations} if observations else {}),
        "findings": list(_findings(verdicts, by)),
    }
    document = {
        "uuid": by.uuid("assessment-results", stamp(by.at)),
        "metadata": by.metadata(f"Assessment results of {by.origin}"),
        "import-ap": {"href": f"#{by.uuid('plan')}"},
        "results": [result],
        "back-matter": {
            "resources": [
                {
                    "uuid": by.uuid("plan"),
                    "title": "The schedules of all claims, as logged",
                    "rlinks": [{"href": f"{by.url}/trust.json"}],
                }
            ]
        },
    }
    return {"assessment-results": document}


def _source(framework: Framework, by: Publication) -> dict[str, Any]:
    return {"uuid": by.uuid("framework", framework.id), "title": framework.title}


def _answered(framework: Framework, verdicts: Iterable[Verdict]) -> Any:
    return lines(framework, ((v.claim.id, v.claim.frameworks, v.state) for v in verdicts))


def _implementation(framework: Framework, verdicts: Sequence[Verdict], by: Publication) -> dict[str, Any] | None:
    known = {verdict.claim.id: verdict for verdict in verdicts}
    requirements = [
        {
            "uuid": by.uuid("requirement", framework.id, line.control),
            "control-id": control_id(line.control),
            "description": " ".join(known[claim].claim.sentence for claim in line.claims),
            "props": [
                {"name": "implementation-status", "value": STATUS[line.state]},
                by.prop("label", line.control),
                *(by.prop("claim", claim) for claim in line.claims),
            ],
        }
        for line in _answered(framework, verdicts)
    ]
    if not requirements:
        return None
    return {
        "uuid": by.uuid("implementation", framework.id),
        "source": f"#{by.uuid('framework', framework.id)}",
        "description": f"Claims that answer {framework.title}.",
        "implemented-requirements": requirements,
    }


def _observations(verdict: Verdict, by: Publication) -> Iterable[dict[str, Any]]:
    claim = verdict.claim
    for standing in verdict.attacks:
        run = standing.latest
        if run is not None:
            yield {
                "uuid": by.uuid("observation", claim.id, run.attack, str(run.number)),
                "title": f"{run.attack}, run {run.number}",
                "description": run.result or str(run.outcome),
                "props": [by.prop("claim", claim.id), by.prop("outcome", str(run.outcome)),
                          by.prop("entry", str(run.index))],
                "methods": ["TEST"],
                "collected": stamp(run.finished_at),
                "relevant-evidence": [{
                    "href": f"{by.url}/trust/evidence/{run.attack}/{run.number}.json",
                    "description": "The signed evidence with its proof of inclusion in the log.",
                }],
            }  # fmt: skip
    paper = claim.document
    if paper is not None and not claim.attacks:
        yield {
            "uuid": by.uuid("observation", claim.id, paper.sha256),
            "title": paper.title,
            "description": f"A document of {paper.owner}, SHA-256 {paper.sha256}, until {paper.expires.isoformat()}.",
            "props": [by.prop("claim", claim.id), by.prop("sha256", paper.sha256)],
            "methods": ["EXAMINE"],
            "collected": stamp(_begin(paper.dated)),
            "expires": stamp(_begin(paper.expires)),
        }


def _selections(verdicts: Sequence[Verdict]) -> Iterable[dict[str, Any]]:
    for framework in FRAMEWORKS:
        found = _answered(framework, verdicts)
        if found:
            yield {
                "description": framework.title,
                "include-controls": [{"control-id": control_id(line.control)} for line in found],
            }


def _findings(verdicts: Sequence[Verdict], by: Publication) -> Iterable[dict[str, Any]]:
    known = {verdict.claim.id: verdict for verdict in verdicts}
    for framework in FRAMEWORKS:
        for line in _answered(framework, verdicts):
            seen = [o["uuid"] for claim in line.claims for o in _observations(known[claim], by)]
            said = [f"{claim} is {known[claim].state}." for claim in line.claims]
            yield {
                "uuid": by.uuid("finding", framework.id, line.control),
                "title": line.control,
                "description": " ".join(said),
                "target": {
                    "type": "objective-id",
                    "target-id": control_id(line.control),
                    "status": {"state": "satisfied" if line.state in GOOD else "not-satisfied"},
                },
                **({"related-observations": [{"observation-uuid": one} for one in seen]} if seen else {}),
            }


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)

"""What is checked of a route, what was found, and what a whole run says; closed words, all pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any

from heldtrue.kernel.errors import BadInputError, UnavailableError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that are sent without being asked for (RFC 9110, section 9.2.1)."""
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
"""Methods that may be sent, in the order in which routes are tried."""


class ProbeInputError(BadInputError):
    """The list of routes or the probe's file cannot be used; correct what is named and run it again."""

    code = "probe-input"


class ProbeStoppedError(UnavailableError):
    """The probe was stopped before its end; what was not tried is reported as not judged."""

    code = "probe-stopped"


@unique
class Check(StrEnum):
    """What is tried, and the kind of the finding when it succeeds."""

    NO_CREDENTIAL = "no-credential"
    MALFORMED = "malformed-credential"
    ALTERED = "altered-credential"
    UNSIGNED = "unsigned-token"
    EXPIRED = "expired-credential"
    REVOKED = "revoked-credential"
    QUERY = "query-credential"
    OTHER = "other-organisation"
    MIXED = "mixed-ids"
    LEAK = "list-leak"
    PROPERTY = "property-exposure"
    ROLE = "lower-role"
    HEAD = "method-head"
    METHOD_CASE = "method-case"
    OVERRIDE = "method-override"
    SLASH = "path-trailing-slash"
    DOUBLE = "path-double-slash"
    CASE = "path-case"
    ENCODED = "path-encoded"
    SEMICOLON = "path-semicolon"
    SUFFIX = "path-suffix"
    MASKED = "masked-refusal"


@dataclass(frozen=True, slots=True)
class Meaning:
    """A kind of finding in the reader's words."""

    says: str
    advice: str
    api_top_ten: str
    """Item of the OWASP API Security Top 10 (2023)."""


_GATE = "Judge the credential in one place that every route passes, and refuse before anything is looked up."
_PATH = "Judge the path after the same normalisation that routing does, or refuse paths that are not canonical."
MEANING: dict[Check, Meaning] = {
    Check.NO_CREDENTIAL: Meaning("answered without any credential", _GATE, "API2"),
    Check.MALFORMED: Meaning("answered to a credential that is nonsense", _GATE, "API2"),
    Check.ALTERED: Meaning(
        "answered to a credential with one character changed", "Compare the whole credential.", "API2"
    ),
    Check.UNSIGNED: Meaning("answered to a token without a signature", "Pin the algorithms that are accepted.", "API2"),
    Check.EXPIRED: Meaning(
        "answered to an expired credential", "Compare the expiry with the clock every time.", "API2"
    ),
    Check.REVOKED: Meaning(
        "answered to a revoked credential", "Judge the status every time; cache no verdict.", "API2"
    ),
    Check.QUERY: Meaning(
        "took the credential from the query", "Read it from its header only: URLs are logged and shared.", "API2"
    ),
    Check.OTHER: Meaning(
        "gave one organisation's object to another",
        "Look objects up by organisation and id, never by id alone.",
        "API1",
    ),
    Check.MIXED: Meaning(
        "gave an object below a parent it does not belong to", "Bind every id of the path to the organisation.", "API1"
    ),
    Check.LEAK: Meaning(
        "lists another organisation's rows", "Filter by the caller's organisation, in the database as well.", "API1"
    ),
    Check.PROPERTY: Meaning(
        "shows properties that it must not", "Write the properties of an answer out; never dump the row.", "API3"
    ),
    Check.ROLE: Meaning(
        "let a lower role in", "Ask for the permission on the route itself, not in the client.", "API5"
    ),
    Check.HEAD: Meaning("answered HEAD without a credential", _GATE, "API2"),
    Check.METHOD_CASE: Meaning("answered a method in other letters without a credential", _GATE, "API2"),
    Check.OVERRIDE: Meaning(
        "let a method override pass by the credential", "Drop X-HTTP-Method-Override and its kin at the edge.", "API8"
    ),
    Check.SLASH: Meaning("answered without a credential once a slash was appended", _PATH, "API8"),
    Check.DOUBLE: Meaning("answered without a credential once a slash was doubled", _PATH, "API8"),
    Check.CASE: Meaning("answered in other letters what it refuses as written", _PATH, "API8"),
    Check.ENCODED: Meaning("answered without a credential once a letter was percent-encoded", _PATH, "API8"),
    Check.SEMICOLON: Meaning("answered without a credential once a `;` was appended", _PATH, "API8"),
    Check.SUFFIX: Meaning("answered without a credential once `.json` was appended", _PATH, "API8"),
    Check.MASKED: Meaning(
        "refuses, and says so with a status of success",
        "Answer 401 or 403: clients and alarms read the status.",
        "API8",
    ),
}


@unique
class Unmade(StrEnum):
    """Why a route was not judged, or a check not made."""

    METHOD = "method-not-allowed-by-operator"
    LEFT_OUT = "left-out-by-operator"
    PUBLIC = "public-by-intent"
    NO_VALUE = "no-example-value"
    NO_BODY = "no-example-body"
    NO_CREDENTIAL = "no-such-credential-given"
    BASELINE = "good-credential-not-served"
    UNDISTINGUISHED = "nothing-distinguishes-the-organisations"
    FOLLOWS = "follows-from-another-finding"
    ANSWERED_ALIKE = "answers-alike-for-ids-that-do-not-exist"
    TROUBLE = "target-in-trouble"
    LIMITED = "target-limits-requests"
    BUDGET = "budget-used-up"
    STOPPED = "stopped-early"
    GONE = "object-gone"


@unique
class Ended(StrEnum):
    """How a run ended."""

    COMPLETE = "complete"
    BUDGET = "budget"
    TROUBLE = "target-in-trouble"
    INTERRUPTED = "interrupted"


@unique
class Outcome(StrEnum):
    """What a whole run says; the words of the log's evidence, and one for runs that do not say enough."""

    HELD = "held"
    """Every check that was made was withstood. It says nothing of routes that were not judged."""
    BROKEN = "broken"
    INCOMPLETE = "incomplete"
    """Nothing was found, and the run ended early or judged no route."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check that succeeded."""

    check: Check
    route: str
    """As `GET /v1/orders/{order_id}`."""
    status: int
    seen: str
    """What gives it away, in words."""
    excerpt: str
    """The beginning of the answer, without any credential."""
    curl: str
    """How to see it again; credentials are `$KEY`, `$OTHER_KEY` and so on."""

    def to_json(self) -> dict[str, Any]:
        """Return it with its meaning and advice."""
        meaning = MEANING[self.check]
        return {
            "kind": str(self.check), "route": self.route, "status": self.status, "says": meaning.says,
            "seen": self.seen, "advice": meaning.advice, "owasp_api_2023": meaning.api_top_ten,
            "excerpt": self.excerpt, "curl": self.curl,
        }  # fmt: skip


@dataclass(slots=True)
class RouteResult:
    """What came of one route."""

    route: str
    made: list[Check] = field(default_factory=list[Check])
    """Checks whose answer could be judged."""
    unmade: dict[Check, Unmade] = field(default_factory=dict[Check, Unmade])
    findings: list[Finding] = field(default_factory=list[Finding])
    not_judged: Unmade | None = None
    why: str = ""
    """Of what was not judged, in a sentence; may name the target's status."""
    requests: int = 0

    @property
    def judged(self) -> bool:
        """Whether anything can be said of the route."""
        return self.not_judged is None and bool(self.made)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "route": self.route,
            "judged": self.judged,
            "not_judged": None if self.not_judged is None else str(self.not_judged),
            "why": self.why,
            "checks_made": [str(check) for check in self.made],
            "checks_not_made": {str(check): str(why) for check, why in self.unmade.items()},
            "findings": [str(finding.check) for finding in self.findings],
            "requests": self.requests,
        }


def outcome(ended: Ended, judged: int, findings: int) -> Outcome:
    """Return what a run says: found something, held, or too little to say."""
    if findings:
        return Outcome.BROKEN
    return Outcome.HELD if ended is Ended.COMPLETE and judged else Outcome.INCOMPLETE


def counted(words: Sequence[StrEnum]) -> dict[str, int]:
    """Return how often each word is there, in order of the alphabet."""
    return {str(word): words.count(word) for word in sorted(set(words))}

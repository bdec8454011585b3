"""Policies: versioned texts with an owner and a review at least each year. Pure.

The starter texts that ship are suggestions: none is a policy before the operator adopts it, with an owner and a day.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from importlib.resources import files
from types import MappingProxyType

import msgspec

from heldtrue.capabilities.registers.company import Company
from heldtrue.capabilities.registers.fields import Line, Months, Prose
from heldtrue.capabilities.registers.model import Change, Entry
from heldtrue.kernel.errors import BadInputError, NotFoundError

NAMES: tuple[str, ...] = (
    "acceptable-use",
    "asset-management",
    "backup",
    "business-continuity",
    "code-of-conduct",
    "data-classification",
    "data-deletion",
    "data-protection",
    "disaster-recovery",
    "encryption",
    "incident-response",
    "information-security",
    "password",
    "physical-security",
    "responsible-disclosure",
    "risk-assessment",
    "software-development-life-cycle",
    "system-access-control",
    "vendor-management",
    "vulnerability-management",
)
"""The twenty that a reviewer asks for."""
YEARLY = 12
"""Months; a policy is reviewed at least this often."""
_HEAD = re.compile(r"# (?P<title>[^\n]+)\n\nOwner: (?P<owner>[^\n]+)\nReview: every (?P<months>\d+) months\n\n")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class PolicyRefusedError(BadInputError):
    """The policy cannot be adopted as it is; the message says what is missing or contradicts."""

    code = "policy-refused"


class UnknownPolicyError(NotFoundError):
    """There is no policy and no starter text of this name; `/trust/policies` lists those there are."""

    code = "unknown-policy"


class State(StrEnum):
    """Where a policy stands."""

    CURRENT = "current"
    STALE = "stale"
    """Adopted, and past its review: it does not count as current."""
    NOT_ADOPTED = "not-adopted"
    """Only a starter text."""


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A policy in force."""

    title: Line
    owner: Line
    """The role that answers for it."""
    adopted_on: date
    reviewed_on: date
    """When its owner last read it and let it stand."""
    review_months: Months = YEARLY
    text: Prose
    """Markdown."""
    text_sha256: str


@dataclass(frozen=True, slots=True)
class Starter:
    """A text that ships, to begin with."""

    name: str
    title: str
    owner: str
    review_months: int
    text: str

    def filled(self, company: Company) -> str:
        """Return the text with the company's own names in it; raise `PolicyRefusedError` where one is not set."""
        known = placeholders(company)
        missing = sorted({name for name in _PLACEHOLDER.findall(self.text) if not known[name]})
        if missing:
            raise PolicyRefusedError(
                f"The text names {', '.join(missing)}, which the settings do not have.",
                advice="Set it in the section [company] of the settings, or adopt a text of your own.",
            )
        return _PLACEHOLDER.sub(lambda found: known[found[1]], self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A policy as a reader is told of it at one moment."""

    name: str
    title: str
    state: State
    owner: str
    """For a starter: the role that it suggests."""
    version: int | None = None
    adopted_on: date | None = None
    reviewed_on: date | None = None
    review_by: date | None = None
    review_months: int
    text: str
    text_sha256: str


def placeholders(company: Company) -> Mapping[str, str]:
    """Return what starter texts may name."""
    return {
        "company": company.name if company.named else "",
        "security_mail": company.security_mail,
        "privacy_mail": company.privacy_mail,
        "support_mail": company.support_mail,
    }


def judge(change: Change[Policy]) -> None:
    """Return when the policy may be adopted or reviewed; raise `PolicyRefusedError` otherwise."""
    found = change.document
    if found is None:
        return
    today = change.now.date()
    _demand(found.adopted_on <= found.reviewed_on, "reviewed_on must not be before adopted_on.")
    _demand(found.reviewed_on <= today, "reviewed_on lies ahead: nobody has reviewed it yet.")
    _demand(found.review_months <= YEARLY, f"A policy is reviewed at least every {YEARLY} months.")
    _demand(found.text_sha256 == digest(found.text), "text_sha256 is not the SHA-256 of the text in UTF-8.")
    open_names = sorted(set(_PLACEHOLDER.findall(found.text)))
    _demand(not open_names, f"The text still has the placeholders {', '.join(open_names)}.")


def digest(text: str) -> str:
    """Return the SHA-256 of a policy's text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def review_by(policy: Policy) -> date:
    """Return the last day on which the policy is current."""
    months = policy.reviewed_on.month - 1 + policy.review_months
    year, month = policy.reviewed_on.year + months // 12, months % 12 + 1
    return date(year, month, min(policy.reviewed_on.day, _days(year, month)))


def is_current(policy: Policy, now: datetime) -> bool:
    """Return whether the policy's review is not overdue at *now*."""
    return policy.reviewed_on <= now.date() <= review_by(policy)


def standings(adopted: Iterable[Entry[Policy]], now: datetime) -> list[Standing]:
    """Return every policy, adopted or not, by name."""
    found = {entry.item: _adopted(entry, now) for entry in adopted}
    for name, starter in STARTERS.items():
        found.setdefault(
            name,
            Standing(
                name=name, title=starter.title, state=State.NOT_ADOPTED, owner=starter.owner,
                review_months=starter.review_months, text=starter.text, text_sha256=digest(starter.text),
            ),
        )  # fmt: skip
    return [found[name] for name in sorted(found)]


def _adopted(entry: Entry[Policy], now: datetime) -> Standing:
    policy = entry.document
    return Standing(
        name=entry.item, title=policy.title, state=State.CURRENT if is_current(policy, now) else State.STALE,
        owner=policy.owner, version=entry.version, adopted_on=policy.adopted_on, reviewed_on=policy.reviewed_on,
        review_by=review_by(policy), review_months=policy.review_months, text=policy.text,
        text_sha256=policy.text_sha256,
    )  # fmt: skip


def parse(name: str, written: str) -> Starter:
    """Return the starter text of a file: a heading, its owner's role, its review, and the text."""
    head = _HEAD.match(written)
    if head is None:
        raise ValueError(f"{name}: a starter text begins with a heading, `Owner: …` and `Review: every N months`")
    text = f"# {head['title']}\n\n{written[head.end() :].strip()}\n"
    unknown = set(_PLACEHOLDER.findall(text)) - set(placeholders(Company()))
    if unknown:
        raise ValueError(f"{name}: no such placeholder as {', '.join(sorted(unknown))}")
    return Starter(name, head["title"], head["owner"], int(head["months"]), text)


def _days(year: int, month: int) -> int:
    following = date(year + month // 12, month % 12 + 1, 1)
    return (following - date(year, month, 1)).days


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise PolicyRefusedError(otherwise)


def _shipped() -> dict[str, Starter]:
    here = files(__package__ or "heldtrue.capabilities.registers").joinpath("policies")
    return {name: parse(name, here.joinpath(f"{name}.md").read_text("utf-8")) for name in NAMES}


STARTERS: Mapping[str, Starter] = MappingProxyType(_shipped())
"""The texts that ship, by name."""

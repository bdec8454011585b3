"""The registers of this capability: the reward policy, what was paid, who is thanked, the advisories."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec

from heldtrue.capabilities.disclosure import rewards, scoring
from heldtrue.capabilities.disclosure.rewards import RewardPolicy
from heldtrue.capabilities.disclosure.scoring import Severity
from heldtrue.capabilities.registers.model import Change, Kind
from heldtrue.kernel.errors import BadInputError, ConflictError

POLICY = "policy"
"""The one item of the register of rewards."""

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
Prose = Annotated[str, msgspec.Meta(min_length=1, max_length=8000)]
Link = Annotated[str, msgspec.Meta(pattern="^https://[!-~]{1,500}$(?!\\n)")]


class AdvisoryRefusedError(BadInputError):
    """The advisory cannot be published as it is; the message names what to correct."""

    code = "advisory-refused"


class AdvisoryStandsError(ConflictError):
    """An advisory that was published stays published; publish a revision that says what was wrong."""

    code = "advisory-stands"


class NoConsentError(ConflictError):
    """A name is published only with its bearer's consent; without it, nobody is named."""

    code = "no-consent"


class Thanks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is thanked in public."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    on: date
    consented: bool
    """That they agreed to be named."""
    link: Link | None = None


class Payout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reward that was awarded."""

    severity: Severity
    cents: Annotated[int, msgspec.Meta(ge=1)]
    currency: str
    confirmed: bool
    at: datetime


class Advisory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published vulnerability of the product, from which CSAF, feeds and page are made."""

    title: Line
    summary: Prose
    """What it is and what somebody could gain by it."""
    vector: Annotated[str, msgspec.Meta(max_length=scoring.LONGEST)]
    """CVSS 3.1: CSAF 2.0 has no place for a later version."""
    product: Line
    affected: Annotated[tuple[Line, ...], msgspec.Meta(min_length=1, max_length=50)]
    """Versions, each as it is called."""
    fixed: Annotated[tuple[Line, ...], msgspec.Meta(max_length=50)] = ()
    remediation: Prose
    """What an operator does about it."""
    workaround: Prose | None = None
    cve: Annotated[str, msgspec.Meta(pattern="^CVE-[0-9]{4}-[0-9]{4,}$(?!\\n)")] | None = None
    cwe: Annotated[str, msgspec.Meta(pattern="^CWE-[1-9][0-9]{0,5}$(?!\\n)")] | None = None
    cwe_name: Line | None = None
    vector_v4: Annotated[str, msgspec.Meta(max_length=scoring.LONGEST)] | None = None
    """CVSS 4.0, shown on the page and in a note."""
    revision: Line = "Initial publication."
    """What this version changes."""
    credits: Annotated[tuple[Line, ...], msgspec.Meta(max_length=50)] = ()
    """Whom it thanks, with their consent."""
    references: Annotated[tuple[Link, ...], msgspec.Meta(max_length=50)] = ()
    language: Literal["en"] = "en"


def _judge_policy(change: Change[RewardPolicy]) -> None:
    if change.item != POLICY:
        raise rewards.BandsRefusedError(f"The register of rewards has one item, called {POLICY!r}.")
    if change.document is not None:
        rewards.judge_policy(change.document)


def _judge_thanks(change: Change[Thanks]) -> None:
    if change.document is not None and not change.document.consented:
        raise NoConsentError


def _judge_advisory(change: Change[Advisory]) -> None:
    one = change.document
    if one is None:
        raise AdvisoryStandsError
    if scoring.score(one.vector).version != "3.1":
        raise AdvisoryRefusedError("vector: write a CVSS 3.1 vector here, and one of 4.0 into vector_v4.")
    if one.vector_v4 is not None and scoring.score(one.vector_v4).version != "4.0":
        raise AdvisoryRefusedError("vector_v4: this is no CVSS 4.0 vector.")
    if (one.cwe is None) != (one.cwe_name is None):
        raise AdvisoryRefusedError("cwe and cwe_name go together.")
    if set(one.affected) & set(one.fixed):
        raise AdvisoryRefusedError("A version cannot be affected and fixed.")


REWARDS = Kind(name="rewards", title="Rewards for reports", type=RewardPolicy, public=True, guard=_judge_policy)
PAYOUTS = Kind(name="payouts", title="Rewards that were awarded", type=Payout, public=False)
THANKS = Kind(name="thanks", title="Hall of thanks", type=Thanks, public=True, guard=_judge_thanks)
ADVISORIES = Kind(name="advisories", title="Security advisories", type=Advisory, public=True, guard=_judge_advisory)
KINDS: tuple[Kind[Any], ...] = (REWARDS, PAYOUTS, THANKS, ADVISORIES)
"""For the one table of registers."""

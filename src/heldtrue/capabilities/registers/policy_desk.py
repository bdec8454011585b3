"""Adopt a policy, or review it: from the text that ships or from one's own, with an owner and today's date."""

from __future__ import annotations

from typing import Annotated

import msgspec

from heldtrue.capabilities.registers import actions, policies
from heldtrue.capabilities.registers.company import Company
from heldtrue.capabilities.registers.fields import Line, Months, Prose
from heldtrue.capabilities.registers.kinds import POLICIES
from heldtrue.capabilities.registers.policies import STARTERS, YEARLY, Policy, PolicyRefusedError, UnknownPolicyError
from heldtrue.capabilities.registers.wire import EntryRecord, record_of
from heldtrue.http.exchange import Answer
from heldtrue.op import SystemOperation

_PolicyName = Annotated[str, msgspec.Meta(max_length=80, description="As `backup`; one of the twenty, or your own.")]


class AdoptPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which policy is in force from today, in which words, and who answers for it."""

    policy: _PolicyName
    owner: Annotated[Line, msgspec.Meta(description="The role that answers for it.")]
    title: Line | None = None
    text: Annotated[Prose, msgspec.Meta(description="Markdown; without it, the text that ships.")] | None = None
    review_months: Months = YEARLY


class ReviewPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which policy its owner has read today and lets stand."""

    policy: _PolicyName


def adopt(company: Company, op: SystemOperation, asked: AdoptPolicy) -> Answer:
    """Put a policy in force today."""
    starter = STARTERS.get(asked.policy)
    if asked.text is None and starter is None:
        raise UnknownPolicyError(f"There is no starter text {asked.policy!r}; send a text of your own.")
    text = asked.text if asked.text is not None else starter.filled(company) if starter is not None else ""
    title = asked.title or (starter.title if starter is not None else None)
    if title is None:
        raise PolicyRefusedError("A policy of your own needs a title.")
    today = op.now.date()
    document = Policy(
        title=title, owner=asked.owner, adopted_on=today, reviewed_on=today, review_months=asked.review_months,
        text=text, text_sha256=policies.digest(text),
    )  # fmt: skip
    return _answer(op, asked.policy, document)


def review(op: SystemOperation, asked: ReviewPolicy) -> Answer:
    """Let a policy stand for another term, unchanged."""
    document = actions.one(op.tx, POLICIES, asked.policy).document
    return _answer(op, asked.policy, msgspec.structs.replace(document, reviewed_on=op.now.date()))


def _answer(op: SystemOperation, name: str, document: Policy) -> Answer:
    entry = actions.put(op, POLICIES, name, document)
    body: EntryRecord = record_of(POLICIES, entry)
    return Answer(body=body, subject=f"{POLICIES.name}/{name}", detail={"version": entry.version})

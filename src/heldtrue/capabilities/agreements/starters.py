"""Texts to begin with, in our own words: shown as drafts until the operator records a version of its own."""

from __future__ import annotations

from datetime import date, timedelta
from importlib.resources import files

from heldtrue.capabilities.agreements.legal import NAMES, LegalText, Processing
from heldtrue.capabilities.agreements.levels import DEFAULT

_HERE = files(__package__ or "heldtrue.capabilities.agreements").joinpath("texts")
TEXTS = {name: _HERE.joinpath(f"{name}.md").read_text("utf-8") for name in NAMES if name != "sla"}
PROCESSING = Processing(
    subject_matter="Providing the service that the customer has ordered.",
    data_subjects=[
        "the customer's employees and contractors who use the service",
        "people whom the customer's own data is about: its customers, users and contacts",
    ],
    personal_data=[
        "contact and account data: name, work address, role, sign-in records",
        "content that the customer sends through the service, in whatever categories the customer chooses",
        "technical records of use: time, address, operation",
    ],
    nature="Receiving, storing, transforming, forwarding, recording and erasing.",
    purpose="Providing, securing and supporting the service for the customer, and nothing else.",
    duration="The term of the agreement and the time until erasure.",
    deletion="Erased by destroying its keys after the end, from backups within the time of the retention register.",
)


def starter(item: str, owner: str, effective_on: date, today: date) -> LegalText:
    """Return a first version of *item*, reviewed *today* and due for review in a year."""
    return LegalText(
        title=NAMES[item], owner=owner, effective_on=effective_on, reviewed_on=today,
        review_by=today + timedelta(days=365), text=TEXTS.get(item, ""), levels=DEFAULT if item == "sla" else None,
        processing=PROCESSING if item == "dpa" else None,
    )  # fmt: skip

"""What the routes of questionnaires take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from heldtrue.capabilities.agreements.wire import Base64, Line
from heldtrue.capabilities.questionnaires.kinds import Given

Score = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ImportQuestionnaire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take in a customer's spreadsheet."""

    name: Line
    """The file's name, for people."""
    content: Base64
    """XLSX or CSV."""


class TheQuestionnaire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A questionnaire."""

    questionnaire_id: str


class ConfirmAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Confirm what is proposed for a question, or say something else."""

    questionnaire_id: str
    number: Annotated[int, msgspec.Meta(ge=1, le=20_000)]
    confirmed_by: Line
    """The person who answers for it."""
    answer: Given | None = None
    """None: as proposed."""
    text: Annotated[str, msgspec.Meta(max_length=8000)] | None = None
    """None: as proposed."""


class ProposalView(msgspec.Struct, frozen=True, kw_only=True):
    """What is proposed."""

    source: str
    """`remembered`: confirmed before; `ours`: from our own questionnaire."""
    score: float
    matched: str
    answer: str
    text: str
    state: str
    page: str | None
    changed: str | None
    """The state behind it then and now, when it is another one."""


class ConfirmedView(msgspec.Struct, frozen=True, kw_only=True):
    """What a person decided."""

    answer: str
    text: str
    state: str
    page: str | None
    by: str
    at: datetime
    changed: str | None
    """The state behind it then and now, when it is another one."""


class RowView(msgspec.Struct, frozen=True, kw_only=True):
    """One question of the customer's."""

    number: int
    sheet: str
    row: int
    id: str
    question: str
    existing: str
    proposal: ProposalView | None
    """None: confirmed, or nothing is alike enough."""
    confirmed: ConfirmedView | None


class ImportedView(msgspec.Struct, frozen=True, kw_only=True):
    """A questionnaire under way."""

    id: str
    name: str
    kind: str
    sha256: str
    created_at: datetime
    questions: int
    proposed: int
    confirmed: int
    rows: list[RowView]


class ImportedSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A questionnaire in the list."""

    id: str
    name: str
    created_at: datetime
    questions: int
    confirmed: int


class ImportedList(msgspec.Struct, frozen=True, kw_only=True):
    """Questionnaires that were taken in, the newest first."""

    data: list[ImportedSummary]

"""The register of answers that a person confirmed: remembered for the next questionnaire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from heldtrue.capabilities.registers.fields import Line
from heldtrue.capabilities.registers.model import Kind

Given = Literal["yes", "no", "partial", "text", "not evidenced"]


class Remembered(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A confirmed answer, and the state that stood behind it then."""

    question: Annotated[str, msgspec.Meta(min_length=1, max_length=8000)]
    """As the customer asked it."""
    answer: Given
    text: Annotated[str, msgspec.Meta(max_length=8000)] = ""
    ours: Annotated[str, msgspec.Meta(max_length=12)] | None = None
    """Our own question that it was matched with; its claims are the answer's."""
    state: Annotated[str, msgspec.Meta(max_length=20)] = "stated"
    confirmed_by: Line


ANSWERS: Kind[Remembered] = Kind(name="answers", title="Confirmed answers", type=Remembered, public=False)
KINDS: tuple[Kind[Any], ...] = (ANSWERS,)

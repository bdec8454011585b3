"""The processing agreement with its annexes: made from the text in force, the registers and the claims. Pure.

The clauses of Implementing Decisions (EU) 2021/914 and 2021/915 are incorporated by reference, never copied; what the
parties choose in them are the options here. Annexes carry the numbers of both decisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from heldtrue.capabilities.agreements import prose, transfers
from heldtrue.capabilities.agreements.legal import LegalText, Processing
from heldtrue.capabilities.agreements.measures import MEASURES
from heldtrue.capabilities.papers.model import (
    Block,
    Bullets,
    Column,
    Heading,
    Meta,
    Note,
    PageBreak,
    Paper,
    Span,
    Table,
    Text,
    Tone,
    Words,
)

Short = Annotated[str, msgspec.Meta(max_length=200)]


class Choices(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the parties choose."""

    customer: Short = ""
    """Whose agreement it is; a blank to fill in where empty."""
    customer_address: Short = ""
    modules: Annotated[list[Literal[2, 3]], msgspec.Meta(min_length=1, max_length=2)] = msgspec.field(
        default_factory=lambda: [2, 3]
    )
    """Of 2021/914: two, controller to processor; three, processor to processor."""
    docking: bool = True
    """Clause 7: others may accede."""
    sub_processors: Literal["general", "specific"] = "general"
    """Clause 9(a), option 2 or 1."""
    notice_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 30
    authority: Short = ""
    """Clause 13: the competent supervisory authority."""
    law: Short = ""
    """Clause 17: the governing law, of a member state that allows third-party beneficiary rights."""
    forum: Short = ""
    """Clause 18(b): the courts."""
    uk: bool = False
    swiss: bool = False
    ccpa: bool = True


class AnnexEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A sub-processor as the annex lists it."""

    item: str
    version: int
    name: str
    address: str
    contact: str
    purpose: str
    location: list[str]
    transfer_basis: str
    data: list[str]
    optional: bool
    state: str


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A measure with the state of what shows it."""

    topic: str
    words: str
    claims: list[str]
    state: str
    """The weakest of its claims'."""


class Annexes(msgspec.Struct, frozen=True, kw_only=True):
    """What the annexes hold, at one moment."""

    processing: Processing
    measures: list[Measure]
    sub_processors: list[AnnexEntry]


_ORDER = ("proven", "attested", "promised", "stale", "failing")
_TONES: Mapping[str, Tone] = {
    "proven": "good",
    "attested": "good",
    "promised": "quiet",
    "stale": "warn",
    "failing": "bad",
}


def measures(states: Mapping[str, str]) -> list[Measure]:
    """Return the measures with the state of each, by the states of the claims; a claim that is missing is promised."""
    return [
        Measure(topic=topic, words=words, claims=list(claims),
                state=max((states.get(name, "promised") for name in claims), key=_ORDER.index))
        for topic, words, claims in MEASURES
    ]  # fmt: skip


def paper(
    text: LegalText, choices: Choices, annexes: Annexes, company: Mapping[str, str], *, dated: datetime, reference: str,
    draft: bool,
) -> Paper:  # fmt: skip
    """Return the agreement as a document; *draft* where its text is not in force."""
    values = {**company, "company": company.get("name", ""), "notice_days": str(choices.notice_days)}
    blocks: list[Block] = []
    if draft:
        blocks.append(Note("Draft: the provider has not put this text into force. Have counsel review it.", "bad"))
    blocks += prose.blocks(prose.filled(text.text, values))
    blocks += transfers.schedule(choices.modules, choices, company)
    blocks += _annexes(choices, annexes, company)
    provider = company.get("legal_name") or "[provider]"
    return Paper(
        title=text.title, subtitle=f"{provider} and {choices.customer or '[customer]'}",
        meta=Meta(author=company.get("name", ""), dated=dated, subject="Article 28 GDPR", reference=reference),
        blocks=blocks,
    )  # fmt: skip


def _annexes(choices: Choices, annexes: Annexes, company: Mapping[str, str]) -> list[Block]:
    return [
        PageBreak(),
        Heading("Annexes"),
        Text("The annexes serve both decisions; each heading names its number in either."),
        Table(
            [Column("Content", 4), Column("2021/914 (transfers)", 2), Column("2021/915 (Article 28)", 2)],
            [[content, one, other] for content, one, other in ANNEXES],
        ),
        *_parties(choices, company),
        *_processing(annexes.processing),
        *_authority(choices),
        *_measures(annexes.measures),
        *_sub_processors(annexes.sub_processors, choices),
    ]


ANNEXES = (
    ("List of parties", "Annex I.A", "Annex I"),
    ("Description of the processing and transfer", "Annex I.B", "Annex II"),
    ("Competent supervisory authority", "Annex I.C", "-"),
    ("Technical and organisational measures", "Annex II", "Annex III"),
    ("List of sub-processors", "Annex III", "Annex IV"),
)
"""What each annex holds, and its number in either decision."""


def _title(at: int) -> Heading:
    content, one, other = ANNEXES[at]
    numbers = f"{one} (2021/914)" + (f", {other} (2021/915)" if other != "-" else "")
    return Heading(f"{content}: {numbers}", 2)


def _facts(rows: Sequence[tuple[str, Words]]) -> Table:
    return Table([Column("", 1.2), Column("", 3)], [[[Span(text=name, strong=True)], words] for name, words in rows])


def _parties(choices: Choices, company: Mapping[str, str]) -> list[Block]:
    exporter = _facts([
        ("Name", choices.customer or "[customer]"), ("Address", choices.customer_address or "[address]"),
        ("Contact", "[name, position and contact details]"),
        ("Role", "Controller (module two) or processor (module three); data exporter where data is transferred"),
        ("Signature and date", "\n\n"),
    ])  # fmt: skip
    importer = _facts([
        ("Name", company.get("legal_name") or "[provider]"), ("Address", company.get("address") or "[address]"),
        ("Contact", company.get("privacy_mail") or "[contact for data protection]"),
        ("Role", "Processor; data importer where data is transferred"),
        ("Signature and date", "\n\n"),
    ])  # fmt: skip
    return [_title(0), Heading("Customer", 3), exporter, Heading("Provider", 3), importer]


def _processing(told: Processing) -> list[Block]:
    return [
        _title(1),
        _facts([
            ("Subject matter", told.subject_matter), ("Data subjects", _listed(told.data_subjects)),
            ("Personal data", _listed(told.personal_data)), ("Sensitive data", told.sensitive_data),
            ("Frequency", told.frequency), ("Nature", told.nature), ("Purpose", told.purpose),
            ("Duration", told.duration), ("Deletion", told.deletion),
        ]),
    ]  # fmt: skip


def _listed(items: Sequence[str]) -> str:
    return "; ".join(items)


def _authority(choices: Choices) -> list[Block]:
    return [_title(2), Text(choices.authority or "[the supervisory authority that clause 13 names for the exporter]")]


def _measures(found: Sequence[Measure]) -> list[Block]:
    rows: list[list[Words]] = [
        [one.topic, one.words, [Span(text=one.state, strong=True, tone=_TONES[one.state])], ", ".join(one.claims)]
        for one in found
    ]
    return [
        _title(3),
        Text("The state is that of the published claims when this copy was made: proven, attested, promised, stale or "
             "failing. The live state of each claim is on the trust page under its name."),
        Table([Column("Measure", 2), Column("What is done", 4), Column("State", 1.1), Column("Claims", 2.6)], rows),
    ]  # fmt: skip


def _sub_processors(found: Sequence[AnnexEntry], choices: Choices) -> list[Block]:
    head: list[Block] = [_title(4)]
    if not found:
        return [*head, Text("There are none: no other company works on the customer's data.")]
    rows: list[list[Words]] = [
        [
            f"{one.name}\n{one.address}\n{one.contact}", one.purpose, ", ".join(one.location),
            one.transfer_basis.replace("-", " "), "; ".join(one.data),
            one.state + (", optional" if one.optional else ""),
        ]
        for one in found
    ]  # fmt: skip
    columns = [
        Column("Name, address, contact", 2.6), Column("Purpose", 2), Column("Countries", 1.1), Column("Transfer", 1.4),
        Column("Data", 2), Column("State", 1.2),
    ]  # fmt: skip
    note = f"Announced ones begin {choices.notice_days} days after their notice at the earliest."
    return [
        *head,
        Table(columns, rows),
        Bullets([note, "Optional ones get nothing of a customer who has not opted in."]),
    ]

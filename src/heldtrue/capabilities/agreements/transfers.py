"""The schedules on transfers: which clauses are incorporated, with which choices; the UK, Switzerland, California."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from heldtrue.capabilities.papers.model import Block, Clause, Column, Heading, Span, Table, Text, Words

if TYPE_CHECKING:
    from heldtrue.capabilities.agreements.dpa import Choices

_MODULES = {2: "Module two (controller to processor)", 3: "Module three (processor to processor)"}


def schedule(modules: Sequence[int], choices: Choices, company: Mapping[str, str]) -> list[Block]:
    """Return the schedules that *choices* ask for."""
    parts = [_eu(modules, choices)]
    if choices.uk:
        parts.append(_uk(company))
    if choices.swiss:
        parts.append(_swiss())
    if choices.ccpa:
        parts.append(_california(company))
    return [
        block
        for letter, (title, blocks) in zip("ABCD", parts, strict=False)
        for block in (Heading(f"Schedule {letter}: {title}"), *blocks)
    ]


def _eu(modules: Sequence[int], choices: Choices) -> tuple[str, list[Block]]:
    named = " and ".join(_MODULES[module] for module in sorted(set(modules)))
    option = (
        f"Option 2, general written authorisation; notice of {choices.notice_days} days."
        if choices.sub_processors == "general"
        else f"Option 1, specific prior authorisation; requested {choices.notice_days} days before."
    )
    rows: list[list[Words]] = [
        ["Modules", named],
        ["Clause 7, docking", "It applies." if choices.docking else "It does not apply."],
        ["Clause 9(a), sub-processors", option],
        ["Clause 11(a), independent dispute body", "The option does not apply."],
        ["Clause 13, supervision", choices.authority or "[supervisory authority]"],
        ["Clause 17, governing law", choices.law or "[law of a member state that allows third-party rights]"],
        ["Clause 18(b), forum", choices.forum or "[courts of a member state]"],
        ["Annexes", "Those of this agreement, under the numbers of Decision 2021/914."],
    ]
    return "transfers from the European Economic Area", [
        Text([
            Span(text="The standard contractual clauses of the annex to Commission Implementing Decision (EU) 2021/914 "
                      "are incorporated by reference, as they stand in the "),
            Span(text="Official Journal", link="https://eur-lex.europa.eu/eli/dec_impl/2021/914/oj"),
            Span(text=", for every transfer of personal data to a third country without an adequacy decision. "
                      "Signing the agreement signs them. Between parties in the Union, the clauses of Implementing "
                      "Decision (EU) 2021/915 may take the place of this agreement's body, with the same annexes."),
        ]),
        Table([Column("Where a choice is left", 1.4), Column("What is chosen", 3)], rows, "Choices in the clauses"),
    ]  # fmt: skip


def _uk(company: Mapping[str, str]) -> tuple[str, list[Block]]:
    provider = company.get("legal_name") or "[provider]"
    rows: list[list[Words]] = [
        [
            "Table 1, parties",
            f"The parties of Annex I.A; the importer is {provider}. Start date: that of the agreement.",
        ],
        ["Table 2, clauses", "The clauses of Schedule A, with the modules and choices made there."],
        ["Table 3, appendix information", "The annexes of this agreement."],
        ["Table 4, ending when the addendum changes", "Neither party."],
    ]
    return "transfers from the United Kingdom", [
        Text("The International Data Transfer Addendum to the EU clauses, version B1.0, issued by the Information "
             "Commissioner under section 119A of the Data Protection Act 2018, in force since 21 March 2022, and every "
             "revision under its section 18, is incorporated by reference for transfers under UK law."),
        Table([Column("Part of the addendum", 1.6), Column("Content", 3)], rows),
    ]  # fmt: skip


def _swiss() -> tuple[str, list[Block]]:
    told = (
        "For transfers under the Federal Act on Data Protection, the clauses of Schedule A apply as adapted here.",
        (
            "The competent authority is the Federal Data Protection and Information Commissioner, alone or, where the "
            "GDPR applies as well, beside the authority of Schedule A."
        ),
        "References to the GDPR are to be understood as references to the Federal Act where that law applies.",
        "The term member state does not keep people in Switzerland from claiming their rights where they live.",
        "The governing law and forum stay as chosen; the rights of data subjects in Switzerland are not affected.",
    )
    return "transfers from Switzerland", [Clause(str(at), words) for at, words in enumerate(told, 1)]


def _california(company: Mapping[str, str]) -> tuple[str, list[Block]]:
    told = (
        (
            f"Where the California Consumer Privacy Act, as amended, applies, {company.get('name') or 'the provider'} "
            "is a service provider and processes personal information for the limited business purposes of the annex."
        ),
        (
            "It neither sells nor shares personal information, and neither keeps, uses nor discloses it outside the "
            "direct business relationship or for any purpose but those, except as the act allows."
        ),
        "It does not combine it with what it has from elsewhere, except as the act allows.",
        (
            "It keeps the level of privacy protection that the act requires, and tells the customer within five "
            "business days if it can no longer."
        ),
        (
            "The customer may take reasonable steps to see that the information is used as agreed, and to stop and "
            "remedy unauthorised use."
        ),
        "It helps the customer to answer consumers' requests, and binds its own service providers in writing alike.",
        "It certifies that it understands these limits and keeps them.",
    )
    return "California", [Clause(str(at), words) for at, words in enumerate(told, 1)]

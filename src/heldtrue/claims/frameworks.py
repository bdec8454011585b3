"""Frameworks by the identifiers of their controls, and what stands behind each: criterion → claims → state.

Identifiers only: whoever reads them has the frameworks, whose texts are their publishers' own. Their shapes and bounds
are those of: AICPA Trust Services Criteria (2017, revised 2022), ISO/IEC 27001:2022 Annex A, Regulation (EU) 2016/679,
OWASP ASVS 5.0.0, CSA CAIQ v4 (Cloud Controls Matrix v4).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from heldtrue.claims.model import State

_CRITERIA: Mapping[str, int] = MappingProxyType(
    {
        **{f"CC{series}": count for series, count in enumerate((5, 3, 4, 2, 3, 8, 5, 1, 2), start=1)},
        "A1": 3, "C1": 2, "PI1": 5,
        "P1": 1, "P2": 1, "P3": 2, "P4": 3, "P5": 2, "P6": 7, "P7": 1, "P8": 1,
    }
)  # fmt: skip
_ANNEX: Mapping[str, int] = MappingProxyType({"5": 37, "6": 8, "7": 14, "8": 34})
_CHAPTERS: Mapping[int, int] = MappingProxyType(
    dict(enumerate((5, 4, 7, 4, 4, 8, 6, 4, 2, 7, 7, 3, 4, 3, 4, 5, 3), start=1))
)
"""Sections of each chapter."""
_DOMAINS: Mapping[str, int] = MappingProxyType(
    {
        "A&A": 6, "AIS": 7, "BCR": 11, "CCC": 9, "CEK": 21, "DCS": 15, "DSP": 19, "GRC": 8, "HRS": 13, "IAM": 16,
        "IPY": 4, "IVS": 9, "LOG": 13, "SEF": 8, "STA": 14, "TVM": 10, "UEM": 14,
    }
)  # fmt: skip
ARTICLES = 99


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework, and which identifiers it has."""

    id: str
    title: str
    prefix: str
    """Of every identifier in the catalogue."""
    has: Callable[[str], bool]
    """Whether an identifier without the prefix is one of its controls."""


def _criterion(text: str) -> bool:
    series, _, number = text.partition(".")
    return number.isdigit() and 1 <= int(number) <= _CRITERIA.get(series, 0)


def _annex(text: str) -> bool:
    match = re.fullmatch(r"A\.([5-8])\.([1-9][0-9]?)", text)
    return match is not None and int(match[2]) <= _ANNEX[match[1]]


def _article(text: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]?", text) is not None and int(text) <= ARTICLES


def _requirement(text: str) -> bool:
    match = re.fullmatch(r"([1-9][0-9]?)\.([1-9])\.([1-9][0-9]?)", text)
    return match is not None and int(match[2]) <= _CHAPTERS.get(int(match[1]), 0)


def _question(text: str) -> bool:
    match = re.fullmatch(r"([A-Z&]{3})-([0-9]{2})\.([1-9])", text)
    return match is not None and 1 <= int(match[2]) <= _DOMAINS.get(match[1], 0)


FRAMEWORKS: tuple[Framework, ...] = (
    Framework("soc2", "SOC 2, Trust Services Criteria", "SOC 2 ", _criterion),
    Framework("iso27001", "ISO/IEC 27001:2022, Annex A", "ISO 27001:2022 ", _annex),
    Framework("gdpr", "GDPR, Regulation (EU) 2016/679", "GDPR Art. ", _article),
    Framework("asvs", "OWASP ASVS 5.0", "ASVS 5.0 V", _requirement),
    Framework("caiq", "CSA CAIQ v4", "CAIQ v4 ", _question),
)
BY_ID = MappingProxyType({framework.id: framework for framework in FRAMEWORKS})


def framework_of(control: str) -> Framework | None:
    """Return the framework that has *control*, None where none has."""
    for framework in FRAMEWORKS:
        if control.startswith(framework.prefix) and framework.has(control.removeprefix(framework.prefix)):
            return framework
    return None


@dataclass(frozen=True, slots=True)
class Line:
    """One control and the claims that answer it."""

    control: str
    claims: tuple[str, ...]
    state: State
    """The worst of them: a criterion is met as far as its weakest claim."""


WORST_FIRST = (State.FAILING, State.STALE, State.PROMISED, State.ATTESTED, State.PROVEN)


def lines(framework: Framework, claims: Iterable[tuple[str, tuple[str, ...], State]]) -> list[Line]:
    """Return a framework's controls that any of *claims* (id, controls, state) answers, in their own order."""
    found: dict[str, list[tuple[str, State]]] = {}
    for claim, controls, state in claims:
        for control in controls:
            if framework_of(control) is framework:
                found.setdefault(control, []).append((claim, state))
    return [
        Line(control, tuple(claim for claim, _ in known), min((s for _, s in known), key=WORST_FIRST.index))
        for control, known in sorted(found.items(), key=lambda item: order(item[0]))
    ]


def order(control: str) -> list[tuple[int, int, str]]:
    """Return by what identifiers sort: letters as letters, numbers as numbers."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"[0-9]+|[^0-9]+", control)]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Rows of the index to which a framework has nothing to say, and why; the list may only shrink."""

    why: str
    rows: frozenset[str]


_COMPANY = {f"K{number}" for number in range(1, 22)} - {"K14", "K15"}
UNANSWERED: Mapping[str, Unanswered] = MappingProxyType(
    {
        "soc2": Unanswered("every row has a criterion", frozenset()),
        "iso27001": Unanswered("every row has a control", frozenset()),
        "caiq": Unanswered("every row has a question", frozenset()),
        "gdpr": Unanswered(
            "receipts, plans, quality of data and levels of service are no duties of the regulation",
            frozenset(["B5", "C1", "C2", "C3", "C4", "H1", "H2", "H3", "J1", "J2", "J3", "K9", "K10", "K12"]),
        ),
        "asvs": Unanswered(
            "its requirements are about an application, not about its network, its operation or its operator",
            frozenset(_COMPANY | {"A5", "A7", "B8", "C4", "F4", "F5", "G1", "G2", "H1", "H2", "J1", "J2", "J3"}),
        ),
    }
)

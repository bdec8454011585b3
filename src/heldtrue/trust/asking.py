"""Which claims a reader asks for: by words, state, control and heading, one page of them. Pure, and quick for many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from heldtrue.claims.catalogue import Catalogue
from heldtrue.claims.frameworks import FRAMEWORKS
from heldtrue.claims.model import Claim, State

SHEET = 100
"""Claims that one page shows at most: a company's own promises are on one sheet, and can be printed."""
LONGEST = 200
MOST_PAGES = 100_000


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a reader asks for; a field left empty asks for nothing."""

    q: str = ""
    state: str = ""
    framework: str = ""
    """A framework's id, or the identifier of a control: `soc2`, `SOC 2 CC6.7`."""
    group: str = ""
    page: str = ""

    @property
    def plain(self) -> bool:
        """Whether everything is asked for."""
        return not (self.q.strip() or self.state or self.framework or self.group)

    @property
    def number(self) -> int:
        """The page's number; what is no number is the first."""
        text = self.page
        return max(1, min(MOST_PAGES, int(text))) if text.isascii() and text.isdigit() and len(text) < 7 else 1

    def asked(self) -> dict[str, str]:
        """Return the fields that ask for something, without the page."""
        told = {"q": self.q.strip()[:LONGEST], "state": self.state, "framework": self.framework, "group": self.group}
        return {name: value[:LONGEST] for name, value in told.items() if value}

    def link(self, path: str, page: int) -> str:
        """Return the address of a page of the same question."""
        query = {**self.asked(), **({"page": str(page)} if page > 1 else {})}
        return f"{path}?{urlencode(query)}" if query else path


@dataclass(frozen=True, slots=True)
class Found:
    """One page of the claims that were asked for."""

    claims: tuple[Claim, ...]
    total: int
    page: int
    pages: int


class Finder:
    """Knows the words of every claim of a catalogue, once."""

    def __init__(self, catalogue: Catalogue, sheet: int = SHEET) -> None:
        """*sheet*: how many claims one page shows at most."""
        self._sheet = sheet
        self._claims = [(claim, _words(claim)) for claim in catalogue.claims]

    def find(self, ask: Ask, states: Mapping[str, State]) -> Found:
        """Return the claims that *ask* means, as they stand."""
        claims = list(self._matching(ask, states))
        pages = max(1, -(-len(claims) // self._sheet))
        page = min(ask.number, pages)
        return Found(tuple(claims[(page - 1) * self._sheet : page * self._sheet]), len(claims), page, pages)

    def _matching(self, ask: Ask, states: Mapping[str, State]) -> Iterable[Claim]:
        wanted = ask.q.lower()[:LONGEST].split()
        prefix = next((one.prefix for one in FRAMEWORKS if one.id == ask.framework), None)
        for claim, words in self._claims:
            if ask.state and states.get(claim.id) != ask.state:
                continue
            if ask.group and claim.group != ask.group:
                continue
            if ask.framework and not _answers(claim, ask.framework, prefix):
                continue
            if all(word in words for word in wanted):
                yield claim


def _answers(claim: Claim, framework: str, prefix: str | None) -> bool:
    if prefix is not None:
        return any(control.startswith(prefix) for control in claim.frameworks)
    return framework in claim.frameworks


def _words(claim: Claim) -> str:
    said = (claim.id, claim.sentence, claim.scope, claim.group, *claim.rows, *claim.frameworks, *claim.attacks)
    return "\n".join(said).lower()

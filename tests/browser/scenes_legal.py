"""Legal texts and the questionnaire: everything in force, nothing in force, and what is behind in its review."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.browser.scenes import NOW, busy_standing
from tests.browser.scenes_company import COMPANY, DAY, of_register

from heldtrue.app.registers import KINDS
from heldtrue.capabilities.agreements import annexes, dpa, legal, starters
from heldtrue.capabilities.agreements.dpa import Annexes
from heldtrue.capabilities.agreements.legal import NAMES, Version
from heldtrue.capabilities.questionnaires import answers, catalogue, paper
from heldtrue.capabilities.questionnaires.answers import Basis, ClaimFact, Facts
from heldtrue.trust import known
from heldtrue.trust.legal import PATH, LegalView, TextView, text_page, text_view
from heldtrue.trust.legal import paper as legal_paper
from heldtrue.trust.render import Pages

STATES = {verdict.claim.id: str(verdict.state) for verdict in busy_standing().verdicts}


def _version(item: str, begins: timedelta, *, stale: bool = False) -> Version:
    day = NOW.date()
    text = starters.starter(item, "Head of Legal", day + begins, day - 30 * DAY)
    return Version(item=item, number=2, document=text, sha256=legal.digest(text), stale=stale)


def _held() -> dict[str, tuple[Version | None, Version | None]]:
    """Return by item what is in force and what is announced: one text stale, one with a successor."""
    made: dict[str, tuple[Version | None, Version | None]] = {
        item: (_version(item, -20 * DAY, stale=item == "acceptable-use"), None) for item in NAMES
    }
    made["privacy"] = (made["privacy"][0], _version("privacy", 20 * DAY))
    return made


def _facts() -> Facts:
    registers: dict[str, dict[str, Any]] = {
        name: {
            one.item: known.fact(one, KINDS[name].write(one.document), NOW)
            for one in of_register(name)
        }
        for name in ("sub-processors", "certifications", "tests", "retention", "contacts", "locations")
    }  # fmt: skip
    claims = {
        name: ClaimFact(id=name, sentence="", state=Basis(state), page=f"/trust/claims/{name}", last_attacked=None)
        for name, state in STATES.items()
    }
    return Facts(at=NOW, claims=claims, registers=registers, company=known.profile(COMPANY))


def scenes(pages: Pages) -> dict[str, bytes]:
    """Return each page by path and query."""
    made: dict[str, bytes] = {}
    for query, held in (("", _held()), ("?empty", dict.fromkeys(NAMES, (None, None)))):
        texts = [text_view(item, *found) for item, found in held.items()]
        view = LegalView(v=1, company=COMPANY.name, at="2026-11-22T05:14:09Z", data=texts)
        made[f"{PATH}{query}"] = pages.render("legal.html", at=PATH, twin=f"{PATH}.json", view=view)
    for item, found in _held().items():
        made[f"{PATH}/{item}"] = _text(pages, text_view(item, *found), found[0])
    made[f"{PATH}/terms?draft"] = _text(pages, text_view("terms", None, None), None)
    at = "/trust/questionnaire"
    for query, facts in (("", _facts()), ("?empty", Facts(at=NOW))):
        answered = answers.answered(catalogue.QUESTIONNAIRE, facts)
        shown = paper.view(answered, COMPANY.name, pages.site.url, NOW)
        made[f"{at}{query}"] = pages.render("questionnaire.html", at=at, twin=f"{at}.json", view=shown)
    return made


def _text(pages: Pages, view: TextView, version: Version | None) -> bytes:
    text = version.document if version else starters.starter(view.item, "[owner]", NOW.date(), NOW.date())
    found = None
    if view.item == "dpa":
        listed = [annexes.listed(entry) for entry in of_register("sub-processors")]
        found = Annexes(
            processing=text.processing or starters.PROCESSING, measures=dpa.measures(STATES), sub_processors=listed
        )
    return text_page(pages, view, legal_paper(view, text, known.profile(COMPANY), NOW, found))

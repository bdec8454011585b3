"""The due-diligence questionnaire for everybody: page, JSON, and the same as XLSX, DOCX and PDF."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from heldtrue.capabilities.papers import docx, pdf
from heldtrue.capabilities.papers.formats import FORMATS
from heldtrue.capabilities.papers.model import Paper
from heldtrue.capabilities.questionnaires import answers, catalogue, paper
from heldtrue.capabilities.questionnaires.paper import QuestionnaireView
from heldtrue.http.exchange import Page
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.trust.known import Kept, Sources, facts
from heldtrue.trust.render import Pages
from heldtrue.trust.serving import page, shown, twin

PATH = "/trust/questionnaire"


def view(sources: Sources) -> tuple[QuestionnaireView, datetime]:
    """Return the questionnaire, answered from what is known now."""
    found, _ = facts(sources)
    answered = answers.answered(catalogue.QUESTIONNAIRE, found)
    return paper.view(answered, sources.company.name, sources.url, found.at), found.at


def routes(sources: Sources, pages: Pages) -> list[Route]:
    """Return the page, its JSON and its files."""
    kept = Kept(sources.clock)

    def html() -> Page:
        return shown(
            pages, PATH, lambda: pages.render("questionnaire.html", at=PATH, twin=f"{PATH}.json", view=view(sources)[0])
        )

    def data() -> QuestionnaireView:
        return view(sources)[0]

    def made(write: Callable[[QuestionnaireView, Paper], bytes]) -> bytes:
        found, at = view(sources)
        return write(found, paper.paper(found, at, sources.url))

    def file(ending: str, write: Callable[[QuestionnaireView, Paper], bytes]) -> Callable[[], Page]:
        return lambda: attachment(
            f"due-diligence-questionnaire.{ending}", ending, kept.get(ending, lambda: made(write))
        )

    writers: dict[str, Callable[[QuestionnaireView, Paper], bytes]] = {
        "xlsx": paper.spreadsheet,
        "docx": lambda _, document: docx.render(document),
        "pdf": lambda _, document: pdf.render(document),
    }
    return [
        page(PATH, html, "The due-diligence questionnaire, answered from claims and registers"),
        twin(f"{PATH}.json", data, "The same as JSON", QuestionnaireView),
        *(download(f"{PATH}.{ending}", file(ending, write), ending) for ending, write in writers.items()),
    ]


def attachment(name: str, ending: str, content: bytes) -> Page:
    """Return a file that a browser saves."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Page(content=content, content_type=FORMATS[ending].content_type, headers=headers)


def download(path: str, action: Callable[..., Page], ending: str, *, takes: type | None = None) -> Route:
    """Return the row of a file that everybody may have."""
    return Route(
        at=f"GET {path}", action=action, summary=f"The same as {ending.upper()}", takes=takes, realm=Realm.PUBLIC,
        cache=CacheClass.PAGE, produces=FORMATS[ending].content_type, tags=("trust",),
    )  # fmt: skip

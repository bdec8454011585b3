"""XLSX, DOCX and PDF of our own making, opened in LibreOffice and looked at as pictures."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader

from heldtrue.capabilities.agreements import dpa, starters
from heldtrue.capabilities.agreements.dpa import AnnexEntry, Annexes, Choices
from heldtrue.capabilities.papers import docx, pdf
from heldtrue.capabilities.questionnaires import answers, catalogue, paper
from heldtrue.capabilities.questionnaires.answers import Basis, ClaimFact, Facts

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(
        shutil.which("soffice") is None or shutil.which("pdftoppm") is None, reason="LibreOffice is not installed"
    ),
]
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
URL = "https://trust.example.com"
DPI = 40
WHITE = 245
"""From here on a point counts as paper."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every document as a PDF that LibreOffice made of it, in one start of it; our own PDFs as they are."""
    home = tmp_path_factory.mktemp("papers")
    view = paper.view(answers.answered(catalogue.QUESTIONNAIRE, _facts()), "Example Company", URL, AT)
    document = paper.paper(view, AT, URL)
    agreement = _agreement()
    (home / "questionnaire.xlsx").write_bytes(paper.spreadsheet(view, document))
    (home / "agreement.docx").write_bytes(docx.render(agreement))
    (home / "own.pdf").write_bytes(pdf.render(document))
    subprocess.run(
        ["soffice", f"-env:UserInstallation=file://{home}/profile", "--headless", "--convert-to", "pdf",
         "--outdir", home, home / "questionnaire.xlsx", home / "agreement.docx"],
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    return {name: home / f"{name}.pdf" for name in ("questionnaire", "agreement", "own")}


@pytest.mark.parametrize("name", ["questionnaire", "agreement", "own"])
def test_every_page_has_something_on_it_and_nothing_in_its_margins(opened: dict[str, Path], name: str) -> None:
    pictures = opened[name].parent / name
    subprocess.run(["pdftoppm", "-r", str(DPI), "-gray", opened[name], pictures], check=True, timeout=120)
    pages = sorted(pictures.parent.glob(f"{name}-*.pgm"))
    assert len(pages) == len(PdfReader(opened[name]).pages) >= 5
    for page in pages:
        with Image.open(page) as picture:
            edge = int(0.35 * DPI)
            inked = picture.point(lambda level: 255 if level < WHITE else 0).getbbox()
            assert inked is not None, f"{page.name} is empty"
            left, top, right, bottom = inked
            assert left >= edge, f"{page.name}: something stands in the left margin"
            assert right <= picture.width - edge, f"{page.name}: something runs out at the right"
            assert top >= edge // 2, f"{page.name}: something stands above the page"
            assert bottom <= picture.height - edge // 2, f"{page.name}: something runs out below"


def test_the_words_are_there_and_the_header_is_on_every_page(opened: dict[str, Path]) -> None:
    sheets = [page.extract_text() for page in PdfReader(opened["questionnaire"]).pages]
    assert all("Question" in text and "Answer" in text for text in sheets[1:])
    words = " ".join(" ".join(sheets).split())
    assert "142 questions in 16 sections" in words
    assert "not evidenced" in words
    contract = " ".join(" ".join(page.extract_text() for page in PdfReader(opened["agreement"]).pages).split())
    for said in ("Annex I.A (2021/914), Annex I (2021/915)", "Probe Hosting", "Page 1 of", "Clause 9(a)"):
        assert said in contract
    assert "proven" in contract


def test_the_contents_of_the_agreement_name_the_pages(opened: dict[str, Path]) -> None:
    reader = PdfReader(opened["agreement"])
    front = reader.pages[0].extract_text().splitlines()
    entry = next(line for line in front if "Personal data breaches" in line)
    number = int(entry.split()[-1])
    assert "Personal data breaches" in reader.pages[number - 1].extract_text()


def _facts() -> Facts:
    names = dict.fromkeys(name for question in catalogue.QUESTIONS for name in question.claims)
    states = (Basis.PROVEN, Basis.ATTESTED, Basis.PROVEN, Basis.PROMISED, Basis.FAILING)
    claims = {
        name: ClaimFact(
            id=name, sentence=f"What {name} says holds.", state=states[at % len(states)],
            page=f"/trust/claims/{name}", last_attacked="2026-11-21T09:00:00.000Z",
        )
        for at, name in enumerate(names)
    }  # fmt: skip
    return Facts(at=AT, claims=claims, company={"legal_name": "Example Company Ltd", "website": "https://example.com"})


def _agreement() -> dpa.Paper:
    today = date(2026, 11, 22)
    entry = AnnexEntry(
        item="probe", version=1, name="Probe Hosting", address="1 Example Street, Exampleton",
        contact="privacy@example.com", purpose="Hosting of everything that the service stores", location=["IE", "DE"],
        transfer_basis="no-transfer", data=["contact data", "content of payloads"], optional=False, state="active",
    )  # fmt: skip
    measures = dpa.measures({"transport.tls": "proven", "transport.outgoing": "proven"})
    annexes = Annexes(processing=starters.PROCESSING, measures=measures, sub_processors=[entry] * 12)
    choices = Choices(
        customer="Example Customer GmbH", uk=True, swiss=True, law="Ireland", forum="the courts of Ireland"
    )
    company = {"name": "Example Company", "legal_name": "Example Company Ltd", "address": "1 Example Street"}
    text = starters.starter("dpa", "General counsel", today, today)
    return dpa.paper(text, choices, annexes, company, dated=AT, reference="version 1", draft=False)

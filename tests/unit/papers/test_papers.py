"""One paper, five formats: the same words in each, the same bytes every time, and nothing that runs."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import docx as word
import openpyxl
import pytest
from pypdf import PdfReader

from heldtrue.capabilities.papers import data, docx, html, layout, pdf, sheet
from heldtrue.capabilities.papers.faces import MISSING, measure
from heldtrue.capabilities.papers.model import (
    Bullets,
    Clause,
    Column,
    Heading,
    Meta,
    Note,
    PageBreak,
    Paper,
    PaperError,
    Span,
    Table,
    Text,
)

DATED = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOSTILE = ("=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("https://example.invalid")')


def a_paper(rows: int = 3, **meta: object) -> Paper:
    return Paper(
        title="Ünïcode Ω Ж ✓ <b>",
        subtitle="A subtitle",
        meta=Meta(author="Example Company", dated=DATED, reference="version 3", **meta),  # type: ignore[arg-type]
        blocks=[
            Heading("First", 1, "1"),
            Text(
                [
                    Span(text="Plain "),
                    Span(text="strong", strong=True),
                    Span(text=" linked", link="https://example.com/"),
                ]
            ),
            Clause("1.1", "A clause."),
            Bullets(["one", "two"]),
            Heading("Second", 2, "1.2"),
            Note("Mind this.", "warn"),
            PageBreak(),
            Heading("Third", 1, "2"),
            Table(
                [Column("Question", 3), Column("Answer", 1)],
                [[f"Question {at} {hostile}", hostile] for at in range(rows) for hostile in HOSTILE],
                "A table",
            ),
        ],
    )


def text_of(content: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)


def test_the_same_paper_is_the_same_bytes() -> None:
    for write in (pdf.render, docx.render, sheet.render, html.render):
        assert write(a_paper()) == write(a_paper())
    later = a_paper()
    later = replace(later, meta=replace(later.meta, dated=DATED + timedelta(days=1)))
    assert pdf.render(later) != pdf.render(a_paper())


def test_a_pdf_says_it_all_with_page_numbers_and_metadata() -> None:
    content = pdf.render(a_paper(rows=40))
    reader = PdfReader(io.BytesIO(content))
    text = text_of(content)
    count = len(reader.pages)
    assert count > 4
    assert f"Page {count} of {count}" in text
    for words in ("Ünïcode Ω Ж ✓ <b>", "1 First", "1.1", "A clause.", "Mind this.", "@SUM(A1)"):
        assert words in text
    assert reader.metadata is not None
    assert (reader.metadata.title, reader.metadata.author) == ("Ünïcode Ω Ж ✓ <b>", "Example Company")
    assert reader.metadata.creation_date == DATED
    assert [str(item.title) for item in reader.outline if not isinstance(item, list)] == ["1 First", "2 Third"]
    assert (
        len([page for page in reader.pages if "Question" in page.extract_text() and "Answer" in page.extract_text()])
        >= 3
    )


def test_a_character_that_no_face_has_is_seen_to_be_missing() -> None:
    paper = Paper(title="漢字", meta=Meta(author="x", dated=DATED), blocks=[Text("漢字 and words")])
    assert MISSING * 2 in text_of(pdf.render(paper))


def test_no_line_is_wider_than_its_room_and_nothing_is_lost() -> None:
    words = "a-b " * 30 + "x" * 200 + " https://example.com/a/very/long/path/that/goes/on\nlast"
    found = layout.lines(words, 40.0, 9.0)
    assert all(line.width <= 40.0 + 1e-6 for line in found)
    said = "".join(piece.text for line in found for piece in line.pieces)
    assert re.sub(r"\s", "", said) == re.sub(r"\s", "", words)
    assert found[0].width == pytest.approx(sum(measure("inter", p.text, 9 * layout.POINT) for p in found[0].pieces))


def test_a_cell_taller_than_a_page_goes_on_over_the_next() -> None:
    paper = Paper(
        title="Tall", meta=Meta(author="x", dated=DATED),
        blocks=[Table([Column("A"), Column("B")], [["short", "word " * 6000 + "end-of-it"]])],
    )  # fmt: skip
    content = pdf.render(paper)
    assert "end-of-it" in text_of(content)
    assert len(PdfReader(io.BytesIO(content)).pages) > 4


def test_a_docx_has_real_styles_and_a_header_row_that_repeats() -> None:
    document = word.Document(io.BytesIO(docx.render(a_paper())))
    styles = [paragraph.style.name for paragraph in document.paragraphs if paragraph.style is not None]
    assert {"Title", "Heading 1", "Heading 2", "Clause", "Contents 1"} <= set(styles)
    table = document.tables[0]
    assert [cell.text for cell in table.rows[0].cells] == ["Question", "Answer"]
    xml = table.rows[0]._tr.xml
    assert "w:tblHeader" in xml
    assert "=1+1" in table.rows[1].cells[1].text
    assert document.core_properties.title == "Ünïcode Ω Ж ✓ <b>"


def test_no_cell_of_a_workbook_is_a_formula() -> None:
    content = sheet.render(a_paper())
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert book.sheetnames == ["About", "A table"]
    table = book["A table"]
    assert table.freeze_panes == "A2"
    assert {cell.data_type for row in table.iter_rows() for cell in row} == {"s"}
    assert [table.cell(row, 2).value for row in range(2, 7)] == list(HOSTILE)
    assert table.cell(2, 2).style is not None
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert all(b"<f>" not in packed.read(name) for name in packed.namelist())


def test_sheets_have_names_that_a_workbook_may_have() -> None:
    columns, rows = [Column("A")], [["x"]]
    titles = ["History", "a/b:c*?[d]", "x" * 50, "x" * 50, "'quoted'", ""]
    made = sheet.workbook(a_paper(), [sheet.Sheet(title, columns, rows) for title in titles])
    names = openpyxl.load_workbook(io.BytesIO(made)).sheetnames
    assert len(names) == len(set(map(str.lower, names))) == 7
    assert all(0 < len(name) <= 31 for name in names)


def test_html_is_escaped_and_readable_by_machines() -> None:
    page = html.render(a_paper()).decode()
    assert "Ünïcode Ω Ж ✓ &lt;b&gt;" in page
    assert '<th scope="col">Question</th>' in page
    assert '<html lang="en">' in page
    assert page.count("<h1>") == 1
    assert "<script" not in page


def unpacked(content: bytes) -> bytes:
    """Return what a file says, out of its ZIP where it is one."""
    if not content.startswith(b"PK"):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return b"".join(map(packed.read, packed.namelist()))


def test_a_link_leads_only_where_a_reader_may_be_sent() -> None:
    for link in ("javascript:alert(1)", "http://example.com", "data:text/html,x", "file:///etc/passwd"):
        paper = Paper(title="x", meta=Meta(author="x", dated=DATED), blocks=[Text([Span(text="y", link=link)])])
        written = [html.render(paper), pdf.render(paper), docx.render(paper), sheet.render(paper)]
        opened = b"".join(map(unpacked, written))
        assert link.encode() not in opened


def test_a_paper_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(PaperError):
        Table([Column("A")], [["x", "y"]])
    with pytest.raises(PaperError):
        Paper(title=" ", meta=Meta(author="x", dated=DATED), blocks=[Text("x")])
    with pytest.raises(PaperError):
        Paper(title="x", meta=Meta(author="x", dated=datetime(2026, 1, 1)), blocks=[Text("x")])  # noqa: DTZ001


def test_json_says_what_the_paper_says() -> None:
    found = data.render(a_paper())
    assert [block["kind"] for block in found["blocks"]] == [
        "heading", "text", "clause", "bullets", "heading", "note", "pagebreak", "heading", "table",
    ]  # fmt: skip
    assert found["blocks"][1]["text"][2] == {"text": " linked", "link": "https://example.com/"}

"""A customer's spreadsheet: found, matched, remembered, filled in; and never executed or believed."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime

import openpyxl
import pytest
import xlsxwriter

from heldtrue.capabilities.questionnaires import filling, matching, reading, shape, work
from heldtrue.capabilities.questionnaires.answers import Basis, ClaimFact, Facts
from heldtrue.capabilities.questionnaires.catalogue import QUESTIONS
from heldtrue.capabilities.questionnaires.kinds import Remembered
from heldtrue.capabilities.questionnaires.work import Confirmed

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CAIQ = [
    ("CEK-03.1", "Are data at-rest and in-transit cryptographically protected?"),
    ("LOG-02.1", "Are audit logs protected against modification?"),
    ("XXX-01.1", "What colour is the carpet on the third floor of the building?"),
]
EXPECTED = {
    "Do you encrypt data at rest?": "ENC-04",
    "Is multi-factor authentication required for administrators?": "AUT-06",
    "Do you perform annual third-party penetration testing?": "VUL-06",
    "Are tenants segregated from one another?": "SVC-01",
    "Do you notify customers of a personal data breach within 72 hours?": "INC-03",
    "Is there a documented incident response plan?": "INC-01",
    "Do you have a disaster recovery plan?": "BCP-05",
    "Do you carry cyber insurance?": "INS-01",
    "Provide a list of your subprocessors and their locations.": "SUB-01",
    "Are background checks performed on employees?": "ORG-04",
}


def caiq() -> bytes:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    book.add_worksheet("Introduction").write(0, 0, "Welcome")
    sheet = book.add_worksheet("CAIQ v4")
    bold = book.add_format({"bold": True, "bg_color": "#336699"})
    sheet.merge_range(0, 0, 0, 4, "Consensus assessment", bold)
    head = ["Question ID", "Question", "CSP CAIQ Answer", "SSRM Control Ownership", "CSP Implementation Description"]
    for at, title in enumerate(head):
        sheet.write(1, at, title, bold)
    for row, (name, question) in enumerate(CAIQ, 2):
        sheet.write(row, 0, name)
        sheet.write(row, 1, question)
        sheet.write_blank(row, 2, None, bold)
        sheet.data_validation(row, 2, row, 2, {"validate": "list", "source": ["Yes", "No", "NA"]})
    sheet.write_formula(9, 0, '=HYPERLINK("http://evil.invalid","x")', None, "cached")
    book.close()
    return out.getvalue()


def facts(state: Basis = Basis.PROVEN) -> Facts:
    names = {name for question in QUESTIONS for name in question.claims}
    return Facts(at=NOW, claims={
        name: ClaimFact(id=name, sentence=f"{name}.", state=state, page=f"/trust/claims/{name}") for name in names
    })  # fmt: skip


def begun(content: bytes) -> work.Work:
    kind, sheets = reading.read(content)
    return work.begin("caiq.xlsx", kind, content, *shape.find(sheets))


def test_a_header_is_found_below_a_merged_title_on_the_second_sheet() -> None:
    found = begun(caiq())
    assert [(row.sheet, row.row, row.id, row.question) for row in found.rows] == [
        ("CAIQ v4", at, name, question) for at, (name, question) in enumerate(CAIQ, 3)
    ]
    [place] = found.places
    assert (place.header, place.answer, place.comment, place.new) == (2, 3, 5, [])


def test_a_sig_shaped_csv_is_read_with_its_own_delimiter() -> None:
    head = "Vendor assessment;;;\n;;;\nQues Num;Question/Request;Response;Additional Information\n"
    text = f"{head}A.1;Is there a security policy?;;\n"
    for content in (text.encode(), text.encode("utf-16"), b"\xef\xbb\xbf" + text.encode()):
        found = begun(content)
        assert [(row.id, row.question, row.row) for row in found.rows] == [("A.1", "Is there a security policy?", 4)]
        assert (found.places[0].answer, found.places[0].comment) == (3, 4)


def test_questions_without_a_header_get_columns_of_their_own() -> None:
    found = begun(b"Is a one?,x\nIs b two?,y\nIs c three?,z\n")
    assert [row.question for row in found.rows] == ["Is a one?", "Is b two?", "Is c three?"]
    assert (found.places[0].answer, found.places[0].comment) == (3, 4)


@pytest.mark.parametrize(("asked", "wanted"), EXPECTED.items(), ids=list(EXPECTED.values()))
def test_reviewers_words_find_our_question(asked: str, wanted: str) -> None:
    found = matching.ours(QUESTIONS).best(asked)
    assert found is not None
    assert (found.key, found.score >= matching.THRESHOLD) == (wanted, True)


def test_below_the_threshold_nothing_is_proposed() -> None:
    proposer = work.Proposer(facts(), {})
    rows = begun(caiq()).rows
    assert proposer.propose(rows[2]) is None
    made = proposer.propose(rows[1])
    assert made is not None
    assert (made.source, made.answer, made.state) == ("ours", "yes", "proven")
    assert made.matched.endswith("?")


def test_a_control_identifier_alone_leads_to_its_question() -> None:
    found = matching.ours(QUESTIONS).best("Zzz qqq?", "BCR-08.2")
    assert found is not None
    assert "CCM BCR-08" in next(question.controls for question in QUESTIONS if question.id == found.key)


def test_what_was_confirmed_comes_first_and_says_when_its_claim_changed() -> None:
    row = begun(caiq()).rows[0]
    past = Remembered(question=row.question, answer="yes", text="As we said.", ours="ENC-04", state="proven",
                      confirmed_by="Security lead")  # fmt: skip
    remembered = {work.item_of(row.question): past}
    again = work.Proposer(facts(), remembered).propose(row)
    assert again is not None
    assert (again.source, again.text, again.score, again.changed) == ("remembered", "As we said.", 1.0, None)
    later = work.Proposer(facts(Basis.FAILING), remembered).propose(row)
    assert later is not None
    assert (later.state, later.changed) == ("failing", "proven when it was confirmed, failing now")


def test_answers_go_into_the_customers_own_cells_and_all_else_stays() -> None:
    content = caiq()
    taken = begun(content)
    taken.rows[0].confirmed = Confirmed(answer="yes", text="=AES", ours="ENC-04", state="proven",
                                        page="/trust/claims/rest.sealed", by="Security lead", at=NOW)  # fmt: skip
    taken.rows[1].confirmed = Confirmed(answer="not evidenced", text="", ours="LOG-03", state="promised", page=None,
                                        by="Security lead", at=NOW)  # fmt: skip
    filled = filling.fill(taken.kind, content, work.cells(taken, "https://trust.example.com"))
    sheet = openpyxl.load_workbook(io.BytesIO(filled))["CAIQ v4"]
    assert sheet["C3"].value == "Yes"
    assert sheet["E3"].value == "=AES [State: proven, see https://trust.example.com/trust/claims/rest.sealed]"
    assert sheet["E3"].data_type == "s"
    assert (sheet["C4"].value, sheet["E4"].value) == ("Not evidenced", "[State: promised; not evidenced]")
    assert sheet["C5"].value is None
    before = openpyxl.load_workbook(io.BytesIO(content))["CAIQ v4"]
    assert sheet["C3"].fill.fgColor.rgb == before["C3"].fill.fgColor.rgb == "FF336699"
    assert len(sheet.data_validations.dataValidation) == len(CAIQ)
    assert sheet["A10"].value == before["A10"].value
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(io.BytesIO(filled)) as new:
        changed = [name for name in old.namelist() if old.read(name) != new.read(name)]
        assert old.namelist() == new.namelist()
    assert changed == ["xl/worksheets/sheet2.xml"]


def test_a_merged_answer_is_written_into_its_first_cell_and_a_formula_is_left_alone() -> None:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet("S")
    sheet.merge_range(1, 1, 2, 2, "")
    sheet.write_formula(4, 1, "=1+1", None, 2)
    book.close()
    cells = [filling.Cell("S", 3, 3, "here"), filling.Cell("S", 5, 2, "no"), filling.Cell("S", 40, 30, "far")]
    found = openpyxl.load_workbook(io.BytesIO(filling.fill("xlsx", out.getvalue(), cells)))["S"]
    assert (found["B2"].value, found["B5"].value, found["AD40"].value) == ("here", "=1+1", "far")


def test_a_csv_cell_that_looks_like_a_formula_is_text() -> None:
    filled = filling.fill("csv", b"Question,Answer\nIs it?,\n", [filling.Cell("table", 2, 2, "=cmd()")])
    assert filled.decode("utf-8-sig").splitlines()[1] == "Is it?,'=cmd()"


def test_a_formula_is_read_as_the_value_beside_it() -> None:
    _, sheets = reading.read(caiq())
    assert sheets[1].rows[9][0] == "cached"


def packed(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        for name, content in {"xl/workbook.xml": b"<workbook/>", **parts}.items():
            book.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (packed(big=b"\0" * (reading.UNPACKED + 1)), reading.HostileSheetError),
        (packed(thin=b"\0" * 8_000_000), reading.HostileSheetError),
        (packed(**{"xl/evil.xml": b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'}), reading.HostileSheetError),
        (packed(**{f"part{at}": b"" for at in range(reading.MEMBERS + 1)}), reading.HostileSheetError),
        (packed(), reading.UnreadableSheetError),
        (b"PK\x03\x04 and nothing more", reading.UnreadableSheetError),
        (b"\xd0\xcf\x11\xe0" + bytes(64), reading.UnreadableSheetError),
        (b"x" * (reading.LARGEST + 1), reading.HostileSheetError),
        (b"a\0b,c", reading.UnreadableSheetError),
    ],
    ids=["bomb", "ratio", "doctype", "members", "empty-book", "broken-zip", "old-xls", "too-large", "binary"],
)
def test_a_hostile_file_is_refused_before_it_is_read(content: bytes, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        reading.read(content)


def test_rows_and_columns_are_bounded_whatever_the_sheet_says() -> None:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet("S")
    sheet.write(1_000_000, 16_000, "far")
    sheet.write(0, 0, "x" * 30_000)
    book.close()
    _, [found] = reading.read(out.getvalue())
    assert len(found.rows) <= reading.ROWS
    assert max(len(row) for row in found.rows) <= reading.COLUMNS
    assert len(found.rows[0][0]) == reading.CELL

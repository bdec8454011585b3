"""The machine itself: names, documents, the entry of the specification, and starter material that can be imported."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heldtrue.app.cli.entries import entries_of
from heldtrue.app.cli.files import UnreadableFileError, document
from heldtrue.app.registers import KINDS
from heldtrue.capabilities.ledger.model import clear_entry
from heldtrue.capabilities.registers.kinds import CONTACTS
from heldtrue.capabilities.registers.model import Change, DocumentRefusedError, Kind, entry_document, table

ROOT = Path(__file__).parents[3]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_the_example_of_the_specification_is_what_is_logged() -> None:
    page = (ROOT / "docs/spec/registers.md").read_text()
    shown = re.search(r"<!-- example: register-entry -->\n```\n(.*)\n```", page)
    assert shown is not None
    contact = CONTACTS.read({"about": "Security", "role": "Head of Security", "mail": "security@example.com"})
    made = clear_entry("register", entry_document("contacts", "security", 1, CONTACTS.write(contact), None, NOON))
    assert made.decode() == shown[1]


def test_the_example_to_import_is_taken_by_every_register() -> None:
    written = document(ROOT / "examples/registers.toml")
    seen = set()
    for one in entries_of(written):
        kind = KINDS[one["register"]]
        read = kind.read(one["document"])
        kind.guard(Change(item=one["item"], document=read, history=[], now=NOON, opened_at=None))
        seen.add(kind.name)
    assert seen >= {"sub-processors", "certifications", "tests", "vendors", "retention", "contacts", "locations"}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_register_takes_no_member_that_it_does_not_know(kind: Kind[Any]) -> None:
    with pytest.raises(DocumentRefusedError):
        kind.read({"no-such-member": 1})
    msgspec.json.schema(kind.type)


def test_two_registers_have_two_names() -> None:
    with pytest.raises(ValueError, match="contacts"):
        table([CONTACTS], [CONTACTS])


def test_a_document_that_takes_anything_is_no_documents_type() -> None:
    class Loose(msgspec.Struct, frozen=True):
        """Takes anything."""

    with pytest.raises(ValueError, match="forbid"):
        Kind(name="loose", title="Loose", type=Loose, public=True)


def test_a_moment_without_a_zone_is_no_moment() -> None:
    with pytest.raises(DocumentRefusedError, match="time zone"):
        CONTACTS.read({"about": datetime(2026, 1, 1), "role": "x", "mail": "a@example.com"})  # noqa: DTZ001


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"contacts": 1}', '{"contacts": {"one": 1}}', "{}"],
    ids=["list", "broken", "no-items", "no-document", "empty"],
)  # fmt: skip
def test_a_file_that_cannot_be_imported_says_so(tmp_path: Path, text: str) -> None:
    file = tmp_path / "import.json"
    file.write_text(text)
    with pytest.raises(UnreadableFileError):
        entries_of(document(file))


def test_dates_of_toml_are_days(tmp_path: Path) -> None:
    file = tmp_path / "import.toml"
    file.write_text("[tests.one]\ndated = 2026-11-22\nat = 2026-11-22T12:00:00Z\n")
    assert tomllib.loads(file.read_text())["tests"]["one"]["dated"].year == 2026
    assert document(file)["tests"]["one"] == {"dated": "2026-11-22", "at": "2026-11-22T12:00:00+00:00"}

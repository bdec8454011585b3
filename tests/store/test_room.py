"""The document room: who may fetch what until when, what is recorded, and what stays sealed."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from house import actor_of, documents
from pypdf import PdfReader
from room_house import COMPANY, READER, Room, a_pdf, open_room

from heldtrue.capabilities.room import keeping
from heldtrue.capabilities.room.marking import marks_in
from heldtrue.crypto.digest import sha256
from heldtrue.db.tx import Database

MONDAY = datetime(2026, 11, 23, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def room(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Room:
    opened = open_room(module_database, tmp_path_factory.mktemp("objects"))
    opened.house.clock.at = MONDAY
    opened.agreement()
    for name in ("soc-report", "letter"):
        opened.add(name)
    opened.add("pentest", level="nda")
    opened.add("overview", b"For everybody.", "text/plain", level="public")
    return opened


@pytest.fixture(autouse=True)
def another_day(room: Room) -> None:
    """Give each test a Monday of its own, so that no limit of a day is shared."""
    room.house.clock.at += timedelta(days=7)


def fetched(room: Room, link: str) -> Any:
    return room.reader.get(f"{link}/file")


def text_of(got: Any) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(got.body)).pages)


# ---------------------------------------------------------------- the grant


def test_a_document_is_given_by_its_link_and_by_nothing_else(room: Room) -> None:
    grant, link = room.grant("soc-report")
    got = fetched(room, link)
    assert (got.status, got.headers["content-type"]) == (200, "application/pdf")
    assert got.headers["cache-control"] == "no-store"
    assert "soc-report-v1.pdf" in got.headers["content-disposition"]
    for path in (
        "/trust/documents/files/soc-report", "/trust/documents/grants/soc-report/file",
        f"/trust/documents/grants/{'0' * 43}/file", f"{link[:-1]}{'a' if link[-1] != 'a' else 'b'}/file",
        f"/trust/documents/grants/{grant}/file", f"{link.lower() if link != link.lower() else link.upper()}/file",
    ):  # fmt: skip
        answer = room.reader.get(path)
        assert answer.status in {403, 404}, path
        assert b"%PDF" not in answer.body
    assert room.reader.get("/v1/documents/soc-report/file").status in {401, 405}


def test_a_link_gives_its_own_document_alone(room: Room) -> None:
    _, link = room.grant("letter")
    assert "The letter" in room.reader.get(link).body.decode()
    assert "letter" in text_of(fetched(room, link))
    assert "soc-report" not in text_of(fetched(room, link))


def test_the_very_moment_of_the_end_is_over(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    _, link = room.grant("soc-report", days=14)
    ends = room.operator.get("/v1/grants").json()["data"][0]["expires_at"]
    end = datetime.fromisoformat(ends)
    with monkeypatch.context() as still:
        still.setattr(room.house.clock, "now", lambda: end - timedelta(microseconds=1))
        assert fetched(room, link).status == 200
        still.setattr(room.house.clock, "now", lambda: end)
        late = fetched(room, link)
        assert late.status == 410
        assert "has expired" in late.body.decode()
        assert room.reader.get(link).status == 410
        still.setattr(room.house.clock, "now", lambda: end + timedelta(milliseconds=1))
        assert fetched(room, link).status == 410
    room.house.clock.at = end + timedelta(minutes=1)
    grant = room.operator.get("/v1/grants").json()["data"][0]
    assert (grant["state"], grant["fetches"], grant["refusals"]) == ("expired", 1, 2)


def test_a_revoked_grant_gives_nothing_any_more(room: Room) -> None:
    grant, link = room.grant("soc-report")
    assert fetched(room, link).status == 200
    assert room.operator.post(f"/v1/grants/{grant}/revoke", {"reason": "left the company"}).json()["state"] == "revoked"
    assert fetched(room, link).status == 403
    assert room.reader.get(link).status == 403


def test_a_withdrawn_document_is_gone_for_its_readers_too(room: Room) -> None:
    room.add("short-lived")
    _, link = room.grant("short-lived")
    room.operator.delete("/v1/documents/short-lived")
    assert fetched(room, link).status == 403
    assert "short-lived" not in room.reader.get("/trust/documents").body.decode()
    with room.house.database.system() as tx:
        assert (
            tx.value("SELECT count(*) FROM heldtrue.room_files WHERE item = 'short-lived' AND body_sealed IS NULL") == 1
        )


def test_a_grant_ends_with_its_document(room: Room) -> None:
    day = (room.house.clock.at + timedelta(days=3)).date()
    room.add("yearly", expires=day.isoformat())
    room.grant("yearly")
    assert room.operator.get("/v1/grants").json()["data"][0]["expires_at"] == f"{day}T00:00:00.000Z"
    room.house.clock.at += timedelta(days=4)
    assert "yearly" not in room.reader.get("/trust/documents.json").body.decode()
    assert room.send("/trust/documents/ask", about="yearly", **READER).status == 404


def test_a_grant_cannot_be_longer_than_ninety_days(room: Room) -> None:
    ask = room.ask("letter")
    assert room.operator.post(f"/v1/requests/{ask}/grant", {"days": 91}).status == 422
    far = (room.house.clock.at + timedelta(days=91)).isoformat()
    assert room.operator.post(f"/v1/requests/{ask}/grant", {"until": far}).status == 422


def test_a_grant_ends_where_its_document_ends_since(room: Room) -> None:
    room.add("shortened")
    _, link = room.grant("shortened", days=30)
    assert fetched(room, link).status == 200
    day = (room.house.clock.at + timedelta(days=1)).date()
    assert room.publish("shortened", expires=day.isoformat()).status == 200
    assert fetched(room, link).status == 200
    room.house.clock.at += timedelta(days=1)
    assert fetched(room, link).status == 410
    assert room.reader.get(link).status == 410


# ---------------------------------------------------------------- the agreement


def test_an_agreement_that_came_later_is_asked_of_those_who_have_a_link(room: Room) -> None:
    room.add("guarded")
    _, link = room.grant("guarded")
    assert fetched(room, link).status == 200
    assert room.publish("guarded", level="nda").status == 200
    assert (fetched(room, link).status, fetched(room, link).headers["location"]) == (303, link)
    version = room.operator.get("/v1/registers/agreements-nda/standard").json()["version"]
    assert room.send(link, version=str(version), name="R", company="R", accept="yes").status == 200
    assert fetched(room, link).status == 200


def test_a_document_under_agreement_is_given_once_it_is_accepted(room: Room) -> None:
    grant, link = room.grant("pentest")
    first = fetched(room, link)
    assert (first.status, first.headers["location"]) == (303, link)
    page = room.reader.get(link).body.decode()
    assert "Keep it to yourself." in page
    assert "/file" not in page
    version = room.operator.get("/v1/registers/agreements-nda/standard").json()["version"]
    given = {"version": str(version), "name": "Rae Q. Reader", "company": "Reader & Co"}
    assert room.send(link, **given).status == 422, "not ticked"
    assert room.send(link, **given, accept="yes").status == 200
    assert fetched(room, link).status == 200
    accepted = room.operator.get(f"/v1/grants/{grant}").json()["accepted_at"]
    assert accepted is not None
    assert room.send(link, **given, accept="yes").status == 200, "accepting again changes nothing"
    assert room.operator.get(f"/v1/grants/{grant}").json()["accepted_at"] == accepted
    sent = [mail for mail in room.mails("room.accepted") if mail.to == READER["mail"]][-1]
    digest = sha256(b"Keep it to yourself.\n\nFor two years.").hex()
    assert digest in sent.text
    events = documents(room.house.ports, actor_of(room.house.ports, room.operator))
    assert "agreement.accepted" in [one["event"] for one in events if one["subject"] == grant]


def test_a_text_that_changed_meanwhile_is_not_accepted(room: Room) -> None:
    _, link = room.grant("pentest")
    before = room.operator.get("/v1/registers/agreements-nda/standard").json()["version"]
    room.agreement(title=f"Another {before}")
    refused = room.send(link, version=str(before), name="R", company="R", accept="yes")
    assert refused.status == 409
    assert fetched(room, link).status == 303


def test_an_acceptance_and_a_download_are_for_good(room: Room, server: Any) -> None:
    _, link = room.grant("soc-report")
    assert fetched(room, link).status == 200
    with room.house.database.system() as tx:
        name = tx.value("SELECT current_database()")
    with psycopg.connect(server.admin_of(name).reveal(), autocommit=True) as admin:
        for statement in ("DELETE FROM heldtrue.room_downloads", "UPDATE heldtrue.room_downloads SET size = 0",
                          "TRUNCATE heldtrue.room_acceptances CASCADE"):  # fmt: skip
            with pytest.raises(psycopg.errors.DatabaseError, match="append-only"):
                admin.execute(statement)  # type: ignore[call-overload]


# ---------------------------------------------------------------- copies


def test_a_copy_names_its_reader_on_every_page_and_leads_back(room: Room) -> None:
    grant, link = room.grant("soc-report")
    got = fetched(room, link)
    reader = PdfReader(io.BytesIO(got.body))
    for page in reader.pages:
        text = " ".join(page.extract_text().split())
        for part in (READER["name"], READER["mail"], grant, room.house.clock.at.date().isoformat()):
            assert part in text
    [download, found] = marks_in(got.body)
    assert found == grant
    traced = room.operator.get(f"/v1/downloads/{download}").json()
    assert (traced["download"]["sha256"], traced["download"]["size"]) == (sha256(got.body).hex(), len(got.body))
    assert (traced["grant"]["name"], traced["grant"]["mail"]) == (READER["name"], READER["mail"])
    events = documents(room.house.ports, actor_of(room.house.ports, room.operator))
    assert [one["event"] for one in events if one["subject"] == download] == ["document.fetched", "download.traced"]


def test_each_fetch_is_a_copy_of_its_own(room: Room) -> None:
    grant, link = room.grant("letter")
    first, second = fetched(room, link), fetched(room, link)
    assert marks_in(first.body) != marks_in(second.body)
    copies = room.operator.get(f"/v1/grants/{grant}").json()["downloads"]
    assert {one["sha256"] for one in copies} == {sha256(first.body).hex(), sha256(second.body).hex()}


def test_what_cannot_be_marked_is_refused_or_comes_with_a_note(room: Room) -> None:
    sent = room.operator.call(
        "PUT", "/v1/documents/table/file", body=b"a,b\n1,2\n", headers={"content-type": "text/csv"}
    )
    assert sent.json()["pages"] is None
    assert room.publish("table").code == "document-marking"
    assert room.publish("table", cover_note=True).json()["marking"] == "cover-note"
    _, link = room.grant("table")
    got = fetched(room, link)
    with zipfile.ZipFile(io.BytesIO(got.body)) as packed:
        assert packed.read("table-v1.csv") == b"a,b\n1,2\n"
        assert READER["mail"] in packed.read("READ-ME-FIRST.txt").decode()
    assert len(marks_in(got.body)) == 2


def test_a_new_version_is_what_a_link_gives(room: Room) -> None:
    room.add("living", a_pdf("first-text"))
    _, link = room.grant("living")
    assert "first-text" in text_of(fetched(room, link))
    assert room.add("living", a_pdf("second-text"))["version"] == 2
    got = fetched(room, link)
    assert "second-text" in text_of(got)
    assert "living-v2.pdf" in got.headers["content-disposition"]


def test_a_file_is_sealed_at_rest_small_or_large(room: Room, tmp_path: Path) -> None:
    canary = b"canary-of-the-room-"
    room.add("small", canary * 10, "text/plain", level="public")
    room.add("large", canary * 40_000, "text/plain", level="public")
    assert room.reader.get("/trust/documents/files/large").body == canary * 40_000
    with room.house.database.system() as tx:
        rows = tx.value("SELECT string_agg(f::text, '') FROM heldtrue.room_files f WHERE item IN ('small', 'large')")
        name = tx.value("SELECT body_object FROM heldtrue.room_files WHERE item = 'large'")
    assert canary.hex() not in rows
    assert canary not in b"".join(room.services.objects.read(name))


def test_the_sweep_leaves_objects_of_documents_alone(room: Room) -> None:
    from heldtrue.capabilities.intake.actions import sweep

    room.add("swept", b"x" * 400_000, "text/plain", level="public")
    sweep(room.house.database, room.services.objects, datetime.now(UTC) + timedelta(days=3))
    assert room.reader.get("/trust/documents/files/swept").body == b"x" * 400_000


# ---------------------------------------------------------------- requests and their clock


def test_a_request_is_due_at_the_end_of_the_next_business_day(room: Room) -> None:
    room.house.clock.at = datetime(2028, 7, 3, 14, tzinfo=UTC)  # a Monday; the fourth is a holiday of the country
    ask = room.ask("letter")
    shown = room.operator.get(f"/v1/requests/{ask}").json()
    assert shown["due_at"] == "2028-07-05T21:00:00.000Z"
    assert shown["overdue"] is False
    assert "5 July 2028, 21:00 UTC" in room.mails("room.received")[-1].text
    room.house.clock.at = datetime(2028, 7, 5, 21, 0, 0, 2000, tzinfo=UTC)
    assert room.operator.get(f"/v1/requests/{ask}").json()["overdue"] is True


def test_a_request_that_came_by_mail_has_its_clock_from_then(room: Room) -> None:
    came = room.house.clock.at - timedelta(days=6)
    asked = {"kind": "procurement", "mail": "p@example.com", "name": "P", "received_at": came.isoformat()}
    made = room.operator.post("/v1/requests", asked)
    assert (made.status, made.json()["overdue"]) == (201, True)
    later = {**asked, "received_at": (room.house.clock.at + timedelta(days=1)).isoformat()}
    assert room.operator.post("/v1/requests", later).status == 422


def test_a_question_is_answered_and_a_document_is_granted_or_refused_once(room: Room) -> None:
    question = room.ask("legal", text="Which law?")
    assert room.mails("room.waiting")[-1].to == COMPANY.legal_mail
    assert room.operator.post(f"/v1/requests/{question}/grant", {}).code == "request-kind"
    assert room.operator.post(f"/v1/requests/{question}/answer", {"text": "This one."}).json()["state"] == "answered"
    assert "This one." in room.mails("room.answered")[-1].text
    wanted = room.ask("letter")
    assert room.operator.post(f"/v1/requests/{wanted}/decline", {"reason": "Not yet."}).json()["state"] == "refused"
    assert "Not yet." in room.mails("room.refused")[-1].text
    assert room.operator.post(f"/v1/requests/{wanted}/answer", {"text": "x"}).code == "request-decided"
    stopped = room.operator.get(f"/v1/requests/{wanted}").json()["decided_at"]
    assert room.operator.post(f"/v1/requests/{wanted}/grant", {}).status == 200, "a refusal can be taken back"
    assert room.operator.get(f"/v1/requests/{wanted}").json()["decided_at"] == stopped
    assert room.operator.post(f"/v1/requests/{wanted}/grant", {}).code == "request-decided"
    assert room.operator.post(f"/v1/requests/{wanted}/decline", {"reason": "x"}).code == "request-decided"


def test_an_answer_given_elsewhere_sends_no_mail(room: Room) -> None:
    question = room.ask("procurement", text="How much?")
    before = len(room.mails())
    room.operator.post(f"/v1/requests/{question}/answer", {"text": "Told by telephone.", "elsewhere": True})
    assert len(room.mails()) == before


def test_a_click_through_document_is_granted_at_once_by_mail(room: Room) -> None:
    room.add("brochure", access="click-through")
    room.ask("brochure")
    mail = room.mails("room.granted")[-1]
    [link] = [line for line in mail.text.splitlines() if "/trust/documents/grants/" in line]
    assert (mail.to, fetched(room, link.removeprefix("https://trust.example.com")).status) == (READER["mail"], 200)


def test_strangers_are_bounded(room: Room) -> None:
    for _ in range(5):
        room.ask("letter", mail="often@example.com")
    sixth = room.send("/trust/documents/ask", about="letter", **{**READER, "mail": "Often@example.com"})
    assert sixth.status == 429
    room.house.clock.at += timedelta(days=1, minutes=1)
    room.ask("letter", mail="often@example.com")


BAD_FORMS = {
    "unknown document": ({"about": "nothing"}, 404),
    "public document": ({"about": "overview"}, 422),
    "no question": ({"about": "legal"}, 422),
    "no address": ({"about": "letter", "mail": "rae"}, 422),
    "another recipient": ({"about": "letter", "mail": "rae@example.com\r\nBcc: other@example.com"}, 422),
}


@pytest.mark.parametrize("case", BAD_FORMS)
def test_a_form_that_does_not_fit_is_answered_with_a_page(room: Room, case: str) -> None:
    more, status = BAD_FORMS[case]
    got = room.send("/trust/documents/ask", **{**READER, **more})
    assert (got.status, got.headers["content-type"]) == (status, "text/html; charset=utf-8")


def test_a_form_of_another_site_is_refused(room: Room) -> None:
    got = room.reader.call(
        "POST", "/trust/documents/ask", body=b"about=letter&name=R&mail=r@example.com",
        headers={"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "cross-site"},
    )  # fmt: skip
    assert got.code == "cross-site"


# ---------------------------------------------------------------- what is shown and what is kept


def test_the_page_and_its_json_say_what_there_is_and_nothing_of_readers(room: Room) -> None:
    room.grant("pentest")
    found = {one["id"]: one for one in room.reader.get("/trust/documents.json").json()["documents"]}
    assert (found["pentest"]["level"], found["overview"]["href"]) == ("nda", "/trust/documents/files/overview")
    page = room.reader.get("/trust/documents").body.decode()
    ask = room.reader.get("/trust/documents/ask?about=pentest").body.decode()
    for one in found.values():
        assert one["title"] in page
    assert '<option value="pentest" selected>' in ask
    assert "style=" not in page + ask
    assert READER["mail"] not in page + ask
    assert room.reader.get("/trust/documents/files/overview").body == b"For everybody."


def test_names_are_sealed_and_forgotten_a_year_after(room: Room) -> None:
    room.grant("soc-report", days=1)
    bound, agreed = room.grant("pentest", days=1)
    version = room.operator.get("/v1/registers/agreements-nda/standard").json()["version"]
    assert room.send(agreed, version=str(version), name="R", company="R", accept="yes").status == 200
    with room.house.database.system() as tx:
        for table in ("room_requests", "room_grants", "room_acceptances"):
            rows = tx.value(f"SELECT string_agg(r::text, '') FROM heldtrue.{table} r")  # type: ignore[arg-type]
            assert READER["mail"].encode().hex() not in rows
            assert READER["mail"] not in rows
        now = room.house.clock.now()
        keeping.forget(tx, now + timedelta(days=360))
    assert room.operator.get(f"/v1/grants/{bound}").json()["mail"] == READER["mail"]
    with room.house.database.system() as tx:
        assert keeping.forget(tx, room.house.clock.now() + timedelta(days=370)) >= 2
    assert room.operator.get(f"/v1/grants/{bound}").json()["mail"] == READER["mail"], "an agreement binds"
    free = room.operator.get("/v1/grants").json()["data"][1]
    assert (free["mail"], free["document"]) == (None, "soc-report")

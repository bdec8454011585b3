"""Bodies are shown to a virus scanner while they stream in: what it recognises, or cannot judge, is not stored."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clamd import MARK, STREAM_MAX, Clamd, running_clamd
from house import House
from payload_house import PayloadHouse, build_payload_house, found_house, multipart

from heldtrue.app.doctor_scanning import examine_scanning
from heldtrue.app.findings import Level
from heldtrue.app.settings_scanning import Scan
from heldtrue.capabilities.intake.scanning import Place, Scanner, ScannerAwayError
from heldtrue.db.tx import Database
from heldtrue.kernel.errors import SettingsError

BAD = b"first " + MARK + b" last"


@pytest.fixture(scope="module")
def clamd() -> Generator[Clamd]:
    with running_clamd() as one:
        yield one


@pytest.fixture(scope="module")
def plain(module_database: Database) -> Generator[House]:
    house = found_house(module_database)
    yield house
    house.app.close()


def scanned_house(plain: House, directory: Path, scanner: Scanner) -> PayloadHouse:
    return build_payload_house(plain, directory, scanner=scanner)


@pytest.fixture
def place(plain: House, tmp_path: Path, clamd: Clamd) -> Generator[PayloadHouse]:
    built = scanned_house(plain, tmp_path, Scanner(place=Place.parse(clamd.setting)))
    yield built
    built.close()


def nothing_stored(place: PayloadHouse) -> bool:
    return place.admin.get("/v1/payloads").json()["data"] == [] and place.stored_files() == []


def test_a_clean_body_is_accepted_and_says_so(place: PayloadHouse) -> None:
    sent = place.send(b"%PDF- nothing to see", "application/pdf")
    assert sent.status == 202, sent.body
    assert place.admin.get(f"/v1/payloads/{sent.json()['id']}").json()["scan"] == "clean"


@pytest.mark.parametrize("padding", [0, 1_500_000], ids=["small", "spilled-to-the-store"])
def test_malware_is_refused_in_clear_words_audited_and_nothing_is_stored(place: PayloadHouse, padding: int) -> None:
    refused = place.send([b"x" * padding, BAD[:12], BAD[12:]], "application/octet-stream")
    assert (refused.status, refused.code) == (422, "infected")
    assert "Heldtrue.Test.Mark" in refused.json()["detail"]
    assert nothing_stored(place)
    [entry] = [e for e in events(place) if e["event"] == "request.refused"]
    assert entry["detail"]["code"] == "infected"


def events(place: PayloadHouse) -> list[dict[str, Any]]:
    return place.house.entries(place.admin)


def test_every_part_of_a_multipart_body_is_scanned_by_itself(place: PayloadHouse) -> None:
    parts = [({"content-disposition": 'form-data; name="payload"'}, b"fine")]
    good, content_type = multipart(*parts, ({"content-disposition": 'form-data; name="a"; filename="a.bin"'}, b"fine"))
    bad, _ = multipart(*parts, ({"content-disposition": 'form-data; name="a"; filename="a.bin"'}, BAD))
    sent = place.send(good, content_type)
    assert place.admin.get(f"/v1/payloads/{sent.json()['id']}").json()["scan"] == "clean"
    assert place.send(bad, content_type).code == "infected"


def test_a_payload_tells_of_an_attachment_that_could_not_be_judged(plain: House, tmp_path: Path, clamd: Clamd) -> None:
    place = scanned_house(plain, tmp_path, Scanner(place=Place.parse(clamd.setting), when_away="flag"))
    long = ({"content-disposition": 'form-data; name="a"; filename="a.bin"'}, b"y" * (STREAM_MAX + 500_000))
    sent = place.send(*multipart(({"content-disposition": 'form-data; name="payload"'}, b"fine"), long))
    assert sent.status == 202, sent.body
    assert place.admin.get(f"/v1/payloads/{sent.json()['id']}").json()["scan"] == "unavailable"
    place.close()


def test_a_mails_attachment_is_decoded_by_the_scanner(place: PayloadHouse) -> None:
    mail = (
        b"Received: from a.example by b.example; Mon, 02 Nov 2026 09:00:00 +0000\r\nFrom: a@shop.example\r\n"
        b"Date: Mon, 02 Nov 2026 09:00:00 +0000\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: application/octet-stream; name=a.bin\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(BAD).replace(b"\n", b"\r\n") + b"--b--\r\n"
    )
    assert place.send(mail, "message/rfc822").code == "infected"


def test_a_stream_longer_than_the_scanner_takes_is_not_clean(place: PayloadHouse) -> None:
    refused = place.send(b"y" * (STREAM_MAX + 500_000), "application/octet-stream")
    assert (refused.status, refused.code) == (503, "scanner-away")
    assert nothing_stored(place)


def test_the_doctor_says_whether_the_scanner_answers(clamd: Clamd, tmp_path: Path) -> None:
    [well] = examine_scanning(Scan(clamd=clamd.setting))
    [ill] = examine_scanning(Scan(clamd=f"unix:{tmp_path}/nobody"))
    assert (well.level, ill.level) == (Level.OK, Level.WRONG)
    assert "no body is accepted" in ill.found
    assert list(examine_scanning(Scan())) == []


@pytest.mark.parametrize(
    "setting", ["/run/clamd", "tcp:192.0.2.1:3310", "tcp:localhost:3310", "tcp:127.0.0.1", "unix:c"]
)
def test_bodies_go_to_a_scanner_on_this_machine_only(setting: str) -> None:
    with pytest.raises(SettingsError, match=r"scan\.clamd"):
        Scan(clamd=setting)


def test_without_a_scanner_that_answers_nothing_is_accepted(plain: House, tmp_path: Path) -> None:
    away = Scanner(place=Place.parse(f"unix:{tmp_path}/nobody"))
    place = scanned_house(plain, tmp_path, away)
    refused = place.send(b"fine", "text/plain")
    assert (refused.status, refused.code) == (503, "scanner-away")
    assert nothing_stored(place)
    place.close()


def test_an_operator_may_flag_instead_and_the_flag_stays_with_the_payload(plain: House, tmp_path: Path) -> None:
    away = Scanner(place=Place.parse(f"unix:{tmp_path}/nobody"), when_away="flag")
    place = scanned_house(plain, tmp_path, away)
    sent = place.send(b"fine", "text/plain")
    assert sent.status == 202
    assert place.admin.get(f"/v1/payloads/{sent.json()['id']}").json()["scan"] == "unavailable"
    assert {"size": 4, "scan": "unavailable"} in [entry["detail"] for entry in events(place)]
    place.close()


@pytest.mark.parametrize("answer", [b"", b"stream: OK", b"stream: FOUND OK\0", b"OK\0", b"x" * 5000 + b"\0", None])
def test_only_a_whole_ok_is_clean(tmp_path: Path, answer: bytes | None) -> None:
    """A daemon that hangs up, cuts its answer, says something else, or says nothing at all."""

    async def run() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.readexactly(1) != b"!":
                pass
            if answer is not None:
                writer.write(answer)
                writer.close()
                return
            await reader.read()
            writer.close()

        server = await asyncio.start_unix_server(serve, tmp_path / "s")
        async with server:
            scanner = Scanner(place=Place(path=str(tmp_path / "s")), step_seconds=5, answer_seconds=0.2)
            if answer is not None:
                scanner = replace(scanner, answer_seconds=30)
            assert await shown(replace(scanner, when_away="flag")) == "unavailable"
            with pytest.raises(ScannerAwayError):
                await shown(scanner)

    async def shown(scanner: Scanner) -> str:
        scan = await scanner.begin()
        await scan.feed(b"hello!")
        return await scan.finish()

    asyncio.run(run())

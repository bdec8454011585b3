"""Mail goes by the virus scanner as everything does; what it finds, and its absence, are replies."""

from __future__ import annotations

from pathlib import Path

from clamd import MARK, running_clamd
from dns_server import Names
from mail_house import open_post, taken
from payload_house import found_house

from heldtrue.capabilities.intake.scanning import Place, Scanner
from heldtrue.db.tx import Database


def test_a_virus_is_refused_for_good_and_clean_mail_is_marked_so(
    module_database: Database, names: Names, tmp_path: Path
) -> None:
    plain = found_house(module_database)
    with running_clamd() as clamd:
        scanner = Scanner(place=Place.parse(clamd.setting))
        with open_post(plain, tmp_path, names, scanner=scanner) as post, post.peer() as peer:
            peer.starttls()
            box = post.address()
            assert peer.message(b"Subject: bad\r\n\r\n" + MARK + b"\r\n", box).startswith("554 5.7.1 ")
            assert post.payloads() == []
            payload = taken(peer.message(b"Subject: good\r\n\r\nhello\r\n", box))
            assert post.meta(payload).scan == "clean"
            clamd.stop()
            assert peer.message(b"Subject: later\r\n\r\nhello\r\n", box).startswith("451 ")
            assert [one["id"] for one in post.payloads()] == [payload]
    plain.app.close()

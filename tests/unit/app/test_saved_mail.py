"""A saved mail as a request: its author and words, and the moment that our own server wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from heldtrue.app.cli.saved_mail import LONGEST, UnreadableMailError, read_mail

OURS = (
    "Received: from b.example (b.example [192.0.2.1])\r\n\tby mx.example.com with ESMTPS;\r\n"
    "\tFri, 20 Nov 2026 09:30:00 +0100\r\n"
)
THEIRS = "Received: from c.example by b.example; Thu, 1 Jan 2026 00:00:00 +0000\r\n"
FROM = 'From: "Rae Reader" <rae@example.com>\r\n'


def saved(directory: Path, text: str) -> Path:
    file = directory / "question.eml"
    file.write_bytes(text.encode("latin-1"))
    return file


def test_a_mail_says_who_asked_in_which_words_and_when_it_came(tmp_path: Path) -> None:
    body = (
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Mon, 2 Mar 2026 00:00:00 +0000\r\n"
        'Content-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\nTWF5IHdlPw==\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>No.</p>\r\n"
        "--b--\r\n"
    )
    found = read_mail(saved(tmp_path, OURS + THEIRS + FROM + body))
    assert (found.mail, found.name) == ("rae@example.com", "Rae Reader")
    assert found.text == "Grüße\n\nMay we?"
    assert found.received == datetime(2026, 11, 20, 8, 30, tzinfo=UTC)


def test_the_authors_own_date_is_not_believed(tmp_path: Path) -> None:
    found = read_mail(saved(tmp_path, f"{FROM}Date: Mon, 2 Mar 2026 00:00:00 +0000\r\n\r\nx\r\n"))
    assert (found.received, found.text) == (None, "x")


def test_what_is_long_is_cut_and_says_so(tmp_path: Path) -> None:
    found = read_mail(saved(tmp_path, f"{FROM}\r\n{'x' * 5000}\r\n"))
    assert len(found.text) == LONGEST
    assert found.text.endswith("[cut: the rest is in the mail]")


@pytest.mark.parametrize(
    "text",
    ["", "Subject: x\r\n\r\nx", f"{FROM}From: other@example.com\r\n\r\nx", "From: nobody\x00\r\n\r\nx",
     f"{FROM}Content-Type: text/plain; charset=nothing\r\n\r\nx", f"{FROM}Received: by x; at noon\r\n\r\nx"],
    ids=["empty", "no author", "two authors", "no address", "unknown letters", "no moment"],
)  # fmt: skip
def test_what_is_no_mail_of_one_author_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UnreadableMailError):
        read_mail(saved(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableMailError, match="cannot be read"):
        read_mail(tmp_path / "none.eml")

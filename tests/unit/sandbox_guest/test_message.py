"""Whatever comes, a transform sees one shape; what was odd about it is a word in `problems`."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from heldtrue.sandbox.guest import schema
from heldtrue.sandbox.guest.charsets import charset, words
from heldtrue.sandbox.guest.kinds import MAX_NAME, clean_name, kind_of
from heldtrue.sandbox.guest.message import NoSuchAttachmentError, attachment_bytes, message_of
from heldtrue.sandbox.guest.prescan import MIME_FIELDS, SINGLE

META = {"id": "pay_1", "source": "http", "received_at": "2026-11-02T09:30:00.250Z"}
VALID = Draft202012Validator(schema.SCHEMA)


def shape_of(raw: bytes, content_type: str, *attachments: tuple[str | None, str, bytes]) -> dict[str, Any]:
    shape = message_of(raw, content_type, META, attachments)
    VALID.validate(shape)
    json.dumps(shape, ensure_ascii=False, allow_nan=False).encode()
    return shape


def mail(*lines: str | bytes, end: bytes = b"\r\n") -> dict[str, Any]:
    raw = end.join(line if isinstance(line, bytes) else line.encode() for line in lines)
    return shape_of(raw, "message/rfc822")


# ---------------------------------------------------------------- what is not mail


def test_json_is_a_value_and_its_bytes_stay() -> None:
    raw = b'{ "total": 12, "text": "\\u20ac" }'
    shape = shape_of(raw, "application/vnd.books+json; charset=utf-8")
    assert shape["json"] == {"total": 12, "text": "€"}
    assert (shape["text"], shape["mail"], shape["attachments"], shape["problems"]) == (None, None, [], [])
    assert (shape["size"], shape["sha256"]) == (len(raw), hashlib.sha256(raw).hexdigest())
    assert attachment_bytes("raw") == raw


@pytest.mark.parametrize(
    ("raw", "word"),
    [(b"{", "json-malformed"), (b"[NaN]", "json-malformed"), (b'"\\ud800"', "json-malformed"),
     (b"\xff", "json-malformed"),
     (b"[" * 200 + b"]" * 200, "json-depth"), (b"[" * 2_000_000, "json-depth"), (b"9" * 5000, "json-malformed")],
    ids=["cut", "nan", "surrogate", "bytes", "deep", "deepest", "digits"],
)  # fmt: skip
def test_json_that_is_none_is_a_file(raw: bytes, word: str) -> None:
    shape = shape_of(raw, "application/json")
    assert (shape["json"], shape["problems"]) == (None, [word])
    assert [one["ref"] for one in shape["attachments"]] == ["body"]


def test_a_member_twice_is_named() -> None:
    assert shape_of(b'{"a":1,"a":2}', "application/json")["problems"] == ["duplicate-member"]


def test_a_form_keeps_its_fields_in_order_and_repeated() -> None:
    shape = shape_of(b"a=1&b=%C3%A9+x&a=&c&=d", "application/x-www-form-urlencoded")
    assert shape["form"] == [["a", "1"], ["b", "é x"], ["a", ""], ["c", ""], ["", "d"]]
    many = shape_of(b"a=1&" * 100_000, "application/x-www-form-urlencoded")
    assert (len(many["form"]), many["problems"]) == (1000, ["form-size"])


def test_text_is_text_in_its_charset() -> None:
    assert shape_of("naïve\r\n".encode("cp1252"), "text/plain; charset=windows-1252")["text"] == "naïve"
    html = shape_of(b"<p>x", "text/html")
    assert (html["html"], html["text"]) == ("<p>x", None)
    unknown = shape_of("é".encode(), "text/plain; charset=klingon")
    assert (unknown["text"], unknown["problems"]) == ("é", ["unknown-charset"])
    assert shape_of(b"PK\x03\x04", "text/plain")["problems"] == ["not-text"]


def test_a_binary_is_the_attachment_body() -> None:
    shape = shape_of(b"%PDF-1.7", "application/octet-stream")
    [body] = shape["attachments"]
    assert (body["ref"], body["declared_type"], body["type"]) == ("body", "application/octet-stream", "application/pdf")
    assert shape["type"] == "application/pdf"


def test_the_parts_of_a_multipart_request_are_attachments() -> None:
    shape = shape_of(b'{"a":1}', "application/json", ("../scan.pdf", "application/pdf", b"%PDF-1"), (None, "a/b", b"x"))
    assert [(one["ref"], one["name"], one["type"]) for one in shape["attachments"]] == [
        ("a1", "scan.pdf", "application/pdf"), ("a2", None, "text/plain"),
    ]  # fmt: skip
    assert shape["problems"] == ["name-changed"]
    assert attachment_bytes("a1") == b"%PDF-1"


def test_a_reference_of_an_earlier_message_is_gone() -> None:
    shape_of(b"{}", "application/json", ("a", "a/b", b"x"))
    shape_of(b"{}", "application/json")
    with pytest.raises(NoSuchAttachmentError, match="there are: raw"):
        attachment_bytes("a1")


def test_what_was_not_scanned_says_so() -> None:
    assert message_of(b"{}", "application/json", {**META, "scan": "unavailable"})["problems"] == ["not-scanned"]


# ---------------------------------------------------------------- mail


def test_a_mail_is_read_in_full() -> None:
    shape = mail(
        "From: =?utf-8?q?J=C3=A9r=C3=B4me?= <j@shop.example>", "To: a@x.example, \"B, C\" <b@x.example>",
        "Cc: team: c@x.example;",
        "Subject: =?utf-8?b?w6k=?= =?utf-8?b?w6k=?= plain", "Date: Mon, 02 Nov 2026 10:00:00 +0100",
        "Message-ID: <1@shop.example>", "MIME-Version: 1.0", 'Content-Type: multipart/related; boundary="b"', "", "--b",
        'Content-Type: multipart/alternative; boundary="c"', "", "--c", "Content-Type: text/plain; charset=iso-8859-1",
        "Content-Transfer-Encoding: quoted-printable", "", "na=EFve", "--c",
        "Content-Type: text/html; charset=utf-8", "",
        "<p>na\u00efve <img src='cid:logo'></p>", "--c--", "--b", "Content-Type: image/png; name=logo.png",
        "Content-ID: <logo>", "Content-Disposition: inline",
        "Content-Transfer-Encoding: base64", "", "iVBORw0KGgo=", "--b--",
    )  # fmt: skip
    assert shape["problems"] == []
    got = shape["mail"]
    assert got["from"] == {"name": "Jérôme", "address": "j@shop.example"}
    assert [one["address"] for one in got["to"]] == ["a@x.example", "b@x.example"]
    assert [one["address"] for one in got["cc"]] == ["c@x.example"]
    assert (got["subject"], got["date"], got["message_id"]) == ("éé plain", "2026-11-02T09:00:00Z", "<1@shop.example>")
    assert got["headers"][3] == ["Subject", "éé plain"]
    assert (shape["text"], shape["html"]) == ("naïve", "<p>naïve <img src='cid:logo'></p>")
    [logo] = shape["attachments"]
    assert (logo["name"], logo["type"], logo["inline"], logo["cid"]) == ("logo.png", "image/png", True, "logo")
    assert attachment_bytes("a1") == b"\x89PNG\r\n\x1a\n"


OOXML = "application/vnd.openxmlformats-officedocument"
HEAD = ("From: a@b.example", "Subject: x")
ODD: dict[str, tuple[tuple[str | bytes, ...], set[str]]] = {
    "two-froms": (("From: a@b.example", "From: c@d.example", "", "x"), {"duplicate-from"}),
    "two-senders-in-one": (("From: a@b.example, c@d.example", "", "x"), {"several-from"}),
    "no-from": (("Subject: x", "", "x"), {"no-from"}),
    "two-subjects": ((*HEAD, "subject: y", "", "x"), {"duplicate-subject"}),
    "two-content-types": (
        (*HEAD, "Content-Type: text/plain", "Content-Type: text/html", "", "x"), {"duplicate-content-type"}),
    "nul": ((*HEAD, "", b"a\0b"), {"nul"}),
    "raw-utf-8": ((*HEAD, "", "naïve"), {"lenient"}),
    "raw-bytes": ((*HEAD, "", b"na\x81\xefve"), {"bad-encoding", "lenient"}),
    "raw-header": (("From: a@b.example", b"Subject: \xe9", "", "x"), {"bad-encoding"}),
    "unknown-charset": ((*HEAD, "Content-Type: text/plain; charset=klingon", "", "é"), {"unknown-charset", "lenient"}),
    "slow-charset": ((*HEAD, "Content-Type: text/plain; charset=punycode", "", "x"), {"unknown-charset", "lenient"}),
    "broken-base64": ((*HEAD, "Content-Transfer-Encoding: base64", "", "!!!AAAA==x"), {"bad-encoding", "lenient"}),
    "no-boundary": ((*HEAD, "Content-Type: multipart/mixed", "", "--b", "", "x"), {"malformed-mime", "lenient"}),
    "other-boundary": (
        (*HEAD, "Content-Type: multipart/mixed; boundary=a", "", "--b", "", "x"), {"malformed-mime", "lenient"}),
    "no-colon": (("From: a@b.example", "nonsense", "", "x"), {"malformed-header"}),
    "bad-date": ((*HEAD, "Date: yesterday", "", "x"), {"date-malformed"}),
    "bad-address": (("From: nobody at all", "", "x"), {"address-malformed", "no-from"}),
    "bad-word": (("From: a@b.example", "Subject: =?utf-8?b?*?=", "", "x"), {"bad-encoding"}),
    "program": ((*HEAD, "Content-Type: image/png", "Content-Disposition: attachment", "", "#!/bin/sh"), {"executable"}),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ODD))
def test_an_odd_mail_is_read_and_its_oddity_named(name: str) -> None:
    lines, expected = ODD[name]
    assert set(mail(*lines)["problems"]) == expected


def test_text_without_a_charset_is_read_as_utf_8_and_else_as_windows_1252() -> None:
    assert mail(*HEAD, "", "naïve – done")["text"] == "naïve – done"
    assert mail(*HEAD, "", "naïve – done".encode("cp1252"))["text"] == "naïve – done"


def test_line_ends_are_judged() -> None:
    lines = ("From: a@b.example", "Subject: x", "", "one", "two")
    assert mail(*lines, end=b"\n")["problems"] == []
    mixed = shape_of(b"From: a@b.example\r\nSubject: x\n\r\none\ntwo\rthree", "message/rfc822")
    assert mixed["problems"] == ["bare-cr", "mixed-line-endings"]
    assert (mixed["mail"]["subject"], mixed["text"]) == ("x", "one\ntwo\nthree")


def test_what_the_fast_parser_refuses_is_still_read() -> None:
    shape = mail(*HEAD, "Content-Type: multipart/mixed; boundary=b", "", "--b", "", "hello", "--b",
                 'Content-Type: application/pdf; name="a.pdf"', "Content-Transfer-Encoding: base64", "",
                 "JVBERi0xLjc=\x00!!", "--b--")  # fmt: skip
    assert "lenient" in shape["problems"]
    assert shape["text"] == "hello"
    assert shape["attachments"][0]["type"] == "application/pdf"


def test_every_word_that_the_code_says_is_in_the_schema() -> None:
    sources = "".join(path.read_text() for path in schema.PATH.parent.glob("*.py") if "invoice" not in path.name)
    said = set(re.findall(r'(?:problems\.add\(|yield )"([a-z-]+)"', sources))
    said |= {f"duplicate-{name}" for name in (*SINGLE, *MIME_FIELDS)}
    listed = set(schema.SCHEMA["$defs"]["problem"]["enum"])
    assert said <= listed
    assert {word for word in listed - said if f'"{word}"' not in sources} == set()


# ---------------------------------------------------------------- names, kinds, words


@pytest.mark.parametrize(
    ("given", "name"),
    [("../../etc/passwd", "passwd"), ("..\\..\\boot.ini", "boot.ini"), ("C:\\x\\a.pdf", "a.pdf"), ("C:a.pdf", "a.pdf"),
     ("/", None), ("..", None), (". .", None), ("a\r\nb.txt", "a b.txt"), ("a\0b.txt", "ab.txt"),
     ("inv\u202egpj.exe", "invgpj.exe"),
     ("e\u0301.pdf", "é.pdf"), ("a<b>|c?.pdf", "a_b__c_.pdf"),
     ("x" * 500 + ".pdf", "x" * (MAX_NAME - 4) + ".pdf"), ("", None)],
)  # fmt: skip
def test_a_name_carries_no_path_and_nothing_unseen(given: str, name: str | None) -> None:
    assert clean_name(given) == name


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"\xef\xbb\xbf  <?xml version='1.0'?><a/>", "application/xml"), (b"<Invoice xmlns='x'>", "application/xml"),
     ("\ufeff<?xml?>".encode("utf-16"), "text/plain"), ("<?xml version='1.0'?>".encode("utf-16"), "application/xml"),
     (b"<!DOCTYPE html><p>", "text/html"), (b'{"a":', "application/json"), (b"[1,2]", "application/json"),
     (b"a;b\n1;2\n3;4\n", "text/csv"), (b"Dear all,\nhello\n", "text/plain"),
     (b"From: a\nTo: b\n\nx", "message/rfc822"),
     (b"PK\x03\x04....[Content_Types].xml...xl/workbook.xml", f"{OOXML}.spreadsheetml.sheet"),
     (b"PK\x03\x04" + b"." * 26 + b"mimetypeapplication/vnd.oasis.opendocument.textPK",
      "application/vnd.oasis.opendocument.text"),
     (b"PK\x03\x04x", "application/zip"), (b"MZ" + b"\x90" * 100, "application/x-dosexec"),
     (b"\x7fELF", "application/x-elf"),
     (b"\x1f\x8b", "application/gzip"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
     (b"junk\n%PDF-1.4", "application/pdf"), (b"\0\1\2", "application/octet-stream"), (b"", "application/x-empty")],
)  # fmt: skip
def test_a_kind_is_told_by_the_bytes(data: bytes, kind: str) -> None:
    assert kind_of(data) == kind


def test_codecs_that_are_no_charsets_are_refused() -> None:
    assert [charset(name) for name in ("zip", "rot13", "punycode", "idna", "unicode_escape", "utf-7", "../x")] == [
        None
    ] * 7
    assert charset("latin1") == "cp1252"  # as every mail program reads it (WHATWG Encoding)


# ---------------------------------------------------------------- for all inputs


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["message/rfc822", "application/json", "text/plain", "a/b", "junk",
       "application/x-www-form-urlencoded", "text/html; charset=utf-16"]))  # fmt: skip
def test_any_bytes_have_a_valid_shape(raw: bytes, content_type: str) -> None:
    shape_of(raw, content_type)


_LINES = st.sampled_from(
    [b"From: a@b.example", b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: message/rfc822", b"--b",
     b"--b--", b"",
     b" folded", b"Content-Transfer-Encoding: base64", b"JVBERi0=",
     b"Content-Disposition: attachment; filename*=utf-8''%2e%2e%2fx",
     b"Content-Type: text/plain; charset=utf-16", b"Subject: =?x?q?=", b"\xff\x00", b"Content-Type: text/html"]
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.lists(_LINES, max_size=30), st.sampled_from([b"\r\n", b"\n", b"\r"]))
def test_any_mail_made_of_mail_has_a_valid_shape(lines: list[bytes], end: bytes) -> None:
    shape_of(end.join(lines), "message/rfc822")


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("ab é€=?_\u05d0🙂-\t"), max_size=60))
def test_words_come_back_as_they_were_encoded(text: str) -> None:
    from email.header import Header

    text = "".join(c for c in text if c.isprintable() and c != "\ufeff").strip()
    encoded = Header(text, "utf-8").encode() if text else ""
    assert words(encoded.replace("\n ", " "), set()) == text


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("ab./\\:\0\r\n\t\u202e\u0301é<|?* \ud800\u2028"), max_size=200))
def test_any_cleaned_name_is_safe_and_stays_so(text: str) -> None:
    name = clean_name(text)
    if name is not None:
        assert 0 < len(name) <= MAX_NAME
        assert not set(name) & set('/\\\0\r\n<>:"|?*')
        assert name not in {".", ".."}
        assert clean_name(name) == name

"""What may be in a mail, how it is written, and when it is tried again."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta

import pytest
from house import seeded

from heldtrue.capabilities.post import model
from heldtrue.capabilities.post.compose import compose
from heldtrue.capabilities.post.model import DELAYS, Draft, MailAddressError, MailTextError
from heldtrue.kernel.ids import MailId

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MAIL = MailId.new(NOON, seeded("mail"))
GOOD = ["a@example.com", "first.last+tag@mail.example.com", "o'neil@example.com", "a@xn--bcher-kva.example"]
BAD = [
    "", "a", "@example.com", "a@b", "a b@example.com", "a@example.com\r\nBcc: b@example.com", "a@example.com\n",
    "<a@example.com>", "a@exa_mple.com", "é@example.com", "a@example.com,b@example.com", "a..b@example.com",
    '"a"@example.com', f"{'a' * 65}@example.com", "a@-example.com", "a@example.com ", "a@example..com",
    "a@b@example.com",
]  # fmt: skip
SUBJECTS = ["", " ", "x\r\nBcc: b@example.com", "x\ny", "x\x00", "x\u2028y", "\u202egnp.exe", "x" * 251]
LINKS = [
    "http://example.com/u",
    "https://",
    "https://u:p@example.com/",
    "https://example.com/ u",
    "https://example.com/>",
]


def draft(**more: str) -> Draft:
    given = {"to": "a@example.com", "subject": "Hello", "text": "Hello.", **more}
    return model.draft(html=given.pop("html", None), unsubscribe=given.pop("unsubscribe", None), **given)


def read(message: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(message, policy=email.policy.SMTP)  # type: ignore[return-value]


def composed(found: Draft, name: str = "Example Trust") -> bytes:
    return compose(MAIL, found, "trust@example.com", name, "legal@example.com", NOON)


@pytest.mark.parametrize("address", GOOD)
def test_an_address_is_taken(address: str) -> None:
    assert model.check_address(address) == address


@pytest.mark.parametrize("address", BAD, ids=range(len(BAD)))
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(MailAddressError):
        model.check_address(address)


@pytest.mark.parametrize("subject", SUBJECTS, ids=range(len(SUBJECTS)))
def test_a_subject_is_one_printable_line(subject: str) -> None:
    with pytest.raises(MailTextError):
        draft(subject=subject)


@pytest.mark.parametrize("link", LINKS, ids=range(len(LINKS)))
def test_a_place_to_unsubscribe_is_an_https_url(link: str) -> None:
    with pytest.raises(MailTextError):
        draft(unsubscribe=link)


def test_no_header_can_be_added_even_past_the_checks() -> None:
    with pytest.raises(ValueError, match=r"linefeed|newline|CR or LF|header"):
        composed(Draft(to="a@example.com", subject="x\r\nBcc: b@example.com", text=""))


def test_the_same_mail_is_the_same_bytes() -> None:
    found = draft(
        subject="Zoë’s request", text="One\r\n.\nTwo", html="<p>One</p>", unsubscribe="https://example.com/u?t=1"
    )
    assert composed(found) == composed(found)
    message = read(composed(found))
    assert message["Subject"] == "Zoë’s request"
    assert message["Message-ID"] == f"<{MAIL.value.hex}@example.com>"
    assert message["Reply-To"] == "legal@example.com"
    assert message["List-Unsubscribe"] == "<https://example.com/u?t=1>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    plain, html = message.iter_parts()  # type: ignore[misc]
    assert plain.get_content().splitlines() == ["One", ".", "Two"]
    assert html.get_content().splitlines() == ["<p>One</p>"]


def test_a_long_link_stays_whole() -> None:
    link = f"https://example.com/unsubscribe/{'t' * 700}"
    assert f"List-Unsubscribe: <{link}>\r\n".encode() in composed(draft(unsubscribe=link))


def test_a_message_is_ascii_with_short_lines() -> None:
    written = composed(draft(text="ü" * 5000), name="Übung, GmbH")
    assert written.isascii()
    assert max(len(line) for line in written.split(b"\r\n")) < 998
    assert read(written).get_content().strip() == "ü" * 5000
    assert read(written)["From"].addresses[0].display_name == "Übung, GmbH"


def test_a_mail_is_tried_for_about_four_days() -> None:
    entropy = seeded("tries")
    waits = [model.next_try(tries, NOON, entropy) for tries in range(1, len(DELAYS))]
    for delay, due in zip(DELAYS[1:], waits, strict=True):
        assert due is not None
        assert delay <= due - NOON <= delay * 1.1
    assert model.next_try(len(DELAYS), NOON, entropy) is None
    assert timedelta(days=3) < sum(DELAYS, timedelta()) < timedelta(days=5)

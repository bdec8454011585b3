"""Another's page is fetched over TLS that can be verified, from addresses that may be entered, and only so far."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from receiver import Receiver, answers

from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.trust.lint.fetching import LARGEST, Fetcher, UnreadablePageError

LOOPBACK = AllowList.parse(["127.0.0.0/8"])


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Generator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("receiver")) as made:
        made.behave = {
            "/page": answers(200, "<p>Encrypted.</p>"),
            "/moved": answers(302, Location="/page"),
            "/round": answers(302, Location="/round"),
            "/inward": answers(302, Location="https://169.254.169.254/latest"),
            "/clear": answers(302, Location="http://127.0.0.1/page"),
            "/long": answers(200, "x" * (LARGEST + 1)),
            "/gone": answers(404),
        }
        yield made


def test_a_page_is_read_and_redirects_are_followed(receiver: Receiver) -> None:
    fetcher = Fetcher(allow=LOOPBACK, ca_file=receiver.ca_file)
    assert fetcher.get(receiver.url("/page")) == ("<p>Encrypted.</p>", "text/plain")
    assert fetcher.get(receiver.url("/moved"))[0] == "<p>Encrypted.</p>"


def test_a_certificate_of_an_unknown_authority_is_refused_and_nothing_is_asked(receiver: Receiver) -> None:
    before = len(receiver.received)
    with pytest.raises(UnreadablePageError, match="TLS failed"):
        Fetcher(allow=LOOPBACK).get(receiver.url("/page"))
    assert len(receiver.received) == before


def test_an_inner_address_is_not_entered_unless_it_is_allowed(receiver: Receiver) -> None:
    before = len(receiver.received)
    with pytest.raises(UnreadablePageError, match="refused"):
        Fetcher(ca_file=receiver.ca_file).get(receiver.url("/page"))
    assert len(receiver.received) == before


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/round", "redirects too often"), ("/inward", "is refused"), ("/clear", "is not an https URL"),
        ("/long", "is over"), ("/gone", "answered 404"),
    ],
)  # fmt: skip
def test_what_leads_elsewhere_or_never_ends_is_refused(receiver: Receiver, path: str, why: str) -> None:
    with pytest.raises(UnreadablePageError, match=why):
        Fetcher(allow=LOOPBACK, ca_file=receiver.ca_file).get(receiver.url(path))

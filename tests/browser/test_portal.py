"""The customers' page in a real browser, against the real API."""

from __future__ import annotations

import os
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.browser.portal_site import PERMISSIONS, PortalSite, open_portal
from tests.browser.test_pages import DESKTOP, PHONE, browser, look

from heldtrue.db.roles import at_database

pytestmark = pytest.mark.browser
__all__ = ["browser"]
BRIGHT, DARK = {"scheme": "light", **DESKTOP}, {"scheme": "dark", **PHONE}
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
TEXT = "document.getElementById('main').innerText"
READY = {"wait": "#main:not([aria-busy]) h1"}
SHOTS = os.environ.get("SHOTS")
"""A folder for pictures of every place, for people to look at."""


@pytest.fixture(scope="module")
def portal(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[PortalSite]:
    name = server.create()
    try:
        with open_portal(at_database(server.roles, name), tmp_path_factory.mktemp("portal")) as site:
            yield site
    finally:
        server.drop(name)


def places(portal: PortalSite) -> dict[str, list[dict[str, Any]]]:
    """Return the steps that lead to each place, until all of it is there."""
    drawn = {"wait": ".endpoints li:last-child .lately:not([aria-busy])"}
    filled = {"wait": ".tries details[open] pre.body:not(:text-is('…'))"}
    return {
        "overview": [{"wait": "table.deliveries"}, drawn],
        "endpoint": [READY, {"goto": f"#/endpoints/{portal.flaky}", "wait": ".plot svg text.p95"}],
        "delivery": [READY, {"goto": f"#/deliveries/{portal.failing}"}, filled],
    }


def shot(name: str) -> dict[str, str]:
    return {"out": str(Path(SHOTS) / f"{name}.png")} if SHOTS else {}


def test_everybody_can_read_every_place(browser: str, portal: PortalSite) -> None:
    jobs = [
        {"url": portal.link(portal.busy), "now": portal.now, "axe": True, "steps": [*steps, {"eval": WIDE, **shot(f"{view['scheme']}-{name}")}], **view}
        for name, steps in places(portal).items()
        for view in (BRIGHT, DARK)
    ]  # fmt: skip
    for seen in look(browser, jobs):
        assert seen["violations"] == [], seen["violations"]
        assert seen["passes"] > 20
        assert seen["told"] == [0], "it scrolls sideways"


def test_the_token_is_seen_by_nobody(browser: str, portal: PortalSite) -> None:
    link = portal.link(portal.busy)
    token = link.partition("=")[2]
    everywhere = f"[location.href, document.documentElement.outerHTML, document.cookie, JSON.stringify(localStorage)].join().includes('{token}')"
    asked = f"performance.getEntriesByType('resource').some(one => one.name.includes('{token}'))"
    steps = [*places(portal)["overview"], {"eval": "location.hash"}, {"eval": everywhere}, {"eval": asked}, {"eval": "history.length"}]
    (seen,) = look(browser, [{"url": link, "now": portal.now, "steps": steps, **BRIGHT}])
    assert seen["told"] == ["#/", False, False, 2]
    assert (seen["foreign"], seen["failed"], seen["messages"]) == ([], [], [])


def test_a_session_that_is_no_good_says_so(browser: str, portal: PortalSite) -> None:
    other = portal.token(portal.fresh)
    ended = {
        "none": f"{portal.url}/portal",
        "expired": f"{portal.url}/portal#token={portal.token(portal.fresh, ttl=1)}",
        "foreign": f"{portal.url}/portal#token={other[:-8]}AAAAAAAA",
        "not even a token": f"{portal.url}/portal#token=abc",
        "revoked": portal.link(portal.fresh),
    }
    portal.fresh.delete("/v1/sessions")
    portal.whole.house.clock.at += timedelta(seconds=2)
    jobs = [{"url": url, "now": portal.now, "steps": [{"wait": ".empty h1", "eval": TEXT}, {"eval": "sessionStorage.length", **shot(f"ended-{name}")}], **BRIGHT}
            for name, url in ended.items()]  # fmt: skip
    told = [seen["told"] for seen in look(browser, jobs)]
    said = ["opened by a link", "session is over", "not for this place", "not for this place", "session was ended"]
    for (text, kept), expected in zip(told, said, strict=True):
        assert expected in text
        assert kept == 0


def test_without_a_script_it_says_what_is_needed(browser: str, portal: PortalSite) -> None:
    job = {"url": f"{portal.url}/portal", "scripts": False, **BRIGHT}
    (seen,) = look(browser, [{**job, "steps": [{"wait": "noscript h1:has-text('needs a script')"}, {"wait": "noscript a[href='/docs']"}]}])
    assert seen["status"] == 200


def test_an_endpoint_is_added_tested_rolled_disabled_enabled_and_deleted(browser: str, portal: PortalSite) -> None:
    admin = portal.whole.house.organisation("Acts")
    address = portal.receiver.url("/acts")
    secret = "document.querySelector('dialog .secret code').textContent"
    steps = [
        {"wait": ".empty.inline", **shot("empty")}, {"click": "button.main"}, {"fill": ["input[name=url]", address]},
        {"fill": ["input[name=description]", "<b>Acts</b>"], **shot("adding")}, {"press": ["Enter"]},
        {"wait": "dialog .secret code", "eval": secret, **shot("secret")}, {"click": "dialog button[value=yes]"},
        {"wait": ".endpoints .where", "eval": "document.querySelector('.facts').textContent"}, {"click": ".endpoints .where"},
        {"wait": ".actions"}, {"click": ".actions button:text-is('Send me a test')"}, {"wait": "#said p"},
        {"click": ".actions button:text-is('Roll the secret')"}, {"select": ["dialog select", "3600"]}, {"click": "dialog button[value=yes]"},
        {"wait": "dialog .secret code", "eval": secret}, {"click": "dialog button[value=yes]"},
        {"click": ".actions button:text-is('Disable')"}, {"click": "dialog button[value=yes]"}, {"wait": ".notice.stale", **shot("disabled")},
        {"click": ".actions button:text-is('Enable it')"}, {"click": "dialog button[value=yes]"}, {"wait": ".actions button:text-is('Disable')"},
        {"click": ".actions button:text-is('Delete')"}, {"click": "dialog button[value='']"}, {"wait": ".actions"},
        {"click": ".actions button:text-is('Delete')"}, {"click": "dialog button[value=yes]"}, {"wait": ".empty.inline"},
    ]  # fmt: skip
    (seen,) = look(browser, [{"url": portal.link(admin), "now": portal.now, "steps": steps, **BRIGHT}])
    first, facts, second = seen["told"]
    assert first.startswith("whsec_")
    assert second.startswith("whsec_")
    assert first != second
    assert "<b>Acts</b>" in facts, "what a customer wrote is text, not markup"
    events = [one["event"] for one in portal.whole.house.entries(admin)]
    for event in ("endpoint.registered", "endpoint.rolled", "endpoint.disabled", "endpoint.enabled", "endpoint.deleted"):
        assert event in events
    assert admin.get("/v1/endpoints").json()["data"] == []


def test_a_delivery_is_sent_again_and_lists_are_filtered(browser: str, portal: PortalSite) -> None:
    rows = "[...document.querySelectorAll('table.deliveries .state')].map(one => one.textContent)"
    steps = [
        *places(portal)["delivery"], {"click": ".actions button.main"}, {"click": "dialog button[value=yes]"}, {"wait": "#said p.good"},
        {"eval": "document.querySelector('pre.body').textContent"}, {"eval": "document.querySelector('.exchange section + section pre.body').textContent"},
        {"goto": "#/", "wait": "table.deliveries"}, {"select": ["select[aria-label=State]", "held"]},
        {"wait": "table.deliveries:not(:has(.state.proven))", "eval": rows}, {"select": ["select[aria-label=State]", "delivered"]},
        {"wait": "table.deliveries:not(:has(.state.stale))"}, {"click": "button:text-is('Show older ones')"},
        {"wait": "table.deliveries tr:nth-child(30)", "eval": rows},
    ]  # fmt: skip
    (seen,) = look(browser, [{"url": portal.link(portal.busy), "now": portal.now, "steps": steps, **BRIGHT}])
    request, response, held, delivered = seen["told"]
    assert "2026-117" in request
    assert "come back later" in response
    assert held == ["held"]
    assert set(delivered) == {"delivered"}
    assert len(delivered) > 25
    assert "delivery.replayed" in [one["event"] for one in portal.whole.house.entries(portal.busy)]


def test_who_may_only_look_is_shown_no_way_to_change(browser: str, portal: PortalSite) -> None:
    looks = [one for one in PERMISSIONS if one not in {"endpoint.write", "delivery.replay", "payload.read"}]
    count = "document.querySelectorAll('button.main, .actions button:not(.quiet)').length"
    jobs = [
        {"url": portal.link(portal.busy, looks), "now": portal.now, "steps": [*steps, {"eval": count}], **BRIGHT}
        for steps in places(portal).values()
    ]
    assert [seen["told"] for seen in look(browser, jobs)] == [[0], [0], [0]]


def test_another_token_in_the_address_renews_the_session(browser: str, portal: PortalSite) -> None:
    looks = [one for one in PERMISSIONS if one != "endpoint.write"]
    renewed = portal.token(portal.busy)
    steps = [
        *places(portal)["overview"], {"eval": "document.querySelectorAll('button.main').length"},
        {"goto": f"#token={renewed}", "wait": "button.main", "eval": "location.hash"},
    ]  # fmt: skip
    (seen,) = look(browser, [{"url": portal.link(portal.busy, looks), "now": portal.now, "steps": steps, **BRIGHT}])
    assert seen["told"] == [0, "#/"]


def test_it_works_by_keyboard_and_on_paper(browser: str, portal: PortalSite, tmp_path: Path) -> None:
    shown = "[...document.querySelectorAll('button')].filter(one => one.checkVisibility()).length"
    keys = [*places(portal)["overview"], {"press": ["Tab", "Enter"]}, {"eval": "document.activeElement.id"},
            {"press": ["Tab", "Enter"]}, {"wait": "dialog input:focus"}, {"press": ["Escape"]}, {"eval": "document.querySelectorAll('dialog').length"}]  # fmt: skip
    base = {"url": portal.link(portal.busy), "now": portal.now, **BRIGHT}
    paper = {**base, "steps": places(portal)["endpoint"], "media": "print", "eval": shown, "pdf": str(tmp_path / "page.pdf")}
    typed, printed = look(browser, [{**base, "steps": keys}, paper])
    assert typed["told"] == ["main", 0]
    assert printed["value"] == 0

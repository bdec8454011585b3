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
KEPT = "sessionStorage.length"
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
    filled = {"wait": ".tries details[open] section:first-child pre.body:not(:text-is('…'))"}
    return {
        "overview": [{"wait": "table.deliveries"}, drawn],
        "endpoint": [READY, {"goto": f"#/endpoints/{portal.flaky}", "wait": ".plot svg text.p95"}],
        "delivery": [READY, {"goto": f"#/deliveries/{portal.failing}"}, filled],
    }


YES = {"click": "dialog button[value=yes]"}
NO = {"click": "dialog button[value='']"}


def press(text: str) -> dict[str, str]:
    return {"click": f"button:text-is('{text}')"}


def shot(name: str) -> dict[str, str]:
    return {"out": str(Path(SHOTS) / f"{name}.png")} if SHOTS else {}


def test_everybody_can_read_every_place(browser: str, portal: PortalSite) -> None:
    seen_as = [("overview", DARK), ("endpoint", BRIGHT), ("delivery", DARK)]
    jobs = [
        {
            "url": portal.link(portal.busy), "now": portal.now, "axe": True, **view,
            "steps": [*places(portal)[name], {"eval": WIDE, **shot(f"{view['scheme']}-{name}")}],
        }
        for name, view in seen_as
    ]  # fmt: skip
    for seen in look(browser, jobs):
        assert seen["violations"] == [], seen["violations"]
        assert seen["passes"] > 20
        assert seen["told"] == [0], "it scrolls sideways"


def test_the_token_is_seen_by_nobody_and_keys_are_enough(browser: str, portal: PortalSite, tmp_path: Path) -> None:
    link = portal.link(portal.busy)
    token = link.partition("=")[2]
    page = "[location.href, document.documentElement.outerHTML, document.cookie, JSON.stringify(localStorage)]"
    everywhere = f"{page}.join().includes('{token}')"
    asked = f"performance.getEntriesByType('resource').some(one => one.name.includes('{token}'))"
    shown = "[...document.querySelectorAll('button')].filter(one => one.checkVisibility()).length"
    steps = [
        *places(portal)["overview"], {"eval": "location.hash"}, {"eval": everywhere}, {"eval": asked},
        {"eval": "history.length"}, {"press": ["Tab", "Enter"]}, {"eval": "document.activeElement.id"},
        {"press": ["Tab", "Enter"]}, {"wait": "dialog input:focus"}, {"press": ["Escape"]},
        {"eval": "document.querySelectorAll('dialog').length"},
    ]  # fmt: skip
    base, pdf = {"url": link, "now": portal.now, **BRIGHT}, str(tmp_path / "page.pdf")
    paper = {**base, "steps": places(portal)["delivery"], "media": "print", "eval": shown, "pdf": pdf}
    seen, printed = look(browser, [{**base, "steps": steps}, paper])
    assert seen["told"] == ["#/", False, False, 2, "main", 0]
    assert (seen["foreign"], seen["failed"], seen["messages"]) == ([], [], [])
    assert printed["value"] == 0, "there is nothing to press on paper"


def test_a_session_that_is_no_good_says_so_and_so_does_a_page_without_script(browser: str, portal: PortalSite) -> None:
    good = portal.token(portal.fresh)
    ended = {
        "session is over": portal.token(portal.fresh, ttl=1),
        "link is not for this place": f"{good[:-8]}AAAAAAAA",
        "session was ended": good,
        "not for this place": "abc",
    }
    portal.fresh.delete("/v1/sessions")
    portal.whole.house.clock.at += timedelta(seconds=2)
    first = {"wait": ".empty h1:has-text('opened by a link')", **shot("ended-none")}
    steps = [
        {"goto": f"#token={token}", "wait": f".empty h1:has-text('{words}')", "eval": KEPT, **shot(f"ended-{number}")}
        for number, (words, token) in enumerate(ended.items())
    ]
    page = {"url": f"{portal.url}/portal", "now": portal.now, **BRIGHT}
    said = [{"wait": "noscript h1:has-text('needs a script')"}, {"wait": "noscript a[href='/docs']"}]
    seen, plain = look(browser, [{**page, "steps": [first, *steps]}, {**page, "scripts": False, "steps": said}])
    assert seen["told"] == [0] * len(ended), "nothing is kept of a token that is no good"
    assert plain["status"] == 200


def test_an_endpoint_is_added_tested_rolled_disabled_enabled_and_deleted(browser: str, portal: PortalSite) -> None:
    admin = portal.whole.house.organisation("Acts")
    shown = {"wait": "dialog .secret code", "eval": "document.querySelector('dialog .secret code').textContent"}
    steps = [
        {"wait": ".empty.inline", **shot("empty")}, press("Add an endpoint"),
        {"fill": ["input[name=url]", portal.receiver.url("/acts")]},
        {"fill": ["input[name=description]", "<b>Acts</b>"], **shot("adding")}, {"press": ["Enter"]},
        {**shown, **shot("secret")}, YES,
        {"wait": ".endpoints .where", "eval": "document.querySelector('.facts').textContent"},
        {"click": ".endpoints .where"}, press("Send me a test"), {"wait": "#said p"},
        press("Roll the secret"), {"select": ["dialog select", "3600"]}, YES, shown, YES,
        press("Disable"), YES, {"wait": ".notice.stale", **shot("disabled")},
        press("Enable it"), YES, {"wait": "button:text-is('Disable')"},
        press("Delete"), NO, {"wait": ".actions"}, press("Delete"), YES, {"wait": ".empty.inline"},
    ]  # fmt: skip
    (seen,) = look(browser, [{"url": portal.link(admin), "now": portal.now, "steps": steps, **BRIGHT}])
    first, facts, second = seen["told"]
    assert first.startswith("whsec_")
    assert second.startswith("whsec_")
    assert first != second
    assert "<b>Acts</b>" in facts, "what a customer wrote is text, not markup"
    events = [one["event"] for one in portal.whole.house.entries(admin)]
    for event in ("registered", "rolled", "disabled", "enabled", "deleted"):
        assert f"endpoint.{event}" in events
    assert admin.get("/v1/endpoints").json()["data"] == []


def test_a_delivery_is_sent_again_and_lists_are_filtered(browser: str, portal: PortalSite) -> None:
    rows = "[...document.querySelectorAll('table.deliveries .state')].map(one => one.textContent)"
    bodies = "[...document.querySelectorAll('details[open] pre.body')].map(one => one.textContent)"
    only = "table.deliveries:not(:has(.state{}))"
    steps = [
        *places(portal)["delivery"], {"eval": bodies}, press("Send it again"), YES, {"wait": "#said p.good"},
        {"goto": "#/", "wait": "table.deliveries"}, {"select": ["select[aria-label=State]", "held"]},
        {"wait": only.format(".proven"), "eval": rows}, {"select": ["select[aria-label=State]", "delivered"]},
        {"wait": only.format(".stale")}, press("Show older ones"),
        {"wait": "table.deliveries tr:nth-child(30)", "eval": rows},
    ]  # fmt: skip
    (seen,) = look(browser, [{"url": portal.link(portal.busy), "now": portal.now, "steps": steps, **BRIGHT}])
    (request, response), held, delivered = seen["told"]
    assert "2026-117" in request
    assert "come back later" in response
    assert held == ["held"]
    assert set(delivered) == {"delivered"}
    assert len(delivered) > 25
    assert "delivery.replayed" in [one["event"] for one in portal.whole.house.entries(portal.busy)]


def test_a_transform_is_tried_on_a_sample_typed_or_chosen(browser: str, portal: PortalSite) -> None:
    admin = portal.whole.house.organisation("Trials")
    asked = {"name": "<i>Lines</i>", "language": "python", "code": "def transform(payload, context): return payload"}
    assert admin.post("/v1/transforms", asked).status == 201
    came = "[...document.querySelectorAll('.came h2, .came pre')].map(one => one.textContent)"
    choose = """(() => {
        const given = new DataTransfer();
        given.items.add(new File(["a,b,c"], "a.csv", { type: "text/csv" }));
        document.querySelector("input[name=file]").files = given.files;
    })()"""
    steps = [
        {"click": "a[href='#/transforms']"}, {"click": ".endpoints .where"},
        {"fill": ["textarea[name=sample]", "[1, 2, 3]"]}, press("Try it"),
        {"wait": ".came:focus h2", "eval": came, **shot("trial")}, {"eval": choose},
        press("Try it"), {"wait": ".came pre:text-is('5')"}, {"eval": WIDE},
        {"fill": ["textarea[name=config]", "["]}, press("Try it"), {"wait": "#said p.bad", **shot("trial-refused")},
    ]  # fmt: skip
    link = portal.link(admin, [*PERMISSIONS, "transform.read", "transform.write"])
    (seen,) = look(browser, [{"url": link, "now": portal.now, "axe": True, "steps": steps, **DARK}])
    assert seen["told"] == [["It ran", "9"], None, 0]
    assert seen["violations"] == [], seen["violations"]
    assert [one["event"] for one in portal.whole.house.entries(admin)].count("transform.tested") == 2


def test_who_may_only_look_is_shown_no_way_to_change_until_another_token_comes(
    browser: str, portal: PortalSite
) -> None:
    looks = [one for one in PERMISSIONS if one not in {"endpoint.write", "delivery.replay", "payload.read"}]
    ways = "button.main, .actions button:not(.quiet), a[href='#/transforms']"
    count = f'document.querySelectorAll("{ways}").length'
    steps = [step for place in places(portal).values() for step in (*place, {"eval": count})]
    renewal = {"goto": f"#token={portal.token(portal.busy)}", "wait": "button.main", "eval": "location.hash"}
    job = {"url": portal.link(portal.busy, looks), "now": portal.now, "steps": [*steps, renewal], **BRIGHT}
    (seen,) = look(browser, [job])
    assert seen["told"] == [0, 0, 0, "#/"]

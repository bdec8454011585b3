"""The frame of the customers' page: who may frame it, what it may load, and that it holds nothing."""

from __future__ import annotations

import re

import pytest

from heldtrue.app.settings_portal import Portal
from heldtrue.capabilities.portal import routes as portal
from heldtrue.http.exchange import Page
from heldtrue.http.headers import HTML_POLICY, complete
from heldtrue.http.route import CacheClass
from heldtrue.kernel.errors import NotFoundError, SettingsError


def shell(*origins: str) -> Page:
    return portal.routes(origins)[0].action()


def test_nobody_frames_it_unless_named() -> None:
    assert shell().headers["content-security-policy"] == HTML_POLICY
    framed = shell("https://app.example.com", "https://b.example:8443").headers["content-security-policy"]
    assert framed.endswith("frame-ancestors https://app.example.com https://b.example:8443")
    assert framed.count("frame-ancestors") == 1
    assert framed.replace("https://app.example.com https://b.example:8443", "'none'") == HTML_POLICY


def test_what_it_answers_with_is_protected() -> None:
    page = shell("https://app.example.com")
    sent = dict(complete(page.content_type, CacheClass.PAGE, [], list(page.headers.items())))
    assert "frame-ancestors https://app.example.com" in sent["content-security-policy"]
    assert "script-src 'self'" in sent["content-security-policy"]
    assert (sent["referrer-policy"], sent["x-content-type-options"]) == ("no-referrer", "nosniff")


@pytest.mark.parametrize(
    "origin",
    ["https://app.example.com/", "app.example.com", "http://app.example.com", "*", "https://*.example.com",
     "https://a.example 'self'", "https://a.example;script-src *", "https://a.example\n", "null", ""],
)  # fmt: skip
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(SettingsError, match="web origin"):
        Portal(embed_origins=(origin,))


def test_everything_it_asks_for_is_there_and_from_here() -> None:
    assets = {"/assets/heldtrue.css", "/assets/mark.svg", "/assets/fonts/newsreader.woff2"}
    asked = set(re.findall(r'(?:href|src)="(/[^"]+)"', portal.SHELL.decode())) - assets
    assert asked == {"/portal/portal.css", "/portal/portal.mjs", "/docs", "/trust"}
    for name, (content, _) in portal.FILES.items():
        text = content.decode()
        imported = set(re.findall(r'from "\./([\w.]+)"', text))
        assert imported <= portal.FILES.keys(), name
        assert "innerHTML" not in text
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)\w", text), f"{name} names another host"
    file = portal.routes(())[1].action
    assert file(portal.FilePath(file="plots.mjs")).content_type.startswith("text/javascript")
    with pytest.raises(NotFoundError):
        file(portal.FilePath(file="../routes.py"))

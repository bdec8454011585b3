"""The customers' page in a real browser, against the real API."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from tests.browser.portal_site import PortalSite, open_portal
from tests.browser.test_pages import DESKTOP, PHONE, browser, look

from heldtrue.db.roles import at_database

pytestmark = pytest.mark.browser
__all__ = ["browser"]


@pytest.fixture(scope="module")
def portal(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[PortalSite]:
    name = server.create()
    try:
        with open_portal(at_database(server.roles, name), tmp_path_factory.mktemp("portal")) as site:
            yield site
    finally:
        server.drop(name)


def test_shots(browser: str, portal: PortalSite) -> None:
    out = Path("/tmp/portal-shots")
    out.mkdir(exist_ok=True)
    jobs = []
    for name, view in (("desktop", {"scheme": "light", **DESKTOP}), ("phone", {"scheme": "dark", **PHONE})):
        jobs.append({"url": portal.link(portal.busy), "now": portal.now, **view, "steps": [
            {"wait": ".endpoints .spark"}, {"wait": ".deliveries"}, {"out": str(out / f"{name}-overview.png")},
            {"goto": f"#/endpoints/{portal.flaky}", "wait": ".plot svg"}, {"out": str(out / f"{name}-endpoint.png")},
            {"goto": f"#/deliveries/{portal.failing}", "wait": ".tries pre.body:not(:text('…'))"}, {"out": str(out / f"{name}-delivery.png")},
        ]})  # fmt: skip
    for seen in look(browser, jobs):
        print(seen)

"""The pages of the company's registers, full and empty, from the example that ships."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.browser.scenes import NOW, ORIGIN, busy_standing

from heldtrue.app.cli import files
from heldtrue.app.cli.entries import entries_of
from heldtrue.app.registers import KINDS
from heldtrue.capabilities.registers.company import Company
from heldtrue.capabilities.registers.feeds import Channel
from heldtrue.capabilities.registers.model import Entry
from heldtrue.capabilities.registers.policies import STARTERS, Policy, digest
from heldtrue.kernel.ids import LeafId
from heldtrue.trust import certifications, operations, policies, sub_processors
from heldtrue.trust.prose import prose
from heldtrue.trust.render import Pages

DAY = timedelta(days=1)
COMPANY = Company(
    name="Acme Filings", legal_name="Acme Filings Ltd", security_mail="security@example.com",
    privacy_mail="privacy@example.com",
    support_mail="support@example.com",
)  # fmt: skip
EXAMPLE = Path(__file__).parents[2] / "examples/registers.toml"


def _entry(register: str, item: str, document: Any, back: int = 3) -> Entry[Any]:
    leaf = LeafId.new(NOW, bytes)
    return Entry(register=register, item=item, version=1, document=document, recorded_at=NOW - back * DAY, leaf=leaf)


def of_register(register: str) -> list[Entry[Any]]:
    """Return the items of a register in the example."""
    found = [one for one in entries_of(files.document(EXAMPLE)) if one["register"] == register]
    return [_entry(register, one["item"], KINDS[register].read(one["document"])) for one in found]


def _policies() -> list[Entry[Any]]:
    made: list[Entry[Any]] = []
    for number, (name, starter) in enumerate(STARTERS.items()):
        if number % 5 != 4:
            reviewed = NOW.date() - (400 if number == 2 else 30 * (number % 9)) * DAY
            text = starter.filled(COMPANY)
            made.append(
                _entry("policies", name, Policy(title=starter.title, owner=starter.owner, adopted_on=reviewed,
                       reviewed_on=reviewed, text=text, text_sha256=digest(text)))
            )  # fmt: skip
    return made


def scenes(pages: Pages) -> dict[str, bytes]:
    """Return every page of the registers."""
    channel = Channel(company=COMPANY.name, url=f"https://{ORIGIN}", origin=ORIGIN)
    services = cast("Any", SimpleNamespace(company=COMPANY, channel=channel))
    made: dict[str, bytes] = {}
    for query, listed in (("", of_register("sub-processors")), ("?empty", [])):
        view = sub_processors.build(services, "2026-11-22T05:14:09.000Z", listed, listed)
        at = sub_processors.PATH
        made[f"{at}{query}"] = pages.render("sub_processors.html", at=at, twin=f"{at}.json", view=view)
    for confirmed in (False, True):
        path = f"/trust/sub-processors/subscription/own{'?confirmed' if confirmed else ''}"
        made[path] = pages.render("subscription.html", at=sub_processors.PATH, confirmed=confirmed, token="0" * 72)
    for query, when in (("", NOW), ("?lapsed", NOW + 400 * DAY)):
        parts = [of_register("certifications"), of_register("tests"), [], of_register("vendors")]
        shown = certifications.build(COMPANY.name, when, *cast("Any", parts))
        at = certifications.PATH
        made[f"{at}{query}"] = pages.render("certifications.html", at=at, twin=f"{at}.json", view=shown)
    none = certifications.build(COMPANY.name, NOW, [], [], [], [])
    made[f"{certifications.PATH}?empty"] = pages.render("certifications.html", at=certifications.PATH, view=none)
    for query, adopted in (("", _policies()), ("?empty", [])):
        found = policies.build(COMPANY.name, NOW, adopted)
        at = policies.PATH
        made[f"{at}{query}"] = pages.render("policies.html", at=at, twin=f"{at}.json", view=found)
    listed = {
        "locations": operations.locations, "retention": operations.retention, "contacts": operations.contacts,
    }  # fmt: skip
    for register, view in listed.items():
        for query, entries in (("", of_register(register)), ("?empty", [])):
            made[f"/trust/{register}{query}"] = operations.render(pages, register, view(COMPANY.name, NOW, entries))
    states = {verdict.claim.id: str(verdict.state) for verdict in busy_standing().verdicts}
    for query, when in (("", NOW), ("?late", NOW + 400 * DAY)):
        made[f"/trust/threats{query}"] = operations.render(
            pages, "threats", operations.threat_model(COMPANY.name, when, [], states)
        )
    text = STARTERS["encryption"].filled(COMPANY)
    one = next(item for item in policies.build(COMPANY.name, NOW, _policies()).policies if item.name == "backup")
    body = policies.PolicyText(at="2026-11-22T05:14:09.000Z", company=COMPANY.name, policy=one, text=text, versions=[])
    made["/trust/policies/backup"] = pages.render(
        "policy.html", at="/trust/policies/backup", twin="/trust/policies/backup.json", view=body, body=prose(text)
    )
    return made

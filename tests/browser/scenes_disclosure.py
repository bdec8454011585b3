"""Disclosure: the policy, the form, a report as its sender sees it, an advisory; the data is made up."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace

from tests.browser.scenes import NOW, ORIGIN

from heldtrue.capabilities.disclosure.figures import Figures
from heldtrue.capabilities.disclosure.intake import Message, Reporter
from heldtrue.capabilities.disclosure.kinds import Advisory
from heldtrue.capabilities.disclosure.rewards import RewardPolicy
from heldtrue.capabilities.ledger.model import instant
from heldtrue.trust import disclosure
from heldtrue.trust.disclosure import FORM, PATH, AdvisoryView, DisclosureView, KeyView, ThanksView
from heldtrue.trust.render import Pages

AT, DUE = instant(NOW), "2026-11-23T17:00:00.000Z"
NOTHING = Figures(
    received=0, acknowledged_in_time=0, acknowledged_late=0, waiting=0, overdue=0, confirmed=0, fixed=0, rewarded=0,
    median_business_minutes=None,
)  # fmt: skip
SOME = Figures(
    received=41, acknowledged_in_time=38, acknowledged_late=1, waiting=1, overdue=1, confirmed=6, fixed=5, rewarded=4,
    median_business_minutes=97,
)  # fmt: skip
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:N/A:N"
ADVISORY = Advisory(
    title="An expired session token was taken for five minutes longer", vector=VECTOR, product="Heldtrue",
    summary="A process that had lost the database kept its last view of sessions for longer than it should have.",
    affected=("0.3.0", "0.3.1"), fixed=("0.3.2",), remediation="Update to 0.3.2; no setting has to change.",
    workaround="Restart the service after a network cut.", cwe="CWE-613", cwe_name="Insufficient Session Expiration",
    credits=("A reporter who wished to be named",),
)  # fmt: skip
LISTED = AdvisoryView(
    id="HELD-2026-0001", title=ADVISORY.title, severity="medium", score="6.5", published_at="2026-10-02T09:00:00.000Z",
    updated_at="2026-10-09T09:00:00.000Z", page=f"{PATH}/advisories/sessions-outlive",
    csaf="/.well-known/csaf/white/2026/held-2026-0001.json",
)  # fmt: skip


def scenes(pages: Pages) -> dict[str, bytes]:
    """Return each page by path and query."""
    full, empty = _view(full=True), _view(full=False)
    token = "0" * 43
    return {
        PATH: pages.render("disclosure.html", at=PATH, twin=f"{PATH}.json", view=full),
        f"{PATH}?empty": pages.render("disclosure.html", at=PATH, twin=f"{PATH}.json", view=empty),
        FORM: pages.render("report.html", at=FORM, view=full),
        f"{FORM}?sent": pages.render(
            "report_sent.html", at=FORM, report=SimpleNamespace(id="rep_0198c8f2"), due=DUE,
            link=f"https://{ORIGIN}{PATH}/reports/{token}",
        ),
        f"{PATH}/reports/own": _own(pages, token),
        f"{PATH}/advisories/sessions-outlive": pages.render(
            "advisory.html", at=LISTED.page, view=LISTED, one=ADVISORY,
            history=[("1", LISTED.published_at, "Initial publication."), ("2", LISTED.updated_at, "Names the fix.")],
        ),
    }  # fmt: skip


def _own(pages: Pages, token: str) -> bytes:
    said = [
        Message(1, "reporter", False, "I kept a token, cut the network and waited.\n\nIt worked for six minutes.", NOW),
        Message(2, "company", False, "Thank you. We see the same, and are on it.", NOW + timedelta(hours=2)),
    ]
    return pages.render(
        "report_status.html", at="", token=token, now=AT, received=AT, due=DUE, acknowledged=None, overdue=True,
        report=SimpleNamespace(id="rep_0198c8f2", state="received", severity="medium", vector=VECTOR),
        reporter=Reporter("An expired token still works", "A Reporter", "reporter@example.com", named=True),
        messages=[(one.author, one.encrypted, one.text, instant(one.sent_at)) for one in said], reward="750.00",
    )  # fmt: skip


def _view(*, full: bool) -> DisclosureView:
    policy = RewardPolicy(mode="rewards") if full else RewardPolicy()
    key = KeyView(
        fingerprint="3B2D 77C0 91A4 5E6F 8C12  0D3E 5A7B 96F1 22C4 D0E8", expires_at="2027-11-22T00:00:00.000Z",
        url="/.well-known/pgp-key.txt",
    )  # fmt: skip
    thanks = [ThanksView(name="A reporter who wished to be named", on=date(2026, 10, 2).isoformat(), link=None)]
    return DisclosureView(
        at=AT, company="Acme Filings", contacts=[f"https://{ORIGIN}{FORM}"], languages=["en"], calendar="US",
        timezone="America/New_York", acknowledged_within_business_days=1, due_if_sent_now=DUE,
        scope_in=[f"https://{ORIGIN}", "The command line tools and their updates"],
        scope_out=["Systems of our vendors"] if full else [], rewards=disclosure.rewards(policy),
        key=key if full else None, thanks=thanks if full else [], advisories=[LISTED] if full else [],
        figures=SOME if full else NOTHING,
    )  # fmt: skip

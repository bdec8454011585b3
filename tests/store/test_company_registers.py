"""What the registers are for, over a real database: pages, feeds, subscribers, objections, the gate, called hosts."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

import icalendar
import pytest
from asgi import Caller, Got
from house import NOON, House, actor_of, build_house

from heldtrue.capabilities.access.routes import ROUTES as ACCESS
from heldtrue.capabilities.egress import sessions
from heldtrue.capabilities.egress.grants import GrantRule
from heldtrue.capabilities.egress.model import Rule
from heldtrue.capabilities.post import actions as post
from heldtrue.capabilities.post.model import Draft
from heldtrue.capabilities.post.store import MailRow
from heldtrue.capabilities.registers import actions, calls, subscribers, vendors
from heldtrue.capabilities.registers.calls import HouseCalls, covers, is_local
from heldtrue.capabilities.registers.company import Company
from heldtrue.capabilities.registers.company_routes import routes as company_routes
from heldtrue.capabilities.registers.kinds import KINDS, SUB_PROCESSORS
from heldtrue.capabilities.registers.model import table
from heldtrue.capabilities.registers.routes import routes as register_routes
from heldtrue.capabilities.registers.vendors import VendorNotPermittedError
from heldtrue.capabilities.tenants.routes import ROUTES as TENANTS
from heldtrue.db.tx import Database
from heldtrue.http.app import build_app
from heldtrue.http.transaction import tenant_operation
from heldtrue.kernel.ids import MailId, RequestId
from heldtrue.trust import certifications, policies, sub_processors
from heldtrue.trust.company import CompanyServices
from heldtrue.trust.render import Pages
from heldtrue.trust.site import Site

COMPANY = Company(name="Saltmarsh Figures", security_mail="security@example.com", privacy_mail="privacy@example.com")
PAGES = Pages(Site(name=COMPANY.name, origin="log.example", url="https://trust.example"))
ATOM = "{http://www.w3.org/2005/Atom}"
DAY = timedelta(days=1)


class Desk:
    """A house with the registers' routes and pages, and what a test does there."""

    def __init__(self, house: House) -> None:
        self.house = house
        ports = house.ports
        self.services = CompanyServices(
            database=house.database, clock=house.clock, entropy=ports.entropy,
            keys=ports.keyring,
            company=COMPANY, origin="log.example", url="https://trust.example",
        )  # fmt: skip
        self.routes = [
            *TENANTS, *ACCESS, *register_routes(table(KINDS)), *company_routes(COMPANY),
            *sub_processors.routes(self.services, PAGES), *certifications.routes(self.services, PAGES),
            *policies.routes(self.services, PAGES),
        ]  # fmt: skip
        self.app = build_app(self.routes, ports)
        self.operator = Caller(self.app, house.operator.key)
        self.anybody = Caller(self.app)

    def organisation(self, name: str) -> Caller:
        return Caller(self.app, self.house.organisation(name).key)

    def put(self, register: str, item: str, document: dict[str, Any]) -> Got:
        return send(self.operator, "PUT", f"/v1/registers/{register}/{item}", {"document": document})

    def bring(self, *entries: tuple[str, str, dict[str, Any]]) -> None:
        asked = [{"register": register, "item": item, "document": document} for register, item, document in entries]
        got = self.operator.post("/v1/registers", {"entries": asked})
        assert got.status == 200, got.body

    def form(self, path: str, **fields: str) -> Got:
        body = "&".join(f"{name}={value.replace('@', '%40')}" for name, value in fields.items())
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return self.anybody.call("POST", path, body=body.encode(), headers=headers)

    def mails(self) -> list[Draft]:
        """Return the drafts in the queue, opened, the oldest first."""
        with self.services.office() as office:
            rows = office.tx.many(
                MailRow,
                """SELECT mail_id, about, state, draft_sealed, reply_sealed, created_at, due_at, attempts, settled_at,
                     failure, status FROM heldtrue.post_mails ORDER BY mail_id""",
            )
            return [post.opened(office.ring(), MailId(row.mail_id), row.draft_sealed) for row in rows]


def send(caller: Caller, method: str, path: str, body: Any) -> Got:
    headers = {"content-type": "application/json"}
    return caller.call(method, path, body=json.dumps(body).encode(), headers=headers)


def vendor(**changed: Any) -> dict[str, Any]:
    terms = {"purpose": "hosting", "location": ["DE"], "transfer_basis": "no-transfer", "data": ["names"]}
    return {
        "name": "Example Cloud", "address": "1 Street", "contact": "privacy@example.com", "state": "announced",
        "hosts": ["*.cloud.example"], **changed, "terms": {**terms, **changed.get("terms", {})},
    }  # fmt: skip


@pytest.fixture(scope="module")
def module_house(module_database: Database) -> Generator[House]:
    built = build_house(module_database)
    yield built
    built.app.close()


@pytest.fixture(scope="module")
def desk(module_house: House) -> Generator[Desk]:
    made = Desk(module_house)
    made.bring(("sub-processors", "first", vendor(name="First Cloud", state="active", hosts=["first.example"])))
    yield made
    made.app.close()


# ---------------------------------------------------------------- the notice, through the API


def test_day_29_and_day_30_of_a_notice(desk: Desk) -> None:
    announced = desk.put("sub-processors", "noticed", vendor()).json()
    began = datetime.fromisoformat(announced["recorded_at"])
    early = desk.put("sub-processors", "noticed", vendor(state="active"))
    assert (early.status, early.code) == (409, "notice-running")
    due = re.search(r"active from (\S+)\.", early.json()["detail"])
    assert due is not None
    assert abs(datetime.fromisoformat(due[1]) - began - 30 * DAY) < timedelta(milliseconds=1)
    desk.house.clock.at = began + 30 * DAY - timedelta(milliseconds=3)
    assert desk.put("sub-processors", "noticed", vendor(state="active")).code == "notice-running"
    desk.house.clock.at = began + 30 * DAY
    assert desk.put("sub-processors", "noticed", vendor(state="active")).status == 200
    assert desk.operator.delete("/v1/registers/sub-processors/noticed?reason=gone").status == 200


# ---------------------------------------------------------------- pages and feeds


def test_page_and_json_say_the_same(desk: Desk) -> None:
    desk.put("sub-processors", "shown", vendor(name="Shown <Cloud>", terms={"optional": True}))
    view = desk.anybody.get("/trust/sub-processors.json").json()
    html = desk.anybody.get("/trust/sub-processors").body.decode()
    one = next(found for found in view["sub_processors"] if found["id"] == "shown")
    assert (one["state"], one["terms"]["optional"]) == ("announced", True)
    assert datetime.fromisoformat(one["may_start_at"]) - datetime.fromisoformat(one["recorded_at"]) == 30 * DAY
    assert "Shown &lt;Cloud&gt;" in html
    assert one["may_start_at"] in html
    assert "<script" not in html
    assert " style=" not in html


def test_the_feeds_are_sound_and_tell_the_same(desk: Desk) -> None:
    desk.put("sub-processors", "fed", vendor(name="Fed Cloud"))
    titles = []
    atom = desk.anybody.get("/trust/sub-processors.atom")
    assert atom.headers["content-type"].startswith("application/atom+xml")
    root = ET.fromstring(atom.body)
    entries = root.findall(f"{ATOM}entry")
    for tag in ("id", "title", "updated"):  # RFC 4287, section 4.1
        assert all(len(one.findall(f"{ATOM}{tag}")) == 1 for one in (root, *entries)), tag
    assert all(datetime.fromisoformat(one.findtext(f"{ATOM}updated", "")).tzinfo for one in (root, *entries))
    ids = [one.findtext(f"{ATOM}id") for one in entries]
    assert len(set(ids)) == len(ids)
    assert root.find(f"{ATOM}author/{ATOM}name") is not None or all(
        one.find(f"{ATOM}author") is not None for one in entries
    )
    titles.append([one.findtext(f"{ATOM}title") for one in entries])
    rss = ET.fromstring(desk.anybody.get("/trust/sub-processors.rss").body)
    channel = rss.find("channel")
    assert (rss.get("version"), channel is not None) == ("2.0", True)
    assert channel is not None
    assert all(channel.findtext(tag) for tag in ("title", "link", "description"))
    titles.append([one.findtext("title") for one in channel.findall("item")])
    assert all(one.findtext("guid") for one in channel.findall("item"))
    feed = desk.anybody.get("/trust/sub-processors.feed.json").json()
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert all({"id", "url", "content_text", "date_published"} <= one.keys() for one in feed["items"])
    titles.append([one["title"] for one in feed["items"]])
    assert titles[0] == titles[1] == titles[2]
    assert titles[0][0] == "Fed Cloud: announced"


def test_a_feed_stands_still_while_nothing_changes(desk: Desk) -> None:
    first = [desk.anybody.get(f"/trust/sub-processors.{kind}").body for kind in ("atom", "rss", "feed.json")]
    desk.house.clock.at += timedelta(hours=1)
    assert first == [desk.anybody.get(f"/trust/sub-processors.{kind}").body for kind in ("atom", "rss", "feed.json")]


def test_the_calendar_has_what_is_due(desk: Desk) -> None:
    desk.put("sub-processors", "dated", vendor(name="Dated Cloud", review_by="2027-06-01"))
    assert desk.operator.post("/v1/policies/adopt", {"policy": "backup", "owner": "Head of Operations"}).status == 200
    calendar = icalendar.Calendar.from_ical(desk.anybody.get("/trust/calendar.ics").body)
    events = {str(one["SUMMARY"]): one for one in calendar.walk("VEVENT")}
    assert str(events["Review of the sub-processor: Dated Cloud"]["DTSTART"].dt) == "2027-06-01"
    assert {"Review of the policy: Backup", "The notice has run: Dated Cloud"} <= events.keys()
    assert len({str(one["UID"]) for one in calendar.walk("VEVENT")}) == len(calendar.walk("VEVENT"))


def test_a_policy_is_adopted_reviewed_and_shown_stale(desk: Desk) -> None:
    def state(name: str) -> str:
        found = desk.anybody.get("/trust/policies.json").json()["policies"]
        return next(one["state"] for one in found if one["name"] == name)

    assert state("encryption") == "not-adopted"
    assert "It is not adopted" in desk.anybody.get("/trust/policies/encryption").body.decode()
    made = desk.operator.post("/v1/policies/adopt", {"policy": "encryption", "owner": "Head of Security"}).json()
    assert "Saltmarsh Figures encrypts" in made["document"]["text"]
    assert state("encryption") == "current"
    desk.house.clock.at += 367 * DAY
    assert state("encryption") == "stale"
    assert "past its review" in desk.anybody.get("/trust/policies/encryption").body.decode()
    assert desk.operator.post("/v1/policies/review", {"policy": "encryption"}).json()["version"] == 2
    assert state("encryption") == "current"
    text = desk.anybody.get("/trust/policies/encryption.json").json()
    assert (text["policy"]["version"], len(text["versions"])) == (2, 2)
    assert desk.anybody.get("/trust/policies/nothing").status == 404
    assert desk.operator.post("/v1/policies/review", {"policy": "nothing"}).status == 404


def test_findings_stay_private_and_their_number_does_not(desk: Desk) -> None:
    today = desk.house.clock.at.date()
    finding = {
        "test": "none", "title": "A secret weakness", "severity": "high", "found_on": str(today), "owner": "x",
        "fix_by": str(today),
    }  # fmt: skip
    assert desk.put("findings", "one", finding).status == 200
    page = desk.anybody.get("/trust/certifications").body
    assert b"secret weakness" not in page
    view = desk.anybody.get("/trust/certifications.json").json()["findings"]
    assert (view["open"]["high"], view["overdue"]) == (1, 0)
    desk.house.clock.at += DAY
    assert desk.anybody.get("/trust/certifications.json").json()["findings"]["overdue"] == 1
    assert desk.operator.delete("/v1/registers/findings/one?reason=x").status == 422


# ---------------------------------------------------------------- subscribers


@pytest.fixture
def nobody_told(desk: Desk) -> None:
    """Begin without readers."""
    with desk.services.office() as office:
        office.tx.execute("DELETE FROM heldtrue.subscribers")


def link_in(mail: Draft) -> str:
    return re.findall(r"https://trust\.example(/\S+/subscription/\S+)", mail.text)[-1]


def told(desk: Desk) -> int:
    with desk.services.office() as office:
        return subscribers.tell(office)


@pytest.mark.usefixtures("nobody_told")
def test_a_reader_confirms_is_told_once_and_leaves_with_one_click(desk: Desk) -> None:
    before = len(desk.mails())
    assert desk.form("/trust/sub-processors/subscribe", mail="reader@example.com").status == 200
    [asked] = desk.mails()[before:]
    assert (asked.to, told(desk), len(desk.mails())) == ("reader@example.com", 0, before + 1)
    link = link_in(asked)
    assert "Confirm" in desk.anybody.get(link).body.decode()  # looking confirms nothing: programs look at links too
    desk.put("sub-processors", "unheard", vendor(name="Unheard Cloud"))
    assert told(desk) == 0
    assert desk.form(link, wish="confirm").status == 200
    desk.put("sub-processors", "heard", vendor(name="Heard Cloud"))
    assert (told(desk), told(desk)) == (1, 0)
    notice = desk.mails()[-1]
    assert "Heard Cloud is to be a sub-processor for hosting in DE, not before" in notice.text
    assert "Unheard" not in notice.text
    assert notice.unsubscribe is not None
    assert notice.unsubscribe.endswith(link)
    clicked = desk.form(link, **{"List-Unsubscribe": "One-Click"})  # RFC 8058, section 3.2
    assert clicked.status == 200
    desk.put("sub-processors", "heard", vendor(name="Heard Cloud", terms={"purpose": "more"}))
    assert told(desk) == 0
    assert desk.anybody.get(link).status == 404
    assert desk.form(link).status == 200  # leaving twice is leaving
    with desk.services.office() as office:
        assert office.tx.value("SELECT count(*) FROM heldtrue.subscribers WHERE address_sealed IS NOT NULL") == 0


@pytest.mark.usefixtures("nobody_told")
def test_asking_often_sends_few_mails_and_tells_nobody_who_is_on_the_list(desk: Desk) -> None:
    before = len(desk.mails())
    answers = {desk.form("/trust/sub-processors/subscribe", mail="Often@example.com").body for _ in range(5)}
    assert (len(answers), len(desk.mails()) - before) == (1, 3)
    assert desk.form(link_in(desk.mails()[-1]), wish="confirm").status == 200
    assert desk.form("/trust/sub-processors/subscribe", mail="often@example.com").body in answers
    assert len(desk.mails()) - before == 3


@pytest.mark.usefixtures("nobody_told")
def test_a_link_of_nobody_opens_nothing_and_an_old_one_no_more(desk: Desk) -> None:
    desk.form("/trust/sub-processors/subscribe", mail="late@example.com")
    link = link_in(desk.mails()[-1])
    flipped = link[:-1] + ("0" if link[-1] != "0" else "1")
    assert desk.anybody.get(flipped).status == 404
    assert desk.form(flipped, wish="confirm").status == 404
    desk.house.clock.at += 8 * DAY
    assert desk.form(link, wish="confirm").status == 404
    with desk.services.office() as office:
        assert subscribers.forget_unconfirmed(office.tx, office.now) == 1


@pytest.mark.usefixtures("nobody_told")
def test_no_address_lies_in_clear(desk: Desk) -> None:
    desk.form("/trust/sub-processors/subscribe", mail="canary@example.com")
    with desk.services.office() as office:
        sealed = bytes(office.tx.value("SELECT string_agg(address_sealed, '') FROM heldtrue.subscribers"))
    assert b"canary" not in sealed


# ---------------------------------------------------------------- objections


def test_an_objection_is_listed_to_the_operator_and_answered(desk: Desk) -> None:
    ours, theirs = desk.organisation("Ours"), desk.organisation("Theirs")
    made = ours.post("/v1/objections", {"sub_processor": "first", "reason": "Not in our sector."})
    assert made.status == 201, made.body
    assert ours.post("/v1/objections", {"sub_processor": "nobody", "reason": "x"}).code == "unknown-vendor"
    assert theirs.get("/v1/objections").json()["data"] == []
    [received] = desk.operator.get("/v1/objections/received").json()["data"]
    assert (received["reason"], received["response"]) == ("Not in our sector.", None)
    path = f"/v1/objections/{received['id']}/response"
    assert ours.post(path, {"response": "x"}).status == 403
    assert desk.operator.post(path, {"response": "We will talk."}).status == 200
    assert desk.operator.post(path, {"response": "Again."}).code == "already-responded"
    [read] = ours.get("/v1/objections").json()["data"]
    assert (read["response"], read["id"]) == ("We will talk.", received["id"])
    assert desk.operator.post(f"/v1/objections/obj_{'0' * 32}/response", {"response": "x"}).status == 404


# ---------------------------------------------------------------- the gate


def permitted(desk: Desk, caller: Caller, item: str, host: str) -> bool:
    ports = desk.house.ports
    with tenant_operation(ports, actor_of(ports, caller), RequestId.new(NOON, ports.entropy)) as op:
        try:
            vendors.permit(op, item, host)
        except VendorNotPermittedError:
            return False
    return True


def test_an_optional_vendor_gets_nothing_without_an_opt_in(desk: Desk) -> None:
    optional = vendor(name="Optional Cloud", terms={"optional": True})
    began = desk.put("sub-processors", "optional", optional).json()["recorded_at"]
    ours, theirs = desk.organisation("Ours"), desk.organisation("Theirs")
    at, host = "optional", "eu.cloud.example"
    assert send(theirs, "PUT", "/v1/vendors", {"vendor": at, "permitted": True}).status == 200
    assert not permitted(desk, theirs, at, host)  # announced, not active
    desk.house.clock.at = datetime.fromisoformat(began) + 30 * DAY
    assert desk.put("sub-processors", at, {**optional, "state": "active"}).status == 200
    assert permitted(desk, theirs, at, host)
    assert not permitted(desk, ours, at, host)
    assert not permitted(desk, theirs, at, "cloud.example.evil")
    assert send(theirs, "PUT", "/v1/vendors", {"vendor": at, "permitted": False}).json()["permitted"] is False
    assert not permitted(desk, theirs, at, host)
    assert permitted(desk, ours, "first", "first.example")  # part of the service for everybody
    assert send(ours, "PUT", "/v1/vendors", {"vendor": "first", "permitted": False}).code == "not-optional"
    assert send(ours, "PUT", "/v1/vendors", {"vendor": "nobody", "permitted": True}).code == "unknown-vendor"
    listed = {one["vendor"]: one["permitted"] for one in ours.get("/v1/vendors").json()["data"]}
    assert (listed["first"], listed["optional"]) == (True, False)


def test_customers_code_calls_an_optional_vendor_only_where_somebody_opted_in(desk: Desk) -> None:
    optional = vendor(name="Optional Cloud", hosts=["eu.optional.example"], terms={"optional": True})
    began = desk.put("sub-processors", "cloud-of-choice", optional).json()["recorded_at"]
    ours, host = desk.organisation("Ours"), "eu.optional.example"
    rule = Rule(host=f"{host}:8443", headers={"Authorization": "Bearer {{credential:books}}"})

    def granted(asked: Rule = rule) -> GrantRule:
        ports = desk.house.ports
        with tenant_operation(ports, actor_of(ports, ours), RequestId.new(NOON, ports.entropy)) as op:
            return sessions.judged(op, asked)

    assert granted() == GrantRule(rule.host, {}, "cloud-of-choice")
    assert granted(Rule(host="api.example.com")) == GrantRule("api.example.com"), "customers' own hosts are theirs"
    assert granted(Rule(host="first.example")) == GrantRule("first.example"), "nobody opts in to what all have"
    desk.house.clock.at = datetime.fromisoformat(began) + 30 * DAY
    assert desk.put("sub-processors", "cloud-of-choice", {**optional, "state": "active"}).status == 200
    assert granted().withheld == "cloud-of-choice"
    assert send(ours, "PUT", "/v1/vendors", {"vendor": "cloud-of-choice", "permitted": True}).status == 200
    assert granted() == GrantRule(rule.host, rule.headers)
    assert [one["subject"] for one in desk.house.entries(ours) if one["event"] == "vendor.called"] == [
        "cloud-of-choice"
    ]


def test_what_went_to_a_vendor_is_in_the_ledger(desk: Desk) -> None:
    ours = desk.organisation("Ours")
    assert permitted(desk, ours, "first", "first.example")
    assert [one["subject"] for one in desk.house.entries(ours) if one["event"] == "vendor.called"] == ["first"]


# ---------------------------------------------------------------- hosts that the house calls


def test_a_called_host_must_be_in_a_list(desk: Desk) -> None:
    noted = HouseCalls(desk.house.database, desk.house.clock)
    for host in ("127.0.0.1", "localhost", "[::1]", "first.example", "STRANGE.example.", "store.own.example"):
        noted.note(host, "objects")
        noted.note(host, "objects")

    def named() -> list[str]:
        with desk.services.office() as office:
            found = [fault.split()[0] for fault in calls.unlisted(office.tx, office.now)]
            return [host for host in found if host != "silent.example"]  # of the test below

    assert named() == ["store.own.example", "strange.example"]
    own = {"name": "Own", "country": "DE", "purpose": "x", "operated_by": "us", "hosts": ["*.own.example"]}
    assert desk.put("locations", "own", own).status == 200
    assert named() == ["strange.example"]
    desk.house.clock.at += 31 * DAY
    assert named() == []


def test_an_announced_or_optional_vendors_host_must_not_be_called_by_the_house(desk: Desk) -> None:
    desk.put("sub-processors", "silent", vendor(name="Silent", hosts=["silent.example"]))
    HouseCalls(desk.house.database, desk.house.clock).note("silent.example", "objects")
    with desk.services.office() as office:
        assert any("the notice of Silent runs" in fault for fault in calls.unlisted(office.tx, office.now))
        entries = actions.current(office.tx, SUB_PROCESSORS)
    assert "silent" in {entry.item for entry in entries}


@pytest.mark.parametrize(
    ("known", "host", "found"),
    [
        ("a.example", "a.example", True),
        ("*.example", "a.example", True),
        ("*.example", "example", False),
        ("*.example", "a.b.example", True),
        ("*.example", "aexample", False),
        ("a.example", "b.a.example", False),
    ],
)
def test_a_pattern_stands_for_names_below_it(known: str, host: str, found: bool) -> None:
    assert covers(known, host) is found


@pytest.mark.parametrize(("host", "local"), [("127.0.0.9", True), ("::1", True), ("10.0.0.1", False), ("a.b", False)])
def test_only_this_machine_is_local(host: str, local: bool) -> None:
    assert is_local(host) is local

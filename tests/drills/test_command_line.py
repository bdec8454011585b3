"""The commands against a running instance: what they do, what they refuse, and with which exit code."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from pathlib import Path

import pytest
from command_line import Line, asked, run, written
from instance import Instance

pytestmark = [pytest.mark.drill, pytest.mark.timeout(300)]
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
NOBODY = "00000000000000000000000000000000"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Generator[Instance]:
    started = Instance(tmp_path_factory.mktemp("commands"), ("--demo", "--no-claims"))
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture
def operator(instance: Instance, capsys: pytest.CaptureFixture[str]) -> Line:
    return Line(instance, capsys)


@pytest.fixture
def customer(instance: Instance, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Line:
    return Line(instance, capsys, written(tmp_path / "key", instance.organisation("Command Groups"), 0o600))


def test_the_demo_ends_with_a_verified_receipt_each_time(instance: Instance, tmp_path: Path) -> None:
    said = run("demo", "--data-dir", instance.data, "--keep", tmp_path / "one")
    assert said.splitlines()[-1].startswith("Verified receipt rec_")
    again = asked("demo", "--data-dir", instance.data, "--keep", tmp_path / "two")
    assert again["receipt"]["verified"] is True  # type: ignore[index,call-overload]
    companies = [one for one in asked("orgs", "list", "--data-dir", instance.data) if "sample" in one["name"]]  # type: ignore[attr-defined]
    assert len(companies) == 1
    receipts = sorted((tmp_path / "two").glob("rec_*.json"))
    assert len(receipts) == 6  # the last is of what was read from a mail, in the sandbox
    for receipt in receipts:
        run("verify", "receipt", receipt, "--pin", f"@{instance.data / 'log.pin'}", "--state-dir", tmp_path / "state")
    run("verify", "receipt", receipts[0], "--state-dir", tmp_path / "state", status=1)


def test_the_demo_says_what_is_missing_where_loopback_is_closed(instance: Instance, tmp_path: Path) -> None:
    closed = tmp_path / "data"
    closed.mkdir()
    note = json.loads((instance.data / "serving.json").read_text())
    (closed / "serving.json").write_text(json.dumps({**note, "demo": False}))
    assert "--demo" in run("demo", "--data-dir", closed, status=2)


def test_keys_and_payloads_by_command(instance: Instance, tmp_path: Path) -> None:
    here = ("--data-dir", instance.data)
    made = asked("orgs", "create", "Command Ltd", "--environment", "live", "--environment", "test", *here)
    key = tmp_path / "key"
    issued = asked("keys", "issue", "all", "--org", made["id"], "--role", "admin", "--save", key, *here)  # type: ignore[index,call-overload]
    assert issued["secret"] is None  # type: ignore[index,call-overload]
    assert key.stat().st_mode & 0o777 == 0o600
    as_them = (*here, "--credential-file", key)
    (tmp_path / "note.txt").write_text("hello")
    sent = asked("payloads", "send", tmp_path / "note.txt", "--attach", tmp_path / "note.txt", *as_them)
    shown = asked("payloads", "show", sent["id"], *as_them)  # type: ignore[index,call-overload]
    assert len(shown["attachments"]) == 1  # type: ignore[index,call-overload]
    assert run("payloads", "content", sent["id"], *as_them) == "hello"  # type: ignore[index,call-overload]
    run("payloads", "erase", sent["id"], *as_them)  # type: ignore[index,call-overload]
    run("payloads", "content", sent["id"], *as_them, status=1)  # type: ignore[index,call-overload]
    second = tmp_path / "second"
    run("keys", "roll", issued["id"], "--overlap", "0", "--save", second, *as_them)  # type: ignore[index,call-overload]
    assert "heldtrue:" in run("payloads", "list", *as_them, status=1)
    asked("payloads", "list", *here, "--credential-file", second)
    key.chmod(0o644)
    assert "others may read it" in run("payloads", "list", *as_them, status=2)
    rolled = asked("keys", "roll-sessions", *here)
    assert rolled["state"] == "pre-activation"  # type: ignore[index,call-overload]
    assert asked("keys", "roll-sessions", *here) == rolled


def test_the_log_by_command(instance: Instance) -> None:
    here = ("--data-dir", instance.data)
    assert run("log", "pin", *here).strip() == instance.pin()
    size = asked("log", "checkpoint", *here)["size"]  # type: ignore[index,call-overload]
    entries = asked("log", "show", "--most", "500", *here)
    assert {"key", "tenant"} <= {entry["kind"] for entry in entries}  # type: ignore[attr-defined]
    assert len(entries) >= min(size, 500)  # type: ignore[arg-type]
    assert "already" in run("log", "check", *here, status=2) or "another copy" in run("log", "check", *here, status=2)


def test_the_index_has_every_row(operator: Line) -> None:
    assert {line["row"][0] for line in operator("claims", "index")} == set("ABCDEFGHJK")


def test_a_backup_of_a_running_instance_comes_back(instance: Instance, tmp_path: Path) -> None:
    key = instance.organisation("saved")
    taken = instance.done("POST", "/v1/payloads", {"saved": True}, key)
    made = asked("backup", tmp_path / "backup", "--data-dir", instance.data)
    assert made["rows"] > 0  # type: ignore[index,call-overload]
    platform = f"file:{instance.keys / 'platform.key'}"
    back = Instance(tmp_path, ("--no-claims",))
    back.keys.mkdir(mode=0o700)
    (back.keys / "platform.key").write_bytes((instance.keys / "platform.key").read_bytes())
    (back.keys / "platform.key").chmod(0o600)
    run("restore", tmp_path / "backup", "--data-dir", back.data, "--platform-key", platform)
    (back.data / "places.json").write_text(json.dumps({"platform_key": platform, "database": "embedded"}))
    run("log", "succeed", "--data-dir", back.data)
    try:
        back.start()
        assert back.call("GET", f"/v1/payloads/{taken['id']}/content", key=key).json() == {"saved": True}
        assert back.pin() != instance.pin()
    finally:
        back.stop()


def test_organisations_and_keys(operator: Line, customer: Line) -> None:
    made = operator("orgs", "create", "Two Places")
    operator("orgs", "add-environment", made["id"], "test")
    [places] = [one["environments"] for one in operator("orgs", "list") if one["id"] == made["id"]]
    assert set(places) == {"live", "test"}
    key = customer("keys", "issue", "short", "--expires-in", "12h", "--role", "reader")["id"]
    assert customer("keys", "show", key)["role"] == "reader"
    customer("keys", "revoke", key)
    assert [one["state"] for one in customer("keys", "list") if one["id"] == key] == ["revoked"]
    customer.refused(2, "not a length of time", "keys", "issue", "x", "--expires-in", "soon")
    customer.refused(1, "", "orgs", "create", "Not an operator")


def test_endpoints(customer: Line, tmp_path: Path) -> None:
    made = customer("endpoints", "add", "https://127.0.0.1:9/in", "--set", "concurrency=4", "--save", tmp_path / "s")
    endpoint = made["id"]
    assert made["secret"] is None
    assert (tmp_path / "s").read_text().startswith("whsec_")
    assert customer("endpoints", "set", endpoint, "concurrency=2", "description=two")["concurrency"] == 2
    assert customer("endpoints", "show", endpoint)["description"] == "two"
    assert customer("endpoints", "disable", endpoint)["state"] == "disabled"
    assert customer("endpoints", "enable", endpoint)["state"] == "enabled"
    assert customer("endpoints", "roll", endpoint)["secret"].startswith("whsec_")
    customer.printed(1, "endpoints", "test", endpoint)  # nobody listens at that port
    assert [one["id"] for one in customer("endpoints", "list")] == [endpoint]
    customer("endpoints", "delete", endpoint)
    assert customer("endpoints", "list") == []
    customer.refused(2, "NAME=VALUE", "endpoints", "set", endpoint, "concurrency")
    customer.refused(1, "https", "endpoints", "add", "http://127.0.0.1/in")


def test_deliveries(customer: Line) -> None:
    customer("endpoints", "add", "https://127.0.0.1:9/in")
    assert customer("deliveries", "list") == []
    assert customer("deliveries", "replay", "--state", "held")["matched"] == 0
    assert "Nothing was sent" in customer.printed(0, "deliveries", "replay", "--state", "held")
    assert len(customer("deliveries", "replays")) == 0
    assert customer("deliveries", "ledger") == []
    customer.refused(2, "failed, held or delivered", "deliveries", "replay", "--state", "sent")
    customer.refused(1, "no such delivery", "deliveries", "show", f"del_{NOBODY}")


def test_transforms_and_flows(customer: Line, tmp_path: Path) -> None:
    first = written(tmp_path / "first.py", "def transform(payload, context):\n    return payload.data\n")
    second = written(tmp_path / "second.js", "function transform(payload, context) { return payload.data }\n")
    transform = customer("transforms", "create", "Copy", first)["id"]
    customer("transforms", "push", second, "--transform", transform, "--note", "in JavaScript")
    assert [one["language"] for one in customer("transforms", "versions", transform)] == ["javascript", "python"]
    customer("transforms", "rollback", transform, "1")
    assert [one["current"]["number"] for one in customer("transforms", "list")] == [1]
    allowed = customer("transforms", "egress", transform, "--allow", "api.invalid", "--header", "api.invalid X-A: b")
    assert allowed == customer("transforms", "egress", transform)
    assert [one["host"] for one in allowed["rules"]] == ["api.invalid"]
    made = customer("flows", "create", "Copies", "--step", f"{transform}@1", "--config", '{"a": 1}', "--disabled")
    assert made["state"] == "disabled"
    assert customer("flows", "enable", made["id"])["state"] == "enabled"
    assert customer("flows", "show", made["id"])["steps"][0]["version"] == 1
    assert customer("flows", "runs", "--flow", made["id"]) == []
    customer.refused(1, "flow", "transforms", "delete", transform)
    customer("flows", "delete", made["id"])
    assert customer("flows", "list") == []
    customer("transforms", "delete", transform)
    customer.refused(2, "neither .py nor .js", "transforms", "create", "x", written(tmp_path / "x.txt", ""))
    customer.refused(2, "not JSON", "flows", "create", "x", "--step", transform, "--config", "[")
    customer.refused(2, "--allow", "transforms", "egress", transform, "--header", "api.invalid X-A: b")


def test_credentials_of_third_parties(customer: Line, tmp_path: Path) -> None:
    value = written(tmp_path / "value", "canary-value\n", 0o600)
    customer("credentials", "create", "partner", "--value-file", value, "--host", "api.invalid")
    assert customer("credentials", "replace", "partner", "--host", "b.invalid")["hosts"] == ["b.invalid"]
    assert "canary-value" not in customer.printed(0, "credentials", "list")
    customer("credentials", "delete", "partner")
    customer.refused(2, "there is no credential", "credentials", "delete", "partner")
    customer.refused(2, "--host", "credentials", "create", "x", "--value-file", value)


def test_registers(operator: Line, tmp_path: Path) -> None:
    file = written(tmp_path / "x.toml", 'about = "x"\nrole = "y"\nmail = "a@example.com"\n')
    assert operator("registers", "put", "contacts", "by-command", file)["version"] == 1
    assert operator("registers", "show", "contacts", "by-command")["document"]["mail"] == "a@example.com"
    assert "contacts" in {one["register"] for one in operator("registers", "list")}
    assert '"mail"' in operator.printed(0, "registers", "schema", "contacts")
    assert operator("registers", "export", "contacts")["contacts"]["by-command"]["role"] == "y"
    operator("registers", "withdraw", "contacts", "by-command", "--reason", "over")
    assert operator("registers", "history", "contacts", "by-command")[-1]["withdrawn"]
    own = ("--file", written(tmp_path / "policy.md", "We do."), "--title", "By command")
    assert operator("registers", "adopt", "by-command", "--owner", "CTO", *own)["document"]["owner"] == "CTO"
    assert operator("registers", "review", "by-command")["document"]["title"] == "By command"
    operator.refused(1, "[company]", "registers", "adopt", "backup", "--owner", "CTO")
    operator.refused(2, "TOML", "registers", "put", "contacts", "x", written(tmp_path / "y.toml", "= 1"))
    operator.refused(2, "none cannot be read", "registers", "put", "contacts", "x", tmp_path / "none")
    operator.refused(1, "mail", "registers", "put", "contacts", "x", written(tmp_path / "z.toml", "mail = 1\n"))
    operator.refused(2, "there is no register", "registers", "schema", "nothing")


def test_an_objection_to_a_vendor_is_answered(operator: Line, customer: Line, tmp_path: Path) -> None:
    terms = {"purpose": "x", "location": ["DE"], "transfer_basis": "no-transfer", "data": ["y"], "optional": True}
    vendor = {"name": "By Command", "address": "1 Street", "contact": "a@example.com", "state": "active"}
    file = written(tmp_path / "x.json", json.dumps({"sub-processors": {"by-command": {**vendor, "terms": terms}}}))
    assert [one["outcome"] for one in operator("registers", "import", file)] != ["refused"]
    assert customer("vendors", "opt-in", "by-command")["permitted"] is True
    assert customer("vendors", "opt-out", "by-command")["permitted"] is False
    assert [one["permitted"] for one in customer("vendors", "list") if one["vendor"] == "by-command"] == [False]
    made = customer("vendors", "object", "by-command", "--reason", "Not with our data.")
    assert made["id"] in {one["id"] for one in operator("registers", "objections")}
    operator("registers", "respond", made["id"], "--text", "It is optional.")
    assert [one["response"] for one in customer("vendors", "objections")] == ["It is optional."]
    customer.refused(1, "", "vendors", "object", "nobody", "--reason", "x")


def test_documents_and_requests(operator: Line, tmp_path: Path) -> None:
    file = written(tmp_path / "letter.txt", "A letter.")
    operator("documents", "add", file, "--title", "A Letter", "--level", "on-request", "--cover-note")
    assert "a-letter" in {one["id"] for one in operator("documents", "list")}
    who = ("--mail", "reader@example.com", "--name", "A Reader")
    asked = operator("requests", "open", "--kind", "document", "--document", "a-letter", *who)
    granted = operator("requests", "grant", asked["id"], "--days", "3")
    assert operator("requests", "show", asked["id"])["state"] == "granted"
    assert granted["id"] in {one["id"] for one in operator("documents", "grants")}
    assert operator("documents", "downloads", granted["id"]) == []
    assert operator("documents", "revoke", granted["id"], "--reason", "over")["state"] == "revoked"
    late = ("--received", "2026-01-05T09:30:00+01:00")
    question = operator("requests", "open", "--kind", "legal", "--text", "May we?", *who, *late)
    assert (question["channel"], question["overdue"]) == ("mail", True)
    assert "beyond their business day" in operator.printed(0, "requests", "list", "--state", "open")
    assert operator("requests", "answer", question["id"], "--text", "You may.", "--elsewhere")["state"] == "answered"
    again = operator("requests", "open", "--kind", "procurement", *who)["id"]
    assert operator("requests", "refuse", again, "--reason", "No.")["state"] == "refused"
    lines = (
        "From: A Reader <r@example.com>\nSubject: Terms\nReceived: by mx; Mon, 5 Jan 2026 09:30:00 +0100\n\nMay we?\n"
    )
    mailed = operator("requests", "open", "--kind", "legal", "--eml", written(tmp_path / "q.eml", lines))
    assert (mailed["mail"], mailed["text"], mailed["channel"]) == ("r@example.com", "Terms\n\nMay we?", "mail")
    assert mailed["received_at"].startswith("2026-01-05T08:30:00")
    operator.refused(2, "no author", "requests", "open", "--kind", "legal", "--eml", file)
    operator.refused(2, "who asked", "requests", "open", "--kind", "legal", "--mail", "r@example.com")
    operator.refused(1, "already", "requests", "answer", again, "--text", "Yes.")
    operator.refused(2, "no time zone", "requests", "open", "--kind", "legal", *who, "--received", "2026-01-05T09:30")
    operator.refused(2, "cannot be read", "documents", "add", tmp_path / "none", "--title", "x", "--level", "public")
    operator.refused(2, "cannot be read", "documents", "trace", file)
    operator("documents", "withdraw", "a-letter")
    assert "a-letter" not in {one["id"] for one in operator("documents", "list")}


def test_reports_and_advisories(operator: Line, tmp_path: Path) -> None:
    told = {"title": "By command", "text": "Look at [/v1/x].", "name": "A Finder", "named": "yes"}
    page = operator.instance.call("POST", "/trust/disclosure/report", told).body.decode()
    found = re.search(r"rep_[0-9a-f]{32}", page)
    assert found is not None
    report = found[0]
    assert "Look at [/v1/x]." in operator.printed(0, "reports", "show", report)
    operator.refused(1, "", "reports", "triage", report, CRITICAL)  # before it is acknowledged
    assert operator("reports", "acknowledge", report, "--message", "Thank you.")["state"] == "acknowledged"
    assert operator("reports", "triage", report, CRITICAL)["severity"] == "critical"
    assert operator("reports", "confirm", report)["state"] == "confirmed"
    operator.refused(2, "no amount", "reports", "award", report, "five")
    operator.refused(1, "thanks", "reports", "award", report, "5000")  # no policy pays yet
    operator("reports", "thank", report)
    assert operator("reports", "close", report, "fixed")["state"] == "fixed"
    assert report in {one["id"] for one in operator("reports", "list")}
    assert operator("reports", "list", "--overdue") == []
    assert "Contact: " in operator.printed(0, "disclosure", "security-txt")
    operator.refused(1, "heldtrue disclosure key", "disclosure", "key", "--show")
    advisory = {
        "title": "By command", "summary": "x", "vector": CRITICAL, "product": "Gateway", "affected": ["1.0"],
        "fixed": ["1.1"], "remediation": "Install 1.1.",
    }  # fmt: skip
    operator("advisories", "publish", "by-command-1", written(tmp_path / "a.json", json.dumps(advisory)))
    assert "BY-COMMAND-1" in {one["id"] for one in operator("advisories", "list")}
    operator.refused(2, "a.toml", "advisories", "publish", "x", written(tmp_path / "a.toml", "= 1"))


def test_mail_out_without_a_server_waits_and_says_so(operator: Line) -> None:
    assert "so its mail waits" in operator.printed(1, "post", "test", "by-command@example.com")
    [mail] = [one for one in operator("post", "list") if one["to"] == "by-command@example.com"]
    assert (mail["state"], mail["sends"]) == ("waiting", False)
    operator.refused(1, "Only a mail that failed", "post", "retry", mail["id"])
    operator.refused(1, "no mail address", "post", "test", "nobody")


def test_evidence_and_findings(operator: Line, tmp_path: Path) -> None:
    key, credential = tmp_path / "signing", tmp_path / "credential"
    made = operator("evidence", "keygen", key)
    operator("evidence", "register", "by-command", made["public_key"], "--save", credential)
    result = {"ruleId": "by-command", "level": "error", "message": {"text": "By command"}}
    log = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "by-command"}}, "results": [result]}]}
    file = written(tmp_path / "x.sarif", json.dumps(log))
    about = ("--key-file", key, "--subject", "app@1", "--digest", "gitCommit:" + "a" * 40)
    pipeline = Line(operator.instance, operator.capsys, credential)
    pushed = pipeline("evidence", "push", file, "--kind", "sarif", *about)
    assert pushed["id"] in {one["id"] for one in operator("evidence", "list")}
    [finding] = [one["id"] for one in operator("findings", "list") if one["rule"].endswith("by-command")]
    operator.refused(1, "", "findings", "accept", finding, "--reason", "x", "--owner", "y", "--until", "2020-01-01")
    assert operator("findings", "resolve", finding, "--reason", "fixed")["state"] == "resolved"
    assert operator("findings", "list", "--state", "open") == []
    pipeline.refused(2, "no kind of evidence", "evidence", "push", file, "--kind", "gossip", *about)
    operator("evidence", "revoke", made["key_id"])
    assert [one["name"] for one in operator("evidence", "keys") if one["revoked_at"]] == ["by-command"]
    pipeline.refused(1, "", "evidence", "push", file, "--kind", "sarif", *about)


def test_questionnaires(operator: Line, tmp_path: Path) -> None:
    ours = tmp_path / "ours.json"
    assert operator("questionnaire", "export", "--output", ours)["saved_to"] == str(ours)
    assert json.loads(ours.read_text())
    operator.refused(2, "exists already", "questionnaire", "export", "--output", ours)
    operator.refused(2, "no format", "questionnaire", "export", "--output", tmp_path / "x.odt")
    theirs = written(tmp_path / "theirs.csv", "ID,Question,Answer\n1,Is data encrypted in transit with TLS?,\n")
    made = operator("questionnaire", "import", theirs)["id"]
    operator("questionnaire", "confirm", made, "--row", "1", "--by", "Security", "--answer", "yes", "--text", "TLS.")
    assert operator("questionnaire", "review", made)["confirmed"] == 1
    operator("questionnaire", "file", made, "--output", tmp_path / "back.csv")
    assert "TLS." in (tmp_path / "back.csv").read_text()
    operator.refused(2, "nothing to confirm", "questionnaire", "confirm", made, "--by", "Security")
    operator("questionnaire", "remove", made)
    assert operator("questionnaire", "list") == []


def test_agreements(operator: Line, tmp_path: Path) -> None:
    assert "# " in operator.printed(0, "agreements", "starter", "privacy")
    operator("agreements", "adopt", "privacy", "--effective", "2026-01-01", "--owner", "Counsel")
    assert "privacy" in {one["text"] for one in operator("agreements", "texts")}
    operator("agreements", "render", "dpa", "--output", tmp_path / "dpa.json", "--org", "A Customer", "--uk")
    assert "A Customer" in (tmp_path / "dpa.json").read_text()
    signed = written(tmp_path / "signed.pdf", "%PDF-1.4\n")
    filed = operator("agreements", "file", signed, "--counterparty", "A Customer", "--signed-on", "2026-01-02")
    operator("agreements", "get", filed["id"], "--output", tmp_path / "again.pdf")
    assert (tmp_path / "again.pdf").read_bytes() == signed.read_bytes()
    assert filed["id"] in {one["id"] for one in operator("agreements", "list")}
    operator.refused(2, "no text", "agreements", "starter", "poem")
    operator.refused(2, "no day", "agreements", "adopt", "terms", "--effective", "soon", "--owner", "Counsel")


def test_claims(operator: Line) -> None:
    listed = operator("claims", "list")
    assert operator("claims", "count")["claims"] == len(listed)
    assert operator("claims", "show", listed[0]["id"])["sentence"] == listed[0]["sentence"]
    promised = {one["id"] for one in operator("claims", "promised")}
    assert {one["state"] for one in listed if one["id"] in promised} <= {"promised"}
    assert operator("claims", "frameworks", "soc2")
    assert operator("claims", "recompute") == []
    assert operator("claims", "pause")["paused"] is True
    assert operator("claims", "resume")["paused"] is False
    operator.refused(1, "there is no claim", "claims", "show", "nothing")
    operator.refused(1, "there is no attack", "claims", "run", "nothing")
    operator.refused(2, "no document", "claims", "oscal", "poem")

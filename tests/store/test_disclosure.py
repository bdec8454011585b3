"""Reports from strangers over the product's own table: their clock, their way, their rewards, what is published."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import sectxt
from asgi import Caller, Got
from whole import Whole, open_whole

from heldtrue.db.roles import at_database

CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
LOW = "CVSS:4.0/AV:L/AC:H/AT:P/PR:H/UI:A/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N"
FORM = "/trust/disclosure/report"
ADVISORY = {
    "title": "A report could be read by its number",
    "summary": "Somebody who knew the number of a report could read it.",
    "vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
    "vector_v4": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N",
    "product": "Gateway",
    "affected": ["1.0.0", "1.1.0"],
    "fixed": ["1.1.1"],
    "remediation": "Install 1.1.1.",
    "cve": "CVE-2026-12345",
    "cwe": "CWE-639",
    "cwe_name": "Authorization Bypass Through User-Controlled Key",
    "credits": ["A Researcher"],
}


@pytest.fixture(scope="module")
def whole(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[Whole]:
    name = server.create()
    with open_whole(at_database(server.roles, name), tmp_path_factory.mktemp("whole")) as opened:
        yield opened
    server.drop(name)


@pytest.fixture
def paying(whole: Whole) -> None:
    put(whole, "rewards/policy", {"mode": "rewards"})


_sources = iter(f"198.51.{high}.{low}" for high in range(256) for low in range(256))


def put(whole: Whole, place: str, document: dict[str, Any]) -> Got:
    got = whole.house.operator.call(
        "PUT", f"/v1/registers/{place}", body=json.dumps({"document": document}).encode(),
        headers={"content-type": "application/json"},
    )  # fmt: skip
    assert got.status == 200, got.body
    return got


def fill_in(caller: Caller, target: str, **fields: str) -> Got:
    """Send a form as a browser does that runs no script."""
    return caller.call(
        "POST", target, body=urlencode(fields).encode(), headers={"content-type": "application/x-www-form-urlencoded"}
    )


def stranger(whole: Whole) -> Caller:
    caller = whole.house.caller()
    caller.client = next(_sources)
    return caller


def sent(whole: Whole, **fields: str) -> tuple[str, str]:
    """Send a report and return its id and its reporter's path."""
    got = fill_in(stranger(whole), FORM, **{"title": "Found something", "text": "Look at /v1/x.", **fields})
    assert got.status == 200, got.body
    text = got.body.decode()
    found = re.search(r"/trust/disclosure/reports/[0-9A-Za-z]{43}", text)
    number = re.search(r"rep_[0-9a-f]{32}", text)
    assert found, text
    assert number, text
    return number[0], found[0]


def act(whole: Whole, report: str, verb: str, **asked: object) -> Got:
    return whole.house.operator.post(f"/v1/reports/{report}/{verb}", asked)


def confirmed(whole: Whole, vector: str = CRITICAL, **fields: str) -> str:
    report, _ = sent(whole, **fields)
    for verb, asked in (("acknowledge", {}), ("assessment", {"vector": vector}), ("state", {"state": "confirmed"})):
        assert act(whole, report, verb, **asked).status == 200
    return report


def standing(whole: Whole) -> dict[str, int]:
    got = stranger(whole).get("/trust/disclosure.json")
    assert got.status == 200, got.body
    return got.json()["figures"]


def test_a_report_is_sealed_followed_and_answered_by_its_link(whole: Whole) -> None:
    report, path = sent(whole, title="Cross-tenant canary-report", text="The text canary-report.")
    reader = stranger(whole)
    assert "The text canary-report." in reader.get(path).body.decode()
    assert fill_in(reader, path, text="One more thing.").status == 200
    assert act(whole, report, "acknowledge", message="We are looking.").status == 200
    page = reader.get(path)
    assert all(text in page.body.decode() for text in ("One more thing.", "We are looking.", "acknowledged"))
    assert page.headers["cache-control"] == "no-store"
    assert reader.get(f"{path[:-1]}{'a' if path[-1] != 'a' else 'b'}").status == 404
    with whole.house.database.system() as tx:
        for table in ("reports", "report_messages"):
            rows = tx.value("SELECT string_agg(t::text, '') FROM heldtrue.%s t" % table)  # noqa: UP031
            assert "canary-report" not in rows
            assert b"canary-report".hex() not in rows


def test_a_stranger_cannot_read_reports(whole: Whole) -> None:
    report, _ = sent(whole)
    assert stranger(whole).get(f"/v1/reports/{report}").status == 401
    assert whole.house.organisation("Others").get(f"/v1/reports/{report}").status == 403


def test_the_clock_runs_over_a_holiday_weekend(whole: Whole) -> None:
    """Sent on the eve of Thanksgiving; Friday is a business day, and Saturday is not one more day of grace."""
    clock = whole.house.clock
    before = clock.at
    try:
        clock.at = datetime(2026, 11, 25, 23, 0, tzinfo=UTC)
        was = standing(whole)["overdue"]
        report, _ = sent(whole)
        clock.at = datetime(2026, 11, 27, 16, 59, 59, tzinfo=UTC)
        assert standing(whole)["overdue"] == was
        clock.at = datetime(2026, 11, 27, 17, 0, 1, tzinfo=UTC)
        assert standing(whole)["overdue"] == was + 1
        [shown] = [one for one in listed(whole) if one["id"] == report]
        assert shown["overdue"] is True
        assert shown["due_at"].startswith("2026-11-27T17:00:00")
        assert "beyond its time" in stranger(whole).get("/trust/disclosure").body.decode()
        assert act(whole, report, "acknowledge").status == 200
        assert standing(whole)["overdue"] == was
        assert standing(whole)["acknowledged_late"] >= 1
    finally:
        clock.at = max(before, clock.at)


def listed(whole: Whole) -> list[dict[str, Any]]:
    return whole.house.operator.get("/v1/reports?limit=200").json()["data"]


def test_no_statement_sets_the_clock_back(whole: Whole) -> None:
    report, _ = sent(whole)
    value = f"{report[4:12]}-{report[12:16]}-{report[16:20]}-{report[20:24]}-{report[24:]}"
    for change in ("due_at = due_at + interval '1 day'", "received_at = received_at - interval '1 day'"):
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege),
            whole.house.database.system() as tx,
        ):
            tx.execute(f"UPDATE heldtrue.reports SET {change} WHERE report_id = %s", (value,))
    with pytest.raises(psycopg.errors.InsufficientPrivilege), whole.house.database.system() as tx:
        tx.execute("DELETE FROM heldtrue.reports WHERE report_id = %s", (value,))


@pytest.mark.usefixtures("paying")
@pytest.mark.parametrize(
    ("vector", "cents", "status"),
    [
        (CRITICAL, 499_900, 422),
        (CRITICAL, 499_999, 422),
        (CRITICAL, 500_000, 200),
        (CRITICAL, 1_000_000, 200),
        (CRITICAL, 1_000_001, 422),
        (CRITICAL, 1_000_100, 422),
        (LOW, 4_900, 422),
        (LOW, 5_000, 200),
        (LOW, 30_000, 200),
        (LOW, 30_100, 422),
    ],
)
def test_a_reward_one_dollar_outside_its_band_is_refused(whole: Whole, vector: str, cents: int, status: int) -> None:
    report = confirmed(whole, vector)
    got = act(whole, report, "reward", cents=cents)
    assert got.status == status, got.body
    shown = whole.house.operator.get(f"/v1/reports/{report}").json()
    assert shown["award_cents"] == (cents if status == 200 else None)
    if status == 200:
        assert act(whole, report, "reward", cents=cents).code == "already-awarded"
        payout = whole.house.operator.get(f"/v1/registers/payouts/{report[4:]}").json()["document"]
        assert (payout["cents"], payout["confirmed"]) == (cents, True)
    else:
        assert got.code == "outside-band"


@pytest.mark.usefixtures("paying")
def test_nothing_is_paid_before_it_is_confirmed(whole: Whole) -> None:
    report, _ = sent(whole)
    assert act(whole, report, "acknowledge").status == 200
    assert act(whole, report, "assessment", vector=CRITICAL).status == 200
    assert act(whole, report, "reward", cents=600_000).code == "illegal-move"


def test_what_was_promised_when_a_report_came_in_is_what_it_earns(whole: Whole) -> None:
    put(whole, "rewards/policy", {"mode": "thanks"})
    before = confirmed(whole)
    put(whole, "rewards/policy", {"mode": "rewards"})
    assert act(whole, before, "reward", cents=600_000).code == "thanks-only"
    assert act(whole, confirmed(whole), "reward", cents=600_000).status == 200


def test_only_legal_moves_are_made(whole: Whole) -> None:
    report, _ = sent(whole)
    other, _ = sent(whole)
    assert act(whole, report, "assessment", vector=CRITICAL).code == "illegal-move"
    first, second = (act(whole, report, "acknowledge") for _ in range(2))
    assert first.status == second.status == 200
    assert first.json()["acknowledged_at"] == second.json()["acknowledged_at"]
    assert act(whole, report, "state", state="fixed").code == "illegal-move"
    assert act(whole, report, "state", state="duplicate").code == "illegal-move"
    assert act(whole, report, "state", state="duplicate", duplicate_of=report).code == "illegal-move"
    assert act(whole, report, "assessment", vector="CVSS:3.0/AV:N").code == "no-vector"
    closed = act(whole, report, "state", state="duplicate", duplicate_of=other)
    assert (closed.status, closed.json()["duplicate_of"]) == (200, other)
    assert act(whole, report, "state", state="confirmed").code == "illegal-move"


def test_nobody_is_named_without_consent(whole: Whole) -> None:
    silent = confirmed(whole, name="Somebody Silent", named="no")
    assert act(whole, silent, "thanks").code == "no-consent"
    gladly = confirmed(whole, name="Somebody Glad", named="yes")
    assert act(whole, gladly, "thanks", link="https://example.com/glad").status == 200
    page = stranger(whole).get("/trust/disclosure").body.decode()
    assert "Somebody Glad" in page
    assert "Somebody Silent" not in page


def test_one_source_leaves_only_so_much(whole: Whole) -> None:
    caller = stranger(whole)
    statuses = [fill_in(caller, FORM, title="x", text="y").status for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    assert fill_in(stranger(whole), FORM, title="x", text="y").status == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"title": "x"}, 422),
        ({"title": "x" * 201, "text": "y"}, 422),
        ({"title": "x", "text": "y" * 65_537}, 422),
        ({"title": "x", "text": "y", "mail": "no address"}, 422),
        ({"title": "x", "text": "-----BEGIN PGP MESSAGE-----\n\nwcB"}, 422),
    ],
    ids=["no text", "long title", "long text", "no address", "cut message"],
)
def test_what_is_no_report_is_refused(whole: Whole, fields: dict[str, str], status: int) -> None:
    assert fill_in(stranger(whole), FORM, **fields).status == status


def test_security_txt_is_valid_signed_and_renews_itself(whole: Whole, tmp_path: Path) -> None:
    assert whole.house.operator.post("/v1/disclosure/key", {"days": 365}).status == 201
    first = stranger(whole).get("/.well-known/security.txt")
    assert first.headers["content-type"] == "text/plain; charset=utf-8"
    checked = sectxt.Parser(first.body, is_local=True)
    assert [one["code"] for one in checked.errors if one["code"] != "expired"] == []
    assert first.body.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----")
    expires = checked.get_value("expires") if hasattr(checked, "get_value") else ""
    assert b"\nExpires: 2027-0" in first.body, expires
    assert stranger(whole).get("/.well-known/security.txt").body == first.body
    whole.house.clock.at += timedelta(days=1)
    assert stranger(whole).get("/.well-known/security.txt").body != first.body
    key = stranger(whole).get("/.well-known/pgp-key.txt").body.decode()
    assert verified(first.body, key, tmp_path)
    assert not verified(first.body.replace(b"Contact: https", b"Contact: httpx"), key, tmp_path)


def verified(signed: bytes, key: str, directory: Path) -> bool:
    import gnupg

    gpg = gnupg.GPG(gnupghome=str(directory))
    gpg.import_keys(key)
    return bool(gpg.verify(signed).valid)


def test_an_encrypted_report_is_opened_where_the_key_is_held(whole: Whole) -> None:
    from heldtrue.capabilities.disclosure import pgp

    made = whole.house.operator.post("/v1/disclosure/key", {}).json()
    secret = "only for the holder of the key"
    report, path = sent(whole, text=pgp.encrypt(made["public_key"], secret))
    [message] = whole.house.operator.get(f"/v1/reports/{report}").json()["messages"]
    assert (message["encrypted"], message["opened"]) == (True, secret)
    assert secret not in stranger(whole).get(path).body.decode()


def test_advisories_are_published_as_csaf_with_their_digests_and_feeds(whole: Whole) -> None:
    put(whole, "advisories/ex-2026-001", ADVISORY)
    put(
        whole,
        "advisories/ex-2026-001",
        {**ADVISORY, "revision": "Named the fixed version.", "fixed": ["1.1.1", "1.2.0"]},
    )
    reader = stranger(whole)
    base = "/.well-known/csaf"
    index = reader.get(f"{base}/white/index.txt").body.decode().split()
    assert index == ["2026/ex-2026-001.json"]
    content = reader.get(f"{base}/white/{index[0]}").body
    for name in ("sha256", "sha512"):
        line = reader.get(f"{base}/white/{index[0]}.{name}").body.decode().split()
        assert line == [hashlib.new(name, content).hexdigest(), "ex-2026-001.json"]
    document = json.loads(content)
    assert document["document"]["tracking"]["version"] == "2"
    metadata = reader.get(f"{base}/provider-metadata.json").json()
    assert metadata["role"] == "csaf_provider"
    feed = reader.get(f"{base}/white/csaf-feed-tlp-white.json").json()["feed"]
    assert [one["id"] for one in feed["entry"]] == ["EX-2026-001"]
    atom = reader.get("/trust/disclosure/advisories.atom")
    assert atom.headers["content-type"].startswith("application/atom+xml")
    assert b"EX-2026-001" in atom.body
    page = reader.get("/trust/disclosure/advisories/ex-2026-001")
    assert (page.status, b"CWE-639" in page.body) == (200, True)
    assert reader.get(f"{base}/white/2026/none.json").status == 404
    got = whole.house.operator.call("DELETE", "/v1/registers/advisories/ex-2026-001?reason=Wrong")
    assert got.code == "advisory-stands"

"""Journey 2: a payload goes in, its receipt comes out at an endpoint, and the log dates it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from house import House, tenant_of
from payload_house import BASE, ORIGIN, PayloadHouse, build_payload_house, found_house, multipart, webhook
from receiver import Receiver, answers
from standardwebhooks import Webhook, WebhookVerificationError

from heldtrue.capabilities.intake.model import Limits
from heldtrue.crypto.integrity import verify_proof
from heldtrue.crypto.signing import parse_multikey
from heldtrue.crypto.webhooks import sign_v1
from heldtrue.db.tx import Database
from heldtrue.kernel.secret import Secret

SMALL = Limits(body=2_000_000, json=300_000, inline=4096, attachments=3)
BIG = b"%PDF-" + bytes(range(256)) * 4000


@pytest.fixture
def receiver(tmp_path: Path) -> Generator[Receiver]:
    with Receiver(tmp_path / "receiver") as one:
        yield one


@pytest.fixture(scope="module")
def plain(module_database: Database) -> Generator[House]:
    house = found_house(module_database)
    yield house
    house.app.close()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log")


@pytest.fixture
def place(plain: House, log: Path, tmp_path: Path, receiver: Receiver) -> Generator[PayloadHouse]:
    built = build_payload_house(plain, tmp_path, ca_file=receiver.ca_file, limits=SMALL, log=log)
    yield built
    built.close()


def test_a_payload_becomes_a_signed_webhook_with_a_receipt_that_verifies(
    place: PayloadHouse, receiver: Receiver
) -> None:
    endpoint = place.register(receiver.url("/in"))
    sent = place.send(b'{ "total": 12, "invoice": "A-1" }')
    assert sent.status == 202, sent.body
    accepted = sent.json()
    assert accepted["state"] == "accepted"
    assert accepted["sha256"] == hashlib.sha256(b'{ "total": 12, "invoice": "A-1" }').hexdigest()
    assert accepted["jcs_sha256"] == hashlib.sha256(b'{"invoice":"A-1","total":12}').hexdigest()
    assert place.deliver() == 1

    [got] = receiver.received
    body = webhook(got.body)
    receipt = body["data"]["receipt"]
    assert base64.b64decode(body["data"]["payload"]["content"]) == b'{ "total": 12, "invoice": "A-1" }'
    assert receipt["type"] == "HeldtrueReceipt"
    assert receipt["origin"] == ORIGIN
    assert receipt["payload"]["id"] == accepted["id"]
    assert receipt["endpoint"] == endpoint["id"]
    method = receipt["proof"]["verificationMethod"]
    assert method.startswith(f"https://{ORIGIN}#z6Mk")
    verify_proof(receipt, parse_multikey(method.split("#")[1]))

    [delivery] = place.deliveries()
    assert delivery["state"] == "delivered"
    assert got.headers["webhook-id"] == delivery["id"]
    at = int(got.headers["webhook-timestamp"])
    v1, v1a = got.headers["webhook-signature"].split(" ")
    assert v1 == sign_v1(Secret(endpoint["secret"]), delivery["id"], at, got.body)
    assert v1a.startswith("v1a,")
    [attempt] = place.delivery(delivery["id"])["tries"]
    assert (attempt["status"], attempt["excerpt"], attempt["failure"]) == (200, "thank you", None)


def test_the_public_library_accepts_what_is_sent(place: PayloadHouse, receiver: Receiver) -> None:
    endpoint = place.register(receiver.url("/in"))
    place.house.clock.at = datetime.now(UTC)  # the library compares with the machine's clock
    place.send()
    place.deliver()
    [got] = receiver.received
    assert Webhook(endpoint["secret"]).verify(got.body, got.headers) == webhook(got.body)
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint["secret"]).verify(got.body.replace(b"1", b"2"), got.headers)


def test_a_bundle_waits_for_the_log_and_then_dates_receipt_and_key(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/in"))
    place.send()
    place.deliver()
    link = webhook(receiver.received[0].body)["data"]["bundle_url"].removeprefix(BASE)
    stranger = place.house.caller()
    early = stranger.get(link)
    assert (early.status, early.code) == (503, "not-in-the-log-yet")
    place.log()
    bundle = stranger.get(link)
    assert bundle.status == 200, bundle.body
    found = bundle.json()
    assert set(found) == {"receipt", "proof", "key_entry", "key_proof"}
    assert found["receipt"] == webhook(receiver.received[0].body)["data"]["receipt"]
    assert found["proof"].startswith("c2sp.org/tlog-proof@v1\nextra ")
    assert found["key_proof"].startswith("c2sp.org/tlog-proof@v1\nindex ")
    assert found["key_entry"]["purpose"] == "receipt"
    assert found["receipt"]["proof"]["verificationMethod"].endswith("#" + found["key_entry"]["public"])
    [listed] = place.admin.get("/v1/receipts").json()["data"]
    assert place.admin.get(f"/v1/receipts/{listed['id']}/bundle").json() == found
    assert place.admin.get(f"/v1/receipts/{listed['id']}").json()["receipt"] == found["receipt"]


def test_a_bundle_link_does_not_open_the_content_but_a_content_link_opens_both(
    place: PayloadHouse, receiver: Receiver
) -> None:
    place.register(receiver.url("/in"))
    place.send(BIG, "application/pdf")
    place.deliver()
    data = webhook(receiver.received[0].body)["data"]
    assert data["payload"]["content"] is None
    stranger = place.house.caller()
    content = stranger.get(data["payload"]["content_url"].removeprefix(BASE))
    assert (content.status, content.body) == (200, BIG)
    assert content.headers["content-type"] == "application/pdf"
    assert content.headers["content-disposition"] == "attachment"
    bundle_token = data["bundle_url"].rsplit("/", 1)[1]
    content_token = data["payload"]["content_url"].rsplit("/", 1)[1]
    assert stranger.get(f"/v1/contents/{bundle_token}").status == 404
    assert stranger.get(f"/v1/bundles/{content_token}").status == 404
    altered = content_token[:-1] + ("0" if content_token[-1] != "0" else "1")
    assert stranger.get(f"/v1/contents/{altered}").status == 404


def test_attachments_travel_by_value_while_they_fit_and_by_link_beyond(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/in"))
    body, kind = multipart(
        ({"Content-Disposition": 'form-data; name="payload"', "Content-Type": "application/json"}, b'{"b":2,"a":1}'),
        ({"Content-Disposition": 'form-data; name="f"; filename="a.txt"', "Content-Type": "text/plain"}, b"hello"),
        ({"Content-Disposition": 'form-data; name="f"; filename="b.pdf"', "Content-Type": "application/pdf"}, BIG),
    )
    sent = place.send(body, kind)
    assert sent.status == 202, sent.body
    assert [one["name"] for one in sent.json()["attachments"]] == ["a.txt", "b.pdf"]
    place.deliver()
    data = webhook(receiver.received[0].body)["data"]
    small, large = data["payload"]["attachments"]
    assert base64.b64decode(small["content"]) == b"hello"
    assert large["content"] is None
    assert place.house.caller().get(large["content_url"].removeprefix(BASE)).body == BIG
    payload = sent.json()["id"]
    assert place.admin.get(f"/v1/payloads/{payload}/attachments/2").body == BIG
    assert place.admin.get(f"/v1/payloads/{payload}/attachments/3").code == "no-such-attachment"
    assert place.admin.get(f"/v1/payloads/{payload}/content").body == b'{"b":2,"a":1}'
    assert data["receipt"]["payload"]["attachments"][1]["sha256"] == hashlib.sha256(BIG).hexdigest()
    seen = place.admin.get(f"/v1/payloads/{payload}").json()
    assert seen["state"] == "forwarded"
    assert seen["jcs_sha256"] == hashlib.sha256(b'{"a":1,"b":2}').hexdigest()


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b'{"a":1,"a":2}', "application/json", 422, "duplicate-member"),
        (b'{"a":', "application/json", 422, "malformed-json"),
        (b"", "application/json", 422, "malformed-json"),
        (b'{"a":9007199254740993}', "application/json", 422, "unsafe-number"),
        (b'{"a":NaN}', "application/ld+json", 422, "unsafe-number"),
        (b"[" + b"1," * 200_000 + b"1]", "application/json", 413, "json-too-large"),
        (b"x" * 2_000_001, "text/plain", 413, "too-large"),
        (b"--b\r\n\r\nhello", "multipart/mixed; boundary=b", 422, "truncated-multipart"),
        (b"hello", "multipart/form-data; boundary=b", 422, "malformed-multipart"),
        (b"--b--\r\n", "multipart/form-data; boundary=b", 422, "parts"),
        (b"hello", "multipart/form-data", 422, "parts"),
        (b"hello", "nonsense", 422, "bad-input"),
    ],
)
def test_what_cannot_be_taken_in_is_refused_clearly_and_leaves_nothing(
    place: PayloadHouse, body: bytes, kind: str, status: int, code: str
) -> None:
    refused = place.send([body[:700_000], body[700_000:1_400_000], body[1_400_000:]], kind)
    assert (refused.status, refused.code) == (status, code), refused.body
    assert place.admin.get("/v1/payloads").json()["data"] == []
    assert place.stored_files() == []


@pytest.mark.parametrize("length", ["5", "4000000000", "x"])
def test_a_wrong_content_length_is_refused_and_leaves_nothing(place: PayloadHouse, length: str) -> None:
    got = place.send([BIG[:50_000], BIG[50_000:100_000]], "application/pdf", **{"content-length": length})
    assert got.status in {400, 413}
    assert place.admin.get("/v1/payloads").json()["data"] == []
    assert place.stored_files() == []


def test_a_sender_who_goes_away_in_the_middle_leaves_nothing(place: PayloadHouse) -> None:
    place.admin.call(
        "POST", "/v1/payloads", body=[BIG[:600_000]], headers={"content-type": "application/pdf"}, cut=True
    )
    assert place.admin.get("/v1/payloads").json()["data"] == []
    assert place.stored_files() == []


def test_a_repeated_payload_with_the_same_idempotency_key_is_one_payload(place: PayloadHouse) -> None:
    one, kind = multipart(({"Content-Disposition": 'form-data; name="payload"'}, BIG), boundary="first")
    two, other = multipart(({"Content-Disposition": 'form-data; name="payload"'}, BIG), boundary="second")
    first = place.send(one, kind, **{"idempotency-key": "k1"})
    again = place.send(two, other, **{"idempotency-key": "k1"})
    assert (first.status, again.status) == (202, 202)
    assert first.json() == again.json()
    assert len(place.admin.get("/v1/payloads").json()["data"]) == 1
    assert len(place.stored_files()) == 1
    changed = place.send(b"another", "text/plain", **{"idempotency-key": "k1"})
    assert changed.status == 409
    assert len(place.stored_files()) == 1


def test_an_erased_payload_is_gone_with_its_receipts_and_stays_visible_as_erased(
    place: PayloadHouse, receiver: Receiver
) -> None:
    place.register(receiver.url("/in"))
    sent = place.send(BIG, "application/pdf")
    payload = sent.json()["id"]
    place.deliver()
    content_link = webhook(receiver.received[0].body)["data"]["payload"]["content_url"].removeprefix(BASE)
    [receipt] = place.admin.get("/v1/receipts").json()["data"]
    erased = place.admin.delete(f"/v1/payloads/{payload}")
    assert (erased.status, erased.json()["state"]) == (200, "erased")
    assert place.stored_files() == []
    assert place.admin.delete(f"/v1/payloads/{payload}").json() == erased.json()
    seen = place.admin.get(f"/v1/payloads/{payload}").json()
    assert (seen["state"], seen["sha256"], seen["attachments"]) == ("erased", None, [])
    assert place.admin.get(f"/v1/payloads/{payload}/content").code == "payload-erased"
    assert place.admin.get(f"/v1/receipts/{receipt['id']}").code == "receipt-erased"
    assert place.house.caller().get(content_link).status == 409
    [delivery] = place.deliveries()
    assert place.admin.post(f"/v1/deliveries/{delivery['id']}/replay").code == "receipt-erased"
    assert place.delivery(delivery["id"])["tries"][0]["excerpt"] is None
    with place.database.tenant(tenant_of(place.house, place.admin), "live") as tx:
        assert (
            tx.value("SELECT count(*) FROM heldtrue.ledger_documents WHERE kind = 'receipt' AND sealed IS NOT NULL")
            == 0
        )
        assert tx.value("SELECT count(*) FROM keystore.object_keys WHERE wrapped IS NOT NULL") == 0


def test_another_organisation_finds_nothing_of_it(place: PayloadHouse, receiver: Receiver) -> None:
    endpoint = place.register(receiver.url("/in"))
    payload = place.send().json()["id"]
    place.deliver()
    [delivery] = place.deliveries()
    [receipt] = place.admin.get("/v1/receipts").json()["data"]
    other = place.house.organisation("Other")
    for path in ("/v1/payloads", "/v1/receipts", "/v1/deliveries", "/v1/endpoints"):
        assert other.get(path).json()["data"] == []
    for path in (
        f"/v1/payloads/{payload}",
        f"/v1/payloads/{payload}/content",
        f"/v1/receipts/{receipt['id']}",
        f"/v1/receipts/{receipt['id']}/bundle",
        f"/v1/deliveries/{delivery['id']}",
        f"/v1/endpoints/{endpoint['id']}",
    ):
        assert other.get(path).status == 404, path
    assert other.delete(f"/v1/payloads/{payload}").status == 404
    assert other.post(f"/v1/deliveries/{delivery['id']}/replay").status == 404
    assert other.post(f"/v1/endpoints/{endpoint['id']}/roll", {}).status == 404


def test_a_secret_is_shown_once_and_rolls_with_an_overlap(place: PayloadHouse, receiver: Receiver) -> None:
    endpoint = place.register(receiver.url("/in"))
    assert "secret" not in place.admin.get(f"/v1/endpoints/{endpoint['id']}").json()
    rolled = place.admin.post(f"/v1/endpoints/{endpoint['id']}/roll", {"overlap_seconds": 3600})
    assert rolled.status == 200, rolled.body
    assert rolled.json()["secret"] != endpoint["secret"]
    place.send()
    place.deliver()
    [got] = receiver.received
    at, name = int(got.headers["webhook-timestamp"]), got.headers["webhook-id"]
    signatures = got.headers["webhook-signature"].split(" ")
    for secret in (rolled.json()["secret"], endpoint["secret"]):
        assert sign_v1(Secret(secret), name, at, got.body) in signatures
    assert len(signatures) == 4


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/in",
        "https://user:word@example.com/",
        "https://example.com/#part",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https:///in",
        "https://example.com:0/",
        "https://exa mple.com/",
    ],
)
def test_an_endpoint_that_is_not_a_public_https_url_is_refused(place: PayloadHouse, url: str) -> None:
    assert place.admin.post("/v1/endpoints", {"url": url}).status == 422


def test_loopback_needs_the_allow_list(place: PayloadHouse, receiver: Receiver) -> None:
    from payload_house import payload_routes

    from heldtrue.capabilities.deliveries.addresses import AllowList
    from heldtrue.capabilities.deliveries.outgoing import Outgoing

    strict = place.house.served(*payload_routes(place.objects, SMALL, Outgoing(allow=AllowList())))
    caller = strict.caller(place.admin.key)
    assert caller.post("/v1/endpoints", {"url": receiver.url("/")}).code == "refused-address"
    assert caller.post("/v1/endpoints", {"url": "https://localhost/"}).code == "refused-address"


def test_every_attempt_leaves_an_audit_entry(place: PayloadHouse, receiver: Receiver) -> None:
    receiver.behave["/in"] = answers(500, "no")
    place.register(receiver.url("/in"))
    place.send()
    place.deliver()
    attempts = [one for one in place.house.entries(place.admin) if one["event"] == "delivery.attempted"]
    [delivery] = place.deliveries()
    assert [(one["subject"], one["detail"]["status"], one["actor"]["kind"]) for one in attempts] == [
        (delivery["id"], 500, "system")
    ]

"""Receipts: one per output and endpoint, the same bytes for ever."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from house import House
from payload_house import ORIGIN, PayloadHouse, build_payload_house, found_house

from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.keystore.actions import rotate
from heldtrue.capabilities.receipts import actions
from heldtrue.capabilities.receipts.model import Forwarded, Links, bundle_token, link_digest
from heldtrue.crypto.canonical import canonicalize_entry
from heldtrue.crypto.integrity import verify_proof
from heldtrue.crypto.signing import parse_multikey
from heldtrue.db.tx import Database
from heldtrue.kernel.ids import EndpointId, PayloadId, ReceiptId
from heldtrue.kernel.secret import Secret


@pytest.fixture(scope="module")
def plain(module_database: Database) -> Generator[House]:
    house = found_house(module_database)
    yield house
    house.app.close()


@pytest.fixture
def place(plain: House, tmp_path: Path) -> Generator[PayloadHouse]:
    built = build_payload_house(plain, tmp_path)
    yield built
    built.close()


def receipt_ids(place: PayloadHouse) -> list[str]:
    return [one["id"] for one in place.admin.get("/v1/receipts").json()["data"]]


def test_a_second_receipt_for_the_same_output_and_endpoint_is_refused(place: PayloadHouse) -> None:
    endpoint = EndpointId.parse(place.register("https://127.0.0.1:1/")["id"])
    payload = PayloadId.parse(place.send().json()["id"])
    place.engine().step_forward()
    worker, spot = place.worker(), (place.tenant.value, "live")

    def again() -> None:
        with worker.operation(spot) as op:
            stored = intake.get_stored(op, payload)
            what = Forwarded(
                tenant=op.tenant, environment="live", payload=payload, received_at=stored.received_at,
                source="http", size=stored.size, meta=stored.meta, attachments=[], ordinal=0, endpoint=endpoint,
            )  # fmt: skip
            key = place.services.signers.active(op.tx, "receipt", op.now)
            actions.issue(op, [(what, stored.key)], key, ORIGIN)

    with pytest.raises(psycopg.errors.UniqueViolation):
        again()
    assert len(receipt_ids(place)) == 1


def test_of_many_forwarders_at_once_each_payload_gets_one_receipt_per_endpoint(place: PayloadHouse) -> None:
    for port in (1, 2):
        place.register(f"https://127.0.0.1:{port}/")
    payloads = [PayloadId.parse(place.send().json()["id"]) for _ in range(12)]
    worker, spot = place.worker(), (place.tenant.value, "live")
    done: list[int] = []
    threads = [threading.Thread(target=lambda: done.append(worker.forward(spot, payloads))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(done) == 12
    assert len(receipt_ids(place)) == 24
    assert {one["payload_id"] for one in place.deliveries()} == {str(payload) for payload in payloads}


def test_a_receipt_reads_the_same_each_time_also_after_the_key_was_rotated(place: PayloadHouse) -> None:
    place.register("https://127.0.0.1:1/")
    place.send()
    place.engine().step_forward()
    [receipt] = receipt_ids(place)
    first = place.admin.get(f"/v1/receipts/{receipt}").json()
    with place.database.system() as tx:
        rotate(tx, place.services.platform, "receipt", place.house.clock.now(), place.services.entropy)
    assert place.admin.get(f"/v1/receipts/{receipt}").json() == first
    place.send()
    place.engine().step_forward()
    other = place.admin.get(f"/v1/receipts/{receipt_ids(place)[0]}").json()["receipt"]
    keys = [one["proof"]["verificationMethod"].split("#")[1] for one in (first["receipt"], other)]
    assert keys[0] != keys[1]
    verify_proof(first["receipt"], parse_multikey(keys[0]))
    verify_proof(other, parse_multikey(keys[1]))
    canonicalize_entry(other)  # in the narrow profile: ASCII names, no fractions


def test_a_link_is_unguessable_and_only_its_digest_is_kept(place: PayloadHouse) -> None:
    key = Secret(b"k" * 32)
    receipt = ReceiptId.new(place.house.clock.now(), place.services.entropy)
    links = Links.of(key, receipt)
    assert links == Links.of(key, receipt)
    assert links != Links.of(Secret(b"l" * 32), receipt)
    assert len({links.content, links.bundle}) == 2
    assert all(len(token) == 43 for token in (links.content, links.bundle))
    assert links.digest == link_digest(bundle_token(links.content))
    assert actions.resolve_link(place.database, links.bundle) is None


def test_a_link_leads_across_organisations_to_one_thing_only(place: PayloadHouse) -> None:
    place.register("https://127.0.0.1:1/")
    payload = place.send().json()["id"]
    place.engine().step_forward()
    with place.worker().operation((place.tenant.value, "live")) as op:
        [receipt] = receipt_ids(place)
        issued = actions.issued(op, ReceiptId.parse(receipt))
    bundle = actions.resolve_link(place.database, issued.links.bundle)
    content = actions.resolve_link(place.database, issued.links.content)
    assert bundle is not None
    assert content is not None
    assert (bundle.tenant, str(ReceiptId(bundle.row))) == (place.tenant, receipt)
    assert (content.tenant, str(PayloadId(content.row))) == (place.tenant, payload)

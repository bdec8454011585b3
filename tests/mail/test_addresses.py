"""Addresses: random, the owner's alone, and gone when they are revoked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mail_house import DOMAIN, SIMPLE, Peer, Post, taken
from payload_house import payload_routes

from heldtrue.capabilities.intake.model import Limits
from heldtrue.capabilities.mail.model import Policy, is_local_part, local_digest, new_local_part
from heldtrue.capabilities.mail.records import MailDomain, dns_records
from heldtrue.capabilities.mail.routes import MailRoutes
from heldtrue.capabilities.mail.routes import routes as mail_routes


def refusal(peer: Peer, address: str) -> str:
    assert peer.code("RSET") == 250
    assert peer.code("MAIL FROM:<a@b.test>") == 250
    return peer.say(f"RCPT TO:<{address}>")


def test_an_address_is_130_random_bits_and_shown_to_its_owner(post: Post) -> None:
    made = post.admin.post("/v1/addresses", {"label": "invoices", "description": "of Ann"}).json()
    local, _, domain = made["address"].partition("@")
    assert (len(local), domain) == (26, DOMAIN)
    assert is_local_part(local)
    assert made["receives"] is True
    listed = post.admin.get("/v1/addresses?limit=1").json()["data"][0]
    assert listed == made
    assert new_local_part(lambda size: b"\xff" * size) == "7" * 26
    assert local_digest("ABC") == local_digest("abc")


def test_addresses_are_listed_page_by_page(post: Post) -> None:
    made = [post.admin.post("/v1/addresses", {}).json()["id"] for _ in range(3)]
    page = post.admin.get("/v1/addresses?limit=2").json()
    rest = post.admin.get(f"/v1/addresses?limit=2&cursor={page['next_cursor']}").json()
    found = [one["id"] for one in (*page["data"], *rest["data"])]
    assert found[:3] == made[::-1]


def test_unknown_revoked_and_foreign_looking_addresses_get_the_same_answer(peer: Peer, post: Post) -> None:
    made = post.admin.post("/v1/addresses", {}).json()
    known = made["address"]
    assert refusal(peer, known).startswith("250 ")
    assert post.admin.delete(f"/v1/addresses/{made['id']}").json()["state"] == "revoked"
    answers = {refusal(peer, one) for one in (known, f"{'a' * 26}@{DOMAIN}", f"postmaster@{DOMAIN}", f"x@{DOMAIN}")}
    assert answers == {"550 5.1.1 no such address"}
    again = post.admin.delete(f"/v1/addresses/{made['id']}")
    assert (again.status, again.json()["revoked_at"]) == (
        200,
        post.admin.get("/v1/addresses?state=revoked").json()["data"][0]["revoked_at"],
    )


def test_every_recipient_costs_one_question_to_the_database(
    peer: Peer, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    from heldtrue.capabilities.mail import store

    asked: list[bytes] = []
    find = store.find
    monkeypatch.setattr(store, "find", lambda tx, digest: asked.append(digest) or find(tx, digest))
    revoked = post.admin.post("/v1/addresses", {}).json()
    post.admin.delete(f"/v1/addresses/{revoked['id']}")
    for one in (post.address(), revoked["address"], f"{'a' * 26}@{DOMAIN}", f'"odd one"@{DOMAIN}'):
        before = len(asked)
        refusal(peer, one)
        assert len(asked) == before + 1


def test_an_address_is_found_in_any_case(peer: Peer, post: Post) -> None:
    local, _, domain = post.address().partition("@")
    assert refusal(peer, f"{local.upper()}@{domain.upper()}").startswith("250 ")


def test_an_address_revoked_while_a_message_arrives_takes_it_no_more(peer: Peer, post: Post) -> None:
    made = post.admin.post("/v1/addresses", {}).json()
    before = len(post.payloads())
    peer.begin(made["address"])
    post.admin.delete(f"/v1/addresses/{made['id']}")
    peer.send(SIMPLE + b".\r\n")
    assert peer.reply().startswith("550 5.1.1 ")
    assert len(post.payloads()) == before
    assert taken(peer.message(SIMPLE, post.address()))


def test_a_closed_organisation_receives_nothing(peer: Peer, post: Post) -> None:
    other = post.place.house.organisation("Gone")
    address = post.address(other)
    assert refusal(peer, address).startswith("250 ")
    tenant = other.get("/v1/self").json()["organisation_id"]
    from heldtrue.kernel.ids import TenantId

    with post.place.database.system() as tx:
        tx.execute(
            "UPDATE heldtrue.organisations SET state = 'closed' WHERE tenant_id = %s", [TenantId.parse(tenant).value]
        )
    assert refusal(peer, address) == "550 5.1.1 no such address"


def test_mail_goes_to_the_organisation_of_its_address_and_to_no_other(peer: Peer, post: Post) -> None:
    other = post.place.house.organisation("Other")
    theirs = post.address(other)
    before = len(post.payloads())
    payload = taken(peer.message(SIMPLE, theirs))
    assert other.get(f"/v1/payloads/{payload}/content").body == SIMPLE
    assert post.admin.get(f"/v1/payloads/{payload}").status == 404
    assert len(post.payloads()) == before


def test_one_message_goes_to_one_organisation_and_the_sender_is_told_to_send_another(peer: Peer, post: Post) -> None:
    theirs = post.address(post.place.house.organisation("Third"))
    assert refusal(peer, post.address()).startswith("250 ")
    assert peer.say(f"RCPT TO:<{theirs}>").startswith("452 4.5.3 ")
    assert peer.code("DATA") == 354
    peer.send(SIMPLE + b".\r\n")
    taken(peer.reply())


def test_two_addresses_of_an_environment_make_one_payload_that_names_both(peer: Peer, post: Post) -> None:
    first, second = post.address(label="one"), post.address(label="two")
    mail = post.meta(taken(peer.message(SIMPLE, first, second))).mail
    assert mail is not None
    assert (mail.recipients, mail.labels) == ((first, second), ("one", "two"))
    assert len(mail.addresses) == 2


def test_the_payload_tells_its_envelope(peer: Peer, post: Post) -> None:
    address = post.address(label="invoices")
    payload = taken(peer.message(SIMPLE, address, sender=""))
    mail = post.admin.get(f"/v1/payloads/{payload}").json()["mail"]
    assert (mail["sender"], mail["recipients"], mail["helo"], mail["client"]) == (
        "",
        [address],
        "peer.test",
        "127.0.0.1",
    )
    assert post.admin.get("/v1/payloads?limit=1").json()["data"][0]["source"] == "smtp"


@pytest.mark.parametrize(
    "asked", [{"label": "Ä"}, {"label": ""}, {"label": "a" * 41}, {"policy": {"spf": "never"}}, {"x": 1}]
)
def test_what_is_asked_is_read_strictly(post: Post, asked: dict[str, object]) -> None:
    assert post.admin.post("/v1/addresses", asked).status == 422


def test_an_instance_without_mail_says_so(post: Post) -> None:
    place = post.place
    quiet = place.house.served(*payload_routes(place.objects, Limits(), place.outgoing), *mail_routes(MailRoutes()))
    caller = quiet.caller(post.admin.key)
    made = caller.post("/v1/addresses", {}).json()
    assert made["receives"] is False
    assert "@" not in made["address"]
    assert quiet.caller().get("/.well-known/mta-sts.txt").status == 404
    quiet.app.close()


def test_the_policy_for_senders_is_served(post: Post) -> None:
    got = post.place.house.caller().get("/.well-known/mta-sts.txt")
    assert got.status == 200
    assert got.headers["content-type"] == "text/plain"
    assert got.body == b"version: STSv1\r\nmode: enforce\r\nmx: mx.example.test\r\nmax_age: 604800\r\n"


def test_the_records_ask_for_reports_where_an_address_is_named() -> None:
    quiet = MailDomain(domain="in.example.test", host="mx.example.test")
    asked = dns_records(replace(quiet, reports="mailto:tls@example.test"))
    asking = [one for one in asked if one not in dns_records(quiet)]
    assert [(one.name, one.type, one.value) for one in asking] == [
        ("_smtp._tls.in.example.test", "TXT", "v=TLSRPTv1; rua=mailto:tls@example.test")
    ]


def test_the_strictest_policy_of_several_addresses_counts() -> None:
    one, other = Policy(spf="accept", dkim="refuse", dmarc="flag"), Policy(spf="flag", dkim="accept", dmarc="flag")
    assert one.strictest(other) == Policy(spf="flag", dkim="refuse", dmarc="flag")

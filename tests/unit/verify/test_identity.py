"""Identity headers as an upstream checks them: nothing of them can be changed, moved, kept or made up."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from heldtrue.capabilities.edge.identity import IDENTITY_HEADERS, UpstreamKey, stamp
from heldtrue.capabilities.edge.model import Caller
from heldtrue.kernel.errors import SettingsError
from heldtrue.kernel.ids import CryptoKeyId, KeyId, TenantId
from heldtrue.kernel.secret import Secret
from heldtrue.policy.permissions import Role
from heldtrue_verify.identity import (
    ForgedIdentityError,
    IdentityRefusedError,
    NoIdentityError,
    StaleIdentityError,
    verify_identity,
)
from heldtrue_verify.verdicts import MalformedError

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def a_key() -> UpstreamKey:
    return UpstreamKey(CryptoKeyId.new(NOW, secrets.token_bytes), Secret(secrets.token_bytes(32)))


KEY, NEXT = a_key(), a_key()
ID = KeyId.new(NOW, secrets.token_bytes)
ASKED: dict[str, str] = {"method": "GET", "host": "api.example.org:8443", "target": "/v1/a?b=%20c&d"}


def caller(**changed: Any) -> Caller:
    given: dict[str, Any] = {
        "kind": "key", "type": "sk", "tenant": TenantId.new(NOW, secrets.token_bytes), "environment": "live", "key": ID,
        "role": Role.SENDER, "subject": str(ID), "session": None, "permissions": frozenset(), "grants": frozenset(),
        **changed,
    }  # fmt: skip
    return Caller(**given)


def stamped(*keys: UpstreamKey, **changed: Any) -> dict[str, str]:
    return dict(stamp(keys or (KEY,), **ASKED, request="req_1", now=NOW, caller=caller(**changed)))


def verified(headers: Any, *keys: UpstreamKey, after: float = 0.0, **asked: str) -> Any:
    texts = [key.text().reveal() for key in keys or (KEY,)]
    return verify_identity(headers, **{**ASKED, **asked}, keys=texts, now=NOW.timestamp() + after)


@pytest.mark.parametrize(
    "subject", [str(ID), "user 7", "Zoë", "a%20b", 'q"\\', "日本", "x=y&z;k,v"], ids=[str(n) for n in range(7)]
)
def test_what_a_door_says_is_what_an_upstream_reads(subject: str) -> None:
    found = verified(stamped(subject=subject, grants=frozenset({"b", "a.read"}), type="session"))
    assert (found.subject, found.scopes, found.key_type) == (subject, {"a.read", "b"}, "session")
    assert verified(stamped()).scopes == frozenset()


@pytest.mark.parametrize("name", IDENTITY_HEADERS)
@pytest.mark.parametrize("how", ["changed", "missing", "twice", "underscore", "line feed", "beyond latin-1"])
def test_no_header_can_be_altered(name: str, how: str) -> None:
    headers = list(stamped().items())
    at = IDENTITY_HEADERS.index(name)
    value = headers[at][1]
    if how == "missing":
        del headers[at]
    elif how == "twice":
        headers.append((name.upper(), value))
    elif how == "underscore":
        headers[at] = (name.replace("-", "_"), value)
    else:
        other = {
            "changed": value[:-1] + ("a" if value[-1] != "a" else "b"),
            "line feed": value + "\n",
            "beyond latin-1": "日",
        }
        headers[at] = (name, other[how])
    if how == "line feed":
        assert verified(headers)  # a server strips space at the ends (RFC 9110, section 5.5), and so does the verifier
        headers[at] = (name, f"a\n{value}")
    with pytest.raises(ForgedIdentityError):
        verified(headers)


@pytest.mark.parametrize(
    ("part", "other"), [("method", "POST"), ("host", "api.example.org"), ("target", "/v1/a"), ("target", "日")]
)
def test_a_stamp_is_for_one_request(part: str, other: str) -> None:
    with pytest.raises(ForgedIdentityError):
        verified(stamped(), **{part: other})
    assert verified(stamped(), host="API.Example.org:8443")


def test_a_stamp_lives_for_thirty_seconds() -> None:
    assert verified(stamped(), after=29.9)
    for after in (30.0, 1e6, -6.0):
        with pytest.raises(StaleIdentityError):
            verified(stamped(), after=after)


def test_while_a_key_rolls_either_holds_and_no_other_does() -> None:
    both = stamped(NEXT, KEY)
    for keys in ((KEY,), (NEXT,), (KEY, NEXT)):
        assert verified(both, *keys)
    with pytest.raises(ForgedIdentityError):
        verified(both, a_key())
    with pytest.raises(ForgedIdentityError):
        verified(stamped(), UpstreamKey(KEY.id, Secret(bytes(32))))


def test_without_headers_nobody_is_there_and_without_keys_nothing_is_judged() -> None:
    with pytest.raises(NoIdentityError):
        verified({"Host": "a"})
    with pytest.raises(MalformedError):
        verify_identity(stamped(), **ASKED, keys=[], now=NOW.timestamp())
    for text in ("htuk_x", "whsec_" + "a" * 43, KEY.text().reveal()[:-1]):
        with pytest.raises(MalformedError):
            verify_identity(stamped(), **ASKED, keys=[text])
        with pytest.raises(SettingsError):
            UpstreamKey.parse(text)
    assert UpstreamKey.parse(KEY.text().reveal()).material == KEY.material
    assert issubclass(NoIdentityError, IdentityRefusedError)


def test_a_line_feed_is_never_stamped() -> None:
    with pytest.raises(ValueError, match="line feed"):
        stamp([KEY], method="GET", host="a", target="/a\nb", request="req_1", now=NOW, caller=caller())


def test_a_key_shows_nothing_of_itself() -> None:
    assert KEY.material.reveal().hex() not in f"{KEY!r} {KEY}"
    assert "htuk" not in f"{KEY!r} {KEY} {KEY.text()}"


def test_a_hundred_thousand_stamps_a_second() -> None:
    who, count = caller(grants=frozenset({"orders.read"})), 20_000
    best = min(_seconds(who, count) for _ in range(3))
    assert count / best > 50_000, (
        f"{count / best:,.0f} a second"
    )  # half of what is promised, on a machine that is shared


def _seconds(who: Caller, count: int) -> float:
    keys, begun = (KEY,), time.process_time()
    for _ in range(count):
        stamp(keys, **ASKED, request="req_1", now=NOW, caller=who)
    return time.process_time() - begun

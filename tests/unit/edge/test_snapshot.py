"""What is brought into the snapshot is newer than what is there, or stays outside."""

from __future__ import annotations

from datetime import timedelta

from edgekeys import NOON, Ring

from heldtrue.capabilities.edge.decision import Decider
from heldtrue.capabilities.edge.snapshot import Anchor, Batch, Tables
from heldtrue.crypto import tokens


def batch(generation: int, ring: Ring, secret: str, *, active: bool) -> Batch:
    known = ring.tables.keys[tokens.digest(secret)]
    return Batch(anchor=Anchor(generation, NOON), keys={known.id: ring.row(secret, id=known.id, active=active)})


def revoked(ring: Ring, secret: str) -> bool:
    return ring.snapshot.tables.keys[tokens.digest(secret)].revoked


def test_a_reading_that_began_before_a_revocation_does_not_undo_it() -> None:
    ring = Ring()
    secret = ring.key()
    earlier, later = batch(2, ring, secret, active=True), batch(3, ring, secret, active=False)
    assert ring.snapshot.apply(later, 1001.0)
    assert not ring.snapshot.apply(earlier, 1002.0)
    assert not ring.snapshot.apply(batch(3, ring, secret, active=True), 1002.0)
    assert revoked(ring, secret)
    assert ring.snapshot.agreed_at == 1001.0


def test_reading_everything_does_not_undo_what_came_meanwhile() -> None:
    ring = Ring()
    secret = ring.key()
    mark = ring.snapshot.mark()
    stale = Tables(anchor=ring.tables.anchor)
    stale.put_organisation(ring.tenant.value.bytes, active=True)
    stale.put_key(ring.row(secret))
    assert ring.snapshot.apply(batch(2, ring, secret, active=False), 1001.0)
    assert not ring.snapshot.replace(stale, 1001.5, since=mark)
    assert revoked(ring, secret)
    assert ring.snapshot.replace(stale, 1001.5, since=ring.snapshot.mark())


def test_a_restored_database_is_believed_although_its_changes_have_lower_numbers() -> None:
    ring = Ring()
    ring.tables.anchor = Anchor(900, NOON)
    restored = Tables(anchor=Anchor(3, NOON - timedelta(days=1)))
    assert ring.snapshot.replace(restored, 1001.0, since=ring.snapshot.mark())
    assert ring.snapshot.tables is restored


def test_the_moment_of_agreement_never_goes_back() -> None:
    ring = Ring()
    ring.snapshot.agree(1005.0)
    ring.snapshot.agree(1003.0)
    assert ring.snapshot.agreed_at == 1005.0


def test_a_key_that_is_gone_is_unknown_and_a_replaced_digest_too() -> None:
    ring = Ring()
    secret, other = ring.key(), ring.key()
    known = ring.tables.keys[tokens.digest(secret)]
    ring.tables.put(Batch(anchor=Anchor(2, NOON), keys={known.id: ring.row(other, id=known.id)}))
    assert tokens.digest(secret) not in ring.tables.keys
    ring.tables.put(Batch(anchor=Anchor(3, NOON), keys={known.id: None}))
    assert known.id not in ring.tables.by_id


def test_closing_an_organisation_reaches_all_its_keys_at_once() -> None:
    ring = Ring()
    keys = [ring.key() for _ in range(3)]
    ring.tables.put(Batch(anchor=Anchor(2, NOON), organisations={ring.tenant.value.bytes: False}))
    assert not any(ring.tables.keys[tokens.digest(key)].organisation.active for key in keys)


def test_what_many_keys_share_is_one_object() -> None:
    ring = Ring()
    judge = Decider(ring.snapshot, ring.clock, boot=ring.boot)
    first, second = (judge.identify(ring.key(grants=("a", "b"))) for _ in range(2))
    assert first.permissions is second.permissions
    assert first.grants is second.grants
    assert first.tenant is second.tenant

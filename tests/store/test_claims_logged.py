"""States rest on the published log: what is changed in the database is seen and changes nothing; summaries likewise."""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, cast

import msgspec
import psycopg
import pytest
from tests.store.test_claims_engine import ATTACKS, HOUR, ORIGIN, World, a_catalogue, world

from heldtrue.attack import broken
from heldtrue.capabilities.attestations import actions as papers
from heldtrue.capabilities.attestations.model import Document, ExpiredDocumentError, PostdatedError
from heldtrue.capabilities.ledger.generations import current
from heldtrue.capabilities.ledger.note import ED25519, VerifierKey
from heldtrue.capabilities.ledger.tiles import TileDirectory
from heldtrue.claims import summary
from heldtrue.claims.board import Board, CatchingUpError, Standing
from heldtrue.claims.catalogue import Catalogue
from heldtrue.claims.engine import Engine
from heldtrue.claims.model import Against, State
from heldtrue.claims.reading import LogDamagedError
from heldtrue.claims.recompute import Derived, differences, recompute
from heldtrue.claims.summarist import Summarist
from heldtrue.op import SystemOperation
from heldtrue.trust.document import Publisher, build
from heldtrue_verify.replay import State as Seen

__all__ = ["world"]
CATALOGUE = a_catalogue("g.one", "g.two")
PAPERS = Catalogue(CATALOGUE.groups, (*CATALOGUE.claims, replace(CATALOGUE.claims[0], id="g.paper", attacks=())))


@dataclass
class Scene:
    """A log with a failure in it."""

    world: World
    superuser: psycopg.Connection

    def look(self, board: Board | None = None, catalogue: Catalogue = CATALOGUE) -> Standing:
        board = board or Board(catalogue, self.world.tiles)
        with self.world.database.system() as tx:
            return board.refresh(tx, self.world.clock.now())

    def states(self) -> dict[str, State]:
        return {verdict.claim.id: verdict.state for verdict in self.look().verdicts}

    def tamper(self, statement: str, *values: object) -> None:
        """Do what only the owner of the machine can: switch the refusing triggers off and change what is logged."""
        with self.superuser.transaction():
            self.superuser.execute("SET LOCAL session_replication_role = replica")
            assert self.superuser.execute(cast("Any", statement), values).rowcount

    def page(self, catalogue: Catalogue = CATALOGUE) -> dict[str, Any]:
        standing = self.look(catalogue=catalogue)
        publisher = Publisher(origin=ORIGIN, place="live", attacks=ATTACKS)
        return json.loads(msgspec.json.encode(build(catalogue, standing, publisher, paused=False)))

    def derived(self, catalogue: Catalogue = CATALOGUE) -> Derived:
        return recompute(self.world.tiles, catalogue)

    @contextmanager
    def operation(self) -> Generator[SystemOperation]:
        with self.world.database.system() as tx:
            nothing = cast("Any", None)
            yield SystemOperation(
                actor=nothing, now=self.world.clock.now(), entropy=secrets.token_bytes, tx=tx, keys_of=nothing,
                record_for=nothing, request=nothing,
            )  # fmt: skip


@pytest.fixture
def scene(world: World, superuser: psycopg.Connection) -> Scene:
    engine = world.engine(CATALOGUE)
    engine.step(world.clock.now())
    world.clock.at += HOUR / 4
    world.answers["g.two", Against.CONTROL] = lambda: broken("It gave way.", probes=1)
    engine.step(world.clock.now())
    world.publish()
    return Scene(world, superuser)


def test_an_edited_verdict_is_seen_and_changes_nothing(scene: Scene) -> None:
    assert scene.states() == {"g.claim_one": State.PROVEN, "g.claim_two": State.FAILING}
    scene.tamper(
        "UPDATE heldtrue.attack_results SET outcome = 'held', evidence = jsonb_set(evidence, '{outcome}', '\"held\"')"
        " WHERE outcome = 'broken' AND evidence->>'against' = 'control'"
    )
    assert scene.states()["g.claim_two"] is State.FAILING
    scene.tamper(
        "UPDATE heldtrue.log_entries SET entry = convert_to(replace(convert_from(entry, 'UTF8'),"
        ' \'"outcome":"broken"\', \'"outcome":"held"\'), \'UTF8\')'
        " WHERE position(convert_to('\"against\":\"control\"', 'UTF8') in entry) > 0"
        " AND position(convert_to('\"outcome\":\"broken\"', 'UTF8') in entry) > 0"
    )
    standing = scene.look()
    assert {v.claim.id: v.state for v in standing.verdicts}["g.claim_two"] is State.FAILING
    assert len(standing.problems) == 1
    assert "was changed in the database" in standing.problems[0]


def test_a_deleted_failure_is_seen_and_stays(scene: Scene) -> None:
    failure = scene.superuser.execute(
        "SELECT leaf_id FROM heldtrue.attack_results WHERE outcome = 'broken' AND evidence->>'against' = 'control'"
    ).fetchone()
    assert failure is not None
    scene.tamper("DELETE FROM heldtrue.attack_results WHERE leaf_id = %s", failure[0])
    scene.tamper("DELETE FROM heldtrue.log_entries WHERE leaf_id = %s", failure[0])
    standing = scene.look()
    assert {v.claim.id: v.state for v in standing.verdicts}["g.claim_two"] is State.FAILING
    assert [problem.split(" is ")[1] for problem in standing.problems] == [
        "missing from the database; what was published counts."
    ]


def test_files_that_are_not_what_was_signed_prove_nothing(scene: Scene) -> None:
    tiles = TileDirectory(scene.world.tiles)
    (tile,) = (tiles.root / "tile" / "0").rglob(f"{scene.look().head.size}")  # type: ignore[union-attr]
    tile.write_bytes(bytes(len(tile.read_bytes())))
    with pytest.raises(LogDamagedError):
        scene.look()


def test_everything_follows_from_the_published_files_alone(scene: Scene) -> None:
    page = scene.page()
    with scene.world.database.system() as tx:
        origin = current(tx)
    pin = str(VerifierKey(origin.origin, ED25519, origin.public))
    assert differences(recompute(scene.world.tiles, CATALOGUE, pin=pin), page) == []
    for claim in page["claims"]:
        if claim["id"] == "g.claim_two":
            claim.update(state="proven", failures=[], continuous_since=page["at"])
    found = {difference.what: (difference.shown, difference.log) for difference in differences(scene.derived(), page)}
    assert found["state"] == ("proven", "failing")
    assert found["continuous_since"] == (page["at"], None)
    assert found["failures"] == ("0", "1")
    stranger = str(VerifierKey(origin.origin, ED25519, secrets.token_bytes(32)))
    with pytest.raises(LogDamagedError, match="pinned"):
        recompute(scene.world.tiles, CATALOGUE, pin=stranger)


def test_published_entries_that_do_not_hash_to_the_root_are_refused(scene: Scene) -> None:
    (bundle,) = (scene.world.tiles / "tile" / "entries").rglob(f"{scene.look().head.size}")  # type: ignore[union-attr]
    bundle.write_bytes(bundle.read_bytes().replace(b'"outcome":"broken"', b'"outcome":"hexxxx"'))
    with pytest.raises(LogDamagedError):
        scene.derived()


# ---------------------------------------------------------------- summaries


def summarise(scene: Scene) -> None:
    """Keep a summary, and let the log take its digest."""
    summarist = Summarist(scene.world.database, CATALOGUE, scene.world.tiles, secrets.token_bytes)
    assert summarist.step(scene.world.clock.now()) is None  # it is not time yet
    assert summarist.step(scene.world.clock.now() + HOUR) is not None
    assert summarist.step(scene.world.clock.now() + 3 * HOUR) is None  # nothing is new
    scene.world.publish()


def started_from(scene: Scene, catalogue: Catalogue = CATALOGUE) -> tuple[Standing, Board]:
    board = Board(catalogue, scene.world.tiles)
    return scene.look(board), board


def test_a_start_from_a_summary_knows_what_the_whole_log_says(scene: Scene) -> None:
    whole = Board(CATALOGUE, scene.world.tiles)
    scene.look(whole)
    summarise(scene)
    size = scene.superuser.execute("SELECT size FROM heldtrue.claim_summaries").fetchone()
    scene.world.engine(CATALOGUE).run_one(ATTACKS["g.one"], Against.CONTROL)
    scene.world.publish()
    now = scene.world.clock.now()
    scene.look(whole)
    _, board = started_from(scene)
    assert board.judge(now) == whole.judge(now)
    assert size is not None
    read: list[int] = []
    take = Board(CATALOGUE, scene.world.tiles)
    original = take.memory.take
    take.memory.take = lambda generation, index, entry: (read.append(index), original(generation, index, entry))[1]  # type: ignore[method-assign]
    scene.look(take)
    assert min(read) >= size[0]


def test_the_same_log_gives_the_same_summary(scene: Scene) -> None:
    summarise(scene)
    row = scene.superuser.execute("SELECT content, generation, size FROM heldtrue.claim_summaries").fetchone()
    assert row is not None
    again = recompute(scene.world.tiles, CATALOGUE, size=row[2])
    assert summary.content_of(again.memory, row[1], row[2]) == zlib.decompress(row[0])


def test_a_summary_that_was_changed_is_not_believed(scene: Scene) -> None:
    summarise(scene)
    row = scene.superuser.execute("SELECT content FROM heldtrue.claim_summaries").fetchone()
    assert row is not None
    changed = zlib.decompress(row[0]).replace(b"broken", b"xroken")
    assert changed != zlib.decompress(row[0])
    scene.superuser.execute("UPDATE heldtrue.claim_summaries SET content = %s", [zlib.compress(changed)])
    standing, _ = started_from(scene)
    assert {v.claim.id: v.state for v in standing.verdicts}["g.claim_two"] is State.FAILING
    assert standing.problems == ("A summary of results was changed in the database; the log was read instead.",)


def test_a_summary_of_other_claims_is_not_used(scene: Scene) -> None:
    summarise(scene)
    standing, _ = started_from(scene, a_catalogue("g.one", "g.two", max_age=2 * HOUR))
    assert {v.claim.id: v.state for v in standing.verdicts}["g.claim_two"] is State.FAILING


def test_a_first_reading_that_takes_long_says_so_and_goes_on(scene: Scene) -> None:
    board = Board(CATALOGUE, scene.world.tiles)
    with scene.world.database.system() as tx:
        for _ in range(3):
            with pytest.raises(CatchingUpError):
                board.read(tx, most=3)
        board.read(tx)
    now = scene.world.clock.now()
    whole = Board(CATALOGUE, scene.world.tiles)
    scene.look(whole)
    assert board.judge(now) == whole.judge(now)


# ---------------------------------------------------------------- documents, annotations, releases


def a_paper(dated: date, expires: date) -> Document:
    return Document(title="Letter", owner="the security lead", dated=dated, expires=expires, sha256="0" * 64)


def test_a_document_enters_the_log_and_a_postdated_one_does_not(scene: Scene) -> None:
    today = scene.world.clock.at.date()
    with pytest.raises(PostdatedError), scene.operation() as op:
        papers.attest(op, "g.paper", a_paper(today + timedelta(days=2), today + timedelta(days=90)))
    with pytest.raises(ExpiredDocumentError), scene.operation() as op:
        papers.attest(op, "g.paper", a_paper(today - timedelta(days=90), today))
    with scene.operation() as op:
        papers.attest(op, "g.paper", a_paper(today, today + timedelta(days=90)))
    scene.world.publish()
    entries = [json.loads(entry) for entry in scene.world.entries()]
    assert [entry["claim"] for entry in entries if entry["kind"] == "attestation"] == ["g.paper"]
    page = scene.page(PAPERS)
    claim = next(claim for claim in page["claims"] if claim["id"] == "g.paper")
    assert (claim["state"], claim["document"]["sha256"]) == ("attested", "0" * 64)
    assert differences(scene.derived(PAPERS), page) == []
    with scene.operation() as op:
        papers.withdraw(op, "g.paper")
    with pytest.raises(papers.NotAttestedError), scene.operation() as op:
        papers.withdraw(op, "g.paper")
    scene.world.publish()
    assert [c["state"] for c in scene.page(PAPERS)["claims"] if c["id"] == "g.paper"] == ["promised"]


def test_a_failure_can_be_annotated_and_nothing_else(scene: Scene) -> None:
    number = scene.look().verdicts[1].failures[0].number
    with scene.operation() as op:
        papers.annotate(op, "g.two", number, "The disk was full.")
    scene.world.publish()
    page = scene.page()
    claim = next(claim for claim in page["claims"] if claim["id"] == "g.claim_two")
    assert claim["state"] == "failing"
    assert [note["text"] for note in claim["failures"][0]["notes"]] == ["The disk was full."]
    replay = scene.world.replay()
    assert replay.problems == []
    assert replay.standings(scene.world.clock.now())["g.claim_two"].state is Seen.FAILING


def test_each_release_breaks_every_control_again_and_logs_it(world: World) -> None:
    catalogue = a_catalogue("g.one")
    world.engine(catalogue).step(world.clock.now())
    world.ran.clear()
    services = world.engine(catalogue)._services
    for version, expected in (("1", [("g.one", Against.BROKEN)]), ("1", []), ("10", [("g.one", Against.BROKEN)])):
        Engine(replace(services, version=version)).step(world.clock.now())
        assert world.ran == expected
        world.ran.clear()
    world.publish()
    seen = [e for e in map(json.loads, world.entries()) if e["kind"] == "evidence" and e["against"] == "broken-control"]
    assert [entry["executor"].split(",")[0] for entry in seen] == ["heldtrue 0", "heldtrue 1", "heldtrue 10"]

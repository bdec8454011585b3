"""An instance with a past of twelve days, by the product's own parts on a real database, and copies of it to doctor.

The past is made once a module. Each test gets a copy: its own database, its own files of the log, the same witness. It
is served over real HTTPS, every answer made anew by the product's own routes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from heldtrue.attack import Attack, Finding, Place, broken, held
from heldtrue.capabilities.keystore import actions as keystore
from heldtrue.capabilities.keystore.routes import vkey
from heldtrue.capabilities.ledger import generations, witness_routes
from heldtrue.capabilities.ledger.actions import append_clear
from heldtrue.capabilities.ledger.cosigning import Cosigner, Reply
from heldtrue.capabilities.ledger.tiles import NoSuchTileError, Tile, TileDirectory
from heldtrue.capabilities.ledger.witness import Witness
from heldtrue.claims.catalogue import Catalogue, Group
from heldtrue.claims.engine import Engine, EngineServices
from heldtrue.claims.model import Against, Claim
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.tx import Database
from heldtrue.http.exchange import Page
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import CryptoKeyId
from heldtrue.kernel.secret import Secret
from heldtrue.trust import routes as trust
from heldtrue.trust.document import Publisher
from heldtrue.trust.render import Pages
from heldtrue.trust.site import Site
from heldtrue_verify.note import VerifierKey as Pinned
from heldtrue_witness import keys
from heldtrue_witness.judge import Judge
from heldtrue_witness.record import Record

ORIGIN = "log.example/test"
HALF_DAY, DAY = timedelta(hours=12), timedelta(days=1)
SENTENCES = {"g.one": "Strangers are kept out.", "g.two": "Nothing leaks.", "g.paper": "An auditor has looked."}


def an_attack(name: str) -> Attack:
    return Attack(name=name, place=Place.OBSERVE, tries=("Try.",), run=lambda _: held("-", probes=1), breaks="any-dsn")


ATTACKS = {name: an_attack(name) for name in ("g.one", "g.two")}


def catalogue(max_age: timedelta = 2 * DAY) -> Catalogue:
    """Two claims that are attacked twice a day, and one that a document stands behind."""
    claims = tuple(
        Claim(
            id=f"claim.{name[2:]}", rows=("A1",), group="G", sentence=sentence, scope="All.",
            attacks=(name,) if name in ATTACKS else (), cadence=HALF_DAY, max_age=max_age,
        )
        for name, sentence in SENTENCES.items()
    )  # fmt: skip
    return Catalogue((Group("G", "About."),), claims)


@dataclass
class Clock:
    """A clock that the test moves; it stands still otherwise, so that the past is exact."""

    at: datetime

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at


@dataclass
class House:
    """One instance: database, files of the log, engine, witness, and what it serves."""

    database: Database
    folder: Path
    clock: Clock
    platform: PlatformKey
    key: keys.WitnessKey
    superuser: Callable[[], psycopg.Connection] | None = None
    catalogue: Catalogue = field(default_factory=catalogue)
    answers: dict[str, Callable[[], Finding]] = field(default_factory=dict)
    swaps: dict[str, Callable[[bytes], bytes | None]] = field(default_factory=dict)
    """What a doctored server makes of an answer."""
    _engine: Engine | None = None
    _routes: Mapping[str, Callable[..., Any]] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def pin(self) -> str:
        with self.database.system() as tx:
            return vkey(generations.current(tx))

    def witness_key(self) -> str:
        return str(self.key.public)

    # -- what happens in it
    def run(self, attack: Attack, against: Against) -> Finding:
        if against is Against.BROKEN:
            return broken("It gave way.", probes=1)
        return self.answers.get(attack.name, lambda: held("So it was.", probes=2))()

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            self._engine = Engine(
                EngineServices(
                    database=self.database, platform=self.platform, clock=self.clock, entropy=secrets.token_bytes,
                    catalogue=self.catalogue, attacks=ATTACKS, runner=self, origin=ORIGIN, version="0",
                    pause_file=self.folder / "pause",
                )
            )  # fmt: skip
        return self._engine

    def attack(self) -> None:
        """Run every attack now, whatever the schedule says."""
        for attack in ATTACKS.values():
            self.engine.run_one(attack, Against.CONTROL)

    def publish(self, *, witnessed: bool = True) -> None:
        """Publish what waits, and let the witness see it; two seconds later, when no page is remembered any more."""
        self.clock.at += timedelta(seconds=2)
        sequencer = keystore.sequencer(self.database, self.log, self.platform, self.clock)
        sequencer.step()
        if witnessed:
            record = Record(self.folder / "witness")
            judge = Judge(self.key, record, [Pinned.parse(self.pin())], self.seconds)

            async def post(_url: str, body: bytes) -> Reply:
                reply = judge.add_checkpoint(body)
                return Reply(reply.status, reply.body.encode())

            watched = Witness.parse("https://witness.example", self.witness_key())
            cosigner = Cosigner(self.database, self.log, self.clock, watched, sequencer.cosigned)
            while asyncio.run(cosigner.round(post))[0] == 0.0:
                pass
            record.close()
            sequencer.step()

    def seconds(self) -> float:
        """The witness's clock."""
        return self.clock.at.timestamp()

    def say(self, kind: str, document: dict[str, Any]) -> None:
        """Put anything at all into the log, as an operator can."""
        with self.database.system() as tx:
            append_clear(tx, kind, document, self.clock.now(), secrets.token_bytes)

    def tamper(self, *statements: str) -> None:
        """Change rows behind the application's back, as the database's superuser with its triggers off."""
        assert self.superuser is not None
        with contextlib.closing(self.superuser()) as admin:
            admin.execute("SET session_replication_role = replica")
            for statement in statements:
                admin.execute(statement)  # type: ignore[arg-type]

    # -- what it serves
    def get(self, path: str, default: bytes | None = None) -> bytes | None:
        """Answer as the instance does, or as a doctored copy of it."""
        try:
            found = self._answer(path)
        except NotFoundError:
            found = default
        swap = self.swaps.get(path)
        return swap(found or b"") if swap else found

    def _answer(self, path: str) -> bytes:
        routes = self._table()
        parts = path.split("/")[1:]
        if path == "/log/checkpoint":
            return (self.log / "checkpoint").read_bytes()
        if parts[:2] == ["log", "tile"]:
            try:
                return TileDirectory(self.log).read(Tile.parse("/".join(parts[1:])))
            except NoSuchTileError as error:
                raise NotFoundError from error
        if parts[:2] == ["log", "witnesses"]:
            return _bytes(routes["/log/witnesses/{witness}"](witness_routes.WitnessPath(witness=parts[2])))
        if parts[:2] == ["trust", "evidence"]:
            asked = trust.EvidencePath(attack=parts[2], file=parts[3])
            return _bytes(routes["/trust/evidence/{attack}/{file}"](asked))
        if parts[:2] == ["trust", "claims"]:
            return _bytes(routes["/trust/claims/{claim_id}"](trust.ClaimPath(claim_id=parts[2])))
        return _bytes(routes[path]())

    def _table(self) -> Mapping[str, Callable[..., Any]]:
        if self._routes is None:
            services = trust.TrustServices(
                database=self.database, clock=self.clock, catalogue=self.catalogue,
                publisher=Publisher(origin=ORIGIN, place="live", attacks=ATTACKS), paused=lambda: False, log=self.log,
            )  # fmt: skip
            made = trust.routes(services, Pages(Site(name="Log", origin=ORIGIN, url="https://log.example")))
            made += witness_routes.routes(self.database, self.clock, ())
            self._routes = {route.path: route.action for route in made}
        return self._routes

    def doctor_json(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Serve a JSON that says something else."""

        def swap(data: bytes) -> bytes:
            page = json.loads(data)
            change(page)
            page["tally"] = {state: sum(c["state"] == state for c in page["claims"]) for state in page["tally"]}
            return json.dumps(page).encode()

        self.swaps["/trust.json"] = swap

    def doctor_html(self, *pairs: tuple[str, str]) -> None:
        """Serve a page that shows something else."""

        def swap(data: bytes) -> bytes:
            text = data.decode()
            for old, new in pairs:
                assert old in text, old
                text = text.replace(old, new)
            return text.encode()

        self.swaps["/trust"] = swap


@dataclass(frozen=True)
class Past:
    """A finished past: the name of its database, its files, its keys, and when it ends."""

    name: str
    folder: Path
    platform: PlatformKey
    key: keys.WitnessKey
    ended: datetime


def make_past(server: Any, folder: Path, days: int = 12, attacked: int = 12) -> Past:
    """Live through *days*, the first so many *attacked*, twice a day; one failure of half a day on the fifth."""
    ended = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
    clock = Clock(ended - days * DAY)
    platform = PlatformKey(CryptoKeyId.new(clock.at, secrets.token_bytes), Secret(secrets.token_bytes(32)))
    name = server.create()
    Record.create(folder / "witness")
    key = keys.make("witness.example/w1", folder / "key")
    with contextlib.closing(server.open(name)) as database:
        with database.system() as tx:
            keystore.ensure_signing_keys(tx, platform, ORIGIN, clock.at, secrets.token_bytes)
        house = House(database, folder, clock, platform, key)
        for half in range(2 * attacked + 1):
            clock.at = ended - (2 * days - half) * HALF_DAY
            house.answers = {"g.two": lambda: broken("It leaked.", probes=3)} if half == 10 else {}
            if half == 0:
                house.engine.step(clock.at)  # publishes the schedules, and calibrates
            else:
                for attack in ATTACKS.values():
                    house.engine.run_one(attack, Against.CONTROL)
            house.publish(witnessed=half % 4 == 0)
    return Past(name, folder, platform, key, ended)


def copy(server: Any, past: Past, folder: Path) -> tuple[House, str]:
    """Return a copy of the instance as it stands, and the name of its database."""
    name = server.create(past.name)
    shutil.copytree(past.folder, folder, dirs_exist_ok=True)

    def superuser() -> psycopg.Connection:
        return psycopg.connect(server.admin_of(name).reveal(), autocommit=True)

    clock = Clock(max(past.ended, datetime.now(UTC)))
    return House(server.open(name), folder, clock, past.platform, past.key, superuser), name


def _bytes(answer: object) -> bytes:
    return answer.content if isinstance(answer, Page) else msgspec.json.encode(answer)

"""What one look at the trust page costs, by how many claims there are and how long they have been attacked.

Runs are logged as the engine logs them: two entries a run in a real log, with its tiles, in a real PostgreSQL. A claim
is attacked once a week; `RUNS_PER_WEEK=` for more, `WEEKS=` and `CLAIMS=` for other sizes. The reference is the reading
of the whole log, which is what a page would cost that remembered nothing.
"""

from __future__ import annotations

import os
import secrets
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg

from bench.plot import curve
from bench.report import OUT, Row, row, write
from heldtrue.attack import Attack, Outcome, Place, held
from heldtrue.capabilities.keystore import actions as keystore
from heldtrue.capabilities.ledger import model
from heldtrue.capabilities.ledger.sequencer import Sequencer
from heldtrue.claims import documents, store, summary
from heldtrue.claims.board import Board
from heldtrue.claims.catalogue import Catalogue, Group
from heldtrue.claims.model import Against, Claim
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.embedded import EmbeddedServer
from heldtrue.db.migrate import migrate
from heldtrue.db.roles import admit, establish
from heldtrue.db.tx import Database, PoolSizes
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.ids import CryptoKeyId, LeafId
from heldtrue.kernel.secret import Secret
from heldtrue.trust.asking import SHEET
from heldtrue.trust.document import Publisher
from heldtrue.trust.pages import trust_page
from heldtrue.trust.render import Pages
from heldtrue.trust.routes import ALL, FRESH, Look, TrustServices
from heldtrue.trust.site import Site

WEEK = timedelta(days=7)
WEEKS = tuple(int(text) for text in os.environ.get("WEEKS", "1,4,26,104").split(","))
CLAIMS = tuple(int(text) for text in os.environ.get("CLAIMS", "10,100,1000,10000").split(","))
RUNS_PER_WEEK = int(os.environ.get("RUNS_PER_WEEK", "1"))
SHOWN = (10, 20, 50, 100, 200)
ROUNDS = 15
REFERENCE = "the whole log read"
LIMIT = 100.0
"""Milliseconds that the overview may take."""
GROUPS = 12
ORIGIN = "bench.example/log"


def _run(_arena: object) -> object:
    return held("never called here", probes=1)


PLACE = b"g.placeholder"
ATTACK = Attack(name=PLACE.decode(), place=Place.OBSERVE, tries=("Try.",), run=_run, breaks="any-dsn")  # type: ignore[arg-type]


class Later:
    """The clock of the pages: the scene's own time."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def now(self) -> datetime:
        """Return it."""
        return self._scene.now


@dataclass
class Scene:
    """An instance with so many claims, whose history grows."""

    count: int
    database: Database
    admin: Secret[str]
    home: Path
    catalogue: Catalogue = field(init=False)
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0) - WEEKS[-1] * WEEK)
    runs: int = 0
    numbers: int = 0

    def __post_init__(self) -> None:
        groups = tuple(Group(f"Heading {number}", "About.") for number in range(GROUPS))
        claims = tuple(
            Claim(
                id=f"g.c{number}", rows=("A1",), group=f"Heading {number * GROUPS // self.count}",
                sentence=f"Promise {number} of this page holds for everybody who relies on it.", scope="All of it.",
                attacks=(f"g.a{number}",), cadence=WEEK, max_age=2 * WEEK, frameworks=("SOC 2 CC6.1", "GDPR Art. 32"),
            )
            for number in range(self.count)
        )  # fmt: skip
        self.catalogue = Catalogue(groups, claims)
        platform = PlatformKey(CryptoKeyId.new(self.now, secrets.token_bytes), Secret(secrets.token_bytes(32)))
        with self.database.system() as tx:
            keystore.ensure_signing_keys(tx, platform, ORIGIN, self.now, secrets.token_bytes)
            signer = keystore.Signers(platform).of_log(tx)
        self.log = self.home / "log"
        self.sequencer = Sequencer(self.database, self.log, signer, SystemClock(), batch=20_000)
        self.publisher = Publisher(origin=ORIGIN, place="live", attacks={})
        self.pages = Pages(Site(name="bench", origin=ORIGIN, url="https://bench.example"))

    # ------------------------------------------------------------ history

    def grow(self, weeks: int) -> None:
        """Let *weeks* pass: every claim is attacked on its cadence; the first runs are against broken controls."""
        for _ in range(weeks * RUNS_PER_WEEK):
            if not self.numbers:
                self._round(Against.BROKEN)
            self._round(Against.CONTROL)
            self.now += WEEK / RUNS_PER_WEEK
        while self.sequencer.step():
            pass
        with psycopg.connect(self.admin.reveal(), autocommit=True) as admin:
            admin.execute("ANALYZE")

    def _round(self, against: Against) -> None:
        """Attack every claim once; one in fifty fails every tenth time."""
        self.numbers += 1
        intent, good, bad = (self._template(document) for document in (self._intent(against), *self._evidence(against)))
        pending: list[tuple[UUID, bytes, datetime]] = []
        for number in range(self.count):
            fails = number % 50 == 7 and self.numbers % 10 == 3
            for entry in (intent, bad if fails else good):
                leaf = LeafId.new(self.now, secrets.token_bytes).value
                pending.append((leaf, entry.replace(PLACE, b"g.a%d" % number), self.now))
        with self.database.system() as tx:
            tx.copy("COPY heldtrue.log_pending (leaf_id, entry, created_at) FROM STDIN", pending)
        self.runs += self.count

    def _template(self, document: dict[str, object]) -> bytes:
        return model.clear_entry(str(document["kind"]), document)

    def _intent(self, against: Against) -> dict[str, object]:
        return documents.intent(ATTACK, self.numbers, against, Place.OBSERVE, self.now)

    def _evidence(self, against: Against) -> list[dict[str, object]]:
        return [
            documents.evidence(
                attack=ATTACK.name, source_sha256="a" * 64, number=self.numbers, against=against, place=Place.OBSERVE,
                outcome=outcome, subject=ORIGIN, coverage={"routes": 41, "requests": 164}, originator="schedule",
                executor="heldtrue 0, Python 3.11", started_at=self.now, finished_at=self.now,
                result="All 41 routes refused all 4 kinds of bad credential.",
            )
            for outcome in (Outcome.BROKEN if against is Against.BROKEN else Outcome.HELD, Outcome.BROKEN)
        ]  # fmt: skip

    # ------------------------------------------------------------ looks

    def site(self, shown: int = SHEET) -> Look:
        """Return the trust page as the product serves it, with so many claims on a sheet at most."""
        services = TrustServices(
            database=self.database, clock=Later(self), catalogue=self.catalogue, publisher=self.publisher,
            paused=lambda: False, log=self.log,
        )  # fmt: skip
        return Look(services, shown)

    def look(self, site: Look) -> bytes:
        """Read what is new and render one sheet; what was looked at before is too old to be shown again."""
        self.now += FRESH
        return trust_page(self.pages, site.now(ALL), ALL)

    def whole(self) -> tuple[Look, float]:
        """Return a page that has read the whole log, and the milliseconds that it took."""
        site = self.site()
        begun = time.perf_counter()
        with self.database.system() as tx:
            site.board.read(tx, most=None)
        return site, (time.perf_counter() - begun) * 1000

    def summarise(self, board: Board) -> None:
        """Keep a summary, and let the log take its digest."""
        with self.database.system() as tx:
            head = store.head(tx)
            if head is None:
                raise SystemExit("nothing was logged")
            summary.keep(tx, board.memory, (head.generation, head.size), datetime.now(UTC), secrets.token_bytes)
        self.sequencer.step()


def main() -> None:
    """Grow, look, print and write."""
    rows: list[Row] = []
    by_history: dict[str, list[tuple[float, float]]] = {}
    by_shown: list[tuple[float, float]] = []
    worst = 0.0
    for count in CLAIMS:
        for scene, weeks in _scenes(count):
            point, found = _point(scene, weeks)
            rows += found
            for what in ("overview", "start", REFERENCE):
                by_history.setdefault(f"{what}, {count:,} claims", []).append((scene.runs, point[what]))
            worst = max(worst, point["overview"])
            if count == max(CLAIMS) and weeks == WEEKS[-1]:
                by_shown = [(shown, point[f"shown {shown}"]) for shown in SHOWN]
    write("claims", rows)
    curve(OUT / "claims-history.svg", "One look at the trust page, by the history behind it", "results in the log",
          "milliseconds", by_history)  # fmt: skip
    curve(OUT / "claims-shown.svg", f"One look at {max(CLAIMS):,} claims of two years, by how many are shown",
          "claims on the screen", "milliseconds", {"overview": by_shown})  # fmt: skip
    print(f"The slowest overview took {worst:.1f} ms; {LIMIT:.0f} ms are allowed. Plots: {OUT}/claims-*.svg")
    if worst > LIMIT:
        raise SystemExit(1)


def _scenes(count: int) -> Iterator[tuple[Scene, int]]:
    home = Path(tempfile.mkdtemp(prefix="heldtrue-bench-"))
    home.chmod(0o711)
    server = EmbeddedServer(home / "pg")
    try:
        admin = server.start()
        dsns = establish(admin, secrets.token_bytes)
        admit(admin)
        migrate(admin)
        with Database(dsns, PoolSizes(2, 1, 2), statement_timeout=600) as database:
            scene, passed = Scene(count, database, admin, home), 0
            for weeks in WEEKS:
                begun = time.perf_counter()
                scene.grow(weeks - passed)
                passed = weeks
                print(
                    f"{count:,} claims, {weeks} weeks: {scene.runs:,} runs logged, {time.perf_counter() - begun:.0f} s"
                )
                yield scene, weeks
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _point(scene: Scene, weeks: int) -> tuple[dict[str, float], list[Row]]:
    site, whole = scene.whole()
    scene.look(site)
    found = {REFERENCE: whole, "overview": _median(lambda: scene.look(site))}
    scene.summarise(site.board)
    found["start"] = _median(lambda: scene.look(scene.site()), rounds=3)
    for shown in SHOWN:
        other = scene.site(shown)
        scene.look(other)
        found[f"shown {shown}"] = _median(lambda other=other: scene.look(other), rounds=5)
    named = f"{scene.count:,} claims, {weeks} weeks"
    return found, [
        row(f"{named}: overview, {SHEET} claims a sheet", found["overview"], "ms", REFERENCE, whole),
        row(f"{named}: start from a summary, and overview", found["start"], "ms", REFERENCE, whole),
    ]


def _median(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    spent: list[float] = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        spent.append((time.perf_counter() - begun) * 1000)
    return statistics.median(spent)


if __name__ == "__main__":
    main()

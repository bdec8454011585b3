"""The transparency log: `heldtrue log …`."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from heldtrue.app import maintenance
from heldtrue.app.boot import Ground
from heldtrue.app.cli import files
from heldtrue.app.cli.session import Session, command
from heldtrue.capabilities.keystore import actions as keystore
from heldtrue.capabilities.keystore.succession import succeed as open_successor
from heldtrue.capabilities.ledger.check import check_log
from heldtrue.capabilities.ledger.checkpoint import Checkpoint
from heldtrue.capabilities.ledger.note import Note
from heldtrue.capabilities.ledger.tiles import WIDTH, Tile, unbundle, width_at
from heldtrue.db.tx import Database
from heldtrue.kernel.errors import BadInputError, SettingsError

log = typer.Typer(help="The transparency log.", no_args_is_help=True)


@command(log, "pin")
def pin(session: Session) -> None:
    """Print the log's verifier key, which readers pin; publish it where this instance cannot change it."""
    try:
        vkey = session.data.pin.read_text().strip()
    except FileNotFoundError as error:
        raise SettingsError(
            f"{session.data.root} has no log yet", advice="Start it with `heldtrue up`, or name another --data-dir."
        ) from error
    if session.out.as_json:
        session.out.json({"pin": vkey})
    else:
        session.out.bytes(f"{vkey}\n".encode())


@command(log, "checkpoint")
def checkpoint(session: Session) -> None:
    """Print the newest checkpoint as it is published."""
    text = session.public().raw("GET", "/log/checkpoint")
    if session.out.as_json:
        named = Checkpoint.parse(Note.parse(text.decode()).text)
        session.out.json({"origin": named.origin, "size": named.size, "root": named.root.hex(), "note": text.decode()})
    else:
        session.out.bytes(text)


@command(log, "witnesses")
def witnesses(session: Session) -> None:
    """Show who cosigns the log, and how far each has come; exit 1 where one lags."""
    found = session.public().get("/log/witnesses")
    columns = ["name", "size", "behind", "cosigned_at", "age_s", "late", "trouble"]
    session.out.rows(
        found["witnesses"], columns, empty="Nobody cosigns this log: name a witness in the settings, as [\\[witness]]."
    )
    if any(each["late"] for each in found["witnesses"]):
        raise typer.Exit(1)


@command(log, "show")
def show(
    session: Session,
    at: Annotated[int | None, typer.Option("--at", min=0, help="This entry only.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="The newest so many.")] = 20,
) -> None:
    """Show entries of the log: claims, evidence and keys in clear, organisations' entries as commitments."""
    api = session.public()
    size = Checkpoint.parse(Note.parse(api.raw("GET", "/log/checkpoint").decode()).text).size
    if at is not None and at >= size:
        raise BadInputError(f"the log has {size} entries, counted from 0", advice="Name a smaller one.")
    wanted = range(at, at + 1) if at is not None else range(max(0, size - most), size)
    bundles: dict[int, list[bytes]] = {}
    rows: list[dict[str, Any]] = []
    for index in wanted:
        number = index // WIDTH
        if number not in bundles:
            tile = Tile(-1, number, width_at(-1, number, size))
            bundles[number] = unbundle(api.raw("GET", f"/log/{tile.path}"))
        entry = orjson.loads(bundles[number][index % WIDTH])
        rows.append({"index": index, "kind": entry.get("kind"), "entry": entry})
    session.out.rows(rows, ["index", "kind", "entry"], empty="The log is empty.")


@command(log, "check")
def check(session: Session) -> None:
    """Check every entry, tile and checkpoint against each other; the instance must be stopped."""

    def work(ground: Ground, database: Database) -> list[dict[str, Any]]:
        return [asdict(report) for report in check_log(database, ground.home.data.log)]

    with maintenance.stopped(session.data.root) as (home, base):
        found = maintenance.as_service(home, base, work)
    session.out.rows(found, ["generation", "origin", "size", "checkpoints", "published"], empty="There is no log yet.")


@command(log, "resume")
def resume(
    session: Session,
    checkpoint_file: Annotated[Path, typer.Option("--checkpoint", help="The last checkpoint that was published.")],
) -> None:
    """Go on after a restore, when nothing that was published is missing; the instance must be stopped."""
    text = files.text(checkpoint_file)

    def work(ground: Ground, database: Database) -> dict[str, Any]:
        home = ground.home
        sequencer = keystore.sequencer(database, home.data.log, home.platform, home.clock)
        found = sequencer.resume(text)
        return {"origin": found.origin, "size": found.size, "root": found.root.hex()}

    with maintenance.stopped(session.data.root) as (home, base):
        session.out.record(maintenance.as_service(home, base, work))


@command(log, "succeed")
def succeed(
    session: Session,
    checkpoint_file: Annotated[
        Path | None, typer.Option("--checkpoint", help="A later checkpoint than the one on disk, if one was kept.")
    ] = None,
) -> None:
    """Open a new log behind one that cannot go on; its first entry names what is lost. Stop the instance before."""
    text = files.text(checkpoint_file) if checkpoint_file else None

    def work(ground: Ground, database: Database) -> dict[str, Any]:
        home = ground.home
        done = open_successor(
            database, home.data.log, home.platform, home.clock.now(), secrets.token_bytes, old_checkpoint=text
        )
        return {"origin": done.origin}

    with maintenance.stopped(session.data.root) as (home, base):
        session.out.record(maintenance.as_service(home, base, work))
        session.out.say("The log has a new key: publish the pin that the next start prints.")

"""`heldtrue backup TO`, `heldtrue restore FROM`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from heldtrue.app import saving
from heldtrue.app.cli.session import Session
from heldtrue.app.settings import Settings
from heldtrue.capabilities.backups.model import Progress as Report
from heldtrue.capabilities.backups.model import Step


def backup(
    session: Session,
    to: Annotated[Path, typer.Argument(help="A new directory.")],
    config: Annotated[Path | None, typer.Option(help="The settings, when not the usual file.")] = None,
) -> None:
    """Back the instance up, sealed; it may serve meanwhile. Keep keystore.sealed and the platform key apart."""
    with _shown(session) as report:
        made = saving.save(session.data.root, to, config, report)
    session.out.record(
        {
            "backup": str(to),
            "id": made.id,
            "made_at": made.made_at,
            "files": len(made.files),
            "bytes": sum(file.size for file in made.files),
            "rows": sum(made.rows.values()),
            "log_size": made.log.size,
        }
    )


def restore(
    session: Session,
    source: Annotated[Path, typer.Argument(metavar="FROM", help="A directory that `heldtrue backup` made.")],
    platform_key: Annotated[str | None, typer.Option(help="Where the platform key is, as file:/path.")] = None,
    keystore: Annotated[Path | None, typer.Option(help="keystore.sealed, when it is kept elsewhere.")] = None,
    database: Annotated[str | None, typer.Option(help="An empty database, by file:/path or env:NAME.")] = None,
) -> None:
    """Restore a backup into the new directory --data-dir, after every byte of it was proven."""
    with _shown(session) as report:
        back = saving.bring_back(
            source,
            session.data.root,
            platform_key=platform_key,
            keystore=keystore,
            database=database,
            service_user=Settings().service_user,
            progress=report,
        )
    session.out.record(
        {
            "data_dir": str(back.data_dir),
            "made_at": back.manifest.made_at,
            "rows": sum(back.manifest.rows.values()),
            "log_size": back.recovered_size,
        }
    )
    session.out.say(
        "The log signs nothing yet. If you have its last published checkpoint, run\n"
        f"  heldtrue log resume --checkpoint FILE --data-dir {back.data_dir}\n"
        f"otherwise  heldtrue log succeed --data-dir {back.data_dir}"
    )


@contextmanager
def _shown(session: Session) -> Generator[Report]:
    """Show how far it is, one bar a part."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    console = session.out.progress
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        parts: dict[str, TaskID] = {}

        def report(step: Step) -> None:
            if step.name not in parts:
                parts[step.name] = bars.add_task(step.name, total=step.total)
            bars.update(parts[step.name], completed=step.done, total=step.total)

        yield report

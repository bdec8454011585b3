"""Commands about the instance itself: `heldtrue doctor`, `verify`, `renew-operator`, `version`, `uninstall`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heldtrue.app.cli.session import Session
from heldtrue.app.version import version as installed
from heldtrue_verify import cli as verifier

_MARKS = {"ok": "[green]ok[/]    ", "advice": "[yellow]advice[/]", "wrong": "[bold red]wrong[/] "}


def doctor(
    session: Session, config: Annotated[Path | None, typer.Option(help="The settings, when not the usual file.")] = None
) -> None:
    """Explain what is not safe or not well; exit 1 when something is wrong."""
    from heldtrue.app import doctor as examination  # the server's parts

    findings = list(examination.examine(session.data.root, config))
    if session.out.as_json:
        session.out.json(
            [{"subject": f.subject, "level": f.level, "found": f.found, "advice": f.advice} for f in findings]
        )
    else:
        for finding in findings:
            session.out.finding(_MARKS[finding.level], finding.subject, finding.found, finding.advice)
    if any(finding.level is examination.Level.WRONG for finding in findings):
        raise typer.Exit(1)


def verify(context: typer.Context) -> None:
    """Check a receipt, a webhook, a proof or a page: the same as `heldtrue-verify`, with its own options."""
    raise typer.Exit(verifier.main(context.args))


def renew_operator(
    session: Session,
    save: Annotated[Path, typer.Option("--save", help="Write the credential to this new file (0600).")],
    *,
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Let earlier credentials live on.")] = False,
) -> None:
    """Issue the operator another credential, for whoever holds the machine; the instance must be stopped."""
    from heldtrue.app import maintenance, operators  # the server's parts

    with maintenance.stopped(session.data.root) as (home, base):
        made = maintenance.as_service(
            home, base, lambda ground, database: operators.renew(ground, database, revoke=not keep_old)
        )
    session.save(made["secret"], save)
    session.out.record({"saved_to": str(save), "revoked": made["revoked"]})


def version(session: Session) -> None:
    """Print the version."""
    session.out.record(installed())


def uninstall(session: Session) -> None:
    """Say what to remove, and what is lost with each; remove nothing."""
    operator = session.operator_file()
    session.out.rows(
        [
            {"what": str(session.data.root), "holds": "everything but the keys; without it nothing is left"},
            {
                "what": str(operator.with_suffix(".key")),
                "holds": "the platform key; without it data and backups stay shut",
            },
            {"what": str(operator), "holds": "the operator's first credential"},
            {
                "what": "users heldtrue, heldtrue-db, heldtrue-runner and heldtrue-broker",
                "holds": "nothing; `userdel` removes them (started as root only)",
            },
        ],
        ["what", "holds"],
        empty="",
    )
    session.out.say("Stop the instance first. Removing the key file alone makes all data unreadable for good.")

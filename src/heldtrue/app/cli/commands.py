"""Every command, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heldtrue.app import doctor as examination
from heldtrue.app import maintenance, operators
from heldtrue.app.cli import frame
from heldtrue.app.cli.agreements import agreements
from heldtrue.app.cli.asked import requests
from heldtrue.app.cli.backups import backup, restore
from heldtrue.app.cli.claims import claims
from heldtrue.app.cli.credentials import credentials
from heldtrue.app.cli.deliveries import deliveries
from heldtrue.app.cli.demo import demo
from heldtrue.app.cli.documents import documents
from heldtrue.app.cli.edge import edge
from heldtrue.app.cli.endpoints import endpoints
from heldtrue.app.cli.entries import registers
from heldtrue.app.cli.evidence import evidence, findings, gate
from heldtrue.app.cli.lint import lint
from heldtrue.app.cli.log import log
from heldtrue.app.cli.mail import addresses, mail
from heldtrue.app.cli.payloads import payloads
from heldtrue.app.cli.portal import portal
from heldtrue.app.cli.ports import ports
from heldtrue.app.cli.post import post
from heldtrue.app.cli.probe import probe
from heldtrue.app.cli.questionnaire import questionnaire
from heldtrue.app.cli.registers import keys, orgs
from heldtrue.app.cli.reports import advisories, disclosure, reports
from heldtrue.app.cli.session import Session, command
from heldtrue.app.cli.transforms import flows, transforms
from heldtrue.app.cli.up import serve
from heldtrue.app.cli.vendors import vendors
from heldtrue.app.version import version as installed
from heldtrue_verify import cli as verifier

cli = frame()
cli.command("up")(serve)
command(cli, "demo")(demo)
command(cli, "backup")(backup)
command(cli, "restore")(restore)
command(cli, "probe")(probe)
command(cli, "ports")(ports)
command(cli, "gate")(gate)
command(cli, "lint")(lint)
for name, group in (
    ("orgs", orgs),
    ("keys", keys),
    ("edge", edge),
    ("endpoints", endpoints),
    ("payloads", payloads),
    ("addresses", addresses),
    ("mail", mail),
    ("post", post),
    ("documents", documents),
    ("requests", requests),
    ("deliveries", deliveries),
    ("transforms", transforms),
    ("flows", flows),
    ("credentials", credentials),
    ("portal", portal),
    ("registers", registers),
    ("vendors", vendors),
    ("reports", reports),
    ("disclosure", disclosure),
    ("advisories", advisories),
    ("evidence", evidence),
    ("findings", findings),
    ("log", log),
    ("claims", claims),
    ("questionnaire", questionnaire),
    ("agreements", agreements),
):
    cli.add_typer(group, name=name)

_MARKS = {"ok": "[green]ok[/]    ", "advice": "[yellow]advice[/]", "wrong": "[bold red]wrong[/] "}


@command(cli, "doctor")
def doctor(
    session: Session, config: Annotated[Path | None, typer.Option(help="The settings, when not the usual file.")] = None
) -> None:
    """Explain what is not safe or not well; exit 1 when something is wrong."""
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


@cli.command(
    "verify",
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": ["--no-such-help"],
    },
)
def verify(context: typer.Context) -> None:
    """Check a receipt, a webhook, a proof or a page: the same as `heldtrue-verify`, with its own options."""
    raise typer.Exit(verifier.main(context.args))


@command(cli, "renew-operator")
def renew_operator(
    session: Session,
    save: Annotated[Path, typer.Option("--save", help="Write the credential to this new file (0600).")],
    *,
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Let earlier credentials live on.")] = False,
) -> None:
    """Issue the operator another credential, for whoever holds the machine; the instance must be stopped."""
    with maintenance.stopped(session.data.root) as (home, base):
        made = maintenance.as_service(
            home, base, lambda ground, database: operators.renew(ground, database, revoke=not keep_old)
        )
    session.save(made["secret"], save)
    session.out.record({"saved_to": str(save), "revoked": made["revoked"]})


@command(cli, "version")
def version(session: Session) -> None:
    """Print the version."""
    session.out.record(installed())


@command(cli, "uninstall")
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

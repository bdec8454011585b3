"""Reports of vulnerabilities, the key for them, advisories: `heldtrue reports|disclosure|advisories …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from heldtrue.app.cli import files
from heldtrue.app.cli.client import segment
from heldtrue.app.cli.session import Session, command
from heldtrue.kernel.errors import BadInputError

reports = typer.Typer(help="Reports of vulnerabilities and their clock (operator).", no_args_is_help=True)
disclosure = typer.Typer(help="The OpenPGP key and security.txt (operator).", no_args_is_help=True)
advisories = typer.Typer(help="Security advisories, as CSAF and feeds (operator).", no_args_is_help=True)
Report = Annotated[str, typer.Argument(help="rep_…")]
Message = Annotated[str | None, typer.Option("--message", help="What its reporter is told, on the report's own page.")]


@command(reports, "list")
def list_reports(
    session: Session,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those that wait beyond their time.")] = False,
) -> None:
    """List the reports, the newest first. Exit 1 with --overdue when there is one."""
    found = [one for one in session.operator().pages("/v1/reports") if one["overdue"] or not overdue]
    columns = ["id", "state", "overdue", "due_at", "severity", "score", "title"]
    session.out.rows(found, columns, empty="No report waits." if overdue else "No report so far.")
    if overdue and found:
        raise typer.Exit(1)


@command(reports, "show")
def show_report(session: Session, report: Report) -> None:
    """Show a report and everything that was written; encrypted messages are opened where the key is held here."""
    found = session.operator().get(f"/v1/reports/{segment(report)}")
    messages = found.pop("messages")
    if session.out.as_json:
        session.out.json({**found, "messages": messages})
        return
    session.out.record(found)
    for one in messages:
        session.out.console.print(f"\n[bold]{one['author']}[/], {one['sent_at']}")
        session.out.console.print(one["opened"] or one["text"], markup=False)


@command(reports, "acknowledge")
def acknowledge(session: Session, report: Report, message: Message = None) -> None:
    """Acknowledge a report: its clock stops, and its reporter is told."""
    _act(session, report, "acknowledge", message=message)


@command(reports, "triage")
def triage(
    session: Session,
    report: Report,
    vector: Annotated[str, typer.Argument(help="CVSS:3.1/… or CVSS:4.0/…")],
    message: Message = None,
) -> None:
    """Score a report by a CVSS vector; score and severity follow from it."""
    _act(session, report, "assessment", vector=vector, message=message)


@command(reports, "confirm")
def confirm(session: Session, report: Report, message: Message = None) -> None:
    """Confirm that a report is right; from here on it can be rewarded."""
    _act(session, report, "state", state="confirmed", message=message)


@command(reports, "award")
def award(
    session: Session,
    report: Report,
    amount: Annotated[str, typer.Argument(help="In units of the currency: 5000 or 5000.00.")],
) -> None:
    """Record a confirmed report's reward; outside its band it is refused."""
    _act(session, report, "reward", cents=_cents(amount))


@command(reports, "thank")
def thank(
    session: Session, report: Report, link: Annotated[str | None, typer.Option(help="An https URL of theirs.")] = None
) -> None:
    """Name a report's reporter in the hall of thanks, by the consent that came with it."""
    _act(session, report, "thanks", link=link)


@command(reports, "close")
def close(
    session: Session,
    report: Report,
    state: Annotated[str, typer.Argument(help="fixed, disclosed, not-applicable or duplicate.")],
    duplicate_of: Annotated[str | None, typer.Option("--duplicate-of", help="rep_… that it repeats.")] = None,
    message: Message = None,
) -> None:
    """Say that a report is fixed or disclosed, or close it as not applicable or as a duplicate."""
    _act(session, report, "state", state=state, duplicate_of=duplicate_of, message=message)


@command(disclosure, "key")
def key(
    session: Session,
    days: Annotated[int, typer.Option(min=30, max=1095, help="How long a new key lives.")] = 365,
    public_key: Annotated[
        Path | None, typer.Option("--public-key", help="Publish this key, whose secret half is kept elsewhere.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show the key that is published; change nothing.")] = False,
) -> None:
    """Publish an OpenPGP key for reports in place of the one before; its secret half is sealed."""
    api = session.operator()
    if show:
        session.out.record(api.get("/v1/disclosure/key"))
        return
    asked: dict[str, Any] = {"days": days}
    if public_key is not None:
        asked["public_key"] = files.text(public_key)
    made = api.post("/v1/disclosure/key", asked)
    session.out.record(made if session.out.as_json else {**made, "public_key": "at /.well-known/pgp-key.txt"})


@command(disclosure, "security-txt")
def security_txt(session: Session) -> None:
    """Print security.txt as it is served."""
    session.out.bytes(session.public().raw("GET", "/.well-known/security.txt"))


@command(advisories, "publish")
def publish(
    session: Session,
    item: Annotated[str, typer.Argument(help="Its id, in lower case: acme-2026-001.")],
    file: Annotated[Path, typer.Argument(help="The advisory, in TOML or JSON.")],
) -> None:
    """Publish an advisory, or the next version of one: on the page, in the feeds and as CSAF, at once and for good."""
    path = f"/v1/registers/advisories/{segment(item)}"
    body = orjson.dumps({"document": files.document(file)})
    made = session.operator().call("PUT", path, body, {"Content-Type": "application/json"})
    session.out.record({"id": item.upper(), "version": made["version"], "leaf_id": made["leaf_id"]})


@command(advisories, "list")
def list_advisories(session: Session) -> None:
    """List the advisories, as everybody reads them."""
    found = session.public().get("/trust/disclosure.json")["advisories"]
    session.out.rows(found, ["id", "severity", "score", "title", "published_at", "csaf"], empty="No advisory so far.")


def _act(session: Session, report: str, verb: str, **asked: object) -> None:
    given = {name: value for name, value in asked.items() if value is not None}
    made = session.operator().post(f"/v1/reports/{segment(report)}/{verb}", given, idempotent=False)
    if not session.out.as_json:
        made.pop("messages")
    session.out.record(made)


def _cents(amount: str) -> int:
    whole, _, rest = amount.replace(",", "").partition(".")
    if not (whole.isascii() and whole.isdigit()) or not (rest == "" or (len(rest) == 2 and rest.isdigit())):
        raise BadInputError(f"{amount!r} is no amount", advice="Write it as 5000 or 5000.00.")
    return int(whole) * 100 + int(rest or "0")

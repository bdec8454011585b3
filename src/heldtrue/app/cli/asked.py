"""Requests of readers: `heldtrue requests …` for the operator."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from heldtrue.app.cli.client import segment
from heldtrue.app.cli.saved_mail import read_mail
from heldtrue.app.cli.session import Session, command
from heldtrue.kernel.errors import SettingsError

requests = typer.Typer(help="Requests for documents, procurement and legal questions (operator).", no_args_is_help=True)

_COLUMNS = ["id", "kind", "document", "state", "due_at", "overdue", "company", "mail"]
Ask = Annotated[str, typer.Argument(help="ask_…")]
Most = Annotated[int, typer.Option("--most", help="List at most so many.", min=1)]


@command(requests, "list")
def list_requests(
    session: Session,
    state: Annotated[str | None, typer.Option(help="open, granted, refused or answered.")] = None,
    most: Most = 50,
) -> None:
    """List requests, the newest first, each with the end of the business day within which it is answered."""
    found = list(session.operator().pages("/v1/requests", most=most, limit=min(most, 200), state=state))
    session.out.rows(found, _COLUMNS, empty="Nobody asked for anything yet.")
    late = [one for one in found if one["overdue"] and one["state"] == "open"]
    if late:
        session.out.say(f"[bold red]{len(late)} of them wait beyond their business day.[/]")


@command(requests, "show")
def show(session: Session, ask: Ask) -> None:
    """Look at a request and its words."""
    session.out.record(session.operator().get(f"/v1/requests/{segment(ask)}"))


@command(requests, "open")
def enter(
    session: Session,
    *,
    kind: Annotated[str, typer.Option(help="document, procurement or legal.")],
    eml: Annotated[
        Path | None, typer.Option("--eml", help="A mail that was saved: who asked, in which words, and when it came.")
    ] = None,
    mail: Annotated[str | None, typer.Option(help="Who asked.")] = None,
    name: Annotated[str | None, typer.Option(help="Who asked.")] = None,
    company: Annotated[str, typer.Option(help="For whom.")] = "",
    text: Annotated[str | None, typer.Option(help="In which words.")] = None,
    document: Annotated[str | None, typer.Option(help="With `--kind document`: its name.")] = None,
    received: Annotated[
        str | None, typer.Option(help="When it came, as 2026-11-20T09:30:00+01:00; now when not given.")
    ] = None,
) -> None:
    """Enter a request that came by mail or was told; its clock starts when it came."""
    saved = read_mail(eml) if eml is not None else None
    came = _moment(received)
    if saved is not None and came is None:
        if saved.received is None:
            raise SettingsError(f"{eml} does not say when our mail server took it", advice="Say so with --received.")
        came = saved.received.isoformat()
    asked: dict[str, Any] = {
        "kind": kind, "mail": mail or (saved and saved.mail), "name": name or (saved and saved.name),
        "company": company, "text": text if text is not None else saved.text if saved is not None else "",
        "document": document, "channel": "mail" if came else "console", "received_at": came,
    }  # fmt: skip
    if not asked["mail"] or not asked["name"]:
        raise SettingsError("it is not said who asked", advice="Write --mail and --name, or --eml FILE.")
    session.out.record(session.operator().post("/v1/requests", asked))


@command(requests, "grant")
def grant(
    session: Session,
    ask: Ask,
    days: Annotated[int, typer.Option(help="For how long.", min=1, max=90)] = 14,
    until: Annotated[str | None, typer.Option(help="Until when, in place of days.")] = None,
    note: Annotated[str, typer.Option(help="Goes into the mail.")] = "",
) -> None:
    """Grant a document: its reader is sent the link, which is shown here once."""
    asked = {"days": days, "until": _moment(until), "note": note}
    session.out.record(session.operator().post(f"/v1/requests/{segment(ask)}/grant", asked, idempotent=False))
    session.out.say("[yellow]Whoever has the link can read the document.[/] Its reader was sent it by mail.")


@command(requests, "refuse")
def refuse(session: Session, ask: Ask, reason: Annotated[str, typer.Option(help="Goes into the mail.")]) -> None:
    """Refuse a request, with the reason."""
    asked = {"reason": reason}
    session.out.record(session.operator().post(f"/v1/requests/{segment(ask)}/decline", asked, idempotent=False))


@command(requests, "answer")
def answer(
    session: Session,
    ask: Ask,
    text: Annotated[str, typer.Option(help="Goes into the mail.")],
    *,
    elsewhere: Annotated[
        bool, typer.Option("--elsewhere", help="It was answered in another way: record it, send no mail.")
    ] = False,
) -> None:
    """Answer a question by mail, or record that it was answered."""
    asked = {"text": text, "elsewhere": elsewhere}
    session.out.record(session.operator().post(f"/v1/requests/{segment(ask)}/answer", asked, idempotent=False))


def _moment(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{text!r} is no moment", advice="Write it as 2026-11-20T09:30:00+01:00.") from error
    if at.tzinfo is None:
        raise SettingsError(f"{text!r} has no time zone", advice="Write it as 2026-11-20T09:30:00+01:00.")
    return at.isoformat()

"""The document room: `heldtrue documents …` for the operator."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from heldtrue.app.cli import files
from heldtrue.app.cli.client import segment
from heldtrue.app.cli.session import Session, command
from heldtrue.kernel.errors import SettingsError

documents = typer.Typer(help="Documents for readers of the trust centre (operator).", no_args_is_help=True)

_JSON = {"Content-Type": "application/json"}
_COLUMNS = ["id", "title", "level", "kind", "marking", "version", "size", "expires"]
_GRANTS = ["id", "document", "state", "name", "mail", "expires_at", "fetches", "refusals"]
Most = Annotated[int, typer.Option("--most", help="List at most so many.", min=1)]


@command(documents, "add")
def add(
    session: Session,
    *,
    file: Annotated[Path, typer.Argument(help="The file; a PDF where copies shall carry their reader's name.")],
    title: Annotated[str, typer.Option(help="What it is called on the page.")],
    level: Annotated[str, typer.Option(help="public, on-request or nda.")],
    name: Annotated[str | None, typer.Option(help="Its name in addresses; made of the title when not given.")] = None,
    summary: Annotated[str, typer.Option(help="One or two sentences for the page.")] = "",
    kind: Annotated[str, typer.Option(help="report, letter, policy, certificate, insurance, analysis, …")] = "other",
    click_through: Annotated[
        bool, typer.Option("--click-through", help="Grant each request at once, by mail; else a person decides.")
    ] = False,
    cover_note: Annotated[
        bool, typer.Option("--cover-note", help="Give a file that is no PDF in a ZIP with a note of its reader.")
    ] = False,
    dated: Annotated[str | None, typer.Option(help="The document's own date, as 2026-11-01.")] = None,
    expires: Annotated[str | None, typer.Option(help="The day from which it is not given any more.")] = None,
) -> None:
    """Add a document, or a new version of one; each change of what is listed is an entry in the public log."""
    item = name or _named(title)
    api = session.operator()
    sent = {"Content-Type": mimetypes.guess_type(file.name)[0] or "application/octet-stream"}
    with session.out.progress.status(f"sending {file.name}"):
        api.call("PUT", f"/v1/documents/{segment(item)}/file", files.content(file), sent)
    asked: dict[str, Any] = {
        "title": title, "level": level, "summary": summary, "kind": kind, "cover_note": cover_note, "dated": dated,
        "expires": expires, "access": "click-through" if click_through else "decided",
    }  # fmt: skip
    session.out.record(api.call("PUT", f"/v1/documents/{segment(item)}", orjson.dumps(asked), _JSON))


@command(documents, "list")
def list_documents(session: Session) -> None:
    """List the documents that stand."""
    found = session.operator().get("/v1/documents")["data"]
    session.out.rows(found, _COLUMNS, empty="No document yet; add one with `heldtrue documents add FILE`.")


@command(documents, "withdraw")
def withdraw(
    session: Session,
    document: Annotated[str, typer.Argument(help="Its name.")],
    reason: Annotated[str, typer.Option(help="Stays in the log.")] = "withdrawn by the operator",
) -> None:
    """Take a document out: its grants are revoked and its file is destroyed for good."""
    from urllib.parse import urlencode

    path = f"/v1/documents/{segment(document)}?{urlencode({'reason': reason})}"
    session.out.record(session.operator().delete(path))


@command(documents, "nda")
def nda(
    session: Session,
    file: Annotated[Path, typer.Argument(help="The text, in UTF-8; an empty line between paragraphs.")],
    title: Annotated[str, typer.Option(help="What it is called.")] = "Mutual non-disclosure agreement",
) -> None:
    """Record the text of the non-disclosure agreement, as a new version of it; earlier acceptances name theirs."""
    text = files.text(file).strip()
    document = {"document": {"title": title, "text": text.replace("\r\n", "\n")}}
    session.out.record(
        session.operator().call("PUT", "/v1/registers/agreements-nda/standard", orjson.dumps(document), _JSON)
    )


@command(documents, "grants")
def grants(session: Session, most: Most = 50) -> None:
    """List who may fetch which document until when, the newest first."""
    found = session.operator().pages("/v1/grants", most=most, limit=min(most, 200))
    session.out.rows(found, _GRANTS, empty="Nobody was granted a document yet.")


@command(documents, "downloads")
def downloads(session: Session, grant: Annotated[str, typer.Argument(help="grt_…")]) -> None:
    """List the copies that a grant gave: when, which version, how many bytes, and the number on its pages."""
    found = session.operator().get(f"/v1/grants/{segment(grant)}")["downloads"]
    session.out.rows(found, ["id", "at", "document", "version", "marking", "size", "sha256"], empty="Not fetched yet.")


@command(documents, "revoke")
def revoke(
    session: Session,
    grant: Annotated[str, typer.Argument(help="grt_…")],
    reason: Annotated[str, typer.Option(help="Kept sealed.")] = "",
) -> None:
    """Revoke a grant: from now on its link gives nothing."""
    session.out.record(
        session.operator().post(f"/v1/grants/{segment(grant)}/revoke", {"reason": reason}, idempotent=False)
    )


@command(documents, "trace")
def trace(
    session: Session,
    file: Annotated[Path | None, typer.Argument(help="A copy that turned up: a PDF or a ZIP.")] = None,
    number: Annotated[str | None, typer.Option("--number", help="dld_…, where it can be read off a page only.")] = None,
) -> None:
    """Tell whose copy it is: who was given it, when, by which grant. Exit 1 when it carries no mark."""
    from heldtrue.capabilities.room.marking import marks_in

    if (file is None) == (number is None):
        raise SettingsError("name a file or a number", advice="Write `heldtrue documents trace FILE`.")
    marks = [number] if number is not None else marks_in(files.content(file)) if file is not None else []
    found = [
        session.operator().get(f"/v1/downloads/{segment(mark)}") for mark in marks if mark and mark.startswith("dld_")
    ]
    flat = [
        {"number": one["download"]["id"], "fetched_at": one["download"]["at"], "document": one["download"]["document"],
         "version": one["download"]["version"], "name": one["grant"]["name"], "company": one["grant"]["company"],
         "mail": one["grant"]["mail"], "grant_id": one["grant"]["id"]}
        for one in found
    ]  # fmt: skip
    session.out.rows(
        flat, ["number", "fetched_at", "document", "version", "name", "company", "mail", "grant_id"],
        empty="It carries no mark of ours. A number may still be readable on a page: `--number dld_…`.",
    )  # fmt: skip
    if not flat:
        raise typer.Exit(1)


@command(documents, "gap-analysis")
def gap_analysis(
    session: Session,
    level: Annotated[str, typer.Option(help="public, on-request or nda.")] = "on-request",
) -> None:
    """Write the gap analysis of this moment from the framework view, and list it as a document."""
    session.out.record(session.operator().post("/v1/gap-analysis", {"level": level}, idempotent=False))


def _named(title: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-")
    if not name:
        raise SettingsError(f"no name can be made of the title {title!r}", advice="Give one with --name.")
    return name

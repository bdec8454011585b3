"""Legal texts and signed agreements: `heldtrue agreements …`."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from heldtrue.app.cli import files
from heldtrue.app.cli.client import segment
from heldtrue.app.cli.questionnaire import Out
from heldtrue.app.cli.session import Session, command
from heldtrue.kernel.errors import BadInputError

agreements = typer.Typer(
    help="Terms, privacy, service levels and the processing agreement; signed copies on file.", no_args_is_help=True
)
Document = Annotated[str, typer.Argument(help="dpa, sla, terms, acceptable-use or privacy.")]
_TEXTS = ("dpa", "sla", "terms", "acceptable-use", "privacy")


@command(agreements, "texts")
def texts(session: Session) -> None:
    """List the legal texts: what is in force since when, and until when its review is due."""
    rows = [
        {"text": one["item"], "state": one["state"], **_shown(one["in_force"] or one["announced"] or {})}
        for one in session.public().get("/trust/legal.json")["data"]
    ]
    session.out.rows(rows, ["text", "state", "version", "effective_on", "review_by", "owner", "sha256"], empty="")


@command(agreements, "adopt")
def adopt(
    session: Session,
    document: Document,
    *,
    effective: Annotated[str, typer.Option(help="The day from which it holds, as 2026-12-01.")],
    owner: Annotated[str, typer.Option(help="The role that answers for it.")],
    file: Annotated[
        Path | None, typer.Option(help="The text, in Markdown (for sla: TOML with `levels`); else the starter.")
    ] = None,
    reviewed: Annotated[str | None, typer.Option(help="The day of its review; else today.")] = None,
) -> None:
    """Put a legal text into force from a day; each version enters the log."""
    api = session.operator()
    today = datetime.now(UTC).date()
    seen = _day(reviewed) if reviewed else today
    body = _starter(document, owner, _day(effective), seen, file)
    found = api.put(f"/v1/registers/legal/{segment(document)}", {"document": body})
    told = {name: found["document"][name] for name in ("title", "owner", "effective_on", "review_by")}
    session.out.record({"text": document, "version": found["version"], **told})
    if file is None:
        session.out.say(
            "[yellow]This is a starter text.[/] Have counsel review it; `heldtrue agreements starter` prints it."
        )


@command(agreements, "starter")
def starter(session: Session, document: Document) -> None:
    """Print a starter text, to be edited and adopted with --file."""
    if session.out.as_json or document == "sla":
        today = datetime.now(UTC).date()
        session.out.json(_starter(document, "owner", today, today, None))
        return
    from heldtrue.capabilities.agreements.starters import TEXTS

    session.out.bytes(TEXTS[_named(document)].encode())


@command(agreements, "render")
def render(
    session: Session,
    document: Document,
    output: Out,
    *,
    org: Annotated[str, typer.Option("--org", help="The customer's name.")] = "",
    address: Annotated[str, typer.Option(help="The customer's address.")] = "",
    module: Annotated[str, typer.Option(help="Modules of 2021/914: 2, 3 or 2,3.")] = "2,3",
    uk: Annotated[bool, typer.Option("--uk", help="With the addendum for the United Kingdom.")] = False,
    swiss: Annotated[bool, typer.Option("--swiss", help="With the adaptations for Switzerland.")] = False,
    ccpa: Annotated[bool, typer.Option("--ccpa/--no-ccpa", help="With the terms for California.")] = True,
    docking: Annotated[bool, typer.Option("--docking/--no-docking", help="Clause 7: others may accede.")] = True,
    specific: Annotated[bool, typer.Option("--specific", help="Each sub-processor needs its own consent.")] = False,
    notice_days: Annotated[int, typer.Option(help="Notice before a new sub-processor.")] = 30,
    authority: Annotated[str, typer.Option(help="The competent supervisory authority.")] = "",
    law: Annotated[str, typer.Option(help="The governing law.")] = "",
    forum: Annotated[str, typer.Option(help="The courts.")] = "",
) -> None:
    """Write an agreement with a customer's choices: PDF, DOCX, HTML or JSON, by the file's name."""
    form = output.suffix.removeprefix(".")
    if form not in {"pdf", "docx", "html", "json"}:
        raise BadInputError(f"there is no format {form!r}", advice="Name the file .docx, .pdf, .html or .json.")
    if not set(module.split(",")) <= {"2", "3"}:
        raise BadInputError(f"{module!r} names no modules", advice="Write 2, 3 or 2,3.")
    asked = {
        "document": _named(document), "format": form, "customer": org, "customer_address": address,
        "modules": sorted({int(part) for part in module.split(",")}), "uk": uk, "swiss": swiss, "ccpa": ccpa,
        "docking": docking, "sub_processors": "specific" if specific else "general", "notice_days": notice_days,
        "authority": authority, "law": law, "forum": forum,
    }  # fmt: skip
    from orjson import dumps

    made = session.operator().raw("POST", "/v1/agreements/drafts", dumps(asked), {"Content-Type": "application/json"})
    files.write_new(output, made)
    session.out.record({"saved_to": str(output), "bytes": len(made)})


@command(agreements, "file")
def file(
    session: Session,
    signed: Annotated[Path, typer.Argument(metavar="FILE", help="The signed PDF or DOCX.")],
    *,
    counterparty: Annotated[str, typer.Option(help="Who signed with us.")],
    signed_on: Annotated[str, typer.Option(help="The day of the signature, as 2026-11-20.")],
    document: Annotated[str, typer.Option(help="dpa, terms, order, confidentiality or other.")] = "dpa",
    org: Annotated[str | None, typer.Option("--org", help="org_…, when it is a customer here.")] = None,
) -> None:
    """File a signed copy: sealed, its hash committed to the log."""
    content = base64.b64encode(files.content(signed)).decode()
    asked = {
        "document": document, "counterparty": counterparty, "organisation_id": org, "signed_on": signed_on,
        "file_name": signed.name, "content": content,
    }  # fmt: skip
    session.out.record(session.operator().post("/v1/agreements", asked))


@command(agreements, "list")
def list_all(session: Session) -> None:
    """List the signed copies on file."""
    found = session.operator().get("/v1/agreements")["data"]
    columns = ["id", "document", "counterparty", "signed_on", "file_name", "size", "sha256", "filed_at"]
    session.out.rows(found, columns, empty="None is on file; file one with `heldtrue agreements file FILE …`.")


@command(agreements, "get")
def get(session: Session, agreement: Annotated[str, typer.Argument(help="agr_…")], output: Out) -> None:
    """Write a signed copy to a file, checked against its recorded hash."""
    files.write_new(output, session.operator().raw("GET", f"/v1/agreements/{segment(agreement)}/file"))
    session.out.record({"saved_to": str(output)})


def _shown(version: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in version.items() if name != "document"}


def _named(document: str) -> str:
    if document not in _TEXTS:
        raise BadInputError(f"there is no text {document!r}", advice=f"There are: {', '.join(_TEXTS)}.")
    return document


def _starter(document: str, owner: str, effective: date, seen: date, file: Path | None) -> dict[str, Any]:
    import tomllib

    from heldtrue.capabilities.agreements import legal, starters

    made = legal.LEGAL.write(starters.starter(_named(document), owner, effective, seen))
    made["review_by"] = (seen + timedelta(days=365)).isoformat()
    if file is None:
        return made
    written = files.text(file)
    if document == "sla":
        return {**made, "levels": tomllib.loads(written).get("levels")}
    return {**made, "text": written}


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(f"{text!r} is no day", advice="Write it as 2026-12-01.") from error

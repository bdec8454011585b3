"""The operator's registers: `heldtrue registers …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from heldtrue.app.cli import files
from heldtrue.app.cli.client import Api, segment
from heldtrue.app.cli.session import Session, command

registers = typer.Typer(
    help="What the operator declares in public: sub-processors, certifications, policies and others (operator).",
    no_args_is_help=True,
)
Register = Annotated[str, typer.Argument(help="As `sub-processors`; `heldtrue registers list` shows them.")]
Item = Annotated[str, typer.Argument(help="Its name: a-z, 0-9, dot and hyphen.")]
_COLUMNS = ["item", "version", "document", "recorded_at", "withdrawn"]


@command(registers, "list")
def list_all(
    session: Session,
    register: Annotated[str | None, typer.Argument(help="One register's items; without it, the registers.")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="As it stood then: 2026-11-22T12:00:00Z.")] = None,
) -> None:
    """List the registers, or the items of one."""
    api = session.operator()
    if register is None:
        found = api.get("/v1/registers")["data"]
        session.out.rows(found, ["register", "title", "public", "items"], empty="There is no register.")
        return
    found = api.get(f"/v1/registers/{segment(register)}", as_of=as_of)["data"]
    empty = f"No item; record one with `heldtrue registers put {register} ITEM FILE`."
    session.out.rows(found, _COLUMNS[:-1], empty=empty)


@command(registers, "schema")
def show_schema(session: Session, register: Register) -> None:
    """Print the JSON schema of a register's documents."""
    for one in session.operator().get("/v1/registers")["data"]:
        if one["register"] == register:
            session.out.json(one["schema"])
            return
    raise files.UnreadableFileError(
        f"there is no register {register!r}", advice="`heldtrue registers list` shows them."
    )


@command(registers, "show")
def show(session: Session, register: Register, item: Item) -> None:
    """Show an item as it stands."""
    session.out.record(session.operator().get(_path(register, item)))


@command(registers, "history")
def history(session: Session, register: Register, item: Item) -> None:
    """Show every version of an item, the oldest first."""
    found = session.operator().get(_path(register, item) + "/history")["data"]
    session.out.rows(found, _COLUMNS, empty="It was never recorded.")


@command(registers, "put")
def put(
    session: Session,
    register: Register,
    item: Item,
    file: Annotated[Path, typer.Argument(help="The document, as TOML or JSON; `-` reads JSON from standard input.")],
) -> None:
    """Record the next version of an item; it enters the log with it."""
    session.out.record(session.operator().put(_path(register, item), {"document": files.document(file)}))


@command(registers, "withdraw")
def withdraw(
    session: Session,
    register: Register,
    item: Item,
    reason: Annotated[str, typer.Option("--reason", help="Why; everybody reads it where the register is public.")],
) -> None:
    """Take an item out of its register; its history stays to be read."""
    session.out.record(session.operator().delete(_path(register, item), reason=reason))


@command(registers, "import")
def import_file(
    session: Session,
    file: Annotated[Path, typer.Argument(help="TOML or JSON: registers, in them items, in them documents.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; record nothing.")] = False,
) -> None:
    """Record all items of a file at one time, or none of them; exit 1 when any was refused."""
    asked = {"entries": entries_of(files.document(file)), "dry_run": dry_run}
    found = session.operator().post("/v1/registers", asked, idempotent=False)
    session.out.rows(found["data"], ["register", "item", "outcome", "version", "refusal"], empty="The file is empty.")
    if not found["recorded"]:
        session.out.say("Nothing was recorded: it was a dry run.")
    if any(one["outcome"] == "refused" for one in found["data"]):
        raise typer.Exit(1)


@command(registers, "export")
def export(
    session: Session,
    register: Annotated[list[str] | None, typer.Argument(help="Registers; without any, all of them.")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="As they stood then.")] = None,
) -> None:
    """Print registers as JSON that `heldtrue registers import` takes."""
    api = session.operator()
    session.out.json({name: _documents(api, name, as_of) for name in register or _names(api)})


def entries_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the items of `{register: {item: document}}`, as the API takes them."""
    entries: list[dict[str, Any]] = []
    for register, items in found.items():
        if not isinstance(items, dict):
            raise files.UnreadableFileError(f"{register} is no table of items", advice=f"Write [{register}.item-name].")
        for item, document in cast("dict[str, Any]", items).items():
            if not isinstance(document, dict):
                raise files.UnreadableFileError(
                    f"{register}.{item} is no document", advice="Write its members below it."
                )
            entries.append({"register": register, "item": item, "document": document})
    if not entries:
        raise files.UnreadableFileError("the file has no entry", advice="Write `{register: {item: document}}`.")
    return entries


def _names(api: Api) -> list[str]:
    return [one["register"] for one in api.get("/v1/registers")["data"]]


def _documents(api: Api, register: str, as_of: str | None) -> dict[str, Any]:
    found = api.get(f"/v1/registers/{segment(register)}", as_of=as_of)["data"]
    return {one["item"]: one["document"] for one in found}


def _path(register: str, item: str) -> str:
    return f"/v1/registers/{segment(register)}/{segment(item)}"


@command(registers, "adopt")
def adopt(
    session: Session,
    policy: Annotated[str, typer.Argument(help="As `backup`; `/trust/policies` lists the twenty, or name your own.")],
    owner: Annotated[str, typer.Option("--owner", help="The role that answers for it.")],
    file: Annotated[
        Path | None, typer.Option("--file", help="Your own text (Markdown); else the one that ships.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="With a text of your own: its title.")] = None,
) -> None:
    """Put a policy in force today, with an owner; it is due for review a year from now."""
    asked: dict[str, Any] = {"policy": policy, "owner": owner, "title": title}
    if file is not None:
        asked["text"] = files.text(file)
    made = session.operator().post("/v1/policies/adopt", asked, idempotent=False)
    session.out.record({**made, "document": {**made["document"], "text": "…"}} if not session.out.as_json else made)


@command(registers, "review")
def review(session: Session, policy: Annotated[str, typer.Argument(help="A policy that is in force.")]) -> None:
    """Let a policy stand for another year: its owner has read it today and found nothing to change."""
    made = session.operator().post("/v1/policies/review", {"policy": policy}, idempotent=False)
    session.out.record({**made, "document": {**made["document"], "text": "…"}} if not session.out.as_json else made)


@command(registers, "objections")
def objections(session: Session) -> None:
    """List what organisations said against sub-processors."""
    session.out.rows(
        session.operator().pages("/v1/objections/received"),
        ["id", "organisation_id", "sub_processor", "reason", "objected_at", "response"],
        empty="Nobody has objected.",
    )


@command(registers, "respond")
def respond(
    session: Session,
    objection: Annotated[str, typer.Argument(help="obj_…")],
    text: Annotated[str, typer.Option("--text", help="What you say to it; the organisation reads it.")],
) -> None:
    """Answer an objection."""
    path = f"/v1/objections/{segment(objection)}/response"
    session.out.record(session.operator().post(path, {"response": text}, idempotent=False))

"""Questionnaires: `heldtrue questionnaire …`."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from heldtrue.app.cli import files
from heldtrue.app.cli.client import segment
from heldtrue.app.cli.session import Session, command
from heldtrue.kernel.errors import BadInputError

questionnaire = typer.Typer(
    help="Our due-diligence questionnaire, and customers' own, answered from claims and registers.",
    no_args_is_help=True,
)
_FORMATS = ("xlsx", "docx", "pdf", "json")
Id = Annotated[str, typer.Argument(metavar="QUESTIONNAIRE", help="qst_…")]
Out = Annotated[Path, typer.Option("-o", "--output", help="Write to this new file.")]


@command(questionnaire, "export")
def export(
    session: Session,
    output: Out = Path("due-diligence-questionnaire.xlsx"),
    form: Annotated[
        str | None, typer.Option("--format", help="xlsx, docx, pdf or json; else by the file's name.")
    ] = None,
) -> None:
    """Write our own questionnaire as it is answered now."""
    wanted = form or output.suffix.removeprefix(".")
    if wanted not in _FORMATS:
        raise BadInputError(f"there is no format {wanted!r}", advice=f"Choose one of {', '.join(_FORMATS)}.")
    found = session.public().get("/trust/questionnaire.json")
    files.write_new(output, session.public().raw("GET", f"/trust/questionnaire.{wanted}"))
    session.out.record({"saved_to": str(output), "summary": found["summary"], **found["tally"]})


@command(questionnaire, "import")
def import_file(session: Session, file: Annotated[Path, typer.Argument(help="A customer's XLSX or CSV.")]) -> None:
    """Take in a customer's spreadsheet and propose answers."""
    asked = {"name": file.name, "content": base64.b64encode(files.content(file)).decode()}
    made = session.operator().post("/v1/questionnaires", asked)
    _show(session, made)
    session.out.say(f"Next: `heldtrue questionnaire confirm {made['id']} --row 1 --by YOUR-NAME`.")


@command(questionnaire, "list")
def list_all(session: Session) -> None:
    """List the questionnaires that were taken in."""
    found = session.operator().get("/v1/questionnaires")["data"]
    empty = "None was taken in; do so with `heldtrue questionnaire import FILE`."
    session.out.rows(found, ["id", "name", "created_at", "questions", "confirmed"], empty=empty)


@command(questionnaire, "review")
def review(
    session: Session,
    questionnaire_id: Id,
    *,
    open_only: Annotated[bool, typer.Option("--open", help="Only what is not confirmed yet.")] = False,
) -> None:
    """Show every question with what is proposed, by what it was matched, and what was confirmed."""
    found = session.operator().get(f"/v1/questionnaires/{segment(questionnaire_id)}")
    _show(session, found, open_only=open_only)


@command(questionnaire, "confirm")
def confirm(
    session: Session,
    questionnaire_id: Id,
    *,
    row: Annotated[list[int] | None, typer.Option("--row", help="Number in the review; may be repeated.")] = None,
    at_least: Annotated[
        float | None, typer.Option(help="Every open proposal with this score or more that is evidenced.")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Who answers for it.")],
    answer: Annotated[
        str | None, typer.Option(help="yes, no, partial, text or `not evidenced`; else as proposed.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="In words; else as proposed.")] = None,
) -> None:
    """Confirm answers as they are proposed, or say something else; they are remembered for next time."""
    api, path = session.operator(), f"/v1/questionnaires/{segment(questionnaire_id)}"
    numbers = list(row or [])
    if at_least is not None:
        if answer is not None or text is not None:
            raise BadInputError("--at-least confirms as proposed", advice="Use --row to say something else.")
        numbers += [one["number"] for one in api.get(path)["rows"] if _strong(one, at_least)]
    if not numbers:
        raise BadInputError("nothing to confirm", advice="Name questions with --row, or a score with --at-least.")
    done = [
        api.put(f"{path}/answers/{number}", {"confirmed_by": by, "answer": answer, "text": text})
        for number in dict.fromkeys(numbers)
    ]
    session.out.rows([_flat(one) for one in done], ["number", "question", "answer", "state"], empty="")


@command(questionnaire, "file")
def file(session: Session, questionnaire_id: Id, output: Out) -> None:
    """Write a copy of the customer's own file with the confirmed answers filled in."""
    path = f"/v1/questionnaires/{segment(questionnaire_id)}/file"
    files.write_new(output, session.operator().raw("GET", path))
    session.out.record({"saved_to": str(output)})


@command(questionnaire, "remove")
def remove(session: Session, questionnaire_id: Id) -> None:
    """Remove a questionnaire and its file; confirmed answers stay remembered."""
    session.operator().delete(f"/v1/questionnaires/{segment(questionnaire_id)}")
    session.out.record({"id": questionnaire_id, "state": "removed"})


def _strong(one: dict[str, Any], at_least: float) -> bool:
    proposal: dict[str, Any] | None = one["proposal"]
    if proposal is None or proposal["changed"] is not None:
        return False
    return proposal["answer"] in {"yes", "no", "text"} and proposal["score"] >= at_least


def _show(session: Session, found: dict[str, Any], *, open_only: bool = False) -> None:
    if session.out.as_json:
        session.out.json(found)
        return
    rows = [_flat(one) for one in found["rows"] if not (open_only and one["confirmed"])]
    columns = ["number", "sheet", "id", "question", "answer", "state", "from", "matched", "note"]
    session.out.rows(rows, columns, empty="Every question is confirmed.")
    told = f"{found['questions']} questions, {found['proposed']} proposed, {found['confirmed']} confirmed."
    session.out.say(f"{found['id']}: {told}")


def _flat(one: dict[str, Any]) -> dict[str, Any]:
    given, proposal = one["confirmed"], one["proposal"]
    flat = {name: one[name] for name in ("number", "sheet", "row", "id", "question")}
    if given is not None:
        return {**flat, **_said(given), "from": f"confirmed by {given['by']}", "matched": None}
    if proposal is None:
        return {**flat, "answer": None, "state": None, "from": None, "matched": None, "note": "nothing is alike"}
    source = f"{proposal['source']} {proposal['score']:.2f}"
    return {**flat, **_said(proposal), "from": source, "matched": proposal["matched"]}


def _said(found: dict[str, Any]) -> dict[str, Any]:
    return {"answer": found["answer"], "state": found["state"], "note": found["changed"]}

"""`heldtrue lint`: read a security page, ours or another's, and say what cannot be so."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import typer
from rich.markup import escape

from heldtrue.app.cli.session import Session
from heldtrue.app.version import RELEASE
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.kernel.errors import BadInputError
from heldtrue.trust.lint import report
from heldtrue.trust.lint.fetching import Fetcher
from heldtrue.trust.lint.model import Context, Finding, Level, Page
from heldtrue.trust.lint.rules import RULES
from heldtrue.trust.lint.sources import page_of, processors_of, states_of

_MARKS = {Level.ERROR: "[bold red]error[/]  ", Level.WARNING: "[yellow]warning[/]", Level.NOTE: "[dim]note[/]   "}


class LintInputError(BadInputError):
    """The linter cannot work with these options; the message names the one to change."""

    code = "lint-input"


def lint(
    session: Session,
    pages: Annotated[list[str], typer.Argument(help="Markdown or HTML files, or pages over https.")],
    *,
    against: Annotated[str | None, typer.Option(help="A trust document, /trust.json: what holds.")] = None,
    processors: Annotated[str | None, typer.Option(help="The list of sub-processors, when it is elsewhere.")] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Leave this rule out; may be repeated.")] = None,
    fail_on: Annotated[Level, typer.Option(help="The least that makes the exit status 1.")] = Level.NOTE,
    sarif: Annotated[Path | None, typer.Option(help="Write SARIF 2.1.0 to this file too.")] = None,
    allow: Annotated[list[str] | None, typer.Option(help="An inner network to fetch from, as 127.0.0.0/8.")] = None,
    today: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Judge dates as of this day.")] = None,
) -> None:
    """Find contradictions, stale dates and promises without proof in security pages.

    Exit 0: nothing was found. 1: something was. 2: a page or an option could not be used.
    """
    unknown = set(skip or ()) - {rule.name for rule in RULES}
    if unknown:
        raise LintInputError(
            f"there is no rule {min(unknown)!r}", advice=f"There are: {', '.join(rule.name for rule in RULES)}."
        )
    fetcher = Fetcher(allow=AllowList.parse(allow or ()), ca_file=session.ca_file)
    context = Context(
        today=(today or datetime.now(UTC)).date(),
        processors=processors_of(processors, fetcher) if processors else None,
        states=states_of(against, fetcher) if against else {},
    )
    done: list[tuple[Page, list[Finding]]] = []
    for name in pages:
        with session.out.progress.status(f"Reading {escape(name)}"):
            page = page_of(name, fetcher)
        done.append((page, report.lint(page, context, skip=frozenset(skip or ()))))
    if sarif is not None:
        sarif.write_bytes(orjson.dumps(report.sarif(done, RELEASE), option=orjson.OPT_INDENT_2))
    _tell(session, done)
    if any(report.at_least(found, fail_on) for _, found in done):
        raise typer.Exit(1)


def _tell(session: Session, done: list[tuple[Page, list[Finding]]]) -> None:
    if session.out.as_json:
        session.out.json([msgspec.to_builtins(report.report(page, found)) for page, found in done])
        return
    for page, findings in done:
        for one in findings:
            _line(session, page, one)
        count = len(findings)
        said = "nothing found" if not count else f"{count} found"
        session.out.say(f"{escape(page.source)}: {len(page.sentences)} sentences read, {said}.")


def _line(session: Session, page: Page, one: Finding) -> None:
    rows = f" [dim]{escape(', '.join(one.rows))}[/]" if one.rows else ""
    also = f" [dim](see line {', '.join(map(str, one.also))})[/]" if one.also else ""
    shown = one.text if len(one.text) <= 160 else f"{one.text[:157]}…"
    session.out.console.print(f"{escape(page.source)}:{one.line}  {_MARKS[one.level]} [bold]{one.rule}[/]{rows}")
    session.out.console.print(f"    {escape(one.message)}{also}")
    session.out.console.print(f"    [italic]{escape(shown)}[/]")

"""`heldtrue probe`: attack the routes of an API of one's own, without and with wrong credentials."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from heldtrue.app import instance, probing
from heldtrue.app.cli.session import Session
from heldtrue.app.probing import Prepared
from heldtrue.capabilities.probe import file as probe_file
from heldtrue.capabilities.probe.model import MEANING, SAFE_METHODS, Outcome, ProbeInputError, RouteResult
from heldtrue.capabilities.probe.plan import rows
from heldtrue.capabilities.probe.report import Report
from heldtrue.capabilities.probe.sender import Rules
from heldtrue.kernel.clock import SystemClock

PATIENCE = 30.0
"""Seconds to wait for the log to cover a recorded probe."""
_STATE = {True: "[green]judged[/]", False: "[yellow]not judged[/]"}


def probe(
    session: Session,
    routes: Annotated[
        str, typer.Argument(help="OpenAPI 3 in JSON or a list of routes: a file, or a URL of the target.")
    ],
    *,
    file: Annotated[Path, typer.Option("--file", help="The target, two organisations, example values (TOML).")],
    allow_method: Annotated[list[str] | None, typer.Option(help="Send this method as well; may be repeated.")] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="Requests a second, at most.")] = 5.0,
    concurrency: Annotated[int, typer.Option(min=1, max=50, help="Requests at a time, at most.")] = 2,
    max_requests: Annotated[int, typer.Option(min=1, help="Requests in all, at most.")] = 5000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send methods that change things without asking.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the whole report to this new file (0600).")] = None,
    record: Annotated[bool, typer.Option("--record", help="Record the result in the log, as the operator.")] = False,
    publish_target: Annotated[
        bool, typer.Option("--publish-target", help="With --record: the target's name, not only its digest.")
    ] = False,
    proof: Annotated[
        Path | None, typer.Option(help="With --record: write the entry and its proof to this file.")
    ] = None,
) -> None:
    """Attack every route of your own API without, with bad and with another organisation's credentials.

    Only GET, HEAD and OPTIONS are sent unless you allow more. Exit 0: every check that was made was withstood.
    1: something was found, or too little was judged. 2: unusable input.
    """
    given = probing.read_file(file)
    methods = probe_file.allowed(given, tuple(method.upper() for method in allow_method or ()))
    rules = Rules(methods, rate, concurrency, max_requests, given.timeout, probing.AGENT)
    if dry_run and "://" in routes:
        raise ProbeInputError("a dry run sends nothing", advice="Download the document and name the file.")
    for path in (report, proof):
        if path is not None and path.exists():
            raise ProbeInputError(f"{path} exists already", advice="Choose another name; it is not overwritten.")
    prepared = probing.prepare(routes, file, given, rules)
    if dry_run:
        _show_plan(session, prepared)
        return
    _confirm(prepared, yes=yes)
    operator = session.operator() if record else None
    with _progress(session, prepared) as told:
        found = probing.carry_out(prepared, SystemClock(), told)
    recorded: dict[str, Any] | None = None
    if report is not None:
        instance.write_durably(report, orjson.dumps(found.to_json(), option=orjson.OPT_INDENT_2), 0o600)
    if operator is not None:
        recorded = operator.post("/v1/probes", found.record(publish_target=publish_target))
    _show(session, found, recorded)
    if recorded is not None and operator is not None and proof is not None:
        _save_proof(session, operator, recorded["id"], proof)
    if found.outcome is not Outcome.HELD:
        raise typer.Exit(1)


def _confirm(prepared: Prepared, *, yes: bool) -> None:
    """Ask before anything is sent that may change something; without a terminal, --yes must have been said."""
    changing = {one.route.method for one in prepared.plan() if one.not_judged is None} - SAFE_METHODS
    if not changing or yes:
        return
    names = ", ".join(sorted(changing))
    if not sys.stdin.isatty():
        raise ProbeInputError(
            f"{names} may change things at the target", advice="Say --yes, or look at --dry-run first."
        )
    typer.confirm(f"{names} may change things at {prepared.file.base}. Send them?", abort=True, err=True)


@contextmanager
def _progress(session: Session, prepared: Prepared) -> Generator[Callable[[RouteResult], None]]:
    """Give what is told of each route; a terminal shows a bar meanwhile."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=session.out.progress, transient=True, disable=not session.out.progress.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("routes", total=len(prepared.routes))
        yield lambda result: bar.update(task, advance=1, description=escape(result.route[:60]))


def _show_plan(session: Session, prepared: Prepared) -> None:
    lines = rows(prepared.plan())
    if session.out.as_json:
        session.out.json({"target": prepared.file.base, "methods": sorted(prepared.rules.methods), "routes": lines})
        return
    table = [{**line, "checks": len(line["checks"]), "not_judged": line["why"] or None} for line in lines]
    session.out.rows(table, ["route", "target", "requests", "checks", "not_judged"], empty="No route.")
    count = sum(line["requests"] for line in lines)
    seconds = count / prepared.rules.rate
    session.out.say(
        f"About {count} requests to {prepared.file.base}, {seconds:.0f} s at {prepared.rules.rate:g} a second."
    )
    session.out.say("Nothing was sent.")


def _show(session: Session, found: Report, recorded: dict[str, Any] | None) -> None:
    if session.out.as_json:
        kept = None if recorded is None else {"id": recorded["id"], "outcome": recorded["outcome"]}
        session.out.json({**found.to_json(), "recorded": kept})
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("route", "state", "checks", "findings"):
        table.add_column(name, overflow="fold")
    for result in found.results:
        kinds = ", ".join(str(finding.check) for finding in result.findings)
        state = _STATE[result.judged] + (f" [dim]{escape(result.why)}[/]" if not result.judged else "")
        made = f"{len(result.made)} of {len(result.made) + len(result.unmade)}" if result.judged else "-"
        table.add_row(escape(result.route), state, made, f"[bold red]{kinds}[/]" if kinds else "")
    session.out.console.print(table)
    _show_findings(session, found)
    session.out.say(f"\n{escape(found.statement())}")
    words = {
        Outcome.HELD: "[green]held[/]",
        Outcome.BROKEN: "[bold red]broken[/]",
        Outcome.INCOMPLETE: "[yellow]incomplete[/]",
    }
    session.out.say(f"Outcome: {words[found.outcome]}, ended: {found.ended}, findings: {len(found.findings)}.")
    if recorded is not None:
        session.out.say(f"Recorded as {recorded['id']}, outcome {recorded['outcome']}.")
        session.out.say("Save entry and proof with --proof FILE, and check: heldtrue-verify proof FILE --pin @log.vkey")


def _show_findings(session: Session, found: Report) -> None:
    for number, finding in enumerate(found.findings, start=1):
        meaning = MEANING[finding.check]
        session.out.say(f"\n[bold red]{number}. {finding.check}[/]  [bold]{escape(finding.route)}[/] {meaning.says}")
        session.out.say(f"   seen: {escape(finding.seen)}")
        if finding.excerpt:
            session.out.say(f"   answer: [dim]{escape(finding.excerpt)}[/]")
        session.out.say(f"   do: {escape(meaning.advice)} [dim](OWASP {meaning.api_top_ten}:2023)[/]")
        session.out.say(f"   again: {escape(finding.curl)}")


def _save_proof(session: Session, operator: Any, leaf: str, path: Path) -> None:
    """Wait until the log covers the entry, and write the file that `heldtrue-verify proof` takes."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = next((one for one in operator.pages("/v1/probes", most=200) if one["id"] == leaf), None)
        if found is not None and found["proof"] is not None:
            kept = {"entry": found["entry"], "proof": found["proof"]}
            instance.write_durably(path, orjson.dumps(kept, option=orjson.OPT_INDENT_2), 0o644)
            session.out.say(f"Entry and proof are in {path}.")
            return
        time.sleep(0.5)  # between two looks at the log, bounded by the deadline
    raise probing.ProbeStoppedError(
        f"the log has not covered {leaf} yet", advice="`GET /v1/probes` has its proof soon."
    )

"""Transforms and flows: `heldtrue transforms …`, `heldtrue flows …`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
import typer
from msgspec import to_builtins

from heldtrue.app.cli import files
from heldtrue.app.cli.client import segment
from heldtrue.app.cli.payloads import guess_type
from heldtrue.app.cli.session import Session, command
from heldtrue.kernel.errors import BadInputError

transforms = typer.Typer(help="Your customers' code, in versions.", no_args_is_help=True)
flows = typer.Typer(help="Which code runs on which payloads, and how it went.", no_args_is_help=True)

LANGUAGES = {".py": "python", ".js": "javascript"}
TOLD = ("outcome", "outputs", "attachments", "logs", "logs_cut", "error", "sandbox")
"""What a trial says with --json, the same here and there."""
Most = Annotated[int, typer.Option("--most", help="List at most so many.", min=1)]
TransformArgument = Annotated[str, typer.Argument(help="trf_…")]
FlowArgument = Annotated[str, typer.Argument(help="flo_…")]
RunArgument = Annotated[str, typer.Argument(help="run_…")]
FileArgument = Annotated[Path, typer.Argument(help="A .py or .js file that defines transform(payload, context).")]
Note = Annotated[str, typer.Option(help="Why this version.")]
Config = Annotated[str, typer.Option("--config", help="The context, as JSON or @FILE.")]


@command(transforms, "list")
def list_transforms(session: Session, most: Most = 50) -> None:
    """List transforms, newest first."""
    found = session.api().pages("/v1/transforms", most=most, limit=min(most, 200))
    session.out.rows(
        [
            {**one, "version": one["current"]["number"], "digest": one["current"]["digest"]}
            if not session.out.as_json
            else one
            for one in found
        ],
        ["id", "name", "version", "digest", "created_at"],
        empty="No transform yet; make one with `heldtrue transforms create NAME FILE`.",
    )


@command(transforms, "create")
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="For people.")],
    file: FileArgument,
    note: Note = "",
    description: Annotated[str, typer.Option(help="For people.")] = "",
) -> None:
    """Create a transform with its first version."""
    asked = {"name": name, "description": description, "note": note, **_source(file)}
    session.out.record(session.api().post("/v1/transforms", asked))


@command(transforms, "push")
def push(
    session: Session,
    file: FileArgument,
    transform: Annotated[str, typer.Option("--transform", help="trf_…")],
    note: Note = "",
) -> None:
    """Add a version, which becomes the current one; the code that is current already adds none."""
    path = f"/v1/transforms/{segment(transform)}/versions"
    session.out.record(session.api().post(path, {"note": note, **_source(file)}))


@command(transforms, "versions")
def versions(session: Session, transform: TransformArgument, most: Most = 50) -> None:
    """List the versions of a transform, newest first."""
    session.out.rows(
        session.api().pages(f"/v1/transforms/{segment(transform)}/versions", most=most, limit=min(most, 200)),
        ["number", "current", "language", "digest", "size", "created_at", "note"],
        empty="",
    )


@command(transforms, "rollback")
def rollback(
    session: Session,
    transform: TransformArgument,
    number: Annotated[int, typer.Argument(help="The version that is to be current.", min=1)],
) -> None:
    """Make an earlier version the current one; steps that name no version run it from now on."""
    path = f"/v1/transforms/{segment(transform)}/rollback"
    session.out.record(session.api().post(path, {"number": number}, idempotent=False))


@command(transforms, "delete")
def delete_transform(session: Session, transform: TransformArgument) -> None:
    """Forget a transform's code; refused while a flow runs it."""
    session.out.record(session.api().delete(f"/v1/transforms/{segment(transform)}"))


@command(transforms, "egress")
def egress(
    session: Session,
    transform: TransformArgument,
    allow: Annotated[
        list[str] | None, typer.Option("--allow", help="A host that may be called, as api.example.com; repeatable.")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", help="HOST 'Name: value', added to calls of HOST; {{credential:NAME}} in the value."),
    ] = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="Allow nobody any more.")] = False,
) -> None:
    """Show what a transform may call, or say it anew: --allow replaces all that was allowed before."""
    path = f"/v1/transforms/{segment(transform)}/egress"
    if not allow and not none:
        if header:
            raise BadInputError("--header without --allow changes nothing", advice="Name every host with --allow.")
        session.out.record(session.api().get(path))
        return
    rules = {host: {"host": host, "headers": dict[str, str]()} for host in allow or []}
    for text in header or []:
        host, _, field = text.partition(" ")
        name, colon, value = field.partition(":")
        if host not in rules or not colon:
            raise BadInputError(
                f"--header {text!r} names no host of --allow", advice="Write it as 'api.example.com Name: value'."
            )
        rules[host]["headers"] |= {name.strip(): value.strip()}  # pyright: ignore[reportOperatorIssue]
    session.out.record(session.api().put(path, {"rules": list(rules.values())}))


@command(transforms, "test")
def try_file(
    session: Session,
    file: Annotated[
        str, typer.Argument(help="A .py or .js file that defines transform(payload, context); with --remote trf_….")
    ],
    payload: Annotated[Path, typer.Option("--payload", help="A sample: JSON, a mail as .eml, or any other file.")],
    config: Config = "{}",
    content_type: Annotated[str | None, typer.Option(help="Of the sample; by default told by its name.")] = None,
    attach: Annotated[list[Path] | None, typer.Option("--attach", help="An attachment; may be repeated.")] = None,
    version: Annotated[int | None, typer.Option(help="With --remote: not the current version.", min=1)] = None,
    *,
    remote: Annotated[bool, typer.Option("--remote", help="Run what an instance has, in its runner.")] = False,
) -> None:
    """Run code on a sample, here and in the same sandbox, without an instance; the same each time. Nobody is called."""
    kind = content_type or guess_type(payload)
    sample = (payload.name, kind, files.content(payload))
    if remote:
        if attach:
            raise BadInputError("--attach is for trials here", advice="Leave --remote out, or the attachments.")
        told = _try_there(session, file, version, sample, _config(config))
    else:
        attached = [(one.name, guess_type(one), files.content(one)) for one in attach or []]
        told = _try_here(Path(file), sample, _config(config), attached)
    if session.out.as_json:
        session.out.json({name: told[name] for name in TOLD})
    else:
        for line in told["logs"]:
            session.out.progress.print(line, markup=False)
        for output in told["outputs"]:
            session.out.json(output)
        for each in told["attachments"]:
            for one in each:
                session.out.progress.print(f"attached: {one}", markup=False)
        said = f"{told['outcome']}: {len(told['outputs'])} outputs, {told['wall_ms']} ms, {told['error'] or 'no error'}"
        session.out.progress.print(said, markup=False)
    if told["outcome"] != "ok":
        raise typer.Exit(1)


def _try_here(
    file: Path, sample: tuple[str, str, bytes], config: dict[str, Any], attached: list[tuple[str, str, bytes]]
) -> dict[str, Any]:
    from heldtrue.app.trying import try_out
    from heldtrue.capabilities.transforms.trial import tried_file

    result = try_out(_language(file), files.content(file), sample, config, attached)
    outputs = [orjson.loads(one) for one in result.outputs]
    made = [[to_builtins(tried_file(one)) for one in each] for each in result.files]
    return {**asdict(result), "outputs": outputs, "attachments": made, "logs": list(result.logs)}


def _try_there(
    session: Session, transform: str, version: int | None, sample: tuple[str, str, bytes], config: dict[str, Any]
) -> dict[str, Any]:
    name, kind, body = sample
    asked = {"config": orjson.dumps(config).decode(), "name": name} | ({"version": str(version)} if version else {})
    path = f"/v1/transforms/{segment(transform)}/test?{urlencode(asked)}"
    return session.api().call("POST", path, body, {"Content-Type": kind})


@command(flows, "list")
def list_flows(session: Session, most: Most = 50) -> None:
    """List flows, newest first."""
    session.out.rows(
        session.api().pages("/v1/flows", most=most, limit=min(most, 200)),
        ["id", "name", "state", "trigger", "next_at", "created_at"],
        empty="No flow yet, so payloads go on as they come; make one with `heldtrue flows create NAME --step trf_…`.",
    )


@command(flows, "show")
def show_flow(session: Session, flow: FlowArgument) -> None:
    """Show a flow."""
    session.out.record(session.api().get(f"/v1/flows/{segment(flow)}"))


@command(flows, "create")
def create_flow(
    session: Session,
    name: Annotated[str, typer.Argument(help="For people.")],
    step: Annotated[list[str], typer.Option("--step", help="trf_… or trf_…@VERSION; may be repeated, in order.")],
    config: Annotated[
        list[str] | None, typer.Option("--config", help="Of each --step, in order: JSON or @FILE.")
    ] = None,
    cron: Annotated[str | None, typer.Option(help="Run by a schedule: five fields, as '0 6 * * 1-5'.")] = None,
    time_zone: Annotated[str, typer.Option(help="Of the schedule, as Europe/Berlin.")] = "UTC",
    source: Annotated[str | None, typer.Option(help="Take only http or smtp.")] = None,
    content_type: Annotated[str | None, typer.Option(help="Take only this media type, or as image/*.")] = None,
    recipient: Annotated[str | None, typer.Option(help="Take only mails for this address.")] = None,
    field: Annotated[str | None, typer.Option(help="Take only JSON with /POINTER=VALUE.")] = None,
    endpoint: Annotated[list[str] | None, typer.Option("--endpoint", help="end_…, where outputs go.")] = None,
    alert: Annotated[list[str] | None, typer.Option("--alert", help="end_…, where a failure is told.")] = None,
    event_type: Annotated[str | None, typer.Option(help="The type of the webhooks that bring outputs.")] = None,
    *,
    disabled: Annotated[bool, typer.Option("--disabled", help="Take nothing yet.")] = False,
) -> None:
    """Create a flow: steps that run on each payload it takes, or by a schedule."""
    configs = config or []
    if len(configs) > len(step):
        raise BadInputError("there are more --config than --step", advice="Give one for each step, in order.")
    filters = {"source": source, "content_type": content_type, "recipient": recipient, "field": _field(field)}
    asked: dict[str, Any] = {
        "name": name,
        "steps": [_step(one, configs[n] if n < len(configs) else "{}") for n, one in enumerate(step)],
        "trigger": "payload" if cron is None else "schedule",
        "filters": filters if any(filters.values()) else None,
        "schedule": None if cron is None else {"cron": cron, "time_zone": time_zone},
        "enabled": not disabled,
        "endpoint_ids": endpoint or [],
        "alert_endpoint_ids": alert or [],
    }
    session.out.record(session.api().post("/v1/flows", asked | ({"event_type": event_type} if event_type else {})))


@command(flows, "enable")
def enable(session: Session, flow: FlowArgument) -> None:
    """Let a flow take payloads."""
    session.out.record(session.api().post(f"/v1/flows/{segment(flow)}/enable", idempotent=False))


@command(flows, "disable")
def disable(session: Session, flow: FlowArgument) -> None:
    """Let a flow take nothing more; runs that have begun go on."""
    session.out.record(session.api().post(f"/v1/flows/{segment(flow)}/disable", idempotent=False))


@command(flows, "delete")
def delete_flow(session: Session, flow: FlowArgument) -> None:
    """Forget a flow; its runs that are not done are cancelled."""
    session.out.record(session.api().delete(f"/v1/flows/{segment(flow)}"))


@command(flows, "runs")
def runs(
    session: Session,
    run: Annotated[str | None, typer.Argument(help="run_…: show its steps, logs and error.")] = None,
    flow: Annotated[str | None, typer.Option(help="Of this flow only.")] = None,
    payload: Annotated[str | None, typer.Option(help="Of this payload only.")] = None,
    state: Annotated[str | None, typer.Option(help="queued, running, done, failed or cancelled.")] = None,
    most: Most = 50,
) -> None:
    """List runs, newest first, or show one."""
    if run is not None:
        session.out.record(session.api().get(f"/v1/runs/{segment(run)}"))
        return
    session.out.rows(
        session.api().pages("/v1/runs", most=most, limit=min(most, 200), flow_id=flow, payload_id=payload, state=state),
        ["id", "flow_id", "payload_id", "state", "step", "tries", "outcome", "outputs", "due_at"],
        empty="No run yet.",
    )


@command(flows, "retry")
def retry(session: Session, run: RunArgument) -> None:
    """Try a run again at once, from the step that failed."""
    session.out.record(session.api().post(f"/v1/runs/{segment(run)}/retry", idempotent=False))


@command(flows, "cancel")
def cancel(session: Session, run: RunArgument) -> None:
    """End a run without outputs."""
    session.out.record(session.api().post(f"/v1/runs/{segment(run)}/cancel", idempotent=False))


def _source(file: Path) -> dict[str, str]:
    return {"language": _language(file), "code": files.text(file)}


def _language(file: Path) -> str:
    language = LANGUAGES.get(file.suffix)
    if language is None:
        raise BadInputError(f"{file} is neither .py nor .js", advice="Name the file by its language.")
    return language


def _step(text: str, config: str) -> dict[str, Any]:
    transform, _, version = text.partition("@")
    if version and not version.isdigit():
        raise BadInputError(f"--step {text}: the version is no number", advice="Write it as trf_…@3.")
    return {"transform_id": transform, "version": int(version) if version else None, "config": _config(config)}


def _field(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    pointer, equals, value = text.partition("=")
    if not equals:
        raise BadInputError(f"--field {text} has no value", advice='Write it as /kind=invoice, or /n=1, or /x="1".')
    try:
        return {"pointer": pointer, "equals": orjson.loads(value)}
    except orjson.JSONDecodeError:
        return {"pointer": pointer, "equals": value}


def _config(text: str) -> dict[str, Any]:
    raw = files.content(Path(text[1:])) if text.startswith("@") else text.encode()
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"--config is not JSON: {error}", advice="Write an object, or @FILE.") from error
    if not isinstance(found, dict):
        raise BadInputError("--config is not a JSON object", advice='Write it as {"name": "value"}, or @FILE.')
    return found  # pyright: ignore[reportUnknownVariableType] - JSON

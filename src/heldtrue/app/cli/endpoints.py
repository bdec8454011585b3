"""Endpoints: `heldtrue endpoints …`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from heldtrue.app.cli.client import segment
from heldtrue.app.cli.session import Session, command
from heldtrue.kernel.errors import BadInputError

endpoints = typer.Typer(help="Where payloads are forwarded to.", no_args_is_help=True)

_HELP = 'A setting, as concurrency=4 or filter=\'[{"at":"/currency","equals":"EUR"}]\'; may be repeated.'
EndpointArgument = Annotated[str, typer.Argument(help="end_…")]
Options = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help=_HELP)]
SomeOptions = Annotated[list[str], typer.Argument(metavar="NAME=VALUE…", help=_HELP)]


@command(endpoints, "add")
def add_endpoint(
    session: Session,
    target: Annotated[str, typer.Argument(metavar="URL", help="An https URL.")],
    description: Annotated[str, typer.Option(help="For people.")] = "",
    options: Options = None,
    save: Annotated[Path | None, typer.Option("--save", help="Write the signing secret to this new file.")] = None,
) -> None:
    """Register an endpoint; its signing secret is shown once."""
    given = parse_options(options or [])
    _show_secret(
        session, session.api().post("/v1/endpoints", {"url": target, "description": description, **given}), save
    )


@command(endpoints, "list")
def list_endpoints(session: Session) -> None:
    """List the endpoints."""
    session.out.rows(
        session.api().pages("/v1/endpoints"),
        ["id", "url", "state", "disabled_for", "circuit", "failing_since", "description"],
        empty="No endpoint yet; add one with `heldtrue endpoints add URL`.",
    )


@command(endpoints, "show")
def show_endpoint(session: Session, endpoint: EndpointArgument) -> None:
    """Show an endpoint."""
    session.out.record(session.api().get(f"/v1/endpoints/{segment(endpoint)}"))


@command(endpoints, "set")
def set_endpoint(session: Session, endpoint: EndpointArgument, options: SomeOptions) -> None:
    """Change an endpoint's settings; what is not named stays as it is."""
    body = orjson.dumps(parse_options(options))
    path, headers = f"/v1/endpoints/{segment(endpoint)}", {"Content-Type": "application/json"}
    session.out.record(session.api().call("PATCH", path, body, headers))


@command(endpoints, "test")
def try_endpoint(session: Session, endpoint: EndpointArgument) -> None:
    """Send an endpoint a signed test event and tell what came of it; exits 1 when it was not taken."""
    came = session.api().post(f"/v1/endpoints/{segment(endpoint)}/test", idempotent=False)
    session.out.record(came)
    if not came["delivered"]:
        raise typer.Exit(1)


@command(endpoints, "enable")
def enable_endpoint(
    session: Session,
    endpoint: EndpointArgument,
    *,
    replay_held: Annotated[bool, typer.Option("--replay-held", help="Send what was held for it.")] = False,
) -> None:
    """Enable an endpoint."""
    path = f"/v1/endpoints/{segment(endpoint)}/enable"
    session.out.record(session.api().post(path, {"replay_held": replay_held}, idempotent=False))


@command(endpoints, "disable")
def disable_endpoint(session: Session, endpoint: EndpointArgument) -> None:
    """Disable an endpoint; what comes for it is held, not lost."""
    session.out.record(session.api().post(f"/v1/endpoints/{segment(endpoint)}/disable", idempotent=False))


@command(endpoints, "delete")
def delete_endpoint(session: Session, endpoint: EndpointArgument) -> None:
    """Delete an endpoint; what waits for it ends here."""
    session.out.record(session.api().delete(f"/v1/endpoints/{segment(endpoint)}"))


@command(endpoints, "roll")
def roll_endpoint(
    session: Session,
    endpoint: EndpointArgument,
    overlap: Annotated[int, typer.Option(help="Seconds for which both secrets sign.")] = 86400,
    save: Annotated[Path | None, typer.Option("--save", help="Write the signing secret to this new file.")] = None,
) -> None:
    """Replace an endpoint's signing secret."""
    made = session.api().post(f"/v1/endpoints/{segment(endpoint)}/roll", {"overlap_seconds": overlap})
    _show_secret(session, made, save)


def parse_options(texts: Sequence[str]) -> dict[str, Any]:
    """Return settings by name; a value is read as JSON, and as text where it is none."""
    given: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise BadInputError(f"{text!r} is no setting", advice="Write it as NAME=VALUE, as concurrency=4.")
        try:
            given[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            given[name] = value
    return given


def _show_secret(session: Session, made: dict[str, Any], save: Path | None) -> None:
    if save is not None and made.get("secret"):
        session.save(made["secret"], save)
        made = {**made, "secret": None, "saved_to": str(save)}
    session.out.record(made)
    if made.get("secret"):
        session.out.say("[yellow]This is the only time the secret is shown.[/] The receiver checks signatures with it.")

"""`heldtrue edge`: the instance with its own proxy in front of an API, and the keys that APIs check callers with."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from heldtrue.app.cli.client import segment
from heldtrue.app.cli.edge_config import config_command
from heldtrue.app.cli.session import Session, command
from heldtrue.app.cli.up import up
from heldtrue.app.instance import AlreadyRunningError
from heldtrue.kernel.errors import SettingsError

PROXY_LISTEN = "127.0.0.1:8444"
edge = typer.Typer(help="Authenticate, authorise and limit every request to an API of yours.")
keys = typer.Typer(help="Keys that an upstream checks identity headers with (operator).", no_args_is_help=True)
Save = Annotated[Path | None, typer.Option("--save", help="Write the key to this new file (0600), do not print it.")]
Upstream = Annotated[str, typer.Argument(help="The upstream's name, as in edge.upstream_name.")]
_RENAMED = {"edge_upstream": "upstream", "edge_proxy_listen": "proxy_listen"}
_DECLARED: dict[str, Any] = {
    "upstream": Annotated[str | None, typer.Option("--upstream", help="The API, as http://127.0.0.1:3000.")],
    "proxy_listen": Annotated[
        str | None, typer.Option("--proxy-listen", help=f"HOST:PORT for its clients, {PROXY_LISTEN} by default.")
    ],
}


def _callback() -> Callable[..., None]:
    """Return `heldtrue edge --upstream URL …`: `up`, with all of its options, and the proxy in front."""
    hints = typing.get_type_hints(up, include_extras=True)
    parameters = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    for option in inspect.signature(up).parameters.values():
        name = _RENAMED.get(option.name, option.name)
        parameters.append(option.replace(name=name, annotation=_DECLARED.get(name, hints[option.name])))

    def run(**given: Any) -> None:
        context = cast("typer.Context", given.pop("context"))
        upstream, listen = given.pop("upstream"), given.pop("proxy_listen")
        if context.invoked_subcommand is not None:
            if upstream is not None or listen is not None or any(given.values()):
                raise SettingsError("options stand behind the command", advice="As: heldtrue edge keys list --json")
            return
        if upstream is None:
            typer.echo(context.get_help())
            raise typer.Exit(2)
        try:
            up(**given, edge_upstream=upstream, edge_proxy_listen=listen or PROXY_LISTEN)
        except AlreadyRunningError as error:
            raise AlreadyRunningError(
                error.message,
                advice=f'Set upstream = "{upstream}" and proxy_listen = "{listen or PROXY_LISTEN}" under [edge] in its '
                "heldtrue.toml and start it again, or choose another --data-dir.",
            ) from error

    run.__doc__ = (
        "With --upstream: serve the instance, and a proxy in front of your API that lets nobody in unverified."
    )
    run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


edge.callback(invoke_without_command=True)(_callback())
edge.add_typer(keys, name="keys")
config_command(edge)


@command(keys, "add")
def add_key(session: Session, upstream: Upstream = "default", save: Save = None) -> None:
    """Make the key of an upstream; it is shown once."""
    _show(session, session.operator().post("/v1/upstream-keys", {"upstream": upstream}), save)


@command(keys, "list")
def list_keys(session: Session) -> None:
    """List the keys of the upstreams; secrets are not shown again."""
    session.out.rows(
        session.operator().pages("/v1/upstream-keys"),
        ["id", "upstream", "state", "created_at", "accept_until"],
        empty="No upstream key: identities are not stamped. Make one with `heldtrue edge keys add`.",
    )


@command(keys, "roll")
def roll_key(
    session: Session,
    upstream: Upstream = "default",
    overlap: Annotated[int, typer.Option(help="Seconds for which the old key stamps too.")] = 86_400,
    save: Save = None,
) -> None:
    """Put another key in the place of an upstream's; both stamp during the overlap."""
    made = session.operator().post("/v1/upstream-keys", {"upstream": upstream, "overlap_seconds": overlap})
    _show(session, made, save)


@command(keys, "remove")
def remove_key(session: Session, key: Annotated[str, typer.Argument(help="ck_…")]) -> None:
    """Destroy a key, at once and for good."""
    session.operator().delete(f"/v1/upstream-keys/{segment(key)}")
    session.out.record({"id": key, "state": "destroyed"})


def _show(session: Session, made: dict[str, Any], save: Path | None) -> None:
    if save is not None and made.get("secret"):
        session.save(made["secret"], save)
        made = {**made, "secret": None, "saved_to": str(save)}
    session.out.record(made)
    if made.get("secret"):
        session.out.say(
            "[yellow]This is the only time the key is shown.[/] Give it to the upstream, and to nobody else."
        )

"""Credentials of third parties: `heldtrue credentials …`. Values come from files, never from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from heldtrue.app.cli import files
from heldtrue.app.cli.client import segment
from heldtrue.app.cli.session import Session, command
from heldtrue.kernel.errors import BadInputError

credentials = typer.Typer(help="Credentials that calls of transforms carry, and code never sees.", no_args_is_help=True)

Most = Annotated[int, typer.Option("--most", help="List at most so many.", min=1)]
CredentialArgument = Annotated[str, typer.Argument(help="crd_… or the name.")]
HostOption = Annotated[
    list[str] | None, typer.Option("--host", help="A host that it may be sent to, as api.example.com; repeatable.")
]


@command(credentials, "list")
def list_credentials(session: Session, most: Most = 50) -> None:
    """List credentials, newest first; values are shown to nobody."""
    session.out.rows(
        session.api().pages("/v1/credentials", most=most, limit=min(most, 200)),
        ["id", "name", "hosts", "version", "created_at", "replaced_at"],
        empty="No credential yet; keep one with `heldtrue credentials create NAME --value-file FILE --host HOST`.",
    )


@command(credentials, "create")
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="What rules call it by: a-z, 0-9, _ and -.")],
    value_file: Annotated[Path, typer.Option("--value-file", help="A file that holds the value alone; - for stdin.")],
    host: HostOption = None,
    description: Annotated[str, typer.Option(help="For people.")] = "",
) -> None:
    """Keep a credential; it may be sent to the hosts that are named and to no other."""
    if not host:
        raise BadInputError("a credential without a host can be sent nowhere", advice="Name one with --host.")
    asked = {"name": name, "value": _value(value_file), "hosts": host, "description": description}
    session.out.record(session.api().post("/v1/credentials", asked))


@command(credentials, "replace")
def replace(
    session: Session,
    which: CredentialArgument,
    value_file: Annotated[
        Path | None, typer.Option("--value-file", help="A file that holds the new value alone; - for stdin.")
    ] = None,
    host: HostOption = None,
) -> None:
    """Put another value or other hosts in the place of those before; the old value is destroyed."""
    asked: dict[str, Any] = {}
    if value_file is not None:
        asked["value"] = _value(value_file)
    if host:
        asked["hosts"] = host
    if not asked:
        raise BadInputError("nothing to replace", advice="Give --value-file or --host.")
    session.out.record(session.api().put(f"/v1/credentials/{segment(_id(session, which))}", asked))


@command(credentials, "delete")
def delete(session: Session, which: CredentialArgument) -> None:
    """Destroy a credential; rules that name it refuse their calls from now on."""
    session.out.record(session.api().delete(f"/v1/credentials/{segment(_id(session, which))}"))


def _id(session: Session, text: str) -> str:
    if text.startswith("crd_"):
        return text
    for one in session.api().pages("/v1/credentials", limit=200):
        if one["name"] == text:
            return str(one["id"])
    raise BadInputError(f"there is no credential {text!r}", advice="See `heldtrue credentials list`.")


def _value(file: Path) -> str:
    return files.text(file).removesuffix("\n").removesuffix("\r")

"""Organisations and keys: `heldtrue orgs …`, `heldtrue keys …`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from heldtrue.app.cli.client import segment
from heldtrue.app.cli.session import Session, command
from heldtrue.kernel.errors import SettingsError

orgs = typer.Typer(help="Organisations of this instance (operator).", no_args_is_help=True)
keys = typer.Typer(help="API keys of an organisation.", no_args_is_help=True)

_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
Save = Annotated[Path | None, typer.Option("--save", help="Write the key to this new file (0600), do not print it.")]


@command(orgs, "create")
def create_organisation(
    session: Session,
    name: Annotated[str, typer.Argument(help="What you call it.")],
    environment: Annotated[list[str] | None, typer.Option("--environment", help="As `live`; may be repeated.")] = None,
) -> None:
    """Create an organisation with its environments."""
    asked = {"name": name, "environments": environment or ["live"]}
    session.out.record(session.operator().post("/v1/organisations", asked))


@command(orgs, "add-environment")
def add_environment(
    session: Session,
    org: Annotated[str, typer.Argument(help="org_…")],
    environment: Annotated[str, typer.Argument(help="As `test`: 1 to 16 of a-z and 0-9.")],
) -> None:
    """Add an environment to an organisation."""
    path = f"/v1/organisations/{segment(org)}/environments"
    session.out.record(session.operator().post(path, {"environment": environment}))


@command(orgs, "list")
def list_organisations(session: Session) -> None:
    """List the organisations."""
    session.out.rows(
        session.operator().pages("/v1/organisations"),
        ["id", "name", "state", "environments", "created_at"],
        empty="No organisation yet; make one with `heldtrue orgs create NAME`.",
    )


@command(keys, "issue")
def issue_key(
    session: Session,
    *,
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    role: Annotated[str, typer.Option(help="admin, sender, reader or publishable.")] = "sender",
    org: Annotated[str | None, typer.Option("--org", help="Issue for this organisation, as the operator.")] = None,
    environment: Annotated[str, typer.Option(help="With --org: the environment.")] = "live",
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="A permission it keeps of its role's; may be repeated.")
    ] = None,
    grant: Annotated[
        list[str] | None, typer.Option("--grant", help="A scope name of your own API, as orders.read; may be repeated.")
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option("--origin", help="A web origin it may be used from; may be repeated.")
    ] = None,
    address: Annotated[
        list[str] | None, typer.Option("--address", help="A network it may be used from; may be repeated.")
    ] = None,
    expires_in: Annotated[str | None, typer.Option("--expires-in", help="As 90d, 12h or 30m; else it stays.")] = None,
    save: Save = None,
) -> None:
    """Issue a key; its secret is shown once."""
    asked: dict[str, Any] = {"name": name, "role": role}
    asked |= {"scopes": scope, "grants": grant or [], "origins": origin or [], "addresses": address or []}
    if expires_in is not None:
        asked["expires_at"] = (datetime.now(UTC) + _span(expires_in)).isoformat()
    if org is not None:
        asked["environment"] = environment
        made = session.operator().post(f"/v1/organisations/{segment(org)}/keys", asked)
    else:
        made = session.api().post("/v1/keys", asked)
    _show_key(session, made, save)


@command(keys, "list")
def list_keys(session: Session) -> None:
    """List the organisation's keys; secrets are not kept anywhere."""
    session.out.rows(
        session.api().pages("/v1/keys"),
        ["id", "name", "role", "last4", "state", "last_used_at", "expires_at", "rotation_due", "leaked_at"],
        empty="No key; issue one with `heldtrue keys issue NAME`.",
    )


@command(keys, "show")
def show_key(session: Session, key: Annotated[str, typer.Argument(help="key_…")]) -> None:
    """Show a key: what it may do, from where, when it was last used, and until when it should be rolled."""
    session.out.record(session.api().get(f"/v1/keys/{segment(key)}"))


@command(keys, "revoke")
def revoke_key(session: Session, key: Annotated[str, typer.Argument(help="key_…")]) -> None:
    """Revoke a key, at once and for good."""
    session.api().delete(f"/v1/keys/{segment(key)}")
    session.out.record({"id": key, "state": "revoked"})


@command(keys, "roll")
def roll_key(
    session: Session,
    key: Annotated[str, typer.Argument(help="key_…")],
    overlap: Annotated[int, typer.Option(help="Seconds for which the old key still works.")] = 3600,
    save: Save = None,
) -> None:
    """Replace a key; both work during the overlap."""
    made = session.api().post(f"/v1/keys/{segment(key)}/roll", {"overlap_seconds": overlap})
    _show_key(session, made, save)


@command(keys, "roll-sessions")
def roll_session_key(session: Session) -> None:
    """Announce the next key that session tokens are signed with (operator); both are published meanwhile."""
    made = session.operator().call("POST", "/v1/session-keys/roll")
    session.out.record(made)
    session.out.say("The key set shows both. It signs from the worker's first hourly round after `not_before`.")


def _span(text: str) -> timedelta:
    """Return the length of time written as `90d`, `12h` or `30m`."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([dhm])", text)
    if match is None:
        raise SettingsError(f"{text!r} is not a length of time", advice="Write it as 90d, 12h or 30m.")
    return int(match[1]) * _UNITS[match[2]]


def _show_key(session: Session, made: dict[str, Any], save: Path | None) -> None:
    if save is not None and made.get("secret"):
        session.save(made["secret"], save)
        made = {**made, "secret": None, "saved_to": str(save)}
    session.out.record(made)
    if made.get("secret"):
        session.out.say("[yellow]This is the only time the key is shown.[/] Keep it in a file with mode 0600.")

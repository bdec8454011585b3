"""The customers' page: `heldtrue portal …`."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer

from heldtrue.app.cli.session import Session, command
from heldtrue.kernel.errors import SettingsError

portal = typer.Typer(
    help="The page on which a customer looks after its endpoints and deliveries.", no_args_is_help=True
)

LOOK = ("self.read", "endpoint.read", "delivery.read", "payload.read", "receipt.read")
CHANGE = ("endpoint.write", "delivery.replay")
TRY = ("transform.read", "transform.write")


@command(portal, "link")
def link(
    session: Session,
    subject: Annotated[
        str, typer.Option(help="Your own name for whoever will open it; it is in the audit log.")
    ] = "portal",
    minutes: Annotated[int, typer.Option(min=1, max=15, help="How long it works.")] = 15,
    *,
    look_only: Annotated[
        bool, typer.Option("--look-only", help="It changes nothing, and sends nothing again.")
    ] = False,
    without_contents: Annotated[bool, typer.Option("--without-contents", help="It does not show payloads.")] = False,
    transforms: Annotated[
        bool,
        typer.Option(
            "--transforms", help="It tries transforms on samples, and may change them by the API; not with --look-only."
        ),
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="For the sample company of `heldtrue demo`.")] = False,
) -> None:
    """Mint a session and print the link that opens the page with it; the key must hold session.mint."""
    permissions = [one for one in LOOK if not (without_contents and one == "payload.read")]
    permissions += () if look_only else CHANGE
    permissions += TRY if transforms and not look_only else ()
    asked = {"subject": subject, "permissions": permissions, "ttl_seconds": minutes * 60}
    made = (_of_the_demo(session) if demo else session).api().post("/v1/sessions", asked, idempotent=False)
    _show(session, made)


def _show(session: Session, made: dict[str, Any]) -> None:
    url = f"{session.url}/portal#token={made['token']}"
    if session.out.as_json:
        session.out.json({"url": url, **{name: made[name] for name in ("id", "permissions", "expires_at")}})
        return
    session.out.say(url)
    session.out.progress.print(f"[dim]It opens the page until {made['expires_at']}; whoever has it may use it.[/]")


def _of_the_demo(session: Session) -> Session:
    """Return *session* with the key that the demo keeps beside the operator's."""
    if session.credential_file is not None:
        raise SettingsError("--demo brings its own key", advice="Leave out --demo or --credential-file.")
    kept = session.operator_file().with_suffix(".demo")
    if not kept.exists():
        raise SettingsError("the sample company has no key yet", advice="Run `heldtrue demo` first.")
    return dataclasses.replace(session, credential_file=kept)

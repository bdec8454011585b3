"""Mail out: `heldtrue post list|retry|test` for the operator."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from heldtrue.app.cli.client import Api, segment
from heldtrue.app.cli.session import Session, command

post = typer.Typer(help="Mail that goes out (operator).", no_args_is_help=True)

Most = Annotated[int, typer.Option("--most", help="List at most so many.", min=1)]
WAITS = "This instance has no \\[post] section, so its mail waits. Set host and from there, and start it again."


@command(post, "list")
def list_mails(
    session: Session,
    state: Annotated[str | None, typer.Option(help="waiting, sent or failed.")] = None,
    most: Most = 50,
) -> None:
    """List mails that go out, the newest first."""
    found = list(session.operator().pages("/v1/post", most=most, limit=min(most, 200), state=state))
    columns = ["id", "about", "to", "state", "attempts", "due_at", "failure", "reply"]
    session.out.rows(found, columns, empty="No mail yet.")
    if any(not one["sends"] for one in found):
        session.out.say(f"[yellow]{WAITS}[/]")


@command(post, "retry")
def retry(session: Session, mail: Annotated[str, typer.Argument(help="mail_…")]) -> None:
    """Send a mail again that failed for good, composed with the settings of now."""
    session.out.record(session.operator().post(f"/v1/post/{segment(mail)}/retry", idempotent=False))


@command(post, "test")
def send_test(
    session: Session,
    to: Annotated[str, typer.Argument(help="Whom it goes to.")],
    wait: Annotated[float, typer.Option(help="Seconds to wait for what comes of it.", min=0)] = 60.0,
) -> None:
    """Send a test mail and tell what came of it; exit 1 when it was not taken."""
    api = session.operator()
    made = api.post("/v1/post/test", {"to": to})
    if made["sends"]:
        with session.out.progress.status("waiting for the mail server"):
            made = _settled(api, made, time.monotonic() + wait)
    session.out.record(made)
    if not made["sends"]:
        session.out.say(f"[yellow]{WAITS}[/]")
    if made["state"] != "sent":
        raise typer.Exit(1)


def _settled(api: Api, mail: dict[str, Any], end: float) -> dict[str, Any]:
    """Return the mail as it is once it was tried, or when the time is up."""
    while mail["state"] == "waiting" and mail["failure"] is None and time.monotonic() < end:
        time.sleep(0.25)  # between two questions
        mail = api.get(f"/v1/post/{segment(mail['id'])}")
    return mail

"""Mail in: `heldtrue addresses …` for organisations, `heldtrue mail dns` for the operator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from heldtrue.app.cli.client import segment
from heldtrue.app.cli.session import Session, command

addresses = typer.Typer(help="Mail addresses that an organisation receives at.", no_args_is_help=True)
mail = typer.Typer(help="The instance's mail domain (operator).", no_args_is_help=True)

_RULING = "accept, flag or refuse what does not pass {}."
Most = Annotated[int, typer.Option("--most", help="List at most so many.", min=1)]


@command(addresses, "create")
def create_address(
    session: Session,
    *,
    label: Annotated[str | None, typer.Option(help="Names a flow, as `invoices`.")] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    spf: Annotated[str | None, typer.Option(help=_RULING.format("SPF"))] = None,
    dkim: Annotated[str | None, typer.Option(help=_RULING.format("DKIM"))] = None,
    dmarc: Annotated[str | None, typer.Option(help=_RULING.format("DMARC"))] = None,
) -> None:
    """Create a mail address: random, and taken back at any time."""
    policy = {name: value for name, value in (("spf", spf), ("dkim", dkim), ("dmarc", dmarc)) if value is not None}
    asked: dict[str, Any] = {"description": description, "policy": policy}
    if label is not None:
        asked["label"] = label
    made = session.api().post("/v1/addresses", asked)
    session.out.record(made)
    if not made["receives"]:
        session.out.say(
            "[yellow]This instance takes no mail yet.[/] Its operator sets domain and listen under \\[mail]."
        )


@command(addresses, "list")
def list_addresses(
    session: Session,
    state: Annotated[str | None, typer.Option(help="active or revoked.")] = None,
    most: Most = 50,
) -> None:
    """List mail addresses, newest first."""
    session.out.rows(
        session.api().pages("/v1/addresses", most=most, limit=min(most, 200), state=state),
        ["id", "address", "label", "state", "created_at", "revoked_at"],
        empty="No mail address yet; make one with `heldtrue addresses create`.",
    )


@command(addresses, "revoke")
def revoke_address(session: Session, address: Annotated[str, typer.Argument(help="adr_…")]) -> None:
    """Revoke a mail address: from now on mail to it is refused as if it had never been."""
    session.out.record(session.api().delete(f"/v1/addresses/{segment(address)}"))


@command(mail, "dns")
def dns(
    session: Session,
    config: Annotated[
        Path | None, typer.Option(help="Settings; heldtrue.toml in the data directory by default.")
    ] = None,
) -> None:
    """Print the DNS records that the mail domain needs, and the policy file that this instance serves."""
    from heldtrue.app.maintenance import settings_of
    from heldtrue.app.settings_mail import mail_domain
    from heldtrue.capabilities.mail.model import MailOffError
    from heldtrue.capabilities.mail.records import PATH, dns_records, mta_sts_policy

    found = mail_domain(settings_of(session.data, config).mail)
    if found is None:
        raise MailOffError("no mail domain is set", advice='Set domain = "in.example.com" under [mail].')
    records = [{"name": one.name, "type": one.type, "value": one.value, "why": one.why} for one in dns_records(found)]
    policy = mta_sts_policy(found)
    if session.out.as_json:
        session.out.json(
            {"records": records, "mta_sts": {"url": f"https://mta-sts.{found.domain}{PATH}", "text": policy}}
        )
        return
    session.out.rows(records, ["name", "type", "value", "why"], empty="")
    session.out.say(f"\nServed at https://mta-sts.{found.domain}{PATH}, by this instance's certificate:\n")
    session.out.say(policy.replace("\r\n", "\n").rstrip())

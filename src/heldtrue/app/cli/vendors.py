"""Sub-processors as an organisation sees them: `heldtrue vendors …`."""

from __future__ import annotations

from typing import Annotated

import typer

from heldtrue.app.cli.session import Session, command

vendors = typer.Typer(help="Who else may work on your organisation's data (administrator).", no_args_is_help=True)
Vendor = Annotated[str, typer.Argument(help="As `heldtrue vendors list` names it.")]


@command(vendors, "list")
def list_vendors(session: Session) -> None:
    """List the sub-processors, and whether each may have this environment's data."""
    session.out.rows(
        session.api().get("/v1/vendors")["data"],
        ["vendor", "name", "purpose", "location", "state", "optional", "permitted"],
        empty="No sub-processor is listed.",
    )


@command(vendors, "opt-in")
def opt_in(session: Session, vendor: Vendor) -> None:
    """Let an optional vendor have this environment's data."""
    session.out.record(session.api().put("/v1/vendors", {"vendor": vendor, "permitted": True}))


@command(vendors, "opt-out")
def opt_out(session: Session, vendor: Vendor) -> None:
    """Let an optional vendor have nothing more of this environment."""
    session.out.record(session.api().put("/v1/vendors", {"vendor": vendor, "permitted": False}))


@command(vendors, "object")
def make_objection(
    session: Session, vendor: Vendor, reason: Annotated[str, typer.Option("--reason", help="What the operator reads.")]
) -> None:
    """Object to a sub-processor."""
    session.out.record(session.api().post("/v1/objections", {"sub_processor": vendor, "reason": reason}))


@command(vendors, "objections")
def list_objections(session: Session) -> None:
    """List this organisation's objections, and what the operator said to them."""
    session.out.rows(
        session.api().pages("/v1/objections"),
        ["id", "sub_processor", "reason", "objected_at", "response", "responded_at"],
        empty="You have not objected to any sub-processor.",
    )

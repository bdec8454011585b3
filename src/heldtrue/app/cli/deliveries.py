"""Deliveries: `heldtrue deliveries …`."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from heldtrue.app.cli.client import Api, segment
from heldtrue.app.cli.session import Session, command
from heldtrue.kernel.errors import BadInputError

deliveries = typer.Typer(help="What was forwarded, and how it went.", no_args_is_help=True)

Most = Annotated[int, typer.Option("--most", help="List at most so many.", min=1)]
DeliveryArgument = Annotated[str, typer.Argument(help="del_…")]


@command(deliveries, "list")
def list_deliveries(
    session: Session,
    payload: Annotated[str | None, typer.Option(help="Of this payload only.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="To this endpoint only.")] = None,
    state: Annotated[str | None, typer.Option(help="pending, delivered, failed or held.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Events of this type only.")] = None,
    most: Most = 50,
) -> None:
    """List deliveries, newest first."""
    session.out.rows(
        session.api().pages(
            "/v1/deliveries",
            most=most,
            limit=min(most, 200),
            payload_id=payload,
            endpoint_id=endpoint,
            state=state,
            event_type=event_type,
        ),
        ["id", "event_type", "payload_id", "endpoint_id", "state", "attempts", "due_at"],
        empty="No delivery yet.",
    )


@command(deliveries, "show")
def show_delivery(session: Session, delivery: DeliveryArgument) -> None:
    """Show a delivery with its attempts."""
    session.out.record(session.api().get(f"/v1/deliveries/{segment(delivery)}"))


@command(deliveries, "replay")
def replay(
    session: Session,
    delivery: Annotated[str | None, typer.Argument(help="del_…; without it, many: see the options.")] = None,
    *,
    state: Annotated[str, typer.Option(help="Many: those that are failed, held or delivered.")] = "failed",
    endpoint: Annotated[str | None, typer.Option(help="Many: to this endpoint only.")] = None,
    payload: Annotated[str | None, typer.Option(help="Many: of this payload only.")] = None,
    since: Annotated[str | None, typer.Option(help="Many: made at or after this moment (RFC 3339).")] = None,
    before: Annotated[str | None, typer.Option(help="Many: made before this moment (RFC 3339).")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Many: do it; without it they are only counted.")] = False,
) -> None:
    """Send one delivery again, or many: with the same id and receipt, signed with the current secret."""
    api = session.api()
    if delivery is not None:
        session.out.record(api.post(f"/v1/deliveries/{segment(delivery)}/replay"))
        return
    asked = {
        "state": state, "endpoint_id": endpoint, "payload_id": payload, "created_from": since, "created_to": before,
        "dry_run": not yes,
    }  # fmt: skip
    if state not in {"failed", "held", "delivered"}:
        raise BadInputError(f"{state!r} is no state to replay", advice="Write failed, held or delivered.")
    begun = api.post("/v1/deliveries/replays", {name: value for name, value in asked.items() if value is not None})
    session.out.record(_followed(api, begun) if yes else begun)
    if not yes:
        session.out.say("Nothing was sent. Add --yes to send them again.")


@command(deliveries, "replays")
def list_replays(session: Session, most: Most = 20) -> None:
    """List replays of many deliveries, newest first."""
    session.out.rows(
        session.api().pages("/v1/deliveries/replays", most=most, limit=min(most, 200)),
        ["id", "state", "endpoint_id", "matched", "done", "skipped", "created_at", "finished_at"],
        empty="No replay yet; `heldtrue deliveries replay --state failed` counts what could be sent again.",
    )


@command(deliveries, "ledger")
def ledger(
    session: Session,
    first: Annotated[str | None, typer.Option("--from", help="The first month, as 2026-01.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="The last month; by default this one.")] = None,
    *,
    plans: Annotated[bool, typer.Option("--plans", help="Of all customers, by plan: the operator's.")] = False,
) -> None:
    """Count what was promised to be delivered and what arrived, by month; the last twelve unless said otherwise."""
    asked = {"from": first, "to": last}
    if plans:
        found = session.operator().get("/v1/deliveries/ledger/plans", **asked)["data"]
    else:
        found = session.api().get("/v1/deliveries/ledger", **asked)["data"]
    columns = ["promised", "delivered", "failed", "held", "pending", "withdrawn", "recovered", "ratio"]
    named = ["plan", "month", "organisations"] if plans else ["month"]
    session.out.rows(found, [*named, *columns], empty="Nothing was promised in these months.")


def _followed(api: Api, begun: dict[str, Any]) -> dict[str, Any]:
    """Show progress on the terminal until the worker is through; return the end of it."""
    columns = (TextColumn("    Sending again"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("replay", total=begun["matched"])
        while begun["finished_at"] is None:
            time.sleep(0.5)
            begun = api.get(f"/v1/deliveries/replays/{segment(begun['id'])}")
            bar.update(task, completed=begun["done"] + begun["skipped"])
    return begun

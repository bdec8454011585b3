"""The published claims: `heldtrue claims …`."""

from __future__ import annotations

import time
from typing import Annotated, Any, cast

import typer

from heldtrue.app import requests
from heldtrue.app.cli.session import Session, command
from heldtrue.app.publication import PAUSE
from heldtrue.claims.attacks import ATTACKS
from heldtrue.claims.catalogue import ROWS
from heldtrue.kernel.errors import HeldtrueError, NotFoundError, UnavailableError

claims = typer.Typer(help="What is promised, and what came of trying to break it.", no_args_is_help=True)

PATIENCE = 300.0
"""Seconds to wait for the result of one run."""


class NotHeldError(HeldtrueError):
    """The attack's result is not the expected one; the claim's page has the evidence."""

    code = "not-held"


@command(claims, "list")
def list_claims(session: Session) -> None:
    """List every claim with its state."""
    session.out.rows(_document(session)["claims"], ["id", "state", "sentence", "last_attacked"], empty="No claim.")


@command(claims, "index")
def index(session: Session) -> None:
    """Print row → claim → attack → state."""
    found = _document(session)["claims"]
    lines: list[dict[str, Any]] = []
    for row in ROWS:
        for claim in (claim for claim in found if row in claim["rows"]):
            attacks = [attack["name"] for attack in claim["attacks"]]
            lines.append({"row": row, "claim": claim["id"], "attacks": attacks, "state": claim["state"]})
    session.out.rows(lines, ["row", "claim", "attacks", "state"], empty="No claim.")


@command(claims, "show")
def show(session: Session, claim: Annotated[str, typer.Argument(help="As `claims list` names it.")]) -> None:
    """Show one claim with its attacks and failures."""
    found = next((known for known in _document(session)["claims"] if known["id"] == claim), None)
    if found is None:
        raise NotFoundError(f"there is no claim {claim!r}", advice="`heldtrue claims list` has them all.")
    session.out.record(found)


@command(claims, "run")
def run(session: Session, attack: Annotated[str, typer.Argument(help="The attack's name.")]) -> None:
    """Attack now instead of on schedule, and wait for the result; exit 1 when it did not hold."""
    _run(session, [attack], "control", "held")


@command(claims, "calibrate")
def calibrate(
    session: Session,
    attack: Annotated[list[str] | None, typer.Argument(help="Attacks; by default all.", show_default=False)] = None,
) -> None:
    """Run attacks against their deliberately broken controls, in scratch; exit 1 when one sees nothing."""
    _run(session, attack or list(ATTACKS), "broken-control", "broken")


@command(claims, "pause")
def pause(session: Session) -> None:
    """Attack nothing until `heldtrue claims resume`; the page says so."""
    requests.leave(session.data, PAUSE)
    session.out.record({"paused": True})


@command(claims, "resume")
def resume(session: Session) -> None:
    """Attack on schedule again."""
    requests.take_back(session.data, PAUSE)
    session.out.record({"paused": False})


def _run(session: Session, names: list[str], against: str, expected: str) -> None:
    for name in names:
        if name not in ATTACKS:
            raise NotFoundError(f"there is no attack {name!r}", advice="`heldtrue claims index` names them.")
    if session.data.run.exists() and not session.data.serving.exists():
        raise UnavailableError("the instance does not serve", advice="Start it with `heldtrue up`.")
    done: list[dict[str, Any]] = []
    for name in names:
        before = _latest(session, name, against)
        requests.ask(session.data, name, against)
        done.append(_result(session, name, against, before))
    session.out.rows(done, ["attack", "number", "against", "outcome", "result"], empty="")
    if any(result["outcome"] != expected for result in done):
        raise NotHeldError(f"expected every result to be {expected!r}")


def _result(session: Session, name: str, against: str, before: int) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = _run_of(session, name, against)
        if found is not None and found["number"] > before:
            return {"attack": name, **found}
        time.sleep(1.0)  # between two looks at the page, bounded by the deadline
    raise UnavailableError(f"{name} has no result after {PATIENCE:.0f} s", advice="See `heldtrue claims show`.")


def _latest(session: Session, name: str, against: str) -> int:
    found = _run_of(session, name, against)
    return 0 if found is None else found["number"]


def _run_of(session: Session, name: str, against: str) -> dict[str, Any] | None:
    for claim in _document(session)["claims"]:
        for attack in claim["attacks"]:
            if attack["name"] == name:
                return attack["latest"] if against == "control" else attack["seen_to_fail"]
    return None


def _document(session: Session) -> dict[str, Any]:
    return cast("dict[str, Any]", session.public().get("/trust.json"))

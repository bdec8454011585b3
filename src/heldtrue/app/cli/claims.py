"""The published claims: `heldtrue claims …`."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import orjson
import typer

from heldtrue.app import instance, requests
from heldtrue.app.cli import files
from heldtrue.app.cli.session import Session, command
from heldtrue.app.maintenance import settings_of
from heldtrue.app.publication import PAUSE, known
from heldtrue.app.settings import Settings
from heldtrue.claims import recompute as derive
from heldtrue.claims import stub
from heldtrue.claims.board import Board
from heldtrue.claims.catalogue import ROWS
from heldtrue.claims.model import State
from heldtrue.claims.own import Known
from heldtrue.kernel.errors import HeldtrueError, NotFoundError, SettingsError, UnavailableError

claims = typer.Typer(help="What is promised, and what came of trying to break it.", no_args_is_help=True)

PATIENCE = 300.0
"""Seconds to wait for the result of one run."""


class NotHeldError(HeldtrueError):
    """The attack's result is not the expected one; the claim's page has the evidence."""

    code = "not-held"


class DiffersFromLogError(HeldtrueError):
    """The page shows something that the log does not say; the log is right. Look who can write to the database."""

    code = "differs-from-log"


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
    _run(session, attack or _attacks(session), "broken-control", "broken")


@command(claims, "count")
def count(session: Session) -> None:
    """Count the claims by state: of the running instance, or, where none runs, of a fresh one."""
    try:
        found = _document(session)
        session.out.record({**found["tally"], "claims": len(found["claims"]), "of": found["origin"]})
    except UnavailableError:
        states = fresh(_known(session))
        tally = {str(state): states.count(state) for state in State}
        session.out.record({**tally, "claims": len(states), "of": "a fresh instance: nothing has been attacked yet"})


@command(claims, "promised")
def promised(session: Session) -> None:
    """List what is only promised, and why."""
    found = session.public().get("/trust/promised.json")
    session.out.rows(found["promised"], ["rows", "id", "why"], empty="Nothing is only promised.")


@command(claims, "frameworks")
def frameworks(
    session: Session,
    framework: Annotated[str | None, typer.Argument(help="soc2, iso27001, gdpr, asvs or caiq; by default all.")] = None,
) -> None:
    """Print criterion → claims → state."""
    found = session.public().get("/trust/frameworks.json")["frameworks"]
    if framework is not None and framework not in {known["id"] for known in found}:
        raise NotFoundError(f"there is no framework {framework!r}", advice="Write soc2, iso27001, gdpr, asvs or caiq.")
    lines = [
        {
            "control": control["control"],
            "state": control["state"],
            "claims": [claim["id"] for claim in control["claims"]],
        }
        for known in found
        if framework in {None, known["id"]}
        for control in known["controls"]
    ]
    session.out.rows(lines, ["control", "state", "claims"], empty="No control.")


@command(claims, "oscal")
def oscal(
    session: Session,
    document: Annotated[str, typer.Argument(help="component-definition or assessment-results.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file.")] = None,
) -> None:
    """Print the claims or their results as OSCAL, for tools of auditors."""
    if document not in {"component-definition", "assessment-results"}:
        raise SettingsError(
            f"there is no document {document!r}", advice="Write component-definition or assessment-results."
        )
    content = orjson.dumps(session.public().get(f"/trust/oscal/{document}.json"), option=orjson.OPT_INDENT_2)
    if out is None:
        session.out.bytes(content + b"\n")
    else:
        out.write_bytes(content + b"\n")
        session.out.record({"document": document, "written_to": str(out)})


@command(claims, "attest")
def attest(
    session: Session,
    *,
    claim: Annotated[str, typer.Argument(help="As `claims list` names it.")],
    file: Annotated[Path, typer.Option("--file", help="The document; only its SHA-256 leaves this machine.")],
    title: Annotated[str, typer.Option(help="What it is called.")],
    owner: Annotated[str, typer.Option(help="Who answers for it, by role.")],
    dated: Annotated[str, typer.Option(help="Its own date, as 2026-11-02; not in the future.")],
    expires: Annotated[str, typer.Option(help="From which day on it counts no more.")],
) -> None:
    """File a dated document behind a claim that no machine can prove; it enters the log and expires."""
    digest = hashlib.sha256(files.content(file)).hexdigest()
    asked = {"claim": claim, "title": title, "owner": owner, "dated": dated, "expires": expires, "sha256": digest}
    session.out.record(session.operator().post("/v1/attestations", asked))


@command(claims, "withdraw")
def withdraw(session: Session, claim: Annotated[str, typer.Argument(help="As `claims list` names it.")]) -> None:
    """Let the document behind a claim count no more; what was said stays in the log."""
    session.out.record(session.operator().post("/v1/attestations/withdrawals", {"claim": claim}))


@command(claims, "annotate")
def annotate(
    session: Session,
    attack: Annotated[str, typer.Argument(help="The attack's name.")],
    text: Annotated[str, typer.Argument(help="What there is to say: the cause, and what was done.")],
    number: Annotated[
        int | None, typer.Option("--run", help="The run that did not hold; else an overdue check.")
    ] = None,
) -> None:
    """Say something of a failure: it is shown beside it, for good, and changes no state."""
    asked = {"attack": attack, "text": text, "number": number}
    session.out.record(session.operator().post("/v1/annotations", asked))


@command(claims, "recompute")
def recompute(
    session: Session,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings, if not those in the data directory.")
    ] = None,
) -> None:
    """Derive every state from the published log alone and compare it with the page; exit 1 when they differ."""
    shown = _document(session)
    size = None if shown["checkpoint"] is None else shown["checkpoint"]["size"]
    pin = session.data.pin.read_text().strip() if session.data.pin.exists() else None
    with session.out.progress.status("Reading the log"):
        derived = derive.recompute(session.data.log, _known(session, config).catalogue, pin=pin, size=size)
    found = derive.differences(derived, shown)
    lines = [{"claim": f.claim, "what": f.what, "shown": f.shown, "log": f.log} for f in found]
    session.out.rows(
        lines, ["claim", "what", "shown", "log"], empty=f"{derived.entries} entries of the log say what the page says."
    )
    if found:
        raise DiffersFromLogError(f"{len(found)} facts are shown otherwise than the log has them")


@command(claims, "new")
def new(
    session: Session,
    name: Annotated[str, typer.Argument(help="Of the package: a to z, 0 to 9 and _.")],
    into: Annotated[Path, typer.Option("--into", help="The directory to make it in.")] = Path(),
) -> None:
    """Write a package with a claim of your own, its attack, a broken control and a test that still fails."""
    made = stub.write(name, into)
    session.out.record({"package": str(into / name), "files": [str(path.relative_to(into / name)) for path in made]})
    session.out.say(
        "Its test fails until you have written the attack; docs/guides/own-claims.md says how it goes green."
    )


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
    attacks = _attacks(session)
    for name in names:
        if name not in attacks:
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


def fresh(of: Known) -> list[State]:
    """Return where every claim stands on an instance that was just started."""
    return [verdict.state for verdict in Board(of.catalogue).judge(datetime.now(UTC))]


def _attacks(session: Session) -> list[str]:
    """Return the attacks of the running instance, its own among them."""
    return list(dict.fromkeys(a["name"] for claim in _document(session)["claims"] for a in claim["attacks"]))


def _known(session: Session, config: Path | None = None) -> Known:
    """Return what is promised and attacked: by this machine's settings, or as it ships.

    With `--demo` mail is taken though no settings say so; the running instance wrote that down.
    """
    if not session.data.places.exists():
        return known(Settings())
    settings, listen = settings_of(session.data, config), instance.noted(session.data).get("mail")
    if listen is not None and settings.mail.listen is None:
        mail = msgspec.structs.replace(settings.mail, listen=listen, domain=settings.mail.domain or "demo.invalid")
        settings = msgspec.structs.replace(settings, mail=mail)
    return known(settings)

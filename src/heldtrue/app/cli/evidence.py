"""Evidence from outside: `heldtrue evidence|findings …` and `heldtrue gate`."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from heldtrue.app import gating
from heldtrue.app.cli.client import segment
from heldtrue.app.cli.session import Session, command
from heldtrue.capabilities.evidence import envelope
from heldtrue.capabilities.evidence.model import Kind
from heldtrue.crypto.signing import SigningKey, multikey
from heldtrue.kernel.errors import BadInputError

evidence = typer.Typer(help="Evidence that build pipelines sign and push.", no_args_is_help=True)
findings = typer.Typer(help="Findings, tracked to their end (operator).", no_args_is_help=True)
Finding = Annotated[str, typer.Argument(help="fin_…")]
_MARKS = {
    "finding": "[bold red]finding[/]",
    "overdue": "[bold red]overdue[/]",
    "missing": "[yellow]missing[/]",
    "expired": "[yellow]expired[/]",
    "failed": "[bold red]failed[/]",
    "unreadable": "[bold red]unreadable[/]",
}
KINDS = "sarif, sbom, vex, tests, review, letter, asff, scc or defender"


@command(evidence, "keygen")
def keygen(
    session: Session,
    file: Annotated[Path, typer.Argument(help="A new file (0600) for the signing key; it stays with the pipeline.")],
) -> None:
    """Make a pipeline's signing key (Ed25519), and print the public half to register. No instance is asked."""
    made = SigningKey.generate(secrets.token_bytes, datetime.now(UTC))
    session.save(gating.key_text(made), file)
    session.out.record({"public_key": multikey(made.public), "key_id": envelope.key_id(made.public), "file": str(file)})


@command(evidence, "register")
def register(
    session: Session,
    name: Annotated[str, typer.Argument(help="What the pipeline is called.")],
    public_key: Annotated[str, typer.Argument(help="z6Mk…, as `heldtrue evidence keygen` prints it.")],
    save: Annotated[Path | None, typer.Option("--save", help="Write the credential to this new file (0600).")] = None,
) -> None:
    """Register a pipeline's key, and get the credential that it pushes with: good for that alone."""
    made = session.operator().post("/v1/evidence/keys", {"name": name, "public_key": public_key})
    if save is not None and made.get("credential"):
        session.save(made["credential"], save)
        made = {**made, "credential": None, "saved_to": str(save)}
    session.out.record(made)


@command(evidence, "keys")
def keys(session: Session) -> None:
    """List the pipeline keys."""
    found = session.operator().get("/v1/evidence/keys")["data"]
    empty = "No pipeline; make a key with `heldtrue evidence keygen FILE`, then `heldtrue evidence register`."
    session.out.rows(found, ["id", "name", "made_at", "revoked_at"], empty=empty)


@command(evidence, "revoke")
def revoke(session: Session, key_id: Annotated[str, typer.Argument(help="The key's id, as `keys` shows it.")]) -> None:
    """Revoke a pipeline's key: nothing that it signs is taken any more."""
    session.out.record(session.operator().delete(f"/v1/evidence/keys/{segment(key_id)}"))


@command(evidence, "push")
def push(
    session: Session,
    file: Annotated[Path, typer.Argument(help="The document: JSON, or CSV for defender.")],
    *,
    kind: Annotated[str, typer.Option(help=KINDS)],
    key_file: Annotated[Path, typer.Option("--key-file", help="The pipeline's signing key (0600).")],
    subject: Annotated[str, typer.Option(help="What it is about, as app@1.2.3.")],
    digest: Annotated[str, typer.Option(help="Of the subject: sha256:… or gitCommit:….")],
) -> None:
    """Sign a document and push it; its digest and its counts enter the public log, the document is sealed."""
    signed = envelope.sealed(
        _kind(kind), _predicate(file), subject, gating.digest_of(digest), gating.read_key(key_file)
    )  # fmt: skip
    headers = {"Content-Type": "application/json", "Idempotency-Key": secrets.token_hex(16)}
    session.out.record(session.operator().call("POST", "/v1/evidence", signed, headers))


@command(evidence, "list")
def list_evidence(session: Session) -> None:
    """List evidence, the newest first."""
    columns = ["id", "kind", "subject", "summary", "produced_at", "expires_at", "expired"]
    session.out.rows(session.operator().pages("/v1/evidence"), columns, empty="No evidence was pushed yet.")


@command(findings, "list")
def list_findings(
    session: Session,
    state: Annotated[str | None, typer.Option(help="open, accepted or resolved; without it, all.")] = None,
) -> None:
    """List findings, the newest first."""
    columns = ["id", "severity", "state", "rule", "title", "place", "due_at", "overdue", "owner"]
    session.out.rows(session.operator().pages("/v1/findings", state=state), columns, empty="No finding.")


@command(findings, "resolve")
def resolve(
    session: Session, finding: Finding, reason: Annotated[str, typer.Option(help="How it was resolved.")]
) -> None:
    """Say that a finding is resolved; found again, it opens again."""
    path = f"/v1/findings/{segment(finding)}/resolve"
    session.out.record(session.operator().post(path, {"reason": reason}, idempotent=False))


@command(findings, "accept")
def accept(
    session: Session,
    finding: Finding,
    reason: Annotated[str, typer.Option(help="Why it is set aside.")],
    owner: Annotated[str, typer.Option(help="Who answers for that.")],
    until: Annotated[str, typer.Option(help="Until when, at most a year: 2026-12-31.")],
) -> None:
    """Set a finding aside for a while; then it counts again."""
    asked = {"reason": reason, "owner": owner, "until": until}
    path = f"/v1/findings/{segment(finding)}/accept"
    session.out.record(session.operator().post(path, asked, idempotent=False))


def gate(
    session: Session,
    *,
    sarif: Annotated[list[Path] | None, typer.Option(help="SARIF 2.1.0; may be repeated.")] = None,
    sbom: Annotated[Path | None, typer.Option(help="CycloneDX 1.6.")] = None,
    vex: Annotated[Path | None, typer.Option(help="CycloneDX 1.6 with analyses.")] = None,
    tests: Annotated[Path | None, typer.Option(help="An in-toto test result (the predicate).")] = None,
    review: Annotated[Path | None, typer.Option(help="An in-toto human review (the predicate).")] = None,
    advisories: Annotated[Path | None, typer.Option(help="OSV advisories to match --sbom against.")] = None,
    cloud: Annotated[
        list[str] | None, typer.Option(help="KIND=FILE of asff, scc or defender; may be repeated.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="The policy (TOML); without it, critical findings block.")] = None,
    subject: Annotated[str | None, typer.Option(help="Without files: what the instance is asked about.")] = None,
) -> None:
    """Let a change through, or say what blocks it and why. With files no instance is asked; without, this one is.

    Exit 0: open. 1: blocked. 2: a file cannot be used.
    """
    files = gating.named(sarif or [], sbom, vex, tests, review, cloud or [])
    if files:
        found = gating.offline(files, policy, advisories, datetime.now(UTC))
    elif policy is not None or advisories is not None:
        raise BadInputError("there is nothing to judge", advice="Name --sarif, --sbom or another file.")
    else:
        found = session.operator().get("/v1/gate", subject=subject)
    _show(session, found)
    if not found["open"]:
        raise typer.Exit(1)


def _show(session: Session, found: dict[str, Any]) -> None:
    if session.out.as_json:
        session.out.json(found)
        return
    for one in found["blocks"]:
        told = " ".join(escape(str(one[name])) for name in ("severity", "rule", "place") if one[name])
        session.out.console.print(f"{_MARKS[one['why']]}  {escape(one['what'])}  [dim]{told}[/]")
    word = "[green]open[/]" if found["open"] else f"[bold red]blocked[/] by {len(found['blocks'])}"
    session.out.say(
        f"{word}; {found['findings']} findings, {found['excused']} set aside, {found['threshold']} and graver block."
    )


def _kind(name: str) -> Kind:
    try:
        found = Kind(name)
    except ValueError as error:
        raise BadInputError(f"{name!r} is no kind of evidence", advice=f"One of {KINDS}.") from error
    if found is Kind.ADVISORIES:
        raise BadInputError("advisories are matched, not pushed", advice=f"One of {KINDS}.")
    return found


def _predicate(file: Path) -> object:
    return gating.read_document(file)

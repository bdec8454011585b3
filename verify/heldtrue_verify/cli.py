"""The command line: `heldtrue-verify receipt|proof FILE`, `webhook FILE`, `page URL`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from heldtrue_verify.checkpoint import Roots
from heldtrue_verify.fetch import Server, base_of
from heldtrue_verify.page import PAGE_STEPS
from heldtrue_verify.receipt import RECEIPT_STEPS, ReceiptCase
from heldtrue_verify.state import Memory, default_directory
from heldtrue_verify.tlog_proof import PROOF_STEPS, ProofCase
from heldtrue_verify.verdicts import Report, UnusableError, Verdict, VerifyError, walk
from heldtrue_verify.visit import PageCase
from heldtrue_verify.webhook import WEBHOOK_STEPS, WebhookCase, parse_secret


def main(arguments: Sequence[str] | None = None) -> int:
    """Check one thing, print every step, and return 0 (holds), 1 (does not, or nothing pinned) or 2 (unusable)."""
    asked = _parser().parse_args(arguments)
    try:
        report = _check(asked)
    except VerifyError as error:
        report = Report(f"{asked.command}: {error}", Verdict.UNUSABLE, ())
    if asked.json:
        print(json.dumps(report.to_json(), indent=2))
    else:
        encoding = sys.stdout.encoding or "ascii"
        print(report.to_text().encode(encoding, "replace").decode(encoding))
    return report.verdict.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="heldtrue-verify",
        description="Check what a Heldtrue instance says, with roots of trust that you pinned yourself.",
        epilog="Exit status: 0 everything holds, 1 something does not or nothing was pinned, 2 unusable input.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {
        "receipt": "a receipt file, as /v1/receipts/{id}/bundle gives it",
        "proof": "a document or log entry with its proof",
        "webhook": "a received webhook: headers, an empty line, the raw body",
        "page": "a whole trust page and the log behind it",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text, description=f"Check {text}.")
        command.add_argument("--json", action="store_true", help="print the report as JSON")
        if name == "page":
            command.add_argument("url", help="https://host[:port], with or without /trust")
            command.add_argument("--ca-file", type=Path, help="trust these certificate authorities instead")
            command.add_argument("--since", type=_day, help="YYYY-MM-DD: what is proven must have held since then")
        else:
            command.add_argument("file", type=Path)
        if name == "webhook":
            command.add_argument("--secret-file", type=Path, help="shared secrets whsec_…, one a line")
            command.add_argument("--key-file", type=Path, help="public keys whpk_…, one a line")
            command.add_argument("--at", type=float, help="when it was received, in unix seconds (now)")
            continue
        command.add_argument("--pin", help="the log's verifier key, as text or @file; never take it from the server")
        command.add_argument("--witness", action="append", default=[], help="a witness's key that must have cosigned")
        command.add_argument("--quorum", type=int, help="so many of the witnesses must have (all)")
        if name != "proof":
            command.add_argument("--state-dir", type=Path, help="what this machine remembers of logs")
    return parser


def _check(asked: argparse.Namespace) -> Report:
    now = datetime.now(UTC)
    if asked.command == "webhook":
        keys = [
            parse_secret(s)
            for f in (asked.secret_file, asked.key_file)
            if f
            for s in _read(f).decode("utf-8", "replace").split()
        ]
        at = now.timestamp() if asked.at is None else asked.at
        return walk(f"webhook {asked.file}", WEBHOOK_STEPS, WebhookCase(_read(asked.file), keys, at))
    roots = Roots.parse(_vkey(asked.pin), [_vkey(w) for w in asked.witness], asked.quorum) if asked.pin else None
    if asked.command == "proof":
        return walk(f"proof {asked.file}", PROOF_STEPS, ProofCase(_read(asked.file), roots, now))
    memory = Memory(asked.state_dir or default_directory(), roots.log) if roots else None
    if asked.command == "receipt":
        return walk(f"receipt {asked.file}", RECEIPT_STEPS, ReceiptCase(_read(asked.file), roots, now, memory))
    with Server(base_of(asked.url), asked.ca_file) as server:
        case = PageCase(server, roots, memory, now, asked.since)
        return replace(walk(f"page {server.base}/trust", PAGE_STEPS, case), claims=case.lines())


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)


def _vkey(text: str) -> str:
    return _read(Path(text[1:])).decode("utf-8", "replace") if text.startswith("@") else text


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnusableError(f"{path} cannot be read: {error.strerror}.") from error


if __name__ == "__main__":
    sys.exit(main())

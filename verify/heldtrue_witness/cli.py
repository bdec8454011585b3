"""The command line: `heldtrue-witness new|key|serve`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from heldtrue_verify.note import SIGNER, VerifierKey
from heldtrue_verify.verdicts import MalformedError, VerifyError
from heldtrue_witness import keys
from heldtrue_witness.judge import Judge
from heldtrue_witness.record import Record
from heldtrue_witness.server import Server


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when done, 2 when something given cannot be used."""
    asked = _parser().parse_args(arguments)
    try:
        return asked.run(asked)
    except VerifyError as error:
        print(f"heldtrue-witness: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="heldtrue-witness",
        description="Watch transparency logs grow, and cosign only what extends all that was cosigned before.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("new", help="make a key and an empty record; print the verifier key")
    new.add_argument("--name", required=True, help="the witness's name: a URL without its scheme, as w.example.com")
    new.set_defaults(run=_new)
    key = commands.add_parser("key", help="print the verifier key, which readers pin and operators configure")
    key.set_defaults(run=_key)
    serve = commands.add_parser("serve", help="serve POST /add-checkpoint")
    serve.add_argument("--log", action="append", required=True, help="a log's verifier key, as text or @file; its pin")
    serve.add_argument("--listen", default="127.0.0.1:8553", help="HOST:PORT (127.0.0.1:8553)")
    serve.add_argument("--tls-cert", type=Path, help="PEM certificate chain; without it only loopback is served")
    serve.add_argument("--tls-key", type=Path, help="its key")
    serve.set_defaults(run=_serve)
    for command in (new, key, serve):
        command.add_argument("--key", type=Path, required=True, help="the file that holds the witness's key")
    for command in (new, serve):
        command.add_argument("--state", type=Path, required=True, help="the file that remembers what was cosigned")
    return parser


def _new(asked: argparse.Namespace) -> int:
    Record.create(asked.state)
    print(keys.make(asked.name, asked.key).public)
    return 0


def _key(asked: argparse.Namespace) -> int:
    print(keys.load(asked.key).public)
    return 0


def _serve(asked: argparse.Namespace) -> int:
    host, _, port = asked.listen.rpartition(":")
    if not host or not port.isdigit() or (asked.tls_cert is None) != (asked.tls_key is None):
        raise MalformedError("Write --listen as HOST:PORT, and give --tls-cert and --tls-key together.")
    logs = [_log(text) for text in asked.log]
    key, record = keys.load(asked.key), Record(asked.state)
    certificate = (asked.tls_cert, asked.tls_key) if asked.tls_cert else None
    server = Server(host.strip("[]"), int(port), Judge(key, record, logs, time.time), certificate)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: threading.Thread(target=server.shutdown).start())
    scheme = "https" if certificate else "http"
    print(f"{key.public} serves {scheme}://{host}:{server.server_address[1]}/add-checkpoint", flush=True)
    with server:
        server.serve_forever(poll_interval=0.2)
    record.close()
    return 0


def _log(text: str) -> VerifierKey:
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MalformedError(f"{text[1:]} cannot be read as a log's verifier key.") from error
    key = VerifierKey.parse(text)
    if key.type != SIGNER:
        raise MalformedError("A log's key is of type 0x01: take the line that `heldtrue log pin` prints.")
    return key

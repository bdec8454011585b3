"""Payloads: `heldtrue payloads …`."""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from heldtrue.app.cli import files
from heldtrue.app.cli.client import Api, segment
from heldtrue.app.cli.session import Session, command

payloads = typer.Typer(help="Payloads: send, look at, erase.", no_args_is_help=True)

Most = Annotated[int, typer.Option("--most", help="List at most so many.", min=1)]
PayloadArgument = Annotated[str, typer.Argument(help="pay_…")]


@command(payloads, "send")
def send(
    session: Session,
    file: Annotated[Path, typer.Argument(help="The file to send.")],
    content_type: Annotated[str | None, typer.Option(help="By default told by the file's name.")] = None,
    attach: Annotated[list[Path] | None, typer.Option("--attach", help="An attachment; may be repeated.")] = None,
) -> None:
    """Send a file as a payload."""
    session.out.record(send_file(session.api(), file, content_type, attach or []))


@command(payloads, "list")
def list_payloads(session: Session, most: Most = 50) -> None:
    """List payloads, newest first."""
    session.out.rows(
        session.api().pages("/v1/payloads", most=most, limit=min(most, 200)),
        ["id", "state", "size", "received_at", "forwarded_at"],
        empty="No payload yet; send one with `heldtrue payloads send FILE`.",
    )


@command(payloads, "show")
def show_payload(session: Session, payload: PayloadArgument) -> None:
    """Show what is known of a payload."""
    session.out.record(session.api().get(f"/v1/payloads/{segment(payload)}"))


@command(payloads, "content")
def content(session: Session, payload: PayloadArgument) -> None:
    """Write a payload's bytes to standard output."""
    session.out.bytes(session.api().raw("GET", f"/v1/payloads/{segment(payload)}/content", headers={"Accept": "*/*"}))


@command(payloads, "erase")
def erase(session: Session, payload: PayloadArgument) -> None:
    """Erase a payload for good: its key is destroyed."""
    session.out.record(session.api().delete(f"/v1/payloads/{segment(payload)}") or {"id": payload, "state": "erased"})


def send_file(api: Api, file: Path, content_type: str | None, attachments: Sequence[Path]) -> dict[str, Any]:
    """Send *file*, as it is or with *attachments* as multipart/form-data (RFC 7578), and return the answer."""
    kind = content_type or guess_type(file)
    body = files.content(file)
    if attachments:
        boundary = secrets.token_hex(16)
        parts = [_part(boundary, "payload", file.name, kind, body)]
        parts += [
            _part(boundary, "attachment", path.name, guess_type(path), files.content(path)) for path in attachments
        ]
        body = b"".join(parts) + f"--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
    headers = {"Content-Type": kind, "Idempotency-Key": secrets.token_hex(16)}
    return orjson.loads(api.raw("POST", "/v1/payloads", body, headers))


def guess_type(file: Path) -> str:
    """Return the content type that a file's name tells."""
    known = {".eml": "message/rfc822", ".xml": "application/xml", ".json": "application/json"}
    return known.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"


def _part(boundary: str, name: str, filename: str, kind: str, content: bytes) -> bytes:
    plain = filename.replace("\\", "_").replace('"', "%22").replace("\r", "").replace("\n", "")
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{name}"; filename="{plain}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    )
    return head.encode() + content + b"\r\n"

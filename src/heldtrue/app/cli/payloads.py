"""Payloads, endpoints and deliveries: `heldtrue payloads …`, `heldtrue endpoints …`, `heldtrue deliveries …`."""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from heldtrue.app.cli.client import Api, segment
from heldtrue.app.cli.session import Session, command
from heldtrue.kernel.errors import BadInputError

payloads = typer.Typer(help="Payloads: send, look at, erase.", no_args_is_help=True)
endpoints = typer.Typer(help="Where payloads are forwarded to.", no_args_is_help=True)
deliveries = typer.Typer(help="What was forwarded, and how it went.", no_args_is_help=True)

Most = Annotated[int, typer.Option("--most", help="List at most so many.", min=1)]
PayloadArgument = Annotated[str, typer.Argument(help="pay_…")]
EndpointArgument = Annotated[str, typer.Argument(help="end_…")]
DeliveryArgument = Annotated[str, typer.Argument(help="del_…")]


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


@command(endpoints, "add")
def add_endpoint(
    session: Session,
    target: Annotated[str, typer.Argument(metavar="URL", help="An https URL.")],
    description: Annotated[str, typer.Option(help="For people.")] = "",
    save: Annotated[Path | None, typer.Option("--save", help="Write the signing secret to this new file.")] = None,
) -> None:
    """Register an endpoint; its signing secret is shown once."""
    _show_secret(session, session.api().post("/v1/endpoints", {"url": target, "description": description}), save)


@command(endpoints, "list")
def list_endpoints(session: Session) -> None:
    """List the endpoints."""
    session.out.rows(
        session.api().pages("/v1/endpoints"),
        ["id", "url", "state", "disabled_for", "description"],
        empty="No endpoint yet; add one with `heldtrue endpoints add URL`.",
    )


@command(endpoints, "show")
def show_endpoint(session: Session, endpoint: EndpointArgument) -> None:
    """Show an endpoint."""
    session.out.record(session.api().get(f"/v1/endpoints/{segment(endpoint)}"))


@command(endpoints, "enable")
def enable_endpoint(
    session: Session,
    endpoint: EndpointArgument,
    *,
    replay_held: Annotated[bool, typer.Option("--replay-held", help="Send what was held for it.")] = False,
) -> None:
    """Enable an endpoint."""
    path = f"/v1/endpoints/{segment(endpoint)}/enable"
    session.out.record(session.api().post(path, {"replay_held": replay_held}, idempotent=False))


@command(endpoints, "disable")
def disable_endpoint(session: Session, endpoint: EndpointArgument) -> None:
    """Disable an endpoint; what comes for it is held, not lost."""
    session.out.record(session.api().post(f"/v1/endpoints/{segment(endpoint)}/disable", idempotent=False))


@command(endpoints, "delete")
def delete_endpoint(session: Session, endpoint: EndpointArgument) -> None:
    """Delete an endpoint; what waits for it ends here."""
    session.out.record(session.api().delete(f"/v1/endpoints/{segment(endpoint)}"))


@command(endpoints, "roll")
def roll_endpoint(
    session: Session,
    endpoint: EndpointArgument,
    overlap: Annotated[int, typer.Option(help="Seconds for which both secrets sign.")] = 86400,
    save: Annotated[Path | None, typer.Option("--save", help="Write the signing secret to this new file.")] = None,
) -> None:
    """Replace an endpoint's signing secret."""
    made = session.api().post(f"/v1/endpoints/{segment(endpoint)}/roll", {"overlap_seconds": overlap})
    _show_secret(session, made, save)


@command(deliveries, "list")
def list_deliveries(
    session: Session,
    payload: Annotated[str | None, typer.Option(help="Of this payload only.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="To this endpoint only.")] = None,
    state: Annotated[str | None, typer.Option(help="pending, delivered, failed or held.")] = None,
    most: Most = 50,
) -> None:
    """List deliveries, newest first."""
    session.out.rows(
        session.api().pages(
            "/v1/deliveries", most=most, limit=min(most, 200), payload_id=payload, endpoint_id=endpoint, state=state
        ),
        ["id", "payload_id", "endpoint_id", "state", "attempts", "due_at"],
        empty="No delivery yet.",
    )


@command(deliveries, "show")
def show_delivery(session: Session, delivery: DeliveryArgument) -> None:
    """Show a delivery with its attempts."""
    session.out.record(session.api().get(f"/v1/deliveries/{segment(delivery)}"))


@command(deliveries, "replay")
def replay(session: Session, delivery: DeliveryArgument) -> None:
    """Send a delivery again, with the same receipt."""
    session.out.record(session.api().post(f"/v1/deliveries/{segment(delivery)}/replay"))


def send_file(api: Api, file: Path, content_type: str | None, attachments: Sequence[Path]) -> dict[str, Any]:
    """Send *file*, as it is or with *attachments* as multipart/form-data (RFC 7578), and return the answer."""
    kind = content_type or guess_type(file)
    body = _read(file)
    if attachments:
        boundary = secrets.token_hex(16)
        parts = [_part(boundary, "payload", file.name, kind, body)]
        parts += [_part(boundary, "attachment", path.name, guess_type(path), _read(path)) for path in attachments]
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


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadInputError(f"{file} cannot be read: {error.strerror}", advice="Check the path.") from error


def _show_secret(session: Session, made: dict[str, Any], save: Path | None) -> None:
    if save is not None and made.get("secret"):
        session.save(made["secret"], save)
        made = {**made, "secret": None, "saved_to": str(save)}
    session.out.record(made)
    if made.get("secret"):
        session.out.say("[yellow]This is the only time the secret is shown.[/] The receiver checks signatures with it.")

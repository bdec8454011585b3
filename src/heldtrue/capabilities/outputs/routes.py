"""The API of outputs, as a table."""

from __future__ import annotations

from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.outputs.actions import list_outputs
from heldtrue.capabilities.outputs.model import ListOutputs, OutputView
from heldtrue.http.pagination import Listing
from heldtrue.http.route import Route
from heldtrue.op import Operation
from heldtrue.policy.permissions import Permission


def routes(objects: ObjectStore) -> list[Route]:
    """Return the table of routes."""

    def outputs(op: Operation, asked: ListOutputs) -> Listing[OutputView]:
        """List a payload's outputs, newest first."""
        return list_outputs(op, asked, objects)

    return [
        Route(
            at="GET /v1/payloads/{payload_id}/outputs",
            action=outputs,
            summary="List what flows made of a payload",
            takes=ListOutputs,
            gives=Listing[OutputView],
            needs=Permission.PAYLOAD_READ,
            audits="output.listed",
            tags=("payloads",),
        ),
    ]

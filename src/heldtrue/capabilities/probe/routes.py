"""Routes of recorded probes: the operator's."""

from __future__ import annotations

from functools import partial

from heldtrue.capabilities.probe import actions
from heldtrue.capabilities.probe.actions import ProbeServices
from heldtrue.capabilities.probe.wire import RecordedProbe, RecordProbe
from heldtrue.http.pagination import Listing, PageQuery
from heldtrue.http.route import Realm, Route
from heldtrue.policy.permissions import Permission


def routes(services: ProbeServices) -> list[Route]:
    """Return the table of routes."""
    return [
        Route(
            at="POST /v1/probes",
            action=partial(actions.record_probe, services),
            summary="Record what came of a probe: signed, and in the log for everybody to read",
            takes=RecordProbe,
            gives=RecordedProbe,
            needs=Permission.PROBE_RECORD,
            audits="probe.recorded",
            realm=Realm.OPERATOR,
            status=201,
            creates=True,
        ),
        Route(
            at="GET /v1/probes",
            action=actions.list_probes,
            summary="List the recorded probes, each with its proof",
            takes=PageQuery,
            gives=Listing[RecordedProbe],
            needs=Permission.PROBE_RECORD,
            audits="probe.listed",
            realm=Realm.OPERATOR,
        ),
    ]

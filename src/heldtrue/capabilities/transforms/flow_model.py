"""Flows and their runs as they are remembered and told; no SQL, no HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from heldtrue.capabilities.egress.model import EgressSessionView
from heldtrue.capabilities.intake.model import Source
from heldtrue.capabilities.outputs.model import EVENT_TYPE
from heldtrue.capabilities.transforms.model import Name, Number
from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.errors import BadInputError, ConflictError, NotFoundError
from heldtrue.kernel.ids import EndpointId, FlowId, PayloadId, TransformId

MAX_STEPS = 20
MAX_CONFIG = 64 * 1024
"""Bytes of JSON that all of a flow's configuration may have."""
MAX_FLOWS = 1000
"""Of an environment: each payload is held against all of them."""

FlowState = Literal["enabled", "disabled", "deleted"]
Trigger = Literal["payload", "schedule"]
RunState = Literal["queued", "running", "done", "failed", "cancelled"]
Outcome = Literal[
    "ok", "error", "timeout", "memory", "output", "crashed", "refused", "unavailable", "changed", "cancelled"
]
"""What a try came to. `output`: what the code returned cannot be used; `refused`: the sandbox would not run it;
`unavailable`: no runner answered, which counts as no try; `changed`: the flow changed, so that the run began anew."""


class NoSuchFlowError(NotFoundError):
    """There is no such flow in this organisation and environment; check the id."""

    code = "no-such-flow"


class NoSuchRunError(NotFoundError):
    """There is no such run in this organisation and environment; check the id."""

    code = "no-such-run"


class RunSettledError(ConflictError):
    """The run is done: its outputs are on their way, and it is neither repeated nor cancelled."""

    code = "run-settled"


class RunBusyError(ConflictError):
    """The run is under way at this moment; look at its outcome and decide anew."""

    code = "run-busy"


class FlowShapeError(BadInputError):
    """The flow cannot work as it is described; the detail says what to change."""

    code = "flow-shape"


class Field(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place in a JSON payload and the value that it must have."""

    pointer: Annotated[str, msgspec.Meta(max_length=500, pattern="^(/[^/]*)*$", description="RFC 6901, as /a/b.")]
    equals: str | int | bool | None


class Filters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which payloads a flow takes: all of these must hold; what is left out does not matter."""

    source: Source | None = None
    content_type: Annotated[str, msgspec.Meta(max_length=255)] | None = None
    """A media type without its parameters, as `application/json`, or `image/*`."""
    recipient: Annotated[str, msgspec.Meta(max_length=320)] | None = None
    """An address that a mail came for."""
    field: Field | None = None
    """Looked for in JSON of 1 MiB at the most."""


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a flow runs by itself."""

    cron: Annotated[str, msgspec.Meta(min_length=9, max_length=100, description="Five fields, as `0 6 * * 1-5`.")]
    time_zone: Annotated[str, msgspec.Meta(max_length=64)] = "UTC"
    """A name of the IANA database, as `Europe/Berlin`."""


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One transform of a chain, and its configuration for this customer."""

    transform_id: str
    version: Number | None = None
    """None: whichever is current when the step runs."""
    config: dict[str, Any] = {}
    """What the code gets as `context`."""


class FlowConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All that a flow's owner wrote of it; sealed."""

    name: str
    filters: Filters | None
    schedule: Schedule | None
    steps: tuple[Step, ...]
    endpoint_ids: tuple[str, ...]
    event_type: str
    alert_endpoint_ids: tuple[str, ...]

    @property
    def endpoints(self) -> frozenset[EndpointId] | None:
        """Where outputs go; None: everywhere."""
        return frozenset(map(EndpointId.parse, self.endpoint_ids)) if self.endpoint_ids else None

    @property
    def alerts(self) -> frozenset[EndpointId]:
        """Where a failure is told."""
        return frozenset(map(EndpointId.parse, self.alert_endpoint_ids))

    @property
    def transforms(self) -> list[UUID]:
        """The transforms that its steps run, each once, in order."""
        return sorted({TransformId.parse(step.transform_id).value for step in self.steps})


# ---------------------------------------------------------------- wire: flows

Steps = Annotated[list[Step], msgspec.Meta(max_length=MAX_STEPS)]
Endpoints = Annotated[list[str], msgspec.Meta(max_length=50)]
EventType = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]{1,100}$")]


class CreateFlow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a flow."""

    name: Name
    steps: Steps = []
    """Without one it is a draft, and cannot be enabled."""
    trigger: Trigger = "payload"
    filters: Filters | None = None
    schedule: Schedule | None = None
    enabled: bool = True
    endpoint_ids: Endpoints = []
    """Where outputs go; none named: to every endpoint."""
    event_type: EventType = EVENT_TYPE
    alert_endpoint_ids: Endpoints = []
    """Where a webhook `flow.failed` goes when a run fails for good."""


class ChangeFlow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for changes; what is left out stays. Runs that are not settled begin anew where the steps change."""

    flow_id: str
    name: Name | None = None
    steps: Steps | None = None
    trigger: Trigger | None = None
    filters: Filters | msgspec.UnsetType | None = msgspec.UNSET
    schedule: Schedule | msgspec.UnsetType | None = msgspec.UNSET
    endpoint_ids: Endpoints | None = None
    event_type: EventType | None = None
    alert_endpoint_ids: Endpoints | None = None


class TheFlow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a flow."""

    flow_id: str


class ListFlows(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for flows, newest first; deleted ones are left out."""


class FlowView(msgspec.Struct, frozen=True, kw_only=True):
    """A flow."""

    id: str
    name: str
    state: FlowState
    trigger: Trigger
    filters: Filters | None
    schedule: Schedule | None
    steps: list[Step]
    endpoint_ids: list[str]
    event_type: str
    alert_endpoint_ids: list[str]
    revision: int
    next_at: datetime | None
    """When its schedule is due next."""
    created_at: datetime


class FlowDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """A flow that is gone, and how many of its runs were cancelled; what the others made stays."""

    id: str
    state: Literal["deleted"]
    cancelled: int


# ---------------------------------------------------------------- wire: runs


class TheRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a run."""

    run_id: str


class ListRuns(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for runs, newest first."""

    flow_id: str | None = None
    payload_id: str | None = None
    state: RunState | None = None

    def of_flow(self) -> UUID | None:
        """Return the flow that is asked for."""
        return None if self.flow_id is None else FlowId.parse(self.flow_id).value

    def of_payload(self) -> UUID | None:
        """Return the payload that is asked for."""
        return None if self.payload_id is None else PayloadId.parse(self.payload_id).value


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One payload on its way through one flow."""

    id: str
    flow_id: str
    payload_id: str
    state: RunState
    step: int
    """How many steps are done."""
    steps: int
    tries: int
    """Of the next step, that failed."""
    outcome: Outcome | None
    """What the newest try came to."""
    outputs: int
    due_at: datetime | None
    created_at: datetime
    settled_at: datetime | None


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """The newest try of a step."""

    position: int
    transform_id: str
    version: int
    digest: str
    outcome: Outcome
    sandbox: str | None
    inputs: int
    outputs: int
    tries: int
    wall_ms: int
    cpu_ms: int
    peak_bytes: int | None
    finished_at: datetime
    error: str | None
    logs: list[str]
    logs_cut: bool


class RunView(RunSummary, frozen=True, kw_only=True):
    """A run with its steps."""

    attempted: list[StepView]
    egress: list[EgressSessionView]
    """What its steps called, try by try."""

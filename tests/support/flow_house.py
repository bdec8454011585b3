"""Flows over a payload house: made by the API, run by the engine with whatever answers for the runner."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from payload_house import PayloadHouse, build_payload_house

from heldtrue.capabilities.transforms.engine import FlowEngine
from heldtrue.capabilities.transforms.worker import FlowWorker
from heldtrue.sandbox.jobs import Job, RunResult

SANDBOX = "sha256:" + "5a" * 32


def result(*outputs: Any, outcome: Any = "ok", **more: Any) -> RunResult:
    """Return what a runner answers."""
    encoded = tuple(one if isinstance(one, bytes) else json.dumps(one).encode() for one in outputs)
    told: dict[str, Any] = {"wall_ms": 3, "cpu_ms": 2, "peak_bytes": 1000, "sandbox": SANDBOX, "level": "full", **more}
    return RunResult(outcome=outcome, outputs=encoded, **told)


@dataclass
class Desk:
    """Answers for the runner, and remembers what it was asked; nothing of it isolates anything."""

    answer: Callable[[Job], RunResult] = lambda job: result({"seen": job.payload.data.decode("latin-1")})
    asked: list[Job] = field(default_factory=list)

    async def run(self, job: Job) -> RunResult:
        self.asked.append(job)
        return self.answer(job)


@dataclass
class FlowHouse:
    """A payload house with flows."""

    place: PayloadHouse
    desk: Desk = field(default_factory=Desk)

    def transform(self, code: str = "def transform(payload, context): ...", **more: Any) -> str:
        made = self.place.admin.post("/v1/transforms", {"name": "t", "language": "python", "code": code, **more})
        assert made.status == 201, made.body
        return made.json()["id"]

    def flow(self, *transforms: str, **more: Any) -> str:
        steps = more.pop("steps", [{"transform_id": one} for one in transforms])
        made = self.place.admin.post("/v1/flows", {"name": "f", "steps": steps, **more})
        assert made.status == 201, made.body
        return made.json()["id"]

    def worker(self, **more: Any) -> FlowWorker:
        return FlowWorker(self.place.services, **more)

    def step(self, run: Callable[[Job], Awaitable[RunResult]] | None = None, **more: Any) -> int:
        """Forward what waits, and take what is due as far as it goes; return how many runs that were."""
        self.place.engine().step_forward()
        return asyncio.run(FlowEngine(self.worker(), run or self.desk.run, **more).step(16))

    def runs(self, query: str = "") -> list[dict[str, Any]]:
        return self.place.admin.get(f"/v1/runs{query}").json()["data"]

    def run(self, id: str) -> dict[str, Any]:  # noqa: A002
        return self.place.admin.get(f"/v1/runs/{id}").json()

    def only(self) -> dict[str, Any]:
        [one] = self.runs()
        return self.run(one["id"])

    def payload(self, body: bytes = b'{"a":1}', kind: str = "application/json") -> str:
        return self.place.send(body, kind).json()["id"]

    def payload_state(self, payload: str) -> str:
        return self.place.admin.get(f"/v1/payloads/{payload}").json()["state"]

    def outputs(self, payload: str) -> list[dict[str, Any]]:
        got = self.place.admin.get(f"/v1/payloads/{payload}/outputs?content=true")
        assert got.status == 200, got.body
        return sorted(got.json()["data"], key=lambda one: one["ordinal"])

    def receipts(self, payload: str) -> list[Mapping[str, Any]]:
        found = self.place.admin.get(f"/v1/receipts?payload_id={payload}").json()["data"]
        return [self.place.admin.get(f"/v1/receipts/{one['id']}").json()["receipt"] for one in reversed(found)]


__all__ = ["Desk", "FlowHouse", "build_payload_house", "result"]

"""Metrics: one registry a process; the web process shows its own and the worker's last word.

Gauges of the whole instance (queues, log) are asked of the database when somebody scrapes, so that they are the same
whoever is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from heldtrue.capabilities.ledger.witness_routes import WitnessView
from heldtrue.kernel.errors import HeldtrueError

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Facts = Callable[[], Mapping[str, tuple[str, float]]]
"""Names of gauges with their help and value; blocking."""


class WebMetrics:
    """What the web process counts and shows."""

    def __init__(self, worker: Path, facts: Facts, feed_age: Callable[[], float]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._requests = Counter(
            "heldtrue_requests_total", "Requests answered.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "heldtrue_request_seconds", "Time to answer.", ["route"], buckets=BUCKETS, registry=self._registry
        )
        age = Gauge(
            "heldtrue_feed_age_seconds", "Age of what this process knows of keys; over 5 nobody is let in.",
            registry=self._registry,
        )  # fmt: skip
        age.set_function(feed_age)
        self._registry.register(_Facts(facts))
        self._registry.register(_Worker(worker))
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        counter, histogram = self._of(route, status)
        counter.inc()
        histogram.observe(seconds)

    def _of(self, route: str, status: int) -> tuple[Counter, Histogram]:
        """Return the children of these labels, looked up once."""
        found = self._children.get((route, status))
        if found is None:
            found = self._requests.labels(route, str(status)), self._seconds.labels(route)
            self._children[route, status] = found
        return found

    def text(self) -> bytes:
        """Return everything in the text exposition format."""
        return generate_latest(self._registry)


class WorkerMetrics:
    """What the worker counts; `write` leaves it where the web process reads it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._registry = CollectorRegistry(auto_describe=False)
        self.rounds = Counter(
            "heldtrue_worker_rounds_total", "Rounds of a part of the worker.", ["part"], registry=self._registry
        )
        self.clock_behind = Gauge(
            "heldtrue_clock_behind_seconds",
            "How far the machine's clock is behind what was told.",
            registry=self._registry,
        )

        self._behind = Gauge(
            "heldtrue_witness_behind_entries",
            "Entries under the newest checkpoint that a witness has not cosigned.",
            ["witness"],
            registry=self._registry,
        )
        self._age = Gauge(
            "heldtrue_witness_age_seconds",
            "Time since a witness's newest cosignature, by its own clock; over 300 it lags.",
            ["witness"],
            registry=self._registry,
        )
        self._sandbox = Gauge(
            "heldtrue_sandbox_level",
            "1 for the level at which customers' code is isolated: full, older-kernel, landlock-seccomp, or off.",
            ["level"],
            registry=self._registry,
        )

    def sandbox(self, level: str) -> None:
        """Say at which level customers' code is isolated."""
        self._sandbox.clear()
        self._sandbox.labels(level).set(1)

    def witnesses(self, standings: Iterable[WitnessView]) -> None:
        """Say how far the witnesses have come; one that never cosigned has no age."""
        self._behind.clear()
        self._age.clear()
        for each in standings:
            self._behind.labels(each.name).set(each.behind)
            if each.age_s is not None:
                self._age.labels(each.name).set(each.age_s)

    def write(self) -> None:
        """Write what there is; a reader sees the old text or the new one."""
        draft = self._path.with_suffix(".new")
        draft.write_bytes(generate_latest(self._registry))
        draft.replace(self._path)


class _Facts:
    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        """Yield a gauge a fact; none while the database does not answer, which `/readyz` tells."""
        try:
            found = self._facts()
        except HeldtrueError:
            return
        for name, (text, value) in found.items():
            gauge = Metric(f"heldtrue_{name}", text, "gauge")
            gauge.add_sample(f"heldtrue_{name}", {}, value)
            yield gauge


class _Worker:
    def __init__(self, path: Path) -> None:
        self._path = path

    def collect(self) -> Iterable[Metric]:
        """Yield what the worker wrote last."""
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return ()
        return text_string_to_metric_families(text)

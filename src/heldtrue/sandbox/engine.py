"""The sandbox in process: warm zygotes, a pool of jailed children, one of them for each run."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from heldtrue.sandbox.cgroups import CgroupError, Cgroups, Group
from heldtrue.sandbox.cgroups import find as find_cgroups
from heldtrue.sandbox.conversation import Heard, converse, wait_until_ready
from heldtrue.sandbox.image import Image, build
from heldtrue.sandbox.jail.layers import ALL, Layers
from heldtrue.sandbox.jail.walls import Ceilings
from heldtrue.sandbox.jobs import About, Job, Outcome, RunLimits, RunResult
from heldtrue.sandbox.levels import Found, find
from heldtrue.sandbox.stable import Ready, Stable
from heldtrue.sandbox.usage import of_tree
from heldtrue.sandbox.zygotes import NOBODY, Child, SandboxError, Zygote

KILL_WAIT = 30.0
_NUMBERS = itertools.count(1)
"""Of this process's control groups, whichever engine they are of."""


class Engine:
    """Run jobs, each in an environment of its own. Use as an asynchronous context manager."""

    def __init__(
        self, *, layers: Layers = ALL, image: Image | None = None, images: Path | None = None, pool: int = 2,
        tenants: int = 4, recycle_after: int = 500, concurrent: int | None = None, uid: int = NOBODY,
        spare: bool = True, broker: Path | None = None,
    ) -> None:  # fmt: skip
        """Take an *image* that is made already, or a directory of *images* to make one in; without either one is made
        for this engine.

        *layers* is for tests of single walls; *uid* is whom a root engine's zygotes become; *broker* the socket where
        calls are handed over.
        """
        self._asked = layers
        self._image = image
        self._images = images
        self._own: Path | None = None
        self._pool, self._tenants, self._recycle_after, self._uid = pool, tenants, recycle_after, uid
        self._spare = spare
        self._broker = broker
        self._threads = ThreadPoolExecutor(concurrent or 2 * (os.cpu_count() or 1) + 2, "heldtrue-sandbox")
        self._cgroups: Cgroups | None = None
        self._stable: Stable | None = None
        self._found: Found | None = None
        self._running: set[Child] = set()
        self._lock = threading.Lock()

    @property
    def layers(self) -> Layers:
        """The walls that are really up."""
        return self._ready().layers

    @property
    def about(self) -> About:
        """Say which walls stand."""
        found = self._ready()
        by = f"cgroup{self._cgroups.version}" if self._cgroups else "supervised"
        return About(level=found.level, sandbox=self.identity, missing=dict(found.missing), memory_by=by)

    def _ready(self) -> Found:
        if self._found is None:
            raise SandboxError("engine", "it is used outside of `async with`")
        return self._found

    async def __aenter__(self) -> Engine:
        """Make the image, find the level, warm up."""
        await asyncio.to_thread(self._start)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every process and remove what is ours."""
        await asyncio.shield(asyncio.to_thread(self._stop))

    def _start(self) -> None:
        try:
            if self._image is None:
                if self._images is None:
                    self._own = Path(tempfile.mkdtemp(prefix="heldtrue-sandbox-"))
                    self._own.chmod(0o755)
                self._image = build(self._images or self._own or Path())
            self._found, zygote = find(self._image, self._asked, ceilings(RunLimits()), uid=self._uid)
            missing = dict(self._found.missing)
            if self._asked.cgroup:
                try:
                    self._cgroups = find_cgroups()
                    self._try_group(zygote)
                except (CgroupError, SandboxError) as error:
                    self._cgroups = None
                    missing["cgroup"] = str(error)
            self._found = replace(self._found, missing=missing)
            self.identity = identity(self._image, self._found)
            self._stable = Stable(
                self._image, self._found.layers, self._uid, ceilings(RunLimits()), zygote, spare=self._spare,
                pool=self._pool, tenants=self._tenants, recycle_after=self._recycle_after, groups=self._group,
            )  # fmt: skip
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        with self._lock:
            for child in self._running:
                child.kill()
        self._threads.shutdown(wait=True)
        if self._stable is not None:
            self._stable.close()
            self._stable = None
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    async def run(self, job: Job) -> RunResult:
        """Run one job; its failures are outcomes. Raise `SandboxError` when no environment could be made for it."""
        cancelled = threading.Event()
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._run, job, cancelled)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            cancelled.set()
            await asyncio.wait([work])
            raise

    def _run(self, job: Job, cancelled: threading.Event) -> RunResult:
        stable = self._stable
        if stable is None:
            raise SandboxError("engine", "it is used outside of `async with`")
        ready = stable.take(job.tenant, ceilings(job.limits))
        with self._lock:
            self._running.add(ready.child)
        try:
            return self._with(ready, job, cancelled)
        finally:
            with self._lock:
                self._running.discard(ready.child)
            if ready.child.ended.done():
                ready.end()
                stable.release(ready.stall)
            else:
                stable.give_back(ready)

    def _with(self, ready: Ready, job: Job, cancelled: threading.Event) -> RunResult:
        """Have one conversation; end the child whatever comes of it."""
        child, layers = ready.child, self.layers
        begun = time.monotonic()
        kept = False
        try:
            pid = child.pid()
            warm = ready.stall.warm

            def over() -> Outcome | None:
                if cancelled.is_set():
                    return "timeout"
                if not layers.supervised:
                    return None
                used = of_tree(pid, warm=warm)
                if used.memory > job.limits.memory:
                    return "memory"
                return "timeout" if used.cpu > job.limits.cpu_seconds + 0.5 else None

            heard = converse(child, job, over, begun + job.limits.wall_ms / 1000, self._broker)
            kept = not layers.single_use and heard.outcome in {"ok", "error"}
            return self._result(heard, child, ready.group, begun, kept=kept)
        finally:
            if not kept:
                child.kill()
                child.ended.exception(KILL_WAIT)

    def _try_group(self, zygote: Zygote) -> None:
        """Have a child join a control group, as every run will; raise `SandboxError` when it may not."""
        need = ceilings(RunLimits())
        group = self._group(need)
        if group is None:
            return
        try:
            with group.doors() as doors:
                child = zygote.spawn(need, None, doors)
            try:
                wait_until_ready(child, KILL_WAIT)
            finally:
                child.kill()
                child.ended.exception(KILL_WAIT)
                child.close()
        finally:
            group.remove()

    def _group(self, need: Ceilings) -> Group | None:
        """Return a control group for one child that is about to be made."""
        if self._cgroups is None or not self.layers.single_use:
            return None
        return self._cgroups.make(f"heldtrue.{os.getpid()}.{next(_NUMBERS)}", need.memory, need.processes + 1)

    def _result(self, heard: Heard, child: Child, group: Group | None, begun: float, *, kept: bool) -> RunResult:
        cpu_ms, peak, starved = 0, None, False
        if not kept:
            child.kill()
            ended = child.ended.result(KILL_WAIT)
            cpu_ms, peak = ended.cpu_ms, ended.peak
        if group is not None:
            peak, starved = group.peak() or peak, group.starved()
        outcome = "memory" if starved and heard.outcome == "crashed" else heard.outcome or "crashed"
        return RunResult(
            outcome=outcome,
            outputs=tuple(heard.outputs) if outcome == "ok" else (),
            files=tuple(heard.files) if outcome == "ok" and any(heard.files) else (),
            logs=tuple(heard.logs),
            logs_cut=heard.logs_cut,
            error=heard.error or EXPLAINED.get(outcome),
            wall_ms=int((time.monotonic() - begun) * 1000),
            cpu_ms=cpu_ms,
            peak_bytes=peak,
            sandbox=self.identity,
            level=self._ready().level,
        )


EXPLAINED: dict[str, str] = {
    "timeout": "the run took longer than it may",
    "memory": "the run used more memory than it may",
    "crashed": "the run's process ended without an answer",
    "output": "the run sent more than it may",
}


def ceilings(limits: RunLimits) -> Ceilings:
    """Return what the kernel is told before the job is known."""
    return Ceilings(limits.memory, limits.scratch, limits.files, limits.processes, limits.cpu_seconds)


def identity(image: Image, found: Found) -> str:
    """Return the digest over what a run depends on: the image and the walls."""
    layers = ",".join(name for name, up in sorted(found.layers.plain().items()) if up)
    return "sha256:" + hashlib.sha256(f"{image.digest}\n{found.level}\n{layers}\n".encode()).hexdigest()

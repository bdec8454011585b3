"""Zygotes by tenant, a spare one for the next, and for each a few children that are jailed already."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from heldtrue.sandbox.cgroups import Group
from heldtrue.sandbox.conversation import wait_until_ready
from heldtrue.sandbox.image import Image
from heldtrue.sandbox.jail.layers import Layers
from heldtrue.sandbox.jail.walls import Ceilings
from heldtrue.sandbox.usage import of_tree
from heldtrue.sandbox.zygotes import Child, SandboxError, Zygote

READY_WITHIN = 30.0
SHORT_RUN = 0.02
"""Seconds for which a refill gives way to the end of a run: one zygote makes children and buries them."""


@dataclass(slots=True, eq=False)
class Stall:
    """One zygote with its jailed children."""

    zygote: Zygote
    pool: deque[Ready] = field(default_factory=deque["Ready"])
    using: int = 0
    served: int = 0
    retired: bool = False
    warm: int = 0
    """Bytes that each child has from its zygote, and that are not its own use."""


@dataclass(slots=True, eq=False)
class Ready:
    """A child behind its walls."""

    child: Child
    stall: Stall
    directory: Path | None
    """Where it is, when it has no root of its own."""
    group: Group | None
    """Its control group, which it is in already."""

    def end(self) -> None:
        """Kill it, and remove its control group and what it had on disk."""
        self.child.kill()
        self.child.ended.exception(READY_WITHIN)
        self.child.close()
        if self.group is not None:
            self.group.remove()
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)


class Stable:
    """Hand out children: a zygote that served one tenant never serves another, and none serves for ever."""

    def __init__(
        self,
        image: Image,
        layers: Layers,
        uid: int,
        usual: Ceilings,
        first: Zygote,
        *,
        pool: int,
        tenants: int,
        recycle_after: int,
        spare: bool,
        groups: Callable[[Ceilings], Group | None],
    ) -> None:
        """Begin with the zygote *first*; without *spare* a further one is started only when a tenant waits for it.

        *groups* makes the control group of one child.
        """
        self._groups = groups
        self._image, self._layers, self._uid, self._usual = image, layers, uid, usual
        self._size, self._tenants, self._recycle_after = pool, tenants, recycle_after
        self._stalls: OrderedDict[str, Stall] = OrderedDict()
        self._spare: Stall | None = Stall(first)
        self._ahead = spare
        self._waiting = 0
        self._changed = threading.Condition()
        self._closing = False
        self._failure: SandboxError | None = None
        self._fill(self._spare)
        self._keepers = [
            threading.Thread(target=work, name="heldtrue-stable", daemon=True)
            for work in (self._keep_spare, self._keep_pools)
        ]
        for keeper in self._keepers:
            keeper.start()

    def take(self, tenant: str, need: Ceilings) -> Ready:
        """Return a jailed child of the tenant's own zygote, from the pool when there is one with these ceilings."""
        try:
            return self._take(tenant, need)
        except SandboxError:
            return self._take(tenant, need)  # its zygote was gone: a new one, once

    def _take(self, tenant: str, need: Ceilings) -> Ready:
        stall = self._stall(tenant)
        with self._changed:
            ready = stall.pool.popleft() if need == self._usual and stall.pool else None
            self._changed.notify_all()
        try:
            return ready or self._spawn(stall, need)
        except SandboxError:
            self._forget(tenant, stall)
            self.release(stall)
            raise

    def release(self, stall: Stall) -> None:
        """Say that a run of *stall* has ended."""
        with self._changed:
            stall.using -= 1
            last = stall.retired and stall.using == 0
            self._changed.notify_all()
        if last:
            self._close(stall)

    def give_back(self, ready: Ready) -> None:
        """Take a child that may serve again; only without single use."""
        with self._changed:
            ready.stall.pool.appendleft(ready)
        self.release(ready.stall)

    def _stall(self, tenant: str) -> Stall:
        retired: list[Stall] = []
        with self._changed:
            stall = self._stalls.get(tenant)
            if stall is not None and stall.served >= self._recycle_after:
                retired.append(self._stalls.pop(tenant))
                stall = None
            if stall is None:
                stall = self._next()
                stall.zygote.tenant = tenant
                self._stalls[tenant] = stall
                while len(self._stalls) > self._tenants:
                    retired.append(self._stalls.popitem(last=False)[1])
            self._stalls.move_to_end(tenant)
            stall.using += 1
            stall.served += 1
            self._changed.notify_all()
        self._retire(retired)
        return stall

    def _next(self) -> Stall:
        """Wait for the spare zygote and take it; call with the lock held."""
        self._waiting += 1
        self._changed.notify_all()
        try:
            while self._spare is None:
                if self._failure is not None or self._closing:
                    raise self._failure or SandboxError("engine", "it is closing")
                self._changed.wait()
        finally:
            self._waiting -= 1
        stall, self._spare = self._spare, None
        return stall

    def _retire(self, stalls: list[Stall]) -> None:
        for stall in stalls:
            with self._changed:
                stall.retired = True
                idle = stall.using == 0
            if idle:
                self._close(stall)

    def _forget(self, tenant: str, stall: Stall) -> None:
        with self._changed:
            if self._stalls.get(tenant) is stall:
                del self._stalls[tenant]
            stall.retired = True

    def _spawn(self, stall: Stall, need: Ceilings) -> Ready:
        group = self._groups(need)
        directory = None if self._layers.mount else self._directory()
        try:
            with nullcontext(()) if group is None else group.doors() as doors:
                child = stall.zygote.spawn(need, directory, doors)
        except (SandboxError, OSError) as error:
            if directory is not None:
                shutil.rmtree(directory, ignore_errors=True)
            if group is not None:
                group.remove()
            raise error if isinstance(error, SandboxError) else SandboxError("control group", str(error)) from error
        ready = Ready(child, stall, directory, group)
        try:
            wait_until_ready(child, READY_WITHIN)
        except SandboxError:
            ready.end()
            raise
        if not stall.warm:
            stall.warm = of_tree(child.pid()).memory
        return ready

    def _directory(self) -> Path:
        made = Path(tempfile.mkdtemp(prefix="heldtrue-run-"))
        if self._layers.service_user and os.geteuid() == 0:
            os.chown(made, self._uid, self._uid)
        return made

    def _new_spare(self) -> None:
        stall = Stall(Zygote(self._image, self._layers, uid=self._uid))
        with self._changed:
            self._spare = stall
            self._changed.notify_all()

    def _fill(self, stall: Stall) -> None:
        while not (stall.retired or self._closing) and len(stall.pool) < self._size:
            ready = self._spawn(stall, self._usual)
            with self._changed:
                stall.pool.append(ready)

    def _keep_spare(self) -> None:
        """Have a zygote ready for the next tenant, until the end."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing or (self._spare is None and (self._ahead or self._waiting > 0))
                )
                if self._closing:
                    return
            try:
                self._new_spare()
            except SandboxError as error:
                self._failed(None, error)
                return

    def _keep_pools(self) -> None:
        """Refill the pools, until the end."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._thin() is not None)
                self._changed.wait_for(self._now, SHORT_RUN)
                thin = self._thin()
            if self._closing or thin is None:
                return
            try:
                self._fill(thin)
            except SandboxError as error:
                self._failed(thin, error)

    def _now(self) -> bool:
        """Say whether a pool has to be refilled at once, though its zygote may soon have to bury a run that ends."""
        thin = self._thin()
        return self._closing or thin is None or thin.using == 0 or 2 * len(thin.pool) < self._size

    def _thin(self) -> Stall | None:
        spare = [self._spare] if self._spare is not None else []
        return next((each for each in (*reversed(self._stalls.values()), *spare) if len(each.pool) < self._size), None)

    def _failed(self, thin: Stall | None, error: SandboxError) -> None:
        with self._changed:
            if thin is None:
                self._failure = error
            elif self._spare is thin:
                self._spare = None
            else:
                for tenant in [name for name, each in self._stalls.items() if each is thin]:
                    del self._stalls[tenant]
            if thin is not None:
                thin.retired = True
            self._changed.notify_all()
        if thin is not None and thin.using == 0:
            self._close(thin)

    def _close(self, stall: Stall) -> None:
        while stall.pool:
            stall.pool.popleft().end()
        stall.zygote.close()

    def close(self) -> None:
        """End every zygote and child."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for keeper in self._keepers:
            keeper.join()
        for stall in (*self._stalls.values(), *([self._spare] if self._spare else [])):
            self._close(stall)
        self._stalls.clear()
        self._spare = None

"""The walls by name, so that a law can say which of them stops what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Which walls stand; all of them, except in tests of a single one. A namespace brings a user namespace where one
    is needed to own it.
    """

    service_user: bool = True
    """Leave root before anything else, when started by it."""
    empty_env: bool = True
    """Start the zygote with an empty environment."""
    close_fds: bool = True
    """Close every descriptor but the two pipes of the run."""
    single_use: bool = True
    """End a child after its one run."""
    user: bool = True
    pid: bool = True
    mount: bool = True
    """A mount namespace whose root is an empty tmpfs with the read-only image in it: nothing of the host, no /proc."""
    net: bool = True
    ipc: bool = True
    uts: bool = True
    cgroup_ns: bool = True
    rlimits: bool = True
    """rlimits: address space, processor time, descriptors, processes, file size."""
    cgroup: bool = True
    supervised: bool = True
    """The runner's own sum of memory and processor time over the run's processes."""
    caps: bool = True
    """Every capability set and the bounding set emptied."""
    death_signal: bool = True
    undumpable: bool = True
    no_new_privs: bool = True
    mdwe: bool = True
    landlock_files: bool = True
    landlock_net: bool = True
    landlock_scope: bool = True
    seccomp: bool = True

    @property
    def namespaces(self) -> bool:
        """Say whether any namespace stands."""
        return self.user or self.pid or self.mount or self.net or self.ipc or self.uts or self.cgroup_ns

    @property
    def landlock(self) -> bool:
        """Say whether any of Landlock's rules stands."""
        return self.landlock_files or self.landlock_net or self.landlock_scope

    def without(self, *names: str) -> Layers:
        """Return the same walls but for those that are named."""
        return replace(self, **dict.fromkeys(names, False))

    def plain(self) -> dict[str, bool]:
        """Return name → stands."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, bool]) -> Layers:
        """Read what `plain` gave; an unknown name is an error."""
        return cls(**plain)

    @classmethod
    def only(cls, *names: str) -> Layers:
        """Return none but those that are named."""
        return cls(**{each.name: each.name in names for each in fields(cls)})


ALL = Layers()
NONE = Layers.only()
NAMESPACES = ("user", "pid", "mount", "net", "ipc", "uts", "cgroup_ns")

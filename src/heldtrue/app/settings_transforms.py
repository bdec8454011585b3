"""The section `[transforms]`: whether and as whom customers' code runs."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class Transforms(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Customers' code in the sandbox."""

    enabled: bool | Literal["auto"] = "auto"
    """`auto`: where this machine can isolate; `true`: refuse to start where it cannot."""
    user: Annotated[str, msgspec.Meta(min_length=1, max_length=32)] = "heldtrue-runner"
    """Whom the runner runs as when started by root."""
    warm: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    """Jailed processes that wait for work."""
    at_once: Annotated[int, msgspec.Meta(ge=1, le=256)] = 4
    """Runs that are under way at once."""

    egress: bool = True
    """Whether a transform may call the hosts that its organisation allows it; none is allowed at first."""
    broker_user: Annotated[str, msgspec.Meta(min_length=1, max_length=32)] = "heldtrue-broker"
    """Whom the broker of these calls runs as when started by root."""

    @property
    def reaches_out(self) -> bool:
        """Whether there is a broker."""
        return self.egress and self.enabled is not False

    @property
    def required(self) -> bool:
        """Whether nothing is served without it."""
        return self.enabled is True

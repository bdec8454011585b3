"""Settings of the operator's own claims."""

from __future__ import annotations

from pathlib import Path

import msgspec

from heldtrue.kernel.errors import SettingsError


class Posture(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Claims of the operator's own, declared in a file."""

    file: str | None = None
    """A TOML file with claims and checks; read when the instance starts."""

    def __post_init__(self) -> None:
        if self.file is not None and not Path(self.file).is_absolute():
            raise SettingsError(
                f"posture.file = {self.file!r} is not a whole path", advice='Write it as "/etc/heldtrue/posture.toml".'
            )

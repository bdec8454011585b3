"""Secrets by reference: settings, flags and commands say where one is, never what it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from heldtrue.kernel.errors import SettingsError
from heldtrue.kernel.secret import Secret


def resolve_secret(uri: str) -> Secret[str]:
    """Return the secret that *uri* points to: `file:/path` with mode 0600, or `env:NAME`."""
    scheme, _, rest = uri.partition(":")
    if scheme == "env":
        value = os.environ.get(rest)
        if not value:
            raise SettingsError(f"the environment variable {rest} is not set", advice="Set it, or use `file:/path`.")
        return Secret(value)
    path = Path(rest)
    try:
        mode = path.stat().st_mode
        text = path.read_text().strip()
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}", advice="Check the path and its owner."
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise SettingsError(f"{path} holds a secret and others may read it", advice=f"Run `chmod 600 {path}`.")
    return Secret(text)

"""The registers of this capability."""

from __future__ import annotations

from typing import Any

from heldtrue.capabilities.registers.model import Kind

KINDS: tuple[Kind[Any], ...] = ()

"""The one table of registers, joined from the capabilities that mean them."""

from __future__ import annotations

from heldtrue.capabilities.registers import kinds as registers
from heldtrue.capabilities.registers.model import Kinds, table
from heldtrue.capabilities.room import kinds as room

KINDS: Kinds = table(registers.KINDS, room.KINDS)
"""Every register of the product; a capability adds its own tuple here."""

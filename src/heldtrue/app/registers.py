"""The one table of registers, joined from the capabilities that mean them."""

from __future__ import annotations

from heldtrue.capabilities.agreements import kinds as agreements
from heldtrue.capabilities.disclosure import kinds as disclosure
from heldtrue.capabilities.evidence import policy as evidence
from heldtrue.capabilities.questionnaires import kinds as questionnaires
from heldtrue.capabilities.registers import kinds as registers
from heldtrue.capabilities.registers.model import Kinds, table
from heldtrue.capabilities.room import kinds as room

KINDS: Kinds = table(
    registers.KINDS, agreements.KINDS, questionnaires.KINDS, disclosure.KINDS, evidence.KINDS, room.KINDS
)
"""Every register of the product; a capability adds its own tuple here."""

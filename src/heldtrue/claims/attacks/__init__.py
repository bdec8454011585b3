"""All attacks, collected from the capabilities and from the rim that belongs to none of them."""

from __future__ import annotations

from types import MappingProxyType

from heldtrue.capabilities.access.attacks import ATTACKS as ACCESS
from heldtrue.capabilities.agreements.attacks import ATTACKS as AGREEMENTS
from heldtrue.capabilities.deliveries.attacks import ATTACKS as DELIVERIES
from heldtrue.capabilities.disclosure.attacks import ATTACKS as DISCLOSURE
from heldtrue.capabilities.edge.attacks import ATTACKS as EDGE
from heldtrue.capabilities.egress.attacks import ATTACKS as EGRESS
from heldtrue.capabilities.evidence.attacks import ATTACKS as EVIDENCE
from heldtrue.capabilities.intake.attacks import ATTACKS as INTAKE
from heldtrue.capabilities.keystore.attacks import ATTACKS as KEYSTORE
from heldtrue.capabilities.ledger.attacks import ATTACKS as LEDGER
from heldtrue.capabilities.ledger.witness_attacks import ATTACKS as WITNESSES
from heldtrue.capabilities.mail.attacks import ATTACKS as MAIL
from heldtrue.capabilities.promises.attacks import ATTACKS as PROMISES
from heldtrue.capabilities.questionnaires.attacks import ATTACKS as QUESTIONNAIRES
from heldtrue.capabilities.receipts.attacks import ATTACKS as RECEIPTS
from heldtrue.capabilities.registers.attacks import ATTACKS as REGISTERS
from heldtrue.capabilities.room.attacks import ATTACKS as ROOM
from heldtrue.capabilities.tenants.attacks import ATTACKS as TENANTS
from heldtrue.capabilities.transforms.attacks import ATTACKS as TRANSFORMS
from heldtrue.claims.attacks.database import ATTACKS as DATABASE
from heldtrue.claims.attacks.ports import ATTACKS as PORTS
from heldtrue.claims.attacks.rim import ATTACKS as RIM
from heldtrue.claims.attacks.threats import ATTACKS as THREATS

ATTACKS = MappingProxyType(
    {
        attack.name: attack
        for table in (
            RIM,
            DATABASE,
            PORTS,
            KEYSTORE,
            INTAKE,
            RECEIPTS,
            DELIVERIES,
            PROMISES,
            ACCESS,
            EDGE,
            TENANTS,
            LEDGER,
            WITNESSES,
            REGISTERS,
            THREATS,
            QUESTIONNAIRES,
            AGREEMENTS,
            DISCLOSURE,
            EVIDENCE,
            ROOM,
            TRANSFORMS,
            EGRESS,
            MAIL,
        )
        for attack in table
    }
)
"""Every attack by its name."""

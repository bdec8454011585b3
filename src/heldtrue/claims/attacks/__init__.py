"""All attacks, collected from the capabilities and from the rim that belongs to none of them."""

from __future__ import annotations

from types import MappingProxyType

from heldtrue.capabilities.access.attacks import ATTACKS as ACCESS
from heldtrue.capabilities.deliveries.attacks import ATTACKS as DELIVERIES
from heldtrue.capabilities.edge.attacks import ATTACKS as EDGE
from heldtrue.capabilities.egress.attacks import ATTACKS as EGRESS
from heldtrue.capabilities.intake.attacks import ATTACKS as INTAKE
from heldtrue.capabilities.keystore.attacks import ATTACKS as KEYSTORE
from heldtrue.capabilities.ledger.attacks import ATTACKS as LEDGER
from heldtrue.capabilities.mail.attacks import ATTACKS as MAIL
from heldtrue.capabilities.receipts.attacks import ATTACKS as RECEIPTS
from heldtrue.capabilities.tenants.attacks import ATTACKS as TENANTS
from heldtrue.capabilities.transforms.attacks import ATTACKS as TRANSFORMS
from heldtrue.claims.attacks.database import ATTACKS as DATABASE
from heldtrue.claims.attacks.rim import ATTACKS as RIM

ATTACKS = MappingProxyType(
    {
        attack.name: attack
        for table in (
            RIM,
            DATABASE,
            KEYSTORE,
            INTAKE,
            RECEIPTS,
            DELIVERIES,
            ACCESS,
            EDGE,
            TENANTS,
            LEDGER,
            TRANSFORMS,
            EGRESS,
            MAIL,
        )
        for attack in table
    }
)
"""Every attack by its name."""

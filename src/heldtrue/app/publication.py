"""What this instance publishes of itself: the claims that apply to it, and the pages that show them."""

from __future__ import annotations

from heldtrue.app.services import Services
from heldtrue.app.settings import Settings
from heldtrue.app.settings_witness import witnesses
from heldtrue.claims.attacks import ATTACKS
from heldtrue.claims.catalogue import CATALOGUE, Catalogue
from heldtrue.trust.document import Publisher
from heldtrue.trust.routes import TrustServices

PAUSE = "claims.pause"
"""In the directory `run`: while this file exists, nothing is attacked."""
NEEDS_EMBEDDED = ("network.database",)
"""Claims that say something of the embedded database only."""


def catalogue(settings: Settings) -> Catalogue:
    """Return the claims that apply to an instance with these settings; others are only promised."""
    return CATALOGUE if settings.database == "embedded" else CATALOGUE.without(NEEDS_EMBEDDED)


def trust_services(parts: Services) -> TrustServices:
    """Return what the trust pages are made of."""
    home = parts.ground.home
    return TrustServices(
        database=parts.database,
        clock=home.clock,
        catalogue=catalogue(home.settings),
        publisher=Publisher(origin=home.identity.origin, place="live", attacks=ATTACKS),
        base_url=home.settings.public_url,
        paused=(home.data.run / PAUSE).exists,
        witnesses=witnesses(home.settings.witness),
    )

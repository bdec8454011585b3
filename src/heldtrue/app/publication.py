"""What this instance publishes of itself: the claims that apply to it, and the pages that show them."""

from __future__ import annotations

from heldtrue.app.services import Services
from heldtrue.app.settings import Settings
from heldtrue.claims.attacks import ATTACKS
from heldtrue.claims.catalogue import CATALOGUE, Catalogue
from heldtrue.trust.document import Publisher
from heldtrue.trust.routes import TrustServices

PAUSE = "claims.pause"
"""In the directory `run`: while this file exists, nothing is attacked."""
NEEDS_EMBEDDED = ("network.database",)
"""Claims that say something of the embedded database only."""
NEEDS_RUNNER = ("runs.fresh", "runs.confined")
"""Claims about code that runs."""
NEEDS_MAIL = ("mail.starttls",)
"""Claims about mail that comes in."""


def catalogue(settings: Settings) -> Catalogue:
    """Return the claims that apply to an instance with these settings; others are only promised."""
    off = [] if settings.database == "embedded" else list(NEEDS_EMBEDDED)
    off += NEEDS_RUNNER if settings.transforms.enabled is False else ()
    off += NEEDS_MAIL if settings.mail.listen is None else ()
    return CATALOGUE.without(off)


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
    )

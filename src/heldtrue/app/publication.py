"""What this instance publishes of itself: the claims that apply to it, and the pages that show them."""

from __future__ import annotations

from heldtrue.app.services import Services
from heldtrue.app.settings import Settings
from heldtrue.claims.attacks import ATTACKS
from heldtrue.claims.catalogue import CATALOGUE, Catalogue
from heldtrue.trust.document import Publisher
from heldtrue.trust.render import Pages
from heldtrue.trust.routes import TrustServices
from heldtrue.trust.site import Site

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
        paused=(home.data.run / PAUSE).exists,
        log=home.data.log,
    )


def pages(parts: Services) -> Pages:
    """Return what renders every public page, in the company's name and look."""
    home = parts.ground.home
    origin = home.identity.origin
    return Pages(Site(name=origin.split("/")[0], origin=origin, url=home.settings.public_url))

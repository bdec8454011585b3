"""What this instance publishes of itself: the claims that apply to it, and the pages that show them."""

from __future__ import annotations

import functools
from pathlib import Path

from heldtrue.app.services import Services
from heldtrue.app.settings import Settings
from heldtrue.app.settings_witness import witnesses
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.claims import posture
from heldtrue.claims.attacks import ATTACKS
from heldtrue.claims.broken import CONTROLS
from heldtrue.claims.catalogue import CATALOGUE, Catalogue
from heldtrue.claims.own import Known, installed, join
from heldtrue.claims.routes import ClaimServices
from heldtrue.trust.document import Publisher
from heldtrue.trust.render import Pages
from heldtrue.trust.routes import TrustServices
from heldtrue.trust.site import Site

PAUSE = "claims.pause"
"""In the directory `run`: while this file exists, nothing is attacked."""
NEEDS_EMBEDDED = ("network.database",)
"""Claims that say something of the embedded database only."""


def known(settings: Settings) -> Known:
    """Return what is promised and attacked on an instance with these settings; what does not apply is only promised.

    Packages and the posture file are read once a process, before it gives up what it may read.
    """
    where = settings.destinations
    return _known(settings.database == "embedded", settings.posture.file, where.allow, where.ca_file)


@functools.lru_cache(maxsize=8)
def _known(embedded: bool, posture_file: str | None, allow: tuple[str, ...], ca_file: str | None) -> Known:
    own = installed()
    if posture_file is not None:
        authorities = Path(ca_file) if ca_file else None
        own.append(("the posture file", posture.load(Path(posture_file), AllowList.parse(allow), authorities)))
    catalogue = CATALOGUE if embedded else CATALOGUE.without(NEEDS_EMBEDDED)
    return join(Known(catalogue=catalogue, attacks=ATTACKS, controls=CONTROLS), own)


def catalogue(settings: Settings) -> Catalogue:
    """Return the claims of an instance with these settings."""
    return known(settings).catalogue


def claim_services(parts: Services) -> ClaimServices:
    """Return what the routes of documents and annotations know of claims."""
    found = known(parts.ground.home.settings)
    return ClaimServices(found.catalogue, found.attacks.keys())


def trust_services(parts: Services) -> TrustServices:
    """Return what the trust pages are made of."""
    home = parts.ground.home
    return TrustServices(
        database=parts.database,
        clock=home.clock,
        catalogue=catalogue(home.settings),
        publisher=Publisher(origin=home.identity.origin, place="live", attacks=known(home.settings).attacks),
        paused=(home.data.run / PAUSE).exists,
        witnesses=witnesses(home.settings.witness),
        log=home.data.log,
    )


def pages(parts: Services) -> Pages:
    """Return what renders every public page, in the company's name and look."""
    home = parts.ground.home
    origin = home.identity.origin
    return Pages(Site(name=origin.split("/")[0], origin=origin, url=home.settings.public_url))

"""What this instance publishes of itself: the claims that apply to it, and the pages that show them."""

from __future__ import annotations

from heldtrue.app.registers import KINDS
from heldtrue.app.services import Services
from heldtrue.app.settings import Settings
from heldtrue.app.settings_company import company
from heldtrue.claims.attacks import ATTACKS
from heldtrue.claims.catalogue import CATALOGUE, Catalogue
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.db.keystore import TxKeyRecords
from heldtrue.http.route import Route
from heldtrue.trust import certifications, policies, sub_processors
from heldtrue.trust.company import CompanyServices
from heldtrue.trust.document import Publisher
from heldtrue.trust.known import Sources
from heldtrue.trust.render import Pages
from heldtrue.trust.routes import Look, TrustServices
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
    )


def pages(parts: Services) -> Pages:
    """Return what renders every public page, in the company's name and look."""
    home = parts.ground.home
    origin = home.identity.origin
    return Pages(Site(name=origin.split("/")[0], origin=origin, url=home.settings.public_url))


def sources(parts: Services) -> Sources:
    """Return what questionnaires and agreements are answered from."""
    home = parts.ground.home
    return Sources(
        look=Look(trust_services(parts)), database=parts.database, clock=home.clock, kinds=KINDS,
        company=company(home.settings.company), url=home.settings.public_url,
    )  # fmt: skip


def company_services(parts: Services) -> CompanyServices:
    """Return what the pages of the company's registers are read with."""
    home = parts.ground.home
    return CompanyServices(
        database=parts.database,
        clock=home.clock,
        entropy=parts.entropy,
        keys=lambda tx, tenant, environment, now: TenantKeyring(
            home.platform, TxKeyRecords(tx), parts.cache, tenant, environment, parts.entropy, now
        ),
        company=company(home.settings.company),
        origin=home.identity.origin,
        url=home.settings.public_url,
    )


def company_pages(parts: Services, shown: Pages) -> list[Route]:
    """Return the pages of the company's registers."""
    services = company_services(parts)
    return [
        *sub_processors.routes(services, shown),
        *certifications.routes(services, shown),
        *policies.routes(services, shown),
    ]

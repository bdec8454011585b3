"""What this instance publishes of itself: the claims that apply to it, and the pages that show them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from heldtrue.app.registers import KINDS
from heldtrue.app.services import Services
from heldtrue.app.settings import Settings
from heldtrue.app.settings_company import company
from heldtrue.app.settings_site import theme_of
from heldtrue.app.settings_witness import witnesses
from heldtrue.app.version import RELEASE
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.claims import posture
from heldtrue.claims.attacks import ATTACKS
from heldtrue.claims.board import Standing
from heldtrue.claims.broken import CONTROLS
from heldtrue.claims.catalogue import CATALOGUE, Catalogue
from heldtrue.claims.own import Known, installed, join
from heldtrue.claims.routes import ClaimServices
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.db.keystore import TxKeyRecords
from heldtrue.http.route import Route
from heldtrue.trust import certifications, operations, policies, sub_processors
from heldtrue.trust.company import CompanyServices
from heldtrue.trust.document import Publisher
from heldtrue.trust.facts import facts
from heldtrue.trust.known import Sources
from heldtrue.trust.render import Pages
from heldtrue.trust.routes import Look, TrustServices
from heldtrue.trust.site import Site

PAUSE = "claims.pause"
"""In the directory `run`: while this file exists, nothing is attacked."""
NEEDS_EMBEDDED = ("network.database",)
"""Claims that say something of the embedded database only."""
NEEDS_RUNNER = ("runs.fresh", "runs.confined")
"""Claims about code that runs."""
NEEDS_MAIL = ("mail.starttls",)
"""Claims about mail that comes in."""
NEEDS_WITNESS = ("audit.witnessed",)
"""Claims about those who cosign the log."""


def known(settings: Settings) -> Known:
    """Return what is promised and attacked on an instance with these settings; what does not apply is only promised.

    Packages and the posture file are read once a process, before it gives up what it may read.
    """
    where = settings.destinations
    return _known(_off(settings), settings.posture.file, where.allow, where.ca_file)


def _off(settings: Settings) -> tuple[str, ...]:
    """Return the claims that say nothing about an instance with these settings."""
    off: tuple[str, ...] = () if settings.database == "embedded" else NEEDS_EMBEDDED
    off += NEEDS_RUNNER if settings.transforms.enabled is False else ()
    off += NEEDS_WITNESS if not settings.witness else ()
    return off + (NEEDS_MAIL if settings.mail.listen is None else ())


@functools.lru_cache(maxsize=8)
def _known(off: tuple[str, ...], posture_file: str | None, allow: tuple[str, ...], ca_file: str | None) -> Known:
    own = installed()
    if posture_file is not None:
        authorities = Path(ca_file) if ca_file else None
        own.append(("the posture file", posture.load(Path(posture_file), AllowList.parse(allow), authorities)))
    return join(Known(catalogue=CATALOGUE.without(off), attacks=ATTACKS, controls=CONTROLS), own)


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
        release=RELEASE,
        facts=facts(parts.database, home.clock),
        witnesses=witnesses(home.settings.witness),
        log=home.data.log,
    )


def pages(parts: Services) -> Pages:
    """Return what renders every public page, in the company's name and look."""
    home = parts.ground.home
    settings, origin = home.settings, home.identity.origin
    who, site = company(settings.company), settings.site
    name = who.name if who.named else origin.split("/")[0]
    url = (site.url or settings.public_url).rstrip("/")
    return Pages(Site(name=name, origin=origin, url=url, theme=theme_of(site)))


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


def company_pages(parts: Services, look: Callable[[], Standing], shown: Pages) -> list[Route]:
    """Return the pages of the company's registers; *look* tells how the claims stand."""
    services = company_services(parts)
    return [
        *sub_processors.routes(services, shown),
        *certifications.routes(services, shown),
        *policies.routes(services, shown),
        *operations.routes(services, look, shown),
    ]

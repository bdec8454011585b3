"""The web process's wiring: ports for the pipeline, and the table of every route of every capability."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial

from heldtrue.app import disclosing, runner
from heldtrue.app.boot import Ground
from heldtrue.app.health import Health
from heldtrue.app.metrics import WebMetrics
from heldtrue.app.operations import operations
from heldtrue.app.publication import claim_services, company_pages, pages, sources, trust_services
from heldtrue.app.registers import KINDS
from heldtrue.app.services import Services, services
from heldtrue.app.settings_company import company
from heldtrue.app.settings_leaks import reporters
from heldtrue.app.settings_mail import mail_domain
from heldtrue.app.settings_scanning import scanner
from heldtrue.app.settings_witness import witnesses
from heldtrue.app.web import Asgi
from heldtrue.capabilities.access.leaks import routes as leak_routes
from heldtrue.capabilities.access.minting import SessionServices
from heldtrue.capabilities.access.minting import routes as session_routes
from heldtrue.capabilities.access.routes import ROUTES as ACCESS
from heldtrue.capabilities.access.sessions import issuer_of
from heldtrue.capabilities.agreements.routes import routes as agreement_routes
from heldtrue.capabilities.deliveries import actions as deliveries
from heldtrue.capabilities.deliveries.outgoing import Outgoing
from heldtrue.capabilities.deliveries.routes import DeliveryServices
from heldtrue.capabilities.deliveries.routes import routes as delivery_routes
from heldtrue.capabilities.disclosure.figures import standing as standing_reports
from heldtrue.capabilities.disclosure.routes import routes as report_routes
from heldtrue.capabilities.edge.gatekeeper import Gatekeeper
from heldtrue.capabilities.edge.upstreams import routes as upstream_routes
from heldtrue.capabilities.egress.routes import ROUTES as EGRESS
from heldtrue.capabilities.evidence.routes import ROUTES as EVIDENCE
from heldtrue.capabilities.intake.model import Limits as IntakeLimits
from heldtrue.capabilities.intake.routes import IntakeServices
from heldtrue.capabilities.intake.routes import routes as intake_routes
from heldtrue.capabilities.keystore.routes import routes as keystore_routes
from heldtrue.capabilities.keystore.session_keys import routes as session_key_routes
from heldtrue.capabilities.ledger import actions as ledger
from heldtrue.capabilities.ledger.routes import routes as ledger_routes
from heldtrue.capabilities.ledger.witness_routes import routes as witness_routes
from heldtrue.capabilities.mail.routes import MailRoutes
from heldtrue.capabilities.mail.routes import routes as mail_routes
from heldtrue.capabilities.outputs.routes import routes as output_routes
from heldtrue.capabilities.portal.routes import routes as portal_routes
from heldtrue.capabilities.post import actions as post
from heldtrue.capabilities.post.routes import routes as post_routes
from heldtrue.capabilities.probe.actions import ProbeServices
from heldtrue.capabilities.probe.routes import routes as probe_routes
from heldtrue.capabilities.promises.routes import ROUTES as PROMISES
from heldtrue.capabilities.questionnaires.routes import routes as questionnaire_routes
from heldtrue.capabilities.receipts import actions as receipts
from heldtrue.capabilities.receipts.routes import ReceiptServices
from heldtrue.capabilities.receipts.routes import routes as receipt_routes
from heldtrue.capabilities.registers.company_routes import routes as company_routes
from heldtrue.capabilities.registers.routes import routes as register_routes
from heldtrue.capabilities.room import asks as room_asks
from heldtrue.capabilities.room.routes import routes as room_routes
from heldtrue.capabilities.room.services import RoomServices
from heldtrue.capabilities.tenants.routes import ROUTES as TENANTS
from heldtrue.capabilities.transforms import run_actions as runs
from heldtrue.capabilities.transforms.routes import ROUTES as FLOWS
from heldtrue.capabilities.transforms.trial import trial_routes
from heldtrue.claims.board import Standing
from heldtrue.claims.routes import routes as claim_routes
from heldtrue.http.app import build_app
from heldtrue.http.limits import Limits, Rate
from heldtrue.http.ports import Ports
from heldtrue.http.refusals import RefusedSummary
from heldtrue.http.route import Route
from heldtrue.trust.disclosure import DisclosureServices
from heldtrue.trust.disclosure import routes as disclosure_routes
from heldtrue.trust.documents import routes as document_pages
from heldtrue.trust.gaps import routes as gap_routes
from heldtrue.trust.known import facts as known_facts
from heldtrue.trust.legal import routes as legal_pages
from heldtrue.trust.questionnaire import routes as questionnaire_pages
from heldtrue.trust.routes import Look
from heldtrue.trust.routes import routes as trust_routes
from heldtrue.trust.well_known import routes as well_known_routes


def web(ground: Ground) -> tuple[Callable[[], Asgi], Callable[[], None]]:
    """Return what makes the application, and what closes it; call both in the process that serves."""
    stack = ExitStack()

    def make() -> Asgi:
        parts = stack.enter_context(services(ground))
        keeper = stack.enter_context(gatekeeper(parts).running())
        app = build_app(table(parts), ports(parts, keeper))
        stack.callback(app.close)
        return app

    return make, stack.close


def table(parts: Services) -> list[Route]:
    """Return every route of every capability."""
    settings = parts.ground.home.settings
    known = sources(parts)
    disclosure = DisclosureServices(disclosing.office(settings), disclosing.for_strangers(parts))
    return [
        *TENANTS,
        *ACCESS,
        *session_routes(SessionServices(signers=parts.signers, issuer=issuer_of(parts.ground.home.identity.origin))),
        *leak_routes(reporters(settings.leaks)),
        *intake_routes(
            IntakeServices(
                objects=parts.objects,
                limits=IntakeLimits(body=settings.limits.body_bytes, attachments=settings.limits.attachments),
                scanner=scanner(settings.scan),
                erasures=(receipts.forget, deliveries.end_deliveries, runs.forget),
            )
        ),
        *output_routes(parts.objects),
        *FLOWS,
        *receipt_routes(ReceiptServices(objects=parts.objects)),
        *delivery_routes(
            DeliveryServices(
                allow=parts.allow, outgoing=Outgoing(allow=parts.allow, authorities=parts.ground.home.authorities)
            )
        ),
        *mail_routes(MailRoutes(domain=mail_domain(settings.mail))),
        *EGRESS,
        *trial_routes(partial(runner.run_once, parts.ground.home)),
        *PROMISES,
        *post_routes(sends=parts.ground.home.smarthost is not None),
        *room_routes(room_services(parts)),
        *gap_routes(room_services(parts), standing_now(parts), parts.ground.home.identity.origin),
        *document_pages(room_services(parts), pages(parts)),
        *portal_routes(settings.portal.embed_origins),
        *ledger_routes(parts.ground.home.data.log),
        *witness_routes(parts.database, parts.ground.home.clock, witnesses(settings.witness)),
        *keystore_routes(parts.database, parts.ground.home.clock, witnesses(settings.witness)),
        *upstream_routes(parts.ground.home.platform),
        *session_key_routes(parts.ground.home.platform),
        *probe_routes(ProbeServices(signers=parts.signers, origin=parts.ground.home.identity.origin)),
        *register_routes(KINDS),
        *claim_routes(claim_services(parts)),
        *company_routes(company(settings.company)),
        *report_routes(disclosure.office),
        *EVIDENCE,
        *disclosure_routes(disclosure, pages(parts)),
        *well_known_routes(disclosure),
        *trust_routes(trust_services(parts), pages(parts)),
        *agreement_routes(parts.database),
        *questionnaire_routes(lambda: known_facts(known)[0], settings.public_url),
        *legal_pages(known, pages(parts)),
        *questionnaire_pages(known, pages(parts)),
        *company_pages(parts, known.look.standing, pages(parts)),
    ]


def room_services(parts: Services) -> RoomServices:
    """Return what the document room stands on."""
    settings = parts.ground.home.settings
    return RoomServices(
        objects=parts.objects,
        company=company(settings.company),
        url=settings.public_url,
        strangers=operations(parts, "public"),
    )


def standing_now(parts: Services) -> Callable[[], Standing]:
    """Return what tells how the claims stand; it reads them when it is first asked."""
    made: list[Look] = []

    def look() -> Standing:
        if not made:
            made.append(Look(trust_services(parts)))
        return made[0].standing()

    return look


def gatekeeper(parts: Services) -> Gatekeeper:
    """Return what knows who comes in; not running yet."""
    home = parts.ground.home
    return Gatekeeper(parts.ground.dsns.edge, home.clock, issuer_of(home.identity.origin))


def ports(parts: Services, keeper: Gatekeeper | None = None) -> Ports:
    """Return what the pipeline is given; without a *keeper* nobody is let in."""
    home, database = parts.ground.home, parts.database
    keeper = keeper or gatekeeper(parts)
    health = Health(database, parts.ground.pulse, home.clock, home.data.root, keeper.age)
    metrics = WebMetrics(home.data.run / "worker.prom", partial(facts, parts), keeper.age)
    rate = Rate(home.settings.limits.burst, home.settings.limits.requests_per_second)
    return Ports(
        database=database,
        clock=home.clock,
        entropy=parts.entropy,
        platform=home.platform,
        key_cache=parts.cache,
        authenticate=keeper.authenticate,
        agreed=keeper.agreed,
        record_audit=ledger.append_audit,
        resolve_link=partial(receipts.resolve_link, database),
        record_refusals=refusal_recorder(parts),
        ready=health.checks,
        metrics=metrics.text,
        metrics_from=home.settings.metrics_from,
        observe=metrics.observe,
        limits=Limits(organisation=rate, key=rate),
    )


def refusal_recorder(parts: Services) -> Callable[[RefusedSummary], None]:
    """Return what keeps one minute's count of refused strangers."""

    def record(summary: RefusedSummary) -> None:
        now = parts.ground.home.clock.now()
        with parts.database.system() as tx:
            ledger.append_refused(
                tx, summary.minute, summary.count, summary.reasons, summary.sources, now, parts.entropy
            )

    return record


@contextmanager
def standing(ground: Ground) -> Generator[tuple[Services, Ports]]:
    """Open services and ports for work outside the web process."""
    with services(ground) as parts:
        yield parts, ports(parts)


def facts(parts: Services) -> Mapping[str, tuple[str, float]]:
    """Return the gauges of the whole instance."""
    now: datetime = parts.ground.home.clock.now()
    with parts.database.system() as tx:
        waiting = tx.value("SELECT count(*) FROM heldtrue.payloads WHERE state = 'accepted'")
        pending = tx.value("SELECT count(*) FROM heldtrue.deliveries WHERE state = 'pending'")
        circuits_open, circuits_half, failing = deliveries.circuits(tx, now)
        runs_waiting = tx.value("SELECT count(*) FROM heldtrue.runs WHERE state IN ('queued', 'running')")
        runs_failed = tx.value("SELECT count(*) FROM heldtrue.runs WHERE state = 'failed'")
        mails = post.standing(tx)
        asked = room_asks.standing(tx, now)
        unlogged = tx.value("SELECT count(*) FROM heldtrue.log_pending")
        oldest = tx.value("SELECT min(created_at) FROM heldtrue.log_pending")
        size = tx.value("SELECT max(size) FROM heldtrue.log_checkpoints")
        answering = standing_reports(tx, now)
        key_ends = tx.value("SELECT expires_at FROM heldtrue.disclosure_keys WHERE retired_at IS NULL")
    return {
        "payloads_waiting": ("Payloads accepted and not forwarded yet.", waiting),
        "deliveries_pending": ("Deliveries under way or due.", pending),
        "endpoints_circuit_open": ("Endpoints to which nothing is sent for a while.", circuits_open),
        "endpoints_circuit_half_open": ("Endpoints that get one attempt at a time.", circuits_half),
        "endpoints_failing": ("Endpoints to which nothing was delivered since their last failure.", failing),
        "flow_runs_waiting": ("Runs of flows under way or due.", runs_waiting),
        "flow_runs_failed": ("Runs of flows that failed for good and that nobody retried or cancelled.", runs_failed),
        "post_waiting": ("Mails that wait to be sent.", mails.waiting),
        "post_failed": ("Mails that failed for good within the last 30 days.", mails.failed),
        "post_oldest_waiting_seconds": (
            "Age of the oldest mail that waits.",
            (now - mails.oldest).total_seconds() if mails.oldest else 0,
        ),
        "post_sends": ("1 where a server is set that takes our mail.", int(parts.ground.home.smarthost is not None)),
        "reports_overdue": ("Vulnerability reports that nobody acknowledged in time.", answering.overdue),
        "reports_waiting": ("Vulnerability reports to be acknowledged, with time left.", answering.waiting),
        "disclosure_key_expires_seconds": (
            "Until the published OpenPGP key expires; 0 when there is none.",
            (key_ends - now).total_seconds() if key_ends else 0,
        ),
        "requests_open": ("Requests for documents and questions that wait for an answer.", asked.open),
        "requests_overdue": ("Those of them that wait beyond their business day.", asked.overdue),
        "log_entries_waiting": ("Entries that have no index yet.", unlogged),
        "log_oldest_waiting_seconds": ("Age of the oldest of them.", (now - oldest).total_seconds() if oldest else 0),
        "log_size": ("Entries under the newest checkpoint.", size or 0),
    }

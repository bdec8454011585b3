"""Routes of what the registers are for: policies are adopted, vendors chosen, objections made and answered."""

from __future__ import annotations

from functools import partial

from heldtrue.capabilities.registers import objections, policy_desk, vendors
from heldtrue.capabilities.registers.company import Company
from heldtrue.capabilities.registers.objections import Object, ObjectionRecord, ReceivedObjection, Respond
from heldtrue.capabilities.registers.policy_desk import AdoptPolicy, ReviewPolicy
from heldtrue.capabilities.registers.vendors import ChooseVendor, VendorList, VendorRecord
from heldtrue.capabilities.registers.wire import EntryRecord
from heldtrue.http.pagination import Listing, PageQuery
from heldtrue.http.route import Realm, Route
from heldtrue.policy.permissions import Permission


def routes(company: Company) -> list[Route]:
    """Return the table of routes."""
    return [
        Route(
            at="POST /v1/policies/adopt",
            action=partial(policy_desk.adopt, company),
            summary="Put a policy in force today, from the text that ships or from your own",
            takes=AdoptPolicy,
            gives=EntryRecord,
            needs=Permission.REGISTER_WRITE,
            audits="policy.adopted",
            realm=Realm.OPERATOR,
        ),
        Route(
            at="POST /v1/policies/review",
            action=policy_desk.review,
            summary="Let a policy stand for another term, unchanged",
            takes=ReviewPolicy,
            gives=EntryRecord,
            needs=Permission.REGISTER_WRITE,
            audits="policy.reviewed",
            realm=Realm.OPERATOR,
        ),
        Route(
            at="GET /v1/objections/received",
            action=objections.list_received,
            summary="List the objections of all organisations",
            takes=PageQuery,
            gives=Listing[ReceivedObjection],
            needs=Permission.REGISTER_READ,
            audits="objection.received.listed",
            realm=Realm.OPERATOR,
        ),
        Route(
            at="POST /v1/objections/{objection_id}/response",
            action=objections.respond,
            summary="Answer an objection",
            takes=Respond,
            gives=ReceivedObjection,
            needs=Permission.REGISTER_WRITE,
            audits="objection.answered",
            realm=Realm.OPERATOR,
        ),
        Route(
            at="GET /v1/vendors",
            action=vendors.list_vendors,
            summary="List the sub-processors, with what was chosen for this environment",
            gives=VendorList,
            needs=Permission.VENDOR_READ,
            audits="vendor.listed",
        ),
        Route(
            at="PUT /v1/vendors",
            action=vendors.choose,
            summary="Opt in to an optional vendor, or out again",
            takes=ChooseVendor,
            gives=VendorRecord,
            needs=Permission.VENDOR_CHOOSE,
            audits="vendor.chosen",
        ),
        Route(
            at="GET /v1/objections",
            action=objections.list_own,
            summary="List this organisation's objections to sub-processors",
            takes=PageQuery,
            gives=Listing[ObjectionRecord],
            needs=Permission.VENDOR_READ,
            audits="objection.listed",
        ),
        Route(
            at="POST /v1/objections",
            action=objections.make_objection,
            summary="Object to a sub-processor",
            takes=Object,
            gives=ObjectionRecord,
            needs=Permission.VENDOR_CHOOSE,
            audits="objection.made",
            status=201,
            creates=True,
        ),
    ]

"""The API of mail addresses, and the policy file that senders fetch, as a table."""

from __future__ import annotations

from dataclasses import dataclass

from heldtrue.capabilities.mail import actions
from heldtrue.capabilities.mail.model import (
    AddressRevoked,
    AddressView,
    CreateAddress,
    ListAddresses,
    TheAddress,
)
from heldtrue.capabilities.mail.records import PATH, MailDomain, mta_sts_policy
from heldtrue.http.exchange import Page
from heldtrue.http.pagination import Listing
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.errors import NotFoundError
from heldtrue.op import Operation
from heldtrue.policy.permissions import Permission


class NoMailPolicyError(NotFoundError):
    """This instance takes no mail, so it has no policy for senders."""

    code = "no-mail-policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailRoutes:
    """What the routes need beyond the operation."""

    domain: MailDomain | None = None
    """None: no mail is taken."""


def routes(services: MailRoutes) -> list[Route]:
    """Return the table of routes."""
    name = None if services.domain is None else services.domain.domain

    def create(op: Operation, asked: CreateAddress) -> AddressView:
        """Create an address below the instance's mail domain."""
        return actions.create_address(op, asked, name)

    def list_all(op: Operation, asked: ListAddresses) -> Listing[AddressView]:
        """List addresses with the instance's mail domain."""
        return actions.list_addresses(op, asked, name)

    def policy() -> Page:
        """Show the policy by which senders insist on the listener's certificate."""
        if services.domain is None:
            raise NoMailPolicyError
        return Page(content=mta_sts_policy(services.domain).encode(), content_type="text/plain")

    return [
        Route(
            at="POST /v1/addresses",
            action=create,
            summary="Create a mail address",
            takes=CreateAddress,
            gives=AddressView,
            needs=Permission.ADDRESS_WRITE,
            audits="address.created",
            status=201,
            creates=True,
            tags=("addresses",),
        ),
        Route(
            at="GET /v1/addresses",
            action=list_all,
            summary="List mail addresses",
            takes=ListAddresses,
            gives=Listing[AddressView],
            needs=Permission.ADDRESS_READ,
            audits="address.listed",
            tags=("addresses",),
        ),
        Route(
            at="DELETE /v1/addresses/{address_id}",
            action=actions.revoke_address,
            summary="Revoke a mail address",
            takes=TheAddress,
            gives=AddressRevoked,
            needs=Permission.ADDRESS_WRITE,
            audits="address.revoked",
            tags=("addresses",),
        ),
        Route(
            at=f"GET {PATH}",
            action=policy,
            summary="Read the policy for senders of mail (MTA-STS)",
            produces="text/plain",
            realm=Realm.PUBLIC,
            cache=CacheClass.PAGE,
            tags=("addresses",),
        ),
    ]

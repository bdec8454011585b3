"""Routes of organisations and environments: the operator's."""

from __future__ import annotations

from heldtrue.capabilities.tenants import actions
from heldtrue.capabilities.tenants.model import (
    CreateEnvironment,
    CreateOrganisation,
    EnvironmentRecord,
    ListOrganisations,
    OrganisationRecord,
)
from heldtrue.http.pagination import Listing
from heldtrue.http.route import Realm, Route
from heldtrue.policy.permissions import Permission

ROUTES = [
    Route(
        at="POST /v1/organisations",
        action=actions.create_organisation,
        summary="Create an organisation",
        takes=CreateOrganisation,
        gives=OrganisationRecord,
        needs=Permission.ORGANISATION_CREATE,
        audits="organisation.created",
        realm=Realm.OPERATOR,
        status=201,
        creates=True,
    ),
    Route(
        at="GET /v1/organisations",
        action=actions.list_organisations,
        summary="List the organisations",
        takes=ListOrganisations,
        gives=Listing[OrganisationRecord],
        needs=Permission.ORGANISATION_READ,
        audits="organisation.listed",
        realm=Realm.OPERATOR,
    ),
    Route(
        at="POST /v1/organisations/{organisation_id}/environments",
        action=actions.create_environment,
        summary="Add an environment to an organisation",
        takes=CreateEnvironment,
        gives=EnvironmentRecord,
        needs=Permission.ENVIRONMENT_CREATE,
        audits="environment.created",
        realm=Realm.OPERATOR,
        status=201,
        creates=True,
    ),
]

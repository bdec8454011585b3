"""Routes of customers' questionnaires: the operator's."""

from __future__ import annotations

from functools import partial

from heldtrue.capabilities.agreements.wire import BODY_LIMIT
from heldtrue.capabilities.questionnaires import actions
from heldtrue.capabilities.questionnaires.actions import KnownFacts
from heldtrue.capabilities.questionnaires.wire import (
    ConfirmAnswer,
    ImportedList,
    ImportedView,
    ImportQuestionnaire,
    RowView,
    TheQuestionnaire,
)
from heldtrue.http.route import Realm, Route
from heldtrue.policy.permissions import Permission

_ONE = "/v1/questionnaires/{questionnaire_id}"


def routes(facts: KnownFacts, url: str) -> list[Route]:
    """Return the table of routes; *facts*: what is known now; *url*: where readers find the evidence."""
    return [
        Route(
            at="POST /v1/questionnaires", action=partial(actions.import_questionnaire, facts),
            summary="Take in a customer's questionnaire and propose answers", takes=ImportQuestionnaire,
            gives=ImportedView, needs=Permission.REGISTER_WRITE, audits="questionnaire.imported",
            realm=Realm.OPERATOR, status=201, creates=True, body_limit=BODY_LIMIT,
        ),
        Route(
            at="GET /v1/questionnaires", action=actions.list_questionnaires,
            summary="List the questionnaires that were taken in", gives=ImportedList, needs=Permission.REGISTER_READ,
            audits="questionnaire.listed", realm=Realm.OPERATOR,
        ),
        Route(
            at=f"GET {_ONE}", action=partial(actions.review, facts),
            summary="Review a questionnaire: what is proposed, what was confirmed", takes=TheQuestionnaire,
            gives=ImportedView, needs=Permission.REGISTER_READ, audits="questionnaire.reviewed", realm=Realm.OPERATOR,
        ),
        Route(
            at=f"PUT {_ONE}/answers/{{number}}", action=partial(actions.confirm, facts),
            summary="Confirm or edit an answer, and remember it", takes=ConfirmAnswer, gives=RowView,
            needs=Permission.REGISTER_WRITE, audits="questionnaire.answer.confirmed", realm=Realm.OPERATOR,
        ),
        Route(
            at=f"GET {_ONE}/file", action=partial(actions.export, url),
            summary="Give the customer's own file back, filled in", takes=TheQuestionnaire,
            needs=Permission.REGISTER_READ, audits="questionnaire.exported", realm=Realm.OPERATOR,
            produces="application/octet-stream",
        ),
        Route(
            at=f"DELETE {_ONE}", action=actions.remove, summary="Remove a questionnaire and its file",
            takes=TheQuestionnaire, needs=Permission.REGISTER_WRITE, audits="questionnaire.removed",
            realm=Realm.OPERATOR,
        ),
    ]  # fmt: skip

"""What the operator does with a customer's questionnaire: take it in, review, confirm, give it back filled in."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

import msgspec

from heldtrue.capabilities.questionnaires import filling, reading, shape, store, work
from heldtrue.capabilities.questionnaires.answers import Facts
from heldtrue.capabilities.questionnaires.kinds import ANSWERS, Remembered
from heldtrue.capabilities.questionnaires.wire import (
    ConfirmAnswer,
    ConfirmedView,
    ImportedList,
    ImportedSummary,
    ImportedView,
    ImportQuestionnaire,
    ProposalView,
    RowView,
    TheQuestionnaire,
)
from heldtrue.capabilities.questionnaires.work import Confirmed, Proposal, Proposer, Work
from heldtrue.capabilities.registers import actions as registers
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.http.exchange import Answer
from heldtrue.kernel.errors import BadInputError, ConflictError, NotFoundError
from heldtrue.kernel.ids import QuestionnaireId
from heldtrue.op import SystemOperation

KnownFacts = Callable[[], Facts]
PURPOSE, _TABLE = "questionnaires", "questionnaires"
_LISTED = 200


class NoQuestionsError(BadInputError):
    """No sheet has a column of questions; name it `Question` in a header row, and the next one `Answer`."""

    code = "no-questions"


class UnknownQuestionnaireError(NotFoundError):
    """There is no such questionnaire; list them to see those that were taken in."""

    code = "unknown-questionnaire"


class UnknownQuestionError(NotFoundError):
    """The questionnaire has no question of this number; review it to see them."""

    code = "unknown-question"


class NothingProposedError(ConflictError):
    """Nothing is proposed for this question; say what the answer is."""

    code = "nothing-proposed"


def import_questionnaire(facts: KnownFacts, op: SystemOperation, asked: ImportQuestionnaire) -> Answer:
    """Take in a spreadsheet and propose answers."""
    try:
        content = base64.b64decode(asked.content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise reading.UnreadableSheetError("The content is not base64.") from error
    kind, sheets = reading.read(content)
    shapes, questions = shape.find(sheets)
    if not questions:
        raise NoQuestionsError
    made, keys = QuestionnaireId.new(op.now, op.entropy), _keys(op)
    begun = work.begin(asked.name, kind, content, shapes, questions)
    place = made.value.hex
    store.insert(
        op.tx, made.value, keys.seal(PURPOSE, _TABLE, "file_sealed", place, content),
        keys.seal(PURPOSE, _TABLE, "work_sealed", place, msgspec.json.encode(begun)), op.now,
    )  # fmt: skip
    row = store.get(op.tx, made.value)
    if row is None:
        raise UnknownQuestionnaireError
    body = _view(op, facts, row, begun)
    return Answer(body=body, subject=str(made), detail={"questions": body.questions, "proposed": body.proposed})


def list_questionnaires(op: SystemOperation) -> ImportedList:
    """List what was taken in, the newest first."""
    keys = _keys(op)
    found = [(row, _opened(keys, row)) for row in store.newest(op.tx, _LISTED)]
    return ImportedList(data=[
        ImportedSummary(
            id=str(QuestionnaireId(row.questionnaire_id)), name=one.name, created_at=row.created_at,
            questions=len(one.rows), confirmed=sum(q.confirmed is not None for q in one.rows),
        )
        for row, one in found
    ])  # fmt: skip


def review(facts: KnownFacts, op: SystemOperation, asked: TheQuestionnaire) -> Answer:
    """Show every question with what was confirmed, or what is proposed by what holds now."""
    row, found = _found(op, asked.questionnaire_id)
    return Answer(body=_view(op, facts, row, found), subject=asked.questionnaire_id)


def confirm(facts: KnownFacts, op: SystemOperation, asked: ConfirmAnswer) -> Answer:
    """Confirm or edit an answer; it is remembered for the next questionnaire."""
    row, found = _found(op, asked.questionnaire_id)
    question = next((one for one in found.rows if one.number == asked.number), None)
    if question is None:
        raise UnknownQuestionError
    proposal = _proposer(op, facts).propose(question)
    if proposal is None and (asked.answer is None or asked.text is None):
        raise NothingProposedError
    edited = proposal is None or asked.answer not in {None, proposal.answer}
    confirmed = Confirmed(
        answer=asked.answer or (proposal.answer if proposal else "text"),
        text=asked.text if asked.text is not None else proposal.text if proposal else "",
        ours=proposal.ours if proposal else None,
        state=proposal.state if proposal and not edited else _stated(proposal),
        page=proposal.page if proposal else None, by=asked.confirmed_by, at=op.now,
    )  # fmt: skip
    question.confirmed = confirmed
    keys = _keys(op)
    sealed = keys.seal(PURPOSE, _TABLE, "work_sealed", row.questionnaire_id.hex, msgspec.json.encode(found))
    store.save(op.tx, row.questionnaire_id, sealed, op.now)
    registers.put(op, ANSWERS, work.item_of(question.question), _remembered(question.question, confirmed))
    return Answer(body=_row(question, None, None), subject=asked.questionnaire_id, detail={"number": asked.number})


def export(url: str, op: SystemOperation, asked: TheQuestionnaire) -> Answer:
    """Give the customer's own file back, with what was confirmed written in; the rest stays empty."""
    row, found = _found(op, asked.questionnaire_id)
    sealed = store.file(op.tx, row.questionnaire_id)
    if sealed is None:
        raise UnknownQuestionnaireError
    content = _keys(op).open(PURPOSE, _TABLE, "file_sealed", row.questionnaire_id.hex, sealed)
    filled = filling.fill(found.kind, content, work.cells(found, url))
    office = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return Answer(
        content=filled, content_type=office if found.kind == "xlsx" else "text/csv; charset=utf-8",
        headers={"content-disposition": "attachment"}, subject=asked.questionnaire_id,
    )  # fmt: skip


def remove(op: SystemOperation, asked: TheQuestionnaire) -> Answer:
    """Remove a questionnaire and its file; what was confirmed stays remembered."""
    row, _ = _found(op, asked.questionnaire_id)
    store.delete(op.tx, row.questionnaire_id)
    return Answer(subject=asked.questionnaire_id)


def _stated(proposal: Proposal | None) -> str:
    """Return the state of an answer that a person gave in place of what was proposed."""
    weak = proposal is not None and proposal.answer in {"partial", "not evidenced"}
    return proposal.state if proposal is not None and weak else "stated"


def _remembered(question: str, given: Confirmed) -> Remembered:
    return Remembered(
        question=question, answer=given.answer, text=given.text, ours=given.ours, state=given.state,  # pyright: ignore[reportArgumentType]
        confirmed_by=given.by,
    )  # fmt: skip


def _keys(op: SystemOperation) -> TenantKeyring:
    keys = registers.keyring(op, ANSWERS)
    if keys is None:
        raise TypeError("the register of answers is private")
    return keys


def _found(op: SystemOperation, questionnaire_id: str) -> tuple[store.Row, Work]:
    row = store.get(op.tx, QuestionnaireId.parse(questionnaire_id).value)
    if row is None:
        raise UnknownQuestionnaireError
    return row, _opened(_keys(op), row)


def _opened(keys: TenantKeyring, row: store.Row) -> Work:
    packed = keys.open(PURPOSE, _TABLE, "work_sealed", row.questionnaire_id.hex, row.work_sealed)
    return msgspec.json.decode(packed, type=Work)


def _proposer(op: SystemOperation, facts: KnownFacts) -> Proposer:
    known = registers.current(op.tx, ANSWERS, _keys(op))
    return Proposer(facts(), {entry.item: entry.document for entry in known})


def _view(op: SystemOperation, facts: KnownFacts, row: store.Row, found: Work) -> ImportedView:
    proposer = _proposer(op, facts)
    rows = [
        _row(one, None if one.confirmed else proposer.propose(one), proposer if one.confirmed else None)
        for one in found.rows
    ]
    return ImportedView(
        id=str(QuestionnaireId(row.questionnaire_id)), name=found.name, kind=found.kind, sha256=found.sha256,
        created_at=row.created_at, questions=len(rows), proposed=sum(one.proposal is not None for one in rows),
        confirmed=sum(one.confirmed is not None for one in rows), rows=rows,
    )  # fmt: skip


def _row(one: work.Row, proposal: Proposal | None, proposer: Proposer | None) -> RowView:
    given = one.confirmed
    return RowView(
        number=one.number, sheet=one.sheet, row=one.row, id=one.id, question=one.question, existing=one.existing,
        proposal=None if proposal is None else ProposalView(
            source=proposal.source, score=proposal.score, matched=proposal.matched, answer=proposal.answer,
            text=proposal.text, state=proposal.state, page=proposal.page, changed=proposal.changed,
        ),
        confirmed=None if given is None else ConfirmedView(
            answer=given.answer, text=given.text, state=given.state, page=given.page, by=given.by, at=given.at,
            changed=_changed(given, proposer),
        ),
    )  # fmt: skip


def _changed(given: Confirmed, proposer: Proposer | None) -> str | None:
    if proposer is None or given.ours is None or given.state == "stated":
        return None
    now = str(proposer.current(given.ours).basis)
    return None if now == given.state else f"{given.state} when it was confirmed, {now} now"

"""What strangers do: send a report, follow it by its link, add to it. Bounded in size, in number and by source."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from heldtrue.capabilities.disclosure import keys as published
from heldtrue.capabilities.disclosure import model, store
from heldtrue.capabilities.disclosure.model import (
    MOST_A_DAY,
    MOST_MESSAGES,
    Report,
    State,
    TooManyMessagesError,
    TooManyReportsError,
    UnknownReportError,
)
from heldtrue.capabilities.disclosure.office import (
    PURPOSE,
    Mail,
    Office,
    digest_of,
    keyring,
    record,
    token_of,
)
from heldtrue.capabilities.disclosure.pgp import NoGnupgError, UnusableKeyError
from heldtrue.capabilities.disclosure.wire import SendReport
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.http.limits import Gcra, Rate
from heldtrue.kernel.ids import ReportId
from heldtrue.op import SystemOperation

AT_ONCE = Rate(5, 1 / 600)
"""Reports and messages of one source: five at once, then one in ten minutes."""
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reported, as far as they said."""

    title: str
    name: str | None
    mail: str | None
    named: bool


@dataclass(frozen=True, slots=True)
class Message:
    """One message, opened."""

    number: int
    author: str
    encrypted: bool
    text: str
    sent_at: datetime


class Doorstep:
    """How much one source may leave at once, remembered in memory."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._sources = Gcra("reports", AT_ONCE, monotonic, 10_000)

    def admit(self, source: str) -> None:
        """Count one message of *source*; raise `TooManyReportsError` over the limit."""
        standing = self._sources.take(source)
        if not standing.admitted:
            raise TooManyReportsError("Too much came from here at once.", retry_after=standing.retry_after)


def receive(op: SystemOperation, office: Office, asked: SendReport) -> tuple[Report, str]:
    """Keep a report, sealed, start its clock, and tell the company; return it and its reporter's token."""
    encrypted = model.judge_text(asked.text)
    if store.count_since(op.tx, op.now - DAY) >= MOST_A_DAY:
        raise TooManyReportsError("More reports came today than are taken in a day.", retry_after=3600.0)
    keys = keyring(op)
    id_ = ReportId.new(op.now, op.entropy)
    report = Report(
        report_id=id_.value, state=State.RECEIVED, encrypted=encrypted, calendar=office.calendar, zone=office.zone,
        received_at=op.now, due_at=office.due(op.now),
    )  # fmt: skip
    token = token_of(keys, id_)
    known = Reporter(asked.title, asked.name, asked.mail, asked.named == "yes" and bool(asked.name))
    store.insert(op.tx, report, digest_of(token), _seal_reporter(keys, id_, known))
    _keep(op, keys, report, 1, "reporter", asked.text, encrypted=encrypted)
    record(op, "report.received", id_, encrypted=encrypted, due_at=report.due_at.isoformat())
    _tell_company(op, office, report, f"A vulnerability report came in: {id_}", asked.text, encrypted=encrypted)
    if asked.mail is not None:
        text = (
            f"Thank you. Your report was received as {id_}.\n\nFollow it and add to it here; whoever has this address"
            f" can read it:\n{office.link(token)}\n"
        )
        office.post(op, Mail(to=asked.mail, subject="Your report was received", text=text, about=str(id_)))
    return report, token


def follow(op: SystemOperation, token: str) -> tuple[Report, Reporter, list[Message]]:
    """Return what a reporter's link leads to; raise `UnknownReportError` where it leads nowhere."""
    report = store.by_link(op.tx, digest_of(token)) if token.isascii() and len(token) <= 64 else None
    if report is None:
        raise UnknownReportError("This link leads to no report; copy it whole.")
    keys = keyring(op)
    return report, reporter_of(op, keys, report.id), messages_of(op, keys, report.id)


def add(op: SystemOperation, office: Office, token: str, text: str) -> Report:
    """Keep another message of a report's reporter, and tell the company."""
    encrypted = model.judge_text(text)
    report, _, messages = follow(op, token)
    if len(messages) >= MOST_MESSAGES:
        raise TooManyMessagesError
    _keep(op, keyring(op), report, len(messages) + 1, "reporter", text, encrypted=encrypted)
    record(op, "report.message.received", report.id)
    _tell_company(op, office, report, f"More about report {report.id}", text, encrypted=encrypted)
    return report


def answer(op: SystemOperation, office: Office, report: Report, text: str) -> None:
    """Keep a message of the company's, and tell the reporter that there is one."""
    model.judge_text(text)
    keys = keyring(op)
    number = len(store.messages(op.tx, report.report_id)) + 1
    if number > MOST_MESSAGES:
        raise TooManyMessagesError
    _keep(op, keys, report, number, "company", text, encrypted=False)
    tell_reporter(op, office, report)


def tell_reporter(op: SystemOperation, office: Office, report: Report) -> None:
    """Tell a reporter who gave an address that something happened; what happened is on the report's own page only."""
    keys = keyring(op)
    mail = reporter_of(op, keys, report.id).mail
    if mail is not None:
        link = office.link(token_of(keys, report.id))
        text = f"There is news of your report {report.id}, which is {report.state}:\n{link}\n"
        office.post(op, Mail(to=mail, subject=f"News of your report {report.id}", text=text, about=str(report.id)))


def reporter_of(op: SystemOperation, keys: TenantKeyring, report: ReportId) -> Reporter:
    """Return who reported, opened."""
    sealed = store.reporter(op.tx, report.value)
    return Reporter(**json.loads(keys.open(PURPOSE, "reports", "reporter_sealed", str(report.value), sealed)))


def messages_of(op: SystemOperation, keys: TenantKeyring, report: ReportId) -> list[Message]:
    """Return a report's messages, opened."""
    return [
        Message(row.number, row.author, row.encrypted, _opened(keys, report, row), row.sent_at)
        for row in store.messages(op.tx, report.value)
    ]


def _opened(keys: TenantKeyring, report: ReportId, row: store.MessageRow) -> str:
    place = f"{report.value}/{row.number}"
    return keys.open(PURPOSE, "report_messages", "text_sealed", place, row.text_sealed).decode()


def _seal_reporter(keys: TenantKeyring, report: ReportId, known: Reporter) -> bytes:
    written = {"title": known.title, "name": known.name, "mail": known.mail, "named": known.named}
    return keys.seal(PURPOSE, "reports", "reporter_sealed", str(report.value), json.dumps(written).encode())


def _keep(
    op: SystemOperation, keys: TenantKeyring, report: Report, number: int, author: str, text: str, *, encrypted: bool
) -> None:
    place = f"{report.report_id}/{number}"
    sealed = keys.seal(PURPOSE, "report_messages", "text_sealed", place, text.encode())
    store.add_message(op.tx, report.report_id, number, author, encrypted=encrypted, sealed=sealed, at=op.now)


def _tell_company(
    op: SystemOperation, office: Office, report: Report, subject: str, text: str, *, encrypted: bool
) -> None:
    """Send the security contact a copy, encrypted to the published key; without a key, only that there is one."""
    if not office.mail:
        return
    body = f"{report.id}: acknowledge by {report.due_at.isoformat()}.\nheldtrue reports show {report.id}\n"
    copy = text if encrypted else _copy(op, text)
    told = body + (f"\n{copy}\n" if copy else "")
    office.post(op, Mail(to=office.mail, subject=subject, text=told, about=str(report.id)))


def _copy(op: SystemOperation, text: str) -> str | None:
    """Return *text* encrypted to the published key; None where that cannot be done: a report is taken all the same."""
    try:
        return published.encrypted(op, text)
    except (NoGnupgError, UnusableKeyError):
        return None


def moved(report: Report, state: State) -> Report:
    """Return *report* in *state*; raise `IllegalMoveError`."""
    return replace(report, state=model.move(report.state, state))

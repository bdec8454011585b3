"""What the room writes to people. Plain text; a link is a bearer's, so that nobody but its reader is sent one."""

from __future__ import annotations

from datetime import datetime

from heldtrue.capabilities.post.actions import enqueue
from heldtrue.capabilities.registers.company import Company
from heldtrue.capabilities.room.kinds import Agreement, Document
from heldtrue.capabilities.room.model import AskKind, shown
from heldtrue.kernel.ids import AskId
from heldtrue.op import SystemOperation

KINDS: dict[AskKind, str] = {
    "document": "document request", "procurement": "procurement question", "legal": "legal question",
}  # fmt: skip


def send(op: SystemOperation, to: str, subject: str, about: str, *paragraphs: str) -> None:
    """Give a mail of *paragraphs* into the queue."""
    enqueue(
        op.tx, keys=op.keys_of, to=to, subject=subject, text="\n\n".join(part for part in paragraphs if part.strip()),
        about=about, now=op.now, entropy=op.entropy,
    )  # fmt: skip


def received(op: SystemOperation, company: Company, ask: AskId, kind: AskKind, to: str, due_at: datetime) -> None:
    """Tell an asker that the request came, and until when it is answered."""
    send(
        op, to, f"Your {KINDS[kind]} was received", f"room.received:{ask}",
        f"{company.name} received your {KINDS[kind]} and will answer it by {shown(due_at)}.",
        f"Its number is {ask}.",
        "If you asked for nothing, somebody entered your address; you need do nothing, and nothing more is sent to you"
        " than the answer.",
    )  # fmt: skip


def waiting(op: SystemOperation, company: Company, ask: AskId, kind: AskKind, due_at: datetime) -> None:
    """Tell the company that a request waits, where it has an address for that; who asks is not in the mail."""
    to = company.legal_mail if kind == "legal" and company.legal_mail else company.support_mail
    if to:
        send(
            op, to, f"A {KINDS[kind]} waits until {shown(due_at)}", f"room.waiting:{ask}",
            f"Read it with `heldtrue requests show {ask}`.",
        )  # fmt: skip


def granted(
    op: SystemOperation, company: Company, ask: AskId, document: Document, to: str, link: str, ends: datetime, note: str
) -> None:
    """Send a reader the link to a document."""
    under = "It is under a non-disclosure agreement, which you read and accept there first." if (
        document.level == "nda"
    ) else ""  # fmt: skip
    send(
        op, to, "The document that you asked for", f"room.granted:{ask}",
        f"{company.name} gives you access to: {document.title}", link, under, note,
        f"The link works until {shown(ends)}. It is for you alone: whoever has it can read the document, and every"
        " copy carries your name.",
    )  # fmt: skip


def refused(op: SystemOperation, company: Company, ask: AskId, to: str, reason: str) -> None:
    """Tell an asker that the request was refused, and why."""
    send(
        op, to, "About your request", f"room.refused:{ask}", f"{company.name} cannot give you what you asked for.",
        reason, f"The number of your request is {ask}.",
    )  # fmt: skip


def answered(op: SystemOperation, company: Company, ask: AskId, kind: AskKind, to: str, text: str) -> None:
    """Send the answer to a question."""
    send(
        op, to, f"The answer to your {KINDS[kind]}", f"room.answered:{ask}", text,
        f"{company.name}. The number of your question is {ask}.",
    )  # fmt: skip


def accepted(op: SystemOperation, company: Company, ask: AskId, agreement: Agreement, version: int, to: str) -> None:
    """Send a reader what they accepted."""
    send(
        op, to, "What you accepted", f"room.accepted:{ask}",
        f"At {shown(op.now)} you accepted this agreement with {company.legal_name}, version {version}, SHA-256"
        f" {agreement.digest()}:",
        agreement.title, agreement.text,
    )  # fmt: skip

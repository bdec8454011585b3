"""A draft as the bytes that are sent: RFC 5322 and MIME, the same bytes whenever the same draft is composed."""

from __future__ import annotations

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from heldtrue.capabilities.post.model import Draft
from heldtrue.kernel.ids import MailId

_POLICY = SMTP.clone(max_line_length=900, cte_type="7bit")
"""A folded URL would be taken apart into encoded words, so header lines may be long (RFC 5322, section 2.1.1)."""


def compose(mail: MailId, draft: Draft, sender: str, name: str, reply_to: str | None, at: datetime) -> bytes:
    """Return the message of *draft* from *name* <*sender*>, dated *at*.

    Every header value is set through a policy that refuses line breaks, whatever checked it before. The `Message-ID`
    is the mail's own id at the sender's domain, so that a message that comes twice is known to be one.
    """
    message = EmailMessage(_POLICY)
    message["From"] = Address(name, addr_spec=sender)
    message["To"] = Address(addr_spec=draft.to)
    if reply_to is not None:
        message["Reply-To"] = Address(addr_spec=reply_to)
    message["Subject"] = draft.subject
    message["Date"] = format_datetime(at.replace(microsecond=0))
    message["Message-ID"] = message_id(mail, sender)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834, section 5: no answering machine answers
    if draft.unsubscribe is not None:
        message["List-Unsubscribe"] = f"<{draft.unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058, section 3.1
    message.set_content(_lines(draft.text), cte="quoted-printable")
    if draft.html is not None:
        message.add_alternative(_lines(draft.html), subtype="html", cte="quoted-printable")
        message.set_boundary(f"=_{mail.value.hex}")
    return message.as_bytes()


def message_id(mail: MailId, sender: str) -> str:
    """Return the `Message-ID` of a mail from *sender*."""
    return f"<{mail.value.hex}@{sender.rpartition('@')[2]}>"


def _lines(text: str) -> str:
    return "\n".join(text.splitlines()) + "\n"

"""The section `[post]`: the server that takes our mail, and in whose name it goes."""

from __future__ import annotations

import ssl
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from heldtrue.app.secret_uri import resolve_secret
from heldtrue.capabilities.post.model import MailAddressError, check_address, one_line
from heldtrue.capabilities.post.smtp import Smarthost
from heldtrue.kernel.errors import SettingsError


class Post(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Mail out; without `host` mails wait, and nobody is told anything."""

    host: str | None = None
    """The server that takes our mail, as `smtp.example.com`; its certificate must vouch for this name."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    """587 with STARTTLS, 465 with implicit TLS, when not set."""
    tls: Literal["starttls", "implicit"] = "starttls"
    """`starttls`: demanded before anything else is said; `implicit`: TLS from the first byte. There is no third."""
    username: str | None = None
    password_from: str | None = None
    """A secret URI that holds the password: `file:/path` (mode 0600) or `env:NAME`."""
    sender: str | None = msgspec.field(name="from", default=None)
    """As `Example Trust <trust@example.com>`; failure reports go to this address."""
    reply_to: str | None = None
    ca_file: str | None = None
    """A PEM file of authorities that vouch for the server beside the system's."""

    def __post_init__(self) -> None:
        if self.host is None:
            return
        if not self.host or not all(part for part in self.host.split(".")) or ":" in self.host or "/" in self.host:
            raise SettingsError(f"post.host = {self.host!r} is not a host", advice='Write it as "smtp.example.com".')
        if self.sender is None:
            raise SettingsError(
                "post.host is set and post.from is not", advice='Write from = "Example Trust <trust@example.com>".'
            )
        split_sender("post.from", self.sender)
        if self.reply_to is not None:
            split_sender("post.reply_to", self.reply_to)
        if (self.username is None) != (self.password_from is None):
            raise SettingsError("post.username and post.password_from go together", advice="Set both, or neither.")
        if self.password_from is not None and self.password_from.partition(":")[0] not in {"file", "env"}:
            raise SettingsError(
                "post.password_from is not a secret URI",
                advice='Put it into a file with mode 0600 and write password_from = "file:/path/to/it".',
            )

    @property
    def sends(self) -> bool:
        """Whether any mail goes out."""
        return self.host is not None


def smarthost(post: Post) -> Smarthost | None:
    """Return the server that takes our mail, its password resolved; None where none is set."""
    if post.host is None or post.sender is None:
        return None
    name, address = split_sender("post.from", post.sender)
    implicit = post.tls == "implicit"
    return Smarthost(
        host=post.host,
        port=post.port or (465 if implicit else 587),
        implicit_tls=implicit,
        sender=address,
        name=name,
        reply_to=None if post.reply_to is None else split_sender("post.reply_to", post.reply_to)[1],
        username=post.username,
        password=None if post.password_from is None else resolve_secret(post.password_from),
        authorities=_authorities(post.ca_file),
    )


def split_sender(setting: str, text: str) -> tuple[str, str]:
    """Return name and address of `Name <name@example.com>`; the name may be left out."""
    name, address = parseaddr(text)
    try:
        check_address(address)
    except MailAddressError as error:
        raise SettingsError(
            f"{setting} = {text!r} is no mail address", advice='Write it as "Example Trust <trust@example.com>".'
        ) from error
    if not one_line(name):
        raise SettingsError(f"{setting} has a character in it that does not print", advice="Write the name plainly.")
    return name, address


def _authorities(file: str | None) -> str | None:
    if file is None:
        return None
    try:
        text = Path(file).read_text("ascii")
        ssl.create_default_context(cadata=text)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise SettingsError(
            f"post.ca_file {file} cannot be used: {error}", advice="Name a readable file of PEM certificates."
        ) from error
    return text

"""What `heldtrue doctor` looks at of mail that goes out: whether any does, and whether the server takes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from heldtrue.app.findings import Finding, Level
from heldtrue.app.settings_post import Post, smarthost
from heldtrue.capabilities.post.smtp import knock
from heldtrue.kernel.errors import SettingsError

PATIENCE = 10.0
"""Seconds to wait for each of the server's answers."""
_ADVICE = {
    "connect": "Is post.host reachable from here, and does the firewall let us out?",
    "timeout": "Is post.port the right one? 587 is for STARTTLS, 465 for implicit TLS.",
    "no-tls": "The server offers no STARTTLS; use another port, or a server that encrypts.",
    "certificate": "post.host must be a name in its certificate; name a private authority with post.ca_file.",
    "tls": "The server must speak TLS 1.2 or newer.",
    "sign-in": "Check post.username and what post.password_from holds.",
}


def examine_post(post: Post) -> Iterator[Finding]:
    """Yield a finding for mail out; comes as far as signing in, and sends nothing."""
    if not post.sends:
        yield Finding(
            "post", Level.ADVICE, "no mail goes out: notices, links and acknowledgements wait",
            "Set host and from under [post].",
        )  # fmt: skip
        return
    try:
        host = smarthost(post)
    except SettingsError as error:
        yield Finding("post", Level.WRONG, error.message, error.advice)
        return
    if host is None:
        return
    found = knock(replace(host, timeout=PATIENCE))
    where = f"{host.host}:{host.port}, {'TLS first' if host.implicit_tls else 'STARTTLS demanded'}"
    if found.failure is None:
        yield Finding("post", Level.OK, f"{host.sender} by {where}, certificate verified")
        return
    said = f": {found.reply}" if found.reply else ""
    yield Finding("post", Level.WRONG, f"{where} fails ({found.failure}){said}", _ADVICE.get(found.failure, ""))

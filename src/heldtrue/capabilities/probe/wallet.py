"""The credentials of a run: put into requests, spoilt on purpose, and never into anything that is shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique

from heldtrue.capabilities.probe.file import Send
from heldtrue.kernel.secret import Secret

NONSENSE = "nonsense-and-no-credential"
HIDDEN = "[credential]"


@unique
class Who(StrEnum):
    """Whose credential a request carries; the value is its name in a reproduction line."""

    NOBODY = ""
    A = "KEY"
    B = "OTHER_KEY"
    EXPIRED = "EXPIRED_KEY"
    REVOKED = "REVOKED_KEY"
    LOWER = "LOWER_KEY"
    ADMIN = "ADMIN_KEY"
    NONSENSE = "NONSENSE"
    ALTERED = "ALTERED_KEY"
    UNSIGNED = "UNSIGNED_TOKEN"


@dataclass(frozen=True, slots=True)
class Wallet:
    """What is known of credentials, by whose they are."""

    send: Send
    known: Mapping[Who, Secret[str]] = field(repr=False)

    @classmethod
    def of(cls, send: Send, given: Mapping[Who, Secret[str]]) -> Wallet:
        """Return a wallet of the *given* credentials and of what can be made of a's."""
        good = given[Who.A].reveal()
        made: dict[Who, Secret[str]] = {**given, Who.NONSENSE: Secret(NONSENSE), Who.ALTERED: Secret(altered(good))}
        token = unsigned(good)
        if token is not None:
            made[Who.UNSIGNED] = Secret(token)
        return cls(send, made)

    def has(self, who: Who) -> bool:
        """Whether there is such a credential; nobody's is always there."""
        return who is Who.NOBODY or who in self.known

    def headers(self, who: Who) -> dict[str, str]:
        """Return the header that carries the credential."""
        if who is Who.NOBODY:
            return {}
        return {self.send.header: f"{self.send.prefix}{self.known[who].reveal()}"}

    def header_line(self, who: Who) -> str:
        """Return the same for a reader, with a placeholder."""
        value = NONSENSE if who is Who.NONSENSE else f"${who.value}"
        return f"{self.send.header}: {self.send.prefix}{value}"

    def redact(self, text: str) -> str:
        """Return *text* without any credential."""
        for who, secret in self.known.items():
            if who is not Who.NONSENSE and secret.reveal():
                text = text.replace(secret.reveal(), HIDDEN)
        return text


def altered(credential: str) -> str:
    """Return *credential* with one letter or digit changed; of a signed token, one of its signature."""
    token = credential.count(".") == 2
    start = credential.rindex(".") if token else 0
    places = [
        place for place, letter in enumerate(credential) if place >= start and letter.isascii() and letter.isalnum()
    ]
    if not places:
        return credential + "x"
    place = places[len(places) // 2 if token else len(places) * 2 // 3]
    return f"{credential[:place]}{'b' if credential[place] != 'b' else 'c'}{credential[place + 1 :]}"


def unsigned(credential: str) -> str | None:
    """Return a JSON Web Token's claims under `alg: none` (RFC 7519, section 6); None where it is no such token."""
    parts = credential.split(".")
    if len(parts) != 3:
        return None
    try:
        header = json.loads(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
    except ValueError:
        return None
    if not isinstance(header, dict) or "alg" not in header:
        return None
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    return f"{none}.{parts[1]}."

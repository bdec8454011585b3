"""`/.well-known/security.txt` (RFC 9116). Its expiry is renewed each day by itself. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from heldtrue.capabilities.disclosure.office import Office

LIFE = timedelta(days=180)
"""From the beginning of the day; RFC 9116, section 2.5.5, recommends less than a year."""
PATH = "/.well-known/security.txt"
KEY_PATH = "/.well-known/pgp-key.txt"


def text(office: Office, now: datetime, *, key: bool, advisories: bool) -> str:
    """Return the file at *now*: the same all day, so that it is signed once a day."""
    url = office.url
    expires = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + LIFE
    lines = [f"Contact: {url}/trust/disclosure/report"]
    if office.mail:
        lines.append(f"Contact: mailto:{office.mail}")
    lines.append(f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}")
    if key:
        lines.append(f"Encryption: {url}{KEY_PATH}")
    lines += [
        f"Preferred-Languages: {', '.join(office.languages)}",
        f"Canonical: {url}{PATH}",
        f"Policy: {url}/trust/disclosure",
        f"Acknowledgments: {url}/trust/disclosure#thanks",
    ]
    if office.hiring:
        lines.append(f"Hiring: {office.hiring}")
    if advisories:
        lines.append(f"CSAF: {url}/.well-known/csaf/provider-metadata.json")
    return "".join(f"{line}\n" for line in lines)

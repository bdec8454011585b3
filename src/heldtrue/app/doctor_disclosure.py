"""What `heldtrue doctor` looks at of disclosure: GnuPG, somebody to write to, and who the company is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from heldtrue.app.findings import Finding, Level
from heldtrue.app.settings import Settings


def examine_disclosure(settings: Settings) -> Iterator[Finding]:
    """Yield what keeps reports of vulnerabilities from being taken well."""
    if shutil.which("gpg") is None:
        yield Finding(
            "disclosure", Level.ADVICE, "GnuPG is not installed: security.txt is not signed and no key can be made",
            "Install the package gnupg.",
        )  # fmt: skip
    if not settings.company.security_mail:
        yield Finding(
            "disclosure", Level.ADVICE, "reports come by the form only, and nobody is told of them by mail",
            'Set company.security_mail = "security@example.com".',
        )  # fmt: skip
    else:
        yield Finding("disclosure", Level.OK, f"reports reach {settings.company.security_mail}, and the form")

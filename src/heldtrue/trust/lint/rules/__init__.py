"""Every rule of the linter, as one table."""

from __future__ import annotations

from heldtrue.trust.lint.model import Rule
from heldtrue.trust.lint.rules import certifications, counts, dates, keys, promises, reading, vendors, windows

RULES: tuple[Rule, ...] = (
    *certifications.RULES,
    *counts.RULES,
    *dates.RULES,
    *keys.RULES,
    *windows.RULES,
    *vendors.RULES,
    *reading.RULES,
    *promises.RULES,
)

"""Promises: two that contradict each other, ones that a trust document denies, and ones that nothing stands behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from heldtrue.trust.lint.dates import dates, spans, told
from heldtrue.trust.lint.model import Context, Finding, Level, Page, Rule, Sentence
from heldtrue.trust.lint.rows import rows_of

_TLS = re.compile(
    r"\bTLS ?v?(1\.\d)[^.;]*?(?:\bor (?:higher|later|above|newer)|\band (?:higher|above|later)|\bminimum|\+)",
    re.IGNORECASE,
)
_TLS_LEAST = re.compile(
    r"(?:nothing|not|never|no(?:thing)?(?: version)?) (?:below|under|older than) (?:TLS ?v?)?(1\.\d)", re.IGNORECASE
)
_BITS = re.compile(r"\bAES-?(128|192|256)\b", re.IGNORECASE)
_REST = re.compile(r"at rest|stored|storage|disk|backups?|database", re.IGNORECASE)
_NOTICE = re.compile(r"notice|advance|before", re.IGNORECASE)
_PROCESSOR = re.compile(r"sub-?processors?", re.IGNORECASE)
_LOGS = re.compile(r"\b(?:audit )?logs?\b|\baudit (?:entries|trail)", re.IGNORECASE)
_KEPT = re.compile(r"\b(?:kept|retain\w*|retention|stored for|available for)\b", re.IGNORECASE)
_BACKUP = re.compile(r"\bbackups?\b", re.IGNORECASE)
_ACK = re.compile(r"acknowledg", re.IGNORECASE)
_REPORTS = re.compile(r"vulnerabilit|security report|disclosure", re.IGNORECASE)

_CLAIMS = re.compile(
    r"\b(?:we (?!(?:may|might|could|plan|aim|hope|intend|will|do not|don'?t)\b)\w+|(?:is|are"
    r"|has|have) (?:always |never |been |only )?\w+(?:ed|en|able|pt|ct|ft|rs)\b"
    r"|always|never|every|all (?:data|access|traffic|requests|keys|our)|encrypts?|cannot"
    r"|guarantee\w*|ensures?|must|no (?:one|body|other))\b",
    re.IGNORECASE,
)
_PLAN = re.compile(
    r"\b(?:planned|plans? (?:to|for)|roadmap|promised|not built|will|aim to|intend|not yet|self-declared"
    r"|attested|if|when you|you (?:can|may|must|should))\b|\?$",
    re.I,
)
_PROOF = re.compile(
    r"\b(?:report|letter|certificate|attestation) (?:is |of |from |dated )|\bsha-?256\b"
    r"|\bdated \d|\bevidence\b|https?://|\bproven\b|see (?:below|the)",
    re.IGNORECASE,
)


def _spans_about(page: Page, *words: re.Pattern[str]) -> list[tuple[timedelta, Sentence]]:
    found: list[tuple[timedelta, Sentence]] = []
    for one in page.said():
        if all(word.search(one.text) for word in words):
            lengths = [length for length, match in spans(one.text) if not match[2]]
            found += [(lengths[0], one)] if len(lengths) == 1 else []
    return found


def contradictions(page: Page, _context: Context) -> Iterator[Finding]:
    """Find two sentences that give different values for one thing."""
    tls = [
        (found[1], one)
        for one in page.said()
        for pattern in (_TLS, _TLS_LEAST)
        for found in [pattern.search(one.text)]
        if found
    ]
    yield from _differ(tls, "the least version of TLS", "TLS ")
    bits = [
        (found[1], one) for one in page.said() if _REST.search(one.text) for found in [_BITS.search(one.text)] if found
    ]
    yield from _differ(bits, "the encryption at rest", "AES-")
    for what, words in (
        ("the notice before a new sub-processor", (_PROCESSOR, _NOTICE)),
        ("how long logs are kept", (_LOGS, _KEPT)),
        ("how long backups are kept", (_BACKUP, _KEPT)),
        ("how soon a report is acknowledged", (_ACK, _REPORTS)),
    ):
        yield from _differ([(told(length), one) for length, one in _spans_about(page, *words)], what)


def _differ(values: list[tuple[str, Sentence]], what: str, prefix: str = "") -> Iterator[Finding]:
    first = values[0] if values else None
    for value, one in values[1:]:
        if first is not None and value != first[0]:
            said = f"{prefix}{first[0]} in line {first[1].line} and {prefix}{value} here"
            yield DIFFER.found(one, f"Of {what} the page says {said}.", also=[first[1]])


def denied(page: Page, context: Context) -> Iterator[Finding]:
    """Find a promise that the trust document does not hold up."""
    for one in page.said() if context.states else ():
        rows = rows_of(one.text)
        known = [row for row in rows if row in context.states]
        if not known or not _CLAIMS.search(one.text) or _PLAN.search(one.text):
            continue
        best = {context.states[row] for row in known}
        if best <= {"promised", "failing", "stale"}:
            said = ", ".join(f"{row} {context.states[row]}" for row in known)
            yield DENIED.found(one, f"By the trust document this does not hold: {said}.", rows=rows)


def unproven(page: Page, _context: Context) -> Iterator[Finding]:
    """Find a promise without a link, a date, a state or a document."""
    for one in page.said():
        rows = rows_of(one.text)
        if one.state or one.links or not rows or len(one.text.split()) < 4:
            continue
        if not _CLAIMS.search(one.text) or _PLAN.search(one.text) or _PROOF.search(one.text) or dates(one.text):
            continue
        yield UNPROVEN.found(
            one, "Nothing stands behind this: link what shows it, or date it and name who says so.", rows=rows
        )


DIFFER = Rule(
    name="two-values",
    level=Level.ERROR,
    about="One thing has one value on the whole page.",
    check=contradictions,
)
DENIED = Rule(
    name="not-held",
    level=Level.ERROR,
    about="A sentence may not promise what the trust document shows as promised only, stale or failing.",
    check=denied,
)
UNPROVEN = Rule(
    name="promise-without-proof",
    level=Level.NOTE,
    about="A promise needs something that a reader can check: evidence, a document with its date, or a state.",
    check=unproven,
)
RULES = (DIFFER, DENIED, UNPROVEN)

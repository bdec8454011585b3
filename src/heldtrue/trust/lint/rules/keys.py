"""Signatures, keys and what they vouch for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from heldtrue.trust.lint.dates import spans, told
from heldtrue.trust.lint.model import Context, Finding, Level, Page, Rule, Sentence

_SIGNED_BODY = re.compile(
    r"\b(?:signature|signed|signs|hmac|sign)\b[^.]*\b(?:over|covers?|of|computed (?:from|over)"
    r"|on)\b[^.]*\b(?:body|payload|bytes)\b"
    r"|\b(?:body|payload)\b[^.]*\b(?:is|are|gets?) (?:then )?signed\b"
    r"|\bsigns? (?:only )?the (?:raw |request |whole |entire )?(?:body|payload)\b",
    re.IGNORECASE,
)
_WEBHOOK = re.compile(
    r"\bwebhooks?\b|\bcallbacks?\b|\bevents?\b|\bhmac\b|x-\w+-signature|\bsignature header", re.IGNORECASE
)
_TIME = re.compile(r"timestamp|\btime\b|\bnonce\b|replay|\bid\.time|webhook-id|\bdate header", re.IGNORECASE)
_NOT_SIGNED = re.compile(
    r"(?:timestamp|time|date)\b[^.]*\b(?:not|isn'?t|never) (?:part of|covered|included|signed"
    r"|in)|(?:not|without|excluding|except)"
    r"[^.]{0,24}(?:timestamp|time\b)|(?:only|just) the (?:raw |request )?(?:body|payload)"
    r"|(?:body|payload) (?:only|alone)",
    re.IGNORECASE,
)
_RECEIPT = re.compile(r"\breceipts?\b|\bsigned (?:records?|documents?|statements?|letters?)\b", re.IGNORECASE)
_KEY = re.compile(r"\bkeys?\b", re.IGNORECASE)
_VALID = re.compile(
    r"\b(?:valid|accepted|verifi\w+|honou?red|usable|published|works?|expires?|kept|remains?)\b[^.]*", re.IGNORECASE
)
_FOR_YEARS = re.compile(
    r"for ?ever|always|indefinitely|at any time|for (?:many |several |\w+ )?years|(?:\d+|two"
    r"|three|five|seven|ten)[- ]years?|permanently"
    r"|years (?:later|from now)|long after|no expiry|never expires?",
    re.IGNORECASE,
)
_ARCHIVE = re.compile(
    r"archiv|\binclusion\b|\blogged\b|\bthe log\b|public log|transparency|timestamped by|countersign"
    r"|(?:old|prior|previous|retired|past) keys? (?:stay|remain|are kept|are)s? (?:published|available|for ever)",
    re.IGNORECASE,
)
_VERIFY = re.compile(r"\bverif\w+|\bcheck(?:ed|s)?\b|\bvalid\b|\bgood\b|\bproof\b", re.IGNORECASE)


def untimed(page: Page, _context: Context) -> Iterator[Finding]:
    """Find a webhook signature over the body that leaves out its time."""
    for one in page.said():
        if not _SIGNED_BODY.search(one.text) or _RECEIPT.search(one.text):
            continue
        around = [other for other in page.said() if other.section == one.section and abs(other.block - one.block) <= 3]
        if not _WEBHOOK.search(" ".join([one.section, *(other.text for other in around)])):
            continue
        if _NOT_SIGNED.search(one.text) or not any(_signs_time(other) for other in around):
            yield UNTIMED.found(
                one,
                "Whoever sees this message can send it again: sign id and time with the body, refuse old ones.",
            )


def _signs_time(one: Sentence) -> bool:
    return bool(_TIME.search(one.text)) and not _NOT_SIGNED.search(one.text)


def outlived(page: Page, _context: Context) -> Iterator[Finding]:
    """Find keys that are valid for less time than what they signed must verify."""
    lasting = [
        one
        for one in page.said()
        if _RECEIPT.search(one.text) and _VERIFY.search(one.text) and _FOR_YEARS.search(one.text)
    ]
    for one in page.said():
        if not _KEY.search(one.text) or not lasting:
            continue
        short = [length for length, found in spans(one.text) if length.days < 400 and _about_validity(one.text, found)]
        if not short:
            continue
        others = [other for other in lasting if other is not one] or lasting
        whole = " ".join(other.text for other in page.said() if other.section == one.section or other in lasting)
        if not _ARCHIVE.search(whole):
            yield OUTLIVED.found(
                one,
                f"The key is good for {told(max(short))}, and what it signed must verify for years:"
                " say by what an old receipt is dated and checked.",
                also=others,
            )


def _about_validity(text: str, found: re.Match[str]) -> bool:
    before, after = text[max(0, found.start() - 60) : found.start()], text[found.end() : found.end() + 40]
    return bool(_VALID.search(before) or re.search(r"\b(?:valid|overlap|after|then)\b", after, re.IGNORECASE))


UNTIMED = Rule(
    name="signature-without-time",
    level=Level.ERROR,
    about="A signature over the body alone can be replayed; it must cover the message's id and time.",
    check=untimed,
)
OUTLIVED = Rule(
    name="key-outlived-by-receipts",
    level=Level.ERROR,
    about="When keys are valid for days and receipts verify for years, something else must date the receipts.",
    check=outlived,
)
RULES = (UNTIMED, OUTLIVED)

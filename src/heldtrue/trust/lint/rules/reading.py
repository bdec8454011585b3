"""What readers cannot read: contacts behind scripts, sentences that break off."""

from __future__ import annotations

import re
from collections.abc import Iterator

from heldtrue.trust.lint.model import Context, Finding, Level, Page, Rule

_SCRAPED = re.compile(
    r"\[email.{0,3}protected\]|(?:enable|requires?|needs|turn on"
    r"|activate) (?:your )?java ?script[^.]*(?:e-?mail|address|contact|form|see|view|show)"
    r"|(?:e-?mail|address|contact|form)[^.]*(?:enable|requires?|needs|turn on|activate) (?:your )?java ?script"
    r"|(?:click|tap) (?:here )?to (?:reveal|show) (?:the |our )?(?:e-?mail|address|contact)",
    re.IGNORECASE,
)
_WITHOUT = re.compile(
    r"without (?:java ?)?scripts?|no (?:java ?)?script|does not need|doesn'?t need|not require", re.IGNORECASE
)
_OPEN_END = re.compile(
    r"(?:\b(?:and|or|but|the|an?|of|to|for|with|by|in|on|at|from|which|that|because|including"
    r"|such as|our|your|their|is|are|was|will"
    r"|we|be|as|into|via|per|than|if|when|while|within|every|each)|[,–—(&+/-])$",
    re.IGNORECASE,
)
_ROW_ENDS = re.compile(r"(?:\b(?:and|or|but|the|an?|because|including|such as|our|your|their)|[,(&])$", re.IGNORECASE)
_TRAILS = re.compile(r"(?:\w)(?:…|\.\.\.)$")
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|do|does|can|may|must|will|shall|we|keep|uses?"
    r"|encrypts?|stores?|sends?|runs?"
    r"|requires?|reviews?|provides?|carr(?:y|ies)|logs?|signs?|protects?|makes?)\b",
    re.IGNORECASE,
)
_CLOSED = re.compile(r"[.!?:;…\"'”’)\]>`*|}\d%]$")
_SHORT = 8
"""Words from which on a paragraph without an end is no label."""


def scripted(page: Page, _context: Context) -> Iterator[Finding]:
    """Find a contact that nobody without scripts can read."""
    for hidden in page.hidden:
        yield Finding(
            rule=SCRIPTED.name, level=SCRIPTED.level, line=hidden.line, text=hidden.what,
            message="Whoever reads without scripts cannot read this contact: write the address out.",
        )  # fmt: skip
    for one in page.sentences:
        if _SCRAPED.search(one.text) and not _WITHOUT.search(one.text):
            yield SCRIPTED.found(one, "Whoever reads without scripts cannot read this contact: write the address out.")


def broken_off(page: Page, _context: Context) -> Iterator[Finding]:
    """Find a sentence that ends in the middle."""
    listings = {listing.intro for listing in page.listings} | {code.before for code in page.code}
    for one in page.said():
        if not one.ends_block or one.kind == "summary":
            continue
        text = one.text.rstrip("*_ ")
        for cell in text.split(" · ") if one.kind == "row" else [text]:
            if _breaks(cell, one.kind, introduces=one.text in listings):
                yield BROKEN.found(one, "The sentence breaks off: finish it, or take it away.")
                break


def _breaks(text: str, kind: str, *, introduces: bool) -> bool:
    words = text.split()
    if len(words) < 3 or introduces:
        return False
    if kind == "row" or text[:1].islower():  # a fragment, as cells and facts are
        return bool(_ROW_ENDS.search(text))
    if _OPEN_END.search(text):
        return True
    if _TRAILS.search(text):
        return bool(_VERB.search(text))
    whole = kind == "prose" and not _CLOSED.search(text)
    return whole and len(words) >= _SHORT and bool(_VERB.search(text)) and " · " not in text


SCRIPTED = Rule(
    name="contact-needs-script",
    level=Level.ERROR,
    about="A contact must be readable without scripts, in the page itself.",
    check=scripted,
)
BROKEN = Rule(
    name="sentence-breaks-off",
    level=Level.ERROR,
    about="A sentence that breaks off promises nothing; finish it.",
    check=broken_off,
)
RULES = (SCRIPTED, BROKEN)

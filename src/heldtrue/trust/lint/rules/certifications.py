"""What pages say of audits and certificates."""

from __future__ import annotations

import re
from collections.abc import Iterator

from heldtrue.trust.lint.model import Context, Finding, Level, Page, Rule, Sentence

_NOT_STARTED = re.compile(
    r"observation (?:period |window |phase )?(?:has not|hasn'?t|is not|isn'?t"
    r"|not)(?: yet)? (?:been )?(?:started|begun|begin)"
    r"|observation (?:period |window |phase )?(?:will|is (?:due|planned|scheduled|expected|going) to) (?:start|begin)"
    r"|observation (?:period |window |phase )?(?:starts|begins) (?:in|on) \w+ (?:\d{1,2},? )?20\d\d"
    r"|before (?:the )?observation (?:starts|begins)",
    re.IGNORECASE,
)
_OBSERVING = re.compile(
    r"\b(?:in|under) observation\b|observation (?:period |window |phase )?(?:is (?:under ?way|running|in progress|open)"
    r"|(?:has )?(?:started|began|begun|is ongoing)|since)|currently (?:being )?observ",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\b(?:not|never|no longer|isn'?t|nor)\b[^.;:]{0,24}$", re.IGNORECASE)
_FRAMEWORK = re.compile(r"\bSOC ?([123])\b|\bISO(?:/IEC)? ?(\d{5})|\b(HIPAA|PCI|HITRUST|C5|TISAX)\b", re.IGNORECASE)
_TYPE_1 = re.compile(r"\btype ?(?:1|I)\b(?! ?(?:and|or|&|/) ?(?:type ?)?(?:2|II))", re.IGNORECASE)
_TYPE_2 = re.compile(r"\btype ?(?:2|II)\b", re.IGNORECASE)
_WINDOW = re.compile(
    r"observation (?:window|period|phase)|(?:in|under) observation|(?:audit|review|examination) (?:window|period)"
    r"|over (?:a |the )?(?:period|course) of|(?:three|six|twelve|3|6|12)[- ]months?(?:' "
    r"| of )?(?:observation|window|period)",
    re.IGNORECASE,
)
_POINT_IN_TIME = re.compile(
    r"no (?:observation )?(?:window|period)|has no observation|without (?:an? )?observation|point in time|as of",
    re.IGNORECASE,
)
_SOC2_CERTIFIED = re.compile(
    r"\bSOC ?2(?:[ ,-]*(?:type|Type|TYPE) ?(?:1|2|I|II))?[ -](?:\(?\w+\)? )?(?:is (?:a |our )?"
    r"|being )?(?:certifi\w+|certs?\b)"
    r"|certifi\w+ (?:for|to|with|against|under|in|as|of|by)? ?(?:the |our )?SOC ?2\b"
    r"|certifications?(?: \w+){0,3}?(?: (?:such as|like|including|include|are"
    r"|of))?:? (?:\w+(?:[ /-]\w+)*, )*(?:and )?SOC ?2\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:not|no|never|isn'?t|rather than|instead of|there is no such)\b[^.;]{0,40}certif|certif[^.;]{0,30}\bnot\b"
    r"|(?:report|attestation),? not a|calls? (?:it|SOC 2) a|called a certification|mistake",
    re.IGNORECASE,
)


def frameworks(sentence: Sentence) -> set[str]:
    """Return the frameworks that a sentence, or the headings above it, names."""
    for text in (sentence.text, sentence.section):
        found = {"".join(part for part in one.groups() if part).upper() for one in _FRAMEWORK.finditer(text)}
        if found:
            return found
    return set()


def observation(page: Page, _context: Context) -> Iterator[Finding]:
    """Find a page that says both that an observation runs and that it has not begun."""
    waiting = [one for one in page.sentences if _NOT_STARTED.search(one.text)]
    running = [
        one
        for one in page.sentences
        for found in [_OBSERVING.search(one.text)]
        if found and not _NEGATED.search(one.text[: found.start()]) and not _NOT_STARTED.search(one.text)
    ]
    for one in waiting:
        against = [other for other in running if _same(one, other)]
        if against:
            yield OBSERVATION.found(
                one,
                "The page also says that the observation is under way. Say which, with its first day.",
                also=against,
            )


def _same(one: Sentence, other: Sentence) -> bool:
    ours, theirs = frameworks(one), frameworks(other)
    return not ours or not theirs or bool(ours & theirs)


def type_1_window(page: Page, _context: Context) -> Iterator[Finding]:
    """Find an observation window for a report that looks at one day."""
    for one in page.said():
        text = one.text if _FRAMEWORK.search(one.text) or _TYPE_1.search(one.text) else ""
        if (
            _TYPE_1.search(text)
            and _WINDOW.search(text)
            and not _TYPE_2.search(text)
            and not _POINT_IN_TIME.search(text)
        ):
            yield TYPE_1.found(one, "A Type 1 report describes one day and has no observation window; Type 2 has one.")


def soc2(page: Page, _context: Context) -> Iterator[Finding]:
    """Find SOC 2 called a certification."""
    for one in page.sentences:
        if _SOC2_CERTIFIED.search(one.text) and not _DENIED.search(one.text):
            yield SOC2.found(
                one,
                "SOC 2 is an auditor's report, not a certification: name the type, the auditor and the report's date.",
            )


OBSERVATION = Rule(
    name="observation-both-ways",
    level=Level.ERROR,
    about="An observation cannot both run and not have begun; give one status and its first day.",
    check=observation,
)
TYPE_1 = Rule(
    name="type-1-window",
    level=Level.ERROR,
    about="A Type 1 report is about one day; an observation window belongs to a Type 2 report.",
    check=type_1_window,
)
SOC2 = Rule(
    name="soc2-certification",
    level=Level.ERROR,
    about="SOC 2 ends in an auditor's report, not in a certificate; say which report there is.",
    check=soc2,
)
RULES = (OBSERVATION, TYPE_1, SOC2)

"""From a sentence to the promises that it makes, by the number of their row: words that such sentences are made of."""

from __future__ import annotations

import re
from functools import lru_cache

WORDS: dict[str, str] = {
    "A1": r"\btls\b(?!.*(client certificate|database))|\bssl\b|encrypt\w* in transit|in transit.*encrypt",
    "A2": r"(every|each|all) (network )?hop|internal (traffic|connection|service)\w*.*(encrypt|tls)|outgoing.*tls",
    "A3": r"starttls",
    "A4": r"database.*(tls|client certificate|mutual)|(tls|client certificate|mutual).*database|verify-full",
    "A5": r"(only|no other).*\bports?\b|\bports? 443\b|firewall",
    "A6": r"private (network|subnet|address)|not reachable from|unreachable|\bvpc\b|network isolation",
    "A7": r"\bwaf\b|web application firewall|ddos|denial.of.service|\bfloods?\b",
    "A8": r"\bcach(e|es|ed|ing|eable)\b|\bcdn\b",
    "B1": r"encrypt\w*.* at rest|at rest.*encrypt|\baes\b",
    "B2": r"\bkms\b|key management|hardware security module|\bhsm\b|keys? (are |is )?rotated (every|each|once)",
    "B3": r"(customer|tenant|organisation|organization)-specific keys?|keys? per (customer|tenant"
    r"|organi[sz]ation)|own encryption key",
    "B4": r"(third-party|customer'?s?|integration) (credentials|tokens|secrets)|credentials? (are "
    r"|is )?(sealed|encrypted|vaulted)",
    "B5": r"\boauth\b|refresh token",
    "B6": r"secrets?\b.*(log|repositor|vault|encrypt|store)|never (logged|in logs)",
    "B7": r"card (data|number|holder)|cardholder|\bpci\b",
    "B8": r"production data|(staging|test|development) environment",
    "B9": r"delet(e|es|ed|ion)\b.*(backup|within|permanent|gone|erase)|\berasure\b|crypto-?shred",
    "C1": r"receipts?\b.*(sign|ed25519)|(sign|ed25519).*receipts?\b",
    "C2": r"(signing|receipt|prior|previous|old|public) keys?\b.*(rotat|valid|verif)|rotat.*(signing|receipt) keys?",
    "C3": r"webhooks?\b",
    "C4": r"deliver(y|ies|ed)\b.*\d|\d.*\bdeliver(y|ies)\b|\bretr(y|ies|ied)\b",
    "D1": r"(every|all|each) (api )?(request|call)s?.*authenticat|authenticat\w*.*(every|all|each) (request|call)",
    "D2": r"api keys?\b.*(hash|random|sha|stored)|hash(ed)? (api )?keys",
    "D3": r"publishable|restricted keys?|key types?|keys? .*(environment|scope)",
    "D4": r"short-lived|embedded (view|page|widget)|session tokens?",
    "D5": r"bearer tokens?|identity provider|\bjwks?\b|\bissuers?\b",
    "D6": r"tenant (isolation|scope|separation)|row-level security|(another|other) (customer|tenant"
    r"|organi[sz]ation)'?s? data|multi-tenan",
    "D7": r"rate limit",
    "D8": r"\bsso\b|single sign-on|\bsaml\b|sign(ed)?.in (through|with)|google and github|passwords?\b",
    "D9": r"second factor|two-factor|\b2fa\b|\bmfa\b|multi-factor|passkeys?|\btotp\b",
    "D10": r"production access|just-in-time|access to production|break-glass",
    "E1": r"\bsandbox|own (environment|container|vm)|isolated (execution|environment|run)|each (execution|run)",
    "E2": r"(customer'?s?|your) code\b.*(cannot|network|reach|access)|egress",
    "F1": r"audit (log|trail|entr)|(is|are) (recorded|logged)|activity log",
    "F2": r"append-only|immutable|tamper|transparency log|(logs?|entries) (are |is )?(kept|retained)"
    r"|retention of logs?",
    "F3": r"intrusion|threat detection|anomal|\bsiem\b",
    "F4": r"misconfigur|cloud (posture|findings)|\bcspm\b|posture",
    "F5": r"monitor(s|ed|ing)?\b",
    "G1": r"backups?\b|snapshots?\b|replicat",
    "G2": r"restore|recovery (drill|test|time)|\brto\b|\brpo\b|disaster recovery",
    "H1": r"\bentitlements?\b|usage events?|\btraits\b",
    "H2": r"billing provider|subscription state|mirrored from",
    "H3": r"(on|by|per|every|all) plans?\b|enterprise plan|\btiers?\b",
    "J1": r"provenance|freshness",
    "J2": r"source document|derived (number|figure|value)|lineage|citation",
    "J3": r"benchmark",
    "J4": r"(every|all|each).*(endpoint|route|tool)s?\b.*(tested|verified|authenticat)|mcp tools?",
    "K1": r"\bsoc ?[123]\b|\biso(/iec)? ?27|certif|in observation|audit in progress|hipaa|compliant|attestation",
    "K2": r"\bpolic(y|ies)\b",
    "K3": r"on request|under nda|non-disclosure|insurance|gap analysis",
    "K4": r"\bdpa\b|data processing (agreement|addendum)|article 28|standard contractual|\bscc|gdpr|ccpa|cpra",
    "K5": r"sub-?processors?",
    "K6": r"optional vendors?|opt(s|ed)?[ -]?in\b",
    "K7": r"(vendors?|provider|processor)'?s?'? (own )?(certif|are certified|soc|iso)",
    "K8": r"questionnaire|due diligence|\bsig\b|\bcaiq\b",
    "K9": r"uptime|availability|\bsla\b|service credits?|downtime|maintenance",
    "K10": r"support\b.*(respon|answer|hour|plan)|response times?|escalat",
    "K11": r"incidents?\b|breach|\b72 hours",
    "K12": r"post-?mortems?|status page",
    "K13": r"vulnerabilit(y|ies)\b.*(report|reward|disclos|acknowledg)|responsible disclosure"
    r"|bug bounty|security\.txt|\bpgp\b",
    "K14": r"code review|reviewed by|\bsast\b|dependency scan|static analysis|pull request",
    "K15": r"\bsbom\b|advisor(y|ies)\b|dependenc(y|ies)\b.*(monitor|scan|match)|\bcves?\b",
    "K16": r"dynamic (scan|application)|\bdast\b|scanned at run",
    "K17": r"penetration test|pen ?tests?\b|internal audits?",
    "K18": r"threat model",
    "K19": r"background check|screen(ed|ing)|security training|awareness training|offboard|leavers?\b",
    "K20": r"(your|customer'?s?) (own )?(duties|responsibilit)|shared responsibilit",
    "K21": r"\bterms\b|acceptable use|privacy (policy|notice|page)",
}
"""By row: what a sentence about it says, in lower case."""
_PATTERNS = {row: re.compile(words) for row, words in WORDS.items()}


@lru_cache(4096)
def rows_of(text: str) -> tuple[str, ...]:
    """Return the rows that a sentence is about, in order; none when it promises nothing that is known."""
    lowered = text.lower()
    return tuple(row for row, pattern in _PATTERNS.items() if pattern.search(lowered))

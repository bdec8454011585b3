"""Which known question a customer's is like: cosine over weighted word stems, and control identifiers. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from heldtrue.capabilities.questionnaires.catalogue import Question

THRESHOLD = 0.38
"""Below it nothing is proposed."""
BONUS = 0.4
"""For the same control identifier."""
_STEM = 6
_WORD = re.compile(r"[a-z0-9]+")
_CONTROL = re.compile(r"\b(A&A|AIS|BCR|CCC|CEK|DCS|DSP|GRC|HRS|IAM|IPY|IVS|LOG|SEF|STA|TVM|UEM)-(\d{2})")
"""Identifiers of the Cloud Controls Matrix, as CAIQ rows carry them: `CEK-03.1`."""
_STOP = frozenset({
    "another", "conduct", "conducted", "documented", "list", "one", "party", "perform", "performed", "third",
    "a", "an", "and", "any", "are", "as", "at", "be", "been", "being", "by", "can", "company", "could", "customer",
    "customers", "describe", "do", "does", "each", "for", "from", "had", "has", "have", "how", "if", "in", "into",
    "is", "it", "its", "may", "of", "on", "or", "organization", "organisation", "our", "please", "provide", "s",
    "service", "services", "should", "such", "than", "that", "the", "their", "them", "there", "these", "they",
    "this", "those", "to", "used", "using", "was", "were", "what", "when", "where", "which", "who", "will", "with",
    "within", "would", "you", "your", "yes", "no", "vendor", "supplier", "all",
})  # fmt: skip
_SAME: Mapping[str, str] = {
    "mfa": "second factor authentication", "2fa": "second factor authentication", "multifactor": "second factor",
    "multi": "second", "sso": "identity provider sign", "saml": "identity provider sign",
    "pentest": "penetration test", "pen": "penetration", "infosec": "information security",
    "subprocessors": "sub processors", "subprocessor": "sub processor", "fourth": "sub", "breach": "breach incident",
    "dr": "disaster recovery", "bcp": "business continuity plan", "drp": "disaster recovery plan",
    "sdlc": "software development life cycle", "ssdlc": "software development life cycle",
    "dpa": "data processing agreement", "hsm": "key management hardware", "kms": "key management service",
    "waf": "web application firewall", "ddos": "floods", "pii": "personal data", "personnel": "people",
    "employees": "people", "staff": "people", "employee": "people", "encrypted": "encryption",
    "cryptographic": "cryptography encryption", "storage": "rest stored", "deleted": "deletion erased",
    "destroyed": "deletion erased", "terminated": "leaves", "termination": "leaves end", "onboarding": "join",
    "background": "screened background", "awareness": "training", "backups": "backups backup",
    "backed": "backups backup", "authenticated": "authenticated authentication", "tenants": "tenant separated",
    "tenant": "tenant separated", "segregated": "separated", "segregation": "separated",
    "vulnerabilities": "vulnerability vulnerabilities", "logged": "recorded logs", "logs": "records logs",
    "audit": "audit records", "soc": "audit report certifications", "testing": "test", "testers": "test",
    "tested": "test", "annual": "year", "annually": "year", "checks": "screened", "check": "screened",
    "segregate": "separated", "isolated": "separated", "tests": "test", "notify": "told", "notified": "told",
    "notification": "told", "vendors": "vendors sub processors",
}  # fmt: skip
"""Words that reviewers use, in the words that we do."""


@dataclass(frozen=True, slots=True)
class Match:
    """A known question and how like it is, from 0 to 1."""

    key: str
    score: float


class Matcher:
    """Finds the nearest of a fixed set of texts."""

    def __init__(self, texts: Mapping[str, str], controls: Mapping[str, Sequence[str]] | None = None) -> None:
        self._stems = {key: stems(text) for key, text in texts.items()}
        self._controls = {key: frozenset(_controls(" ".join(names))) for key, names in (controls or {}).items()}
        count = Counter(stem for found in self._stems.values() for stem in found)
        self._rare = {stem: math.log(1 + len(texts) / seen) for stem, seen in count.items()}
        self._unknown = math.log(1 + max(1, len(texts))) / 2
        self._lengths = {key: self._length(found) for key, found in self._stems.items()}

    def best(self, text: str, control: str = "") -> Match | None:
        """Return the nearest text, None where nothing has a stem in common."""
        asked, wanted = stems(text), frozenset(_controls(f"{control} {text}"))
        length = self._length(asked)
        best: Match | None = None
        for key, known in self._stems.items():
            shared = sum(self._weight(stem) ** 2 for stem in asked & known)
            score = shared / (length * self._lengths[key]) if shared else 0.0
            if wanted & self._controls.get(key, frozenset()):
                score = min(1.0, score + BONUS)
            if score and (best is None or score > best.score):
                best = Match(key, round(score, 3))
        return best

    def _weight(self, stem: str) -> float:
        return self._rare.get(stem, self._unknown)

    def _length(self, found: frozenset[str]) -> float:
        return math.sqrt(sum(self._weight(stem) ** 2 for stem in found)) or 1.0


def stems(text: str) -> frozenset[str]:
    """Return what a text is about: stems of its words, reviewers' words in ours, without those that say nothing."""
    words = _WORD.findall(text.lower())
    spoken = [part for word in words for part in (_SAME.get(word, word)).split()]
    return frozenset(_stem(word) for word in spoken if word not in _STOP)


def normal(text: str) -> str:
    """Return a question as it is compared for being the same one."""
    return " ".join(_WORD.findall(text.lower()))


def ours(questions: Iterable[Question]) -> Matcher:
    """Return what finds the nearest of our own questions."""
    listed = tuple(questions)
    return Matcher(
        {question.id: question.ask for question in listed}, {question.id: question.controls for question in listed}
    )  # fmt: skip


def _stem(word: str) -> str:
    word = word[:-3] + "y" if word.endswith("ies") and len(word) > 4 else word
    word = word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
    return word[:_STEM]


def _controls(text: str) -> list[str]:
    return [f"{domain}-{number}" for domain, number in _CONTROL.findall(text)]

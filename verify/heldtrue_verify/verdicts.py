"""What is checked, in which order, and what came of it; each verifier is a table of steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

Case = TypeVar("Case")


class Verdict(StrEnum):
    """The answer as a whole."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNPINNED = "nothing was pinned"
    UNDATED = "undated"
    UNUSABLE = "unusable input"

    @property
    def exit_status(self) -> int:
        """Give 0 when everything holds, 2 when nothing could be judged, else 1."""
        return {Verdict.HOLDS: 0, Verdict.UNUSABLE: 2}.get(self, 1)


class VerifyError(Exception):
    """Something could not be verified; the message is a sentence for the reader."""


class MalformedError(VerifyError):
    """The bytes are not what they should be; where a file was given, it is unusable."""


class UnusableError(VerifyError):
    """Nothing could be judged: correct the arguments or the file, or reach the server."""


class DoesNotHoldError(VerifyError):
    """A check failed; every sentence names one thing that is wrong."""

    def __init__(self, *sentences: str, verdict: Verdict = Verdict.FAILS) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences
        self.verdict = verdict


class NothingPinnedError(DoesNotHoldError):
    """No root of trust was given: pin the log's key, obtained by another way than this file or server."""

    def __init__(self) -> None:
        super().__init__(
            "Nothing was pinned: a key that comes with what is being checked proves nothing. "
            "Ask the operator for the log's verifier key by another way and give it as --pin.",
            verdict=Verdict.UNPINNED,
        )


@dataclass(frozen=True, slots=True)
class Step(Generic[Case]):
    """One check: what must be so, by which specification, and the function that finds out.

    The function returns what it found as sentences, or raises. A malformed input makes a step that *reads* unusable
    and any other step fail. After a failed step the rest is not reached, unless the walk may *go on*.
    """

    title: str
    source: str
    check: Callable[[Case], str | list[str]]
    reads: bool = False
    goes_on: bool = False


class Outcome(StrEnum):
    """What came of one step."""

    HOLDS = "holds"
    FAILS = "fails"
    UNUSABLE = "unusable"
    NOT_REACHED = "not reached"


@dataclass(frozen=True, slots=True)
class Result:
    """A step that was taken, or not reached."""

    number: int
    title: str
    source: str
    outcome: Outcome
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """Where one claim stands by the log alone, and since when."""

    id: str
    state: str
    since: str
    why: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Report:
    """The walk through all steps."""

    subject: str
    verdict: Verdict
    steps: tuple[Result, ...]
    claims: tuple[ClaimLine, ...] = ()
    """Where each claim of a page stands, by the log alone."""

    def to_json(self) -> dict[str, object]:
        """Give the report as plain data for `--json`."""
        return {
            "subject": self.subject,
            "verdict": self.verdict.value,
            "exit": self.verdict.exit_status,
            "steps": [
                {"step": s.number, "checks": s.title, "source": s.source, "outcome": s.outcome.value, "found": s.found}
                for s in self.steps
            ],
            "claims": [
                {"id": c.id, "state": c.state, "since": c.since or None, "why": c.why, "sentence": c.sentence}
                for c in self.claims
            ],
        }

    def to_text(self) -> str:
        """Give the report as lines for a person; what a server or file wrote cannot steer the terminal."""
        marks = {Outcome.HOLDS: "ok  ", Outcome.FAILS: "NO  ", Outcome.UNUSABLE: "?   ", Outcome.NOT_REACHED: "-   "}
        lines = [self.subject]
        for step in self.steps:
            lines.append(f"{marks[step.outcome]}Step {step.number}  {step.title}  [{step.source}]")
            lines.extend(f"            {sentence}" for sentence in step.found)
        lines += [f"{c.state:<9} {f'since {c.since}' if c.since else '':<29} {c.id}: {c.sentence}" for c in self.claims]
        endings = {
            Verdict.HOLDS: "Everything holds.",
            Verdict.FAILS: "It does not hold.",
            Verdict.UNPINNED: "Nothing was pinned, so nothing is proven.",
            Verdict.UNDATED: "The signature holds, undated.",
            Verdict.UNUSABLE: "The input is unusable; nothing was judged.",
        }
        lines.append(endings[self.verdict])
        return "\n".join("".join(c if c.isprintable() else "�" for c in line) for line in lines)


def walk(subject: str, steps: Sequence[Step[Case]], case: Case) -> Report:
    """Take the steps in order and report on all of them."""
    results: list[Result] = []
    verdict = Verdict.HOLDS
    failed, stopped = verdict, False
    for number, step in enumerate(steps, 1):
        outcome, found = Outcome.NOT_REACHED, ()
        if not stopped:
            try:
                said = step.check(case)
                outcome, found = Outcome.HOLDS, (said,) if isinstance(said, str) else tuple(said)
            except DoesNotHoldError as error:
                outcome, found, failed = Outcome.FAILS, error.sentences, error.verdict
            except VerifyError as error:
                unusable = step.reads or isinstance(error, UnusableError)
                outcome, found = (Outcome.UNUSABLE if unusable else Outcome.FAILS), (str(error),)
                failed = Verdict.UNUSABLE if unusable else Verdict.FAILS
            if outcome is not Outcome.HOLDS:
                verdict = failed if verdict is Verdict.HOLDS else verdict
                stopped = not step.goes_on or outcome is Outcome.UNUSABLE
        results.append(Result(number, step.title, step.source, outcome, found))
    return Report(subject, verdict, tuple(results))

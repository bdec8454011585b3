"""From an answer to a finding: what each check proves, and what it does not."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from urllib.parse import quote

from heldtrue.capabilities.probe import judge
from heldtrue.capabilities.probe.file import ProbeFile
from heldtrue.capabilities.probe.judge import Baseline, Reply
from heldtrue.capabilities.probe.model import Check, Finding, RouteResult, Unmade
from heldtrue.capabilities.probe.plan import OVERRIDES, PATHS, RoutePlan, Shot
from heldtrue.capabilities.probe.values import Owner
from heldtrue.capabilities.probe.wallet import Wallet, Who

ACROSS = frozenset({Check.OTHER, Check.MIXED})
BENT = frozenset({Check.HEAD, Check.METHOD_CASE, Check.OVERRIDE, *PATHS})
EXCERPT = 160
_WORSE = frozenset({Check.ALTERED, Check.UNSIGNED, Check.EXPIRED, Check.REVOKED})
"""What follows where any credential will do."""
_OWN = frozenset({Who.EXPIRED, Who.REVOKED, Who.LOWER, Who.A})
"""Credentials of a's own: a refusal may name a, and only a success tells on the target."""


@dataclass(slots=True)
class Case:
    """One route under judgement."""

    planned: RoutePlan
    result: RouteResult
    wallet: Wallet
    file: ProbeFile
    base: str
    marks: frozenset[str]
    owner: Baseline | None = None
    gone: bool = False
    """Whether a check ended the thing that the others are about."""
    found: set[Check] = field(default_factory=set[Check])

    @property
    def open(self) -> bool:
        """Whether the route answers without any credential, so that everything else follows."""
        return Check.NO_CREDENTIAL in self.found

    def sent(self, owner: Owner) -> str:
        """Return what a request about that owner's things carries, and an answer may echo."""
        body = self.planned.bodies.get(owner, b"").decode("utf-8", "replace")
        chosen = " ".join(value.a or "" for value in self.planned.values.values()) if owner is Owner.A else ""
        return f"{self.planned.target(owner)} {chosen} {body}"

    def over(self, shot: Shot) -> bool:
        """Whether *shot* would prove nothing more; say so in the result."""
        any_will_do = Check.MALFORMED in self.found and shot.check in _WORSE
        any_role = Check.ROLE in self.found and shot.who is Who.LOWER
        if shot.check not in self.found and (any_will_do or any_role or (self.open and shot.who is not Who.B)):
            self.result.unmade[shot.check] = Unmade.FOLLOWS
            return True
        return shot.check in self.found

    def made(self, check: Check) -> None:
        """Count a check whose answer could be judged."""
        if check not in self.result.made:
            self.result.made.append(check)

    def report(self, check: Check, shot: Shot, reply: Reply, seen: str) -> None:
        """Keep a finding, one of each kind."""
        self.found.add(check)
        excerpt = " ".join(self.wallet.redact(reply.text[: 4 * EXCERPT]).split())[:EXCERPT]
        line = curl(self, shot)
        self.result.findings.append(Finding(check, self.planned.route.at, reply.status, seen, excerpt, line))


def own_answers(case: Case, reply: Reply, other: Reply | None) -> None:
    """Judge what the owners themselves are shown: b's own answers hold nothing of a's, and no answer what is hidden."""
    mine = Shot(Check.PROPERTY, case.planned.baseline, case.planned.route.method)
    if case.file.hidden:
        case.made(Check.PROPERTY)
        names = judge.hidden_members(reply.json(), case.file.hidden)
        if names:
            case.report(Check.PROPERTY, mine, reply, f"it has the member {', '.join(names)}")
    if other is None:
        return
    listed = not case.planned.values
    check = Check.LEAK if listed else Check.PROPERTY
    if not other.served:
        case.result.unmade[Check.LEAK] = Unmade.BASELINE
        return
    if not judge.marks_in(reply, case.marks, "" if listed else case.sent(Owner.A)):
        if listed:
            case.result.unmade[Check.LEAK] = Unmade.UNDISTINGUISHED
        return
    case.made(check)
    seen = judge.marks_in(other, case.marks, case.sent(Owner.B))
    if seen and check not in case.found:
        shown = Shot(check, Who.B, case.planned.route.method, Owner.B)
        case.report(check, shown, other, f"{len(seen)} of a's marks in b's answer, {seen[0][:40]!r} for one")


def shot(case: Case, tried: Shot, reply: Reply, control: Reply | None) -> None:
    """Judge the answer to one shot."""
    if tried.check in ACROSS:
        _across(case, tried, reply, control)
    elif tried.check in BENT:
        _bent(case, tried, reply)
    else:
        _credential(case, tried, reply)


def write(case: Case, tried: Shot, reply: Reply, before: Reply, after: Reply, control: Reply | None) -> None:
    """Judge a write by what the owner reads before and after it."""
    if before.served and (not after.served or _changed(before, after)):
        case.made(tried.check)
        what = "is gone" if not after.served else "is changed"
        case.report(tried.check, tried, reply, f"what the owner reads afterwards {what}")
        return
    shot(case, tried, reply, control)


def _credential(case: Case, tried: Shot, reply: Reply) -> None:
    """Judge a shot without a good credential: any success is wrong; its content says how wrong."""
    case.made(tried.check)
    shown = None if case.owner is None or tried.who in _OWN else judge.discloses(reply, case.owner)
    if not reply.served:
        if shown is not None:
            case.report(tried.check, tried, reply, f"the status is {reply.status}, but {shown}")
        return
    if case.owner is None or shown is not None or judge.alike(reply, case.owner.reply):
        case.report(tried.check, tried, reply, shown or f"{reply.status}, of the same form as the owner's own answer")
    elif Check.MASKED not in case.found:
        case.report(Check.MASKED, tried, reply, f"{reply.status}, without what the owner's own answer has")


def _bent(case: Case, tried: Shot, reply: Reply) -> None:
    """Judge a bent path or method: only what is served there counts, and a page of something else does not."""
    case.made(tried.check)
    if not reply.served or case.owner is None:
        return
    if tried.method in {"HEAD", "OPTIONS"} and not reply.body:
        if tried.method == "HEAD":
            case.report(tried.check, tried, reply, f"{reply.status}, where GET is refused")
        return
    shown = judge.discloses(reply, case.owner) if tried.who not in _OWN else None
    if shown is not None or judge.alike(reply, case.owner.reply):
        case.report(tried.check, tried, reply, shown or "of the same form as the owner's own answer")


def _across(case: Case, tried: Shot, reply: Reply, control: Reply | None) -> None:
    """Judge b's credential on a's things: by what is disclosed; a write by whether it was taken."""
    shown = None if case.owner is None else judge.discloses(reply, case.owner)
    if shown is not None:
        case.made(tried.check)
        case.report(tried.check, tried, reply, f"{reply.status}, and {shown}")
    elif not reply.served:
        case.made(tried.check)
    elif tried.method in {"GET", "HEAD", "OPTIONS"}:
        if case.owner is not None and case.owner.distinguished:
            case.made(tried.check)
        else:
            case.result.unmade[tried.check] = Unmade.UNDISTINGUISHED
    elif control is not None and control.served:
        case.result.unmade[tried.check] = Unmade.ANSWERED_ALIKE
    else:
        case.made(tried.check)
        case.report(tried.check, tried, reply, f"{reply.status}, where an id that does not exist is refused")


def _changed(before: Reply, after: Reply) -> bool:
    """Whether two answers to the owner differ in more than moments and numbers that count up."""
    one, two = ({leaf for leaf in judge.leaves(each.json()) if judge.lasting(leaf[1])} for each in (before, after))
    return one != two


def query(name: str, credential: str) -> str:
    """Return a query parameter that carries the credential."""
    return f"{quote(name, safe='')}={quote(credential, safe='')}"


def curl(case: Case, tried: Shot) -> str:
    """Return the line that shows the same again; credentials are variables of the shell."""
    where = case.base + case.planned.target(tried.owner, tried.variant)
    parts = ["curl", "-i", "--path-as-is"]
    parts += ["--head"] if tried.method == "HEAD" else ["-X", tried.method] if tried.method != "GET" else []
    if case.file.ca_file is not None:
        parts += ["--cacert", shlex.quote(case.file.ca_file)]
    if tried.who is not Who.NOBODY:
        parts += ["-H", f'"{case.wallet.header_line(tried.who)}"']
    if tried.override:
        parts += [word for name in OVERRIDES for word in ("-H", shlex.quote(f"{name}: {tried.override}"))]
    body = case.planned.bodies.get(Owner.B if tried.owner is Owner.B else Owner.A)
    if body is not None and tried.method not in {"GET", "HEAD", "OPTIONS"}:
        parts += ["-H", "'Content-Type: application/json'", "--data", shlex.quote(body.decode())]
    if tried.parameter:
        mark = "&" if "?" in where else "?"
        return " ".join([*parts, f'{shlex.quote(where + mark + tried.parameter + "=")}"$KEY"'])
    return " ".join([*parts, shlex.quote(where)])

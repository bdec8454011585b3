"""The matrix of access: every route of the registry, called for real by every kind of caller, and what came of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from asgi import Caller, Got
from whole import Belongings, Whole, furnish, link_tokens, needs_key

from heldtrue.app.health import WATCHED
from heldtrue.attack import stock
from heldtrue.capabilities.access.sessions import NEVER_IN_SESSION
from heldtrue.crypto import tokens
from heldtrue.http.route import Route
from heldtrue.policy.permissions import GRANTS, Role

HOME, ELSEWHERE = "probe", "live"
"""The environment that the target's things are in, and the organisation's other one."""
ROLES = {"admin": "adm", "sender": "snd", "reader": "rdr", "publishable": "pub"}
SESSION = "ses"
IN_SESSION = GRANTS[Role.ADMIN] - NEVER_IN_SESSION
REFUSED = (401, 403, 404)
JUDGED_WITHIN = ("POST /v1/evidence",)
"""Routes whose operation itself judges a signature over the body: an unsigned one is told so, by whoever it came."""
OF_ALL = (422, 429, 503)
"""What is told to everybody alike: an empty sheet, too many sheets, an instance that is not ready."""
CONFLICT = 409
"""Told by the operation itself, so to nobody who was not let through: a name is taken, a request is decided."""
ALLOWED = "ok"
PUBLIC = {"code": "unauthenticated", "claim_id": "operations.verified", "policy": "encryption"}
PUBLIC |= {"witness": "00000000"}
"""What parameters of public routes are filled with."""
LEGEND = """\
# Every route of the registry, called for real with a sound request about things of ONE organisation and environment.
#   ok   let through        401 nobody that is known        403 known, and may not        404 not there for this caller
# A route that names nothing is about the caller's own things: what is `ok` there for a stranger is so at its own home.
# non: no credential  unk: a key that was never issued  exp, rev: an administrator's key, expired or revoked
# opr: the operator's key
# adm snd rdr: secret keys by role  pub: a publishable key  ses: a session token with all that its minter may give
# Written by `make matrix`; tests/http/test_matrix.py compares. Read the difference before you keep it.
"""


@dataclass(frozen=True)
class Column:
    """One kind of caller, and whose things it asks for."""

    group: str
    name: str
    key: str | None
    things: Belongings

    @property
    def title(self) -> str:
        return f"{self.group} {self.name}".strip()


Cells = Mapping[str, Mapping[str, str]]
"""By route, then by the column's title."""


@dataclass(frozen=True)
class Matrix:
    """Which caller gets what."""

    columns: Sequence[tuple[str, str]]
    """(group, name) of each."""
    cells: Cells

    def __str__(self) -> str:
        wide = max(map(len, self.cells)) + 1
        groups, names, last = "", "", None
        for group, name in self.columns:
            groups += " |" if last is not None and group != last else ""
            names += " |" if last is not None and group != last else ""
            names += f" {name:>3}"
            groups = groups.ljust(len(names) - 3) + group if group != last else groups
            last = group
        lines = [f"{'':{wide}}{groups}".rstrip(), f"{'route':{wide}}{names}"]
        for at, row in sorted(self.cells.items(), key=lambda one: (one[0].split(" ")[1], one[0])):
            line, last = f"{at:{wide}}", None
            for group, name in self.columns:
                line += " |" if last is not None and group != last else ""
                line += f" {row[f'{group} {name}'.strip()]:>3}"
                last = group
            lines.append(line)
        answers = sum(len(row) for row in self.cells.values())
        lines.append(f"# {len(self.cells)} routes, {len(self.columns)} callers, {answers} answers")
        return LEGEND + "\n".join(lines) + "\n"


def measure(whole: Whole) -> Matrix:
    """Call every route as every caller, those that end things last."""
    columns = _callers(whole)
    for part in WATCHED:  # as the worker does in a whole instance; without it nothing is ready
        whole.parts.ground.pulse.beat(part)
    public = {**PUBLIC, **_log_names(whole)}

    async def call_all() -> dict[str, dict[str, str]]:
        cells: dict[str, dict[str, str]] = {}
        for route in sorted(stock.in_order(tuple(whole.table)), key=lambda one: one.at == "DELETE /v1/sessions"):
            row = cells.setdefault(route.at, {})
            for wave in (True, False):  # sessions first: an administrator's turn may end them
                asked = [column for column in columns if (column.name == SESSION) is wave]
                answers = await asyncio.gather(*(_send(whole, route, column, public) for column in asked))
                found = zip(asked, answers, strict=True)
                row |= {column.title: _class_of(got, route, column) for column, got in found}
        return cells

    return Matrix([(column.group, column.name) for column in columns], asyncio.run(call_all()))


def _callers(whole: Whole) -> list[Column]:
    """Return every caller; whoever may end things has an organisation of its own, so that the others find theirs."""
    target = _organisation(whole, "target")
    columns = [
        Column("nobody", name, key, target)
        for name, key in {
            "non": None,
            "unk": tokens.mint("sk", HOME, whole.house.ports.entropy).reveal(),
            "exp": _expired(whole, target.admin),
            "rev": _revoked(target.admin),
        }.items()
    ]
    kinds = _kinds()
    columns += [
        Column("its own", name, make(home.admin), home)
        for name, make in kinds.items()
        for home in [_organisation(whole, f"own {name}")]
    ]
    other = whole.house.caller(whole.house.issue(target.organisation, ELSEWHERE))
    columns += [Column("other environment", name, make(other), target) for name, make in kinds.items()]
    stranger = _organisation(whole, "stranger").admin
    columns += [Column("other organisation", name, make(stranger), target) for name, make in kinds.items()]
    return [*columns, Column("", "opr", whole.house.operator.key, target)]


def _organisation(whole: Whole, name: str) -> Belongings:
    made = furnish(whole, name, HOME)
    path = f"/v1/organisations/{made.organisation}/environments"
    assert whole.house.operator.post(path, {"environment": ELSEWHERE}).status == 201
    upstream = whole.house.operator.post("/v1/upstream-keys", {"upstream": name.replace(" ", "-")})
    names = {"upstream_key_id": upstream.json()["id"], **made.names, **link_tokens(whole, made)}
    return Belongings(made.admin, made.organisation, names, made.marks)


def _kinds() -> dict[str, Callable[[Caller], str]]:
    """Return how an administrator makes a credential of each kind."""
    keys = {short: lambda admin, role=role: _issued(admin, role)["secret"] for role, short in ROLES.items()}
    return {SESSION: _minted, **keys}


def _minted(admin: Caller) -> str:
    got = admin.post("/v1/sessions", {"subject": "probe", "permissions": sorted(IN_SESSION), "ttl_seconds": 900})
    assert got.status == 200, got.body
    return got.json()["token"]


def _issued(admin: Caller, role: str, **more: object) -> dict[str, str]:
    got = admin.post("/v1/keys", {"name": role, "role": role, **more})
    assert got.status == 201, got.body
    return got.json()


def _expired(whole: Whole, admin: Caller) -> str:
    ends = whole.house.clock.at + timedelta(seconds=1)
    secret = _issued(admin, "admin", expires_at=ends.isoformat())["secret"]
    whole.house.clock.at = ends
    return secret


def _revoked(admin: Caller) -> str:
    issued = _issued(admin, "admin")
    assert admin.delete(f"/v1/keys/{issued['id']}").status == 200
    return issued["secret"]


def _log_names(whole: Whole) -> dict[str, str]:
    size = int(whole.house.caller().get("/log/checkpoint").body.decode().splitlines()[1])
    return {
        "GET /log/tile/{path:path}": f"0/000.p/{size}",
        "GET /assets/{path:path}": "heldtrue.css",
        "generation": "1", "attack": "none", "file": "none",
    }  # fmt: skip


async def _send(whole: Whole, route: Route, column: Column, public: Mapping[str, str]) -> Got:
    caller, names = Caller(whole.house.app, column.key), column.things.names
    if needs_key(
        route
    ):  # AttackHinderedError here: say in heldtrue/attack/stock.py what a sound request of the route is
        asked = stock.request(route, names)
        return await caller.acall(asked.method, asked.path, body=asked.body or b"", headers=asked.headers)
    given = {**names, **public, "path": public.get(route.at, "none")}
    token = next((token for start, token in column.things.names.items() if route.path.startswith(start)), "none")
    path = re.sub(r"{(\w+)(:path)?}", lambda found: {**given, "token": token}.get(found[1], "none"), route.path)
    return await caller.acall(route.method, path)


def _class_of(got: Got, route: Route, column: Column) -> str:
    if got.status in REFUSED:
        return str(got.status)
    if got.status == CONFLICT or (got.status in OF_ALL and (not needs_key(route) or route.at in JUDGED_WITHIN)):
        return ALLOWED
    assert got.status < 400, f"{route.at}, {column.title}: neither served nor refused: {got.status} {got.body[:200]!r}"
    return ALLOWED


def differences(kept: str, now: str) -> list[str]:
    """Return what changed between two matrices, one line for each answer, and each route that came or went."""
    before, after = _read(kept), _read(now)
    said = [f"  gone:    {at}" for at in before if at not in after]
    said += [f"  new:     {at}: {_summary(row)}" for at, row in after.items() if at not in before]
    for at in before.keys() & after.keys():
        old, new = before[at], after[at]
        said += [
            f"  changed: {at}, {who}: {old.get(who, '-')} -> {got}" for who, got in new.items() if old.get(who) != got
        ]
        said += [f"  changed: {at}: no longer asked as {who}" for who in old.keys() - new.keys()]
    return sorted(said) or ["  only the text around it"]


def _read(text: str) -> dict[str, dict[str, str]]:
    """Return the cells of a written matrix."""
    groups, names, *rows = [line for line in text.splitlines() if line and not line.startswith("#")]
    titles = [
        f"{group.strip()} {name}".strip()
        for group, members in zip(groups.split("|"), names.removeprefix("route").split("|"), strict=True)
        for name in members.split()
    ]
    found = [line.replace("|", " ").split() for line in rows]
    return {" ".join(words[:2]): dict(zip(titles, words[2:], strict=False)) for words in found}


def _summary(row: Mapping[str, str]) -> str:
    said: dict[str, list[str]] = {}
    for who, got in row.items():
        said.setdefault(got, []).append(who)
    return "; ".join(
        f"{got} for {', '.join(who)}" if len(who) < 8 else f"{got} for {len(who)}" for got, who in said.items()
    )

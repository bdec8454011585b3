"""The attack on the document room: fetch without a grant, by another's, after its end, after its revocation."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.attack.caller import Reply
from heldtrue.crypto import base62

SHORT = timedelta(seconds=3)
"""How long the grant lives whose end is awaited."""
LARGE = 300 * 1024
"""Bytes of a file that goes to the object store, so that its object's own path can be tried."""
_TEXT = {"content-type": "text/plain"}


@dataclass(slots=True)
class _Room:
    """Three documents, and what was tried for them."""

    arena: Arena
    marks: dict[str, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    tries: int = 0

    def add(self, name: str, level: str) -> None:
        mark = f"mark{self.arena.entropy(8).hex()}".encode()
        self.marks[name] = mark
        token = self.arena.operator()
        call = self.arena.caller.call
        call("PUT", f"/v1/documents/{name}/file", token, mark * (LARGE // len(mark)), _TEXT).expect(200)
        asked = {"title": name, "level": level, "cover_note": True}
        call("PUT", f"/v1/documents/{name}", token, asked).expect(200)

    def grant(self, name: str, lasts: timedelta | None = None) -> tuple[str, str]:
        """Return the id of a grant for a document, and the path of its link."""
        token, call = self.arena.operator(), self.arena.caller.call
        asked = {"kind": "document", "document": name, "mail": "probe@example.invalid", "name": "Probe"}
        ask = call("POST", "/v1/requests", token, asked).expect(201).json()["id"]
        until = {} if lasts is None else {"until": (self.arena.clock.now() + lasts).isoformat()}
        made = call("POST", f"/v1/requests/{ask}/grant", token, until).expect(200).json()
        return made["id"], urlsplit(made["link"]).path

    def fetch(self, path: str) -> Reply:
        """Ask for *path* as a stranger."""
        self.tries += 1
        return self.arena.caller.call("GET", path)

    def given(self, reply: Reply) -> bool:
        """Return whether a reply holds a document: as it is, or packed with a note."""
        return reply.body.startswith(b"PK") or any(mark in reply.body for mark in self.marks.values())

    def refused(self, path: str, how: str) -> None:
        """Note a fault where *path* gives a document."""
        reply = self.fetch(path)
        if (reply.status < 400 and reply.status != 303) or self.given(reply):
            self.faults.append(f"A document was given {how} (status {reply.status}).")


def unlawful_fetch(arena: Arena) -> Finding:
    """Try to fetch documents in every way that is not a grant in force."""
    arena.needs_sinks()
    agreement = {"document": {"title": "Probe", "text": "Probe."}}
    arena.caller.call("PUT", "/v1/registers/agreements-nda/standard", arena.operator(), agreement).expect(200)
    room = _Room(arena)
    room.add("probe-report", "on-request")
    room.add("probe-letter", "on-request")
    room.add("probe-secret", "nda")
    _without_grant(room)
    _, other = room.grant("probe-letter")
    _by_anothers(room, other)
    _, unaccepted = room.grant("probe-secret")
    room.refused(f"{unaccepted}/file", "before the agreement was accepted")
    grant, link = room.grant("probe-report")
    if not room.given(room.fetch(f"{link}/file")):
        raise AttackHinderedError("a grant in force gave nothing, so nothing can be said of the others")
    arena.caller.call("POST", f"/v1/grants/{grant}/revoke", arena.operator(), {}).expect(200)
    room.refused(f"{link}/file", "after its grant was revoked")
    _after_the_end(room)
    return judged(
        room.faults,
        "Documents were given by a grant in force, and in no other way that was tried.",
        documents=len(room.marks),
        fetches=room.tries,
    )


def _without_grant(room: _Room) -> None:
    """Guess: names, numbers, links, and the paths of the objects themselves."""
    guess = base62.encode(int.from_bytes(room.arena.entropy(32)), 43)
    paths = [f"/trust/documents/grants/{guess}/file", "/trust/documents/grants/probe-report/file"]
    for name in room.marks:
        paths += [f"/trust/documents/files/{name}", f"/v1/documents/{name}/file", f"/trust/documents/{name}"]
    with room.arena.database.system() as tx:
        objects = tx.value("SELECT array_agg(body_object) FROM heldtrue.room_files WHERE body_object IS NOT NULL") or []
    for one in objects:
        below = f"objects/{one[:2]}/{one}"
        paths += [f"/{below}", f"/assets/{below}", f"/log/tile/{below}", f"/assets/../{below}", f"/assets/..%2f{below}"]
    for path in paths:
        room.refused(path, f"without a grant, at {path.replace(guess, '<a guess>')[:60]}")


def _by_anothers(room: _Room, link: str) -> None:
    """Use a grant of one document for another."""
    for path in (f"{link}/file?document=probe-report", f"{link}/probe-report/file", f"{link}/../probe-report/file"):
        room.refused(path, "by another document's grant")
    if room.marks["probe-report"] in room.fetch(f"{link}/file").body:
        room.faults.append("The grant of one document gave another.")


def _after_the_end(room: _Room) -> None:
    """Fetch in the moment after a grant has ended, by the clock of the instance that gave it."""
    _, link = room.grant("probe-report", SHORT)
    end = room.arena.clock.now() + SHORT
    room.arena.until("the grant's end", lambda: True if room.arena.clock.now() >= end else None)
    room.refused(f"{link}/file", "just after its grant had expired")
    room.refused(link, "just after its grant had expired")


ATTACKS = (
    Attack(
        name="room.unlawful_fetch",
        place=Place.SCRATCH,
        tries=(
            "On an instance made for this: list two documents on request, and one under a non-disclosure agreement.",
            "Fetch each without a grant: by name, by a guessed link, and by the path of its object.",
            "Fetch one with the grant of another, and one before the agreement was accepted.",
            "Fetch with a grant in force, which must work; then with the same one revoked, and with one just expired.",
        ),
        run=unlawful_fetch,
        breaks="grants-without-end",
        needs=("heldtrue.crypto.base62",),
        limit=timedelta(seconds=120),
    ),
)
"""What is tried against the document room."""

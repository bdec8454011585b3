"""Decide about one submitted checkpoint (C2SP tlog-witness, "add-checkpoint"), step by step as the text has them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from heldtrue_verify.checkpoint import Roots
from heldtrue_verify.note import Note, VerifierKey, from_base64
from heldtrue_verify.tree import EMPTY_ROOT, extends
from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError, VerifyError
from heldtrue_witness.keys import WitnessKey
from heldtrue_witness.record import Record

MOST_HASHES = 63
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Submission:
    """A request, read and not believed."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    @classmethod
    def parse(cls, body: bytes) -> Submission:
        """Read `old <size>`, the proof's lines, an empty line, and the checkpoint."""
        try:
            head, blank, note = body.decode().partition("\n\n")
        except UnicodeDecodeError as error:
            raise MalformedError("The request is not UTF-8.") from error
        first, *lines = head.split("\n")
        match = _OLD.fullmatch(first)
        if not blank or match is None or len(lines) > MOST_HASHES:
            raise MalformedError("A request is an old size, at most 63 hashes, an empty line, and a checkpoint.")
        proof = tuple(from_base64(line) for line in lines)
        if any(len(each) != 32 for each in proof):
            raise MalformedError("A hash of the proof is not a SHA-256 hash.")
        return cls(int(match[1]), proof, note)


class Judge:
    """Cosigns what extends everything that it cosigned before, and nothing else."""

    def __init__(
        self, key: WitnessKey, record: Record, logs: Sequence[VerifierKey], clock: Callable[[], float]
    ) -> None:
        """Prepare; *logs* are the keys of the logs that are watched."""
        self._key, self._record, self._clock = key, record, clock
        self._logs: dict[str, list[VerifierKey]] = {}
        for log in logs:
            self._logs.setdefault(log.name, []).append(log)
        self._one_at_a_time = threading.Lock()
        """Comparing with the record and replacing it is one step (tlog-witness, the race at its end)."""

    def add_checkpoint(self, body: bytes) -> Reply:
        """Answer one request."""
        try:
            asked = Submission.parse(body)
            origin = Note.parse(asked.note).text.split("\n", 1)[0]
        except MalformedError as error:
            return Reply(400, f"{error}\n")
        if origin not in self._logs:
            return Reply(404, f"This witness does not watch {origin}.\n")
        try:
            signer, size, root = self._head(asked.note, origin)
        except DoesNotHoldError as error:
            return Reply(403, f"{error}\n")
        except MalformedError as error:
            return Reply(400, f"{error}\n")
        if asked.old > size:
            return Reply(400, f"The old size {asked.old} is greater than the checkpoint's, {size}.\n")
        with self._one_at_a_time:
            return self._decide(asked, origin, signer, size, root)

    def _head(self, note: str, origin: str) -> tuple[VerifierKey, int, bytes]:
        """Verify the log's signature; give its key, size and root."""
        for log in self._logs[origin]:
            if Note.parse(note).signatures_by(log):
                _, size, root = Roots(log).head(note)
                return log, size, root
        raise DoesNotHoldError(f"The checkpoint is not signed by the key that is known for {origin}.")

    def _decide(self, asked: Submission, origin: str, signer: VerifierKey, size: int, root: bytes) -> Reply:
        newest = self._record.newest(origin)
        seen, seen_root = (0, EMPTY_ROOT) if newest is None else _own(newest)
        if asked.old != seen:
            return _conflict(seen)
        if size == seen and root != seen_root:
            return _conflict(seen)  # two trees of one size: the log is forked, and this one is not signed
        if not extends(seen, seen_root, size, root, asked.proof):
            return Reply(422, f"The proof does not show the {seen} entries seen here to be the beginning of {size}.\n")
        text = Note.parse(asked.note).text
        line = self._key.cosign(text, int(self._clock()))
        if newest is None or size > seen:
            try:
                self._record.put(origin, _signed_by(asked.note, signer))  # durable before the signature leaves
            except VerifyError as error:
                return Reply(503, f"{error}\n")
        return Reply(200, line)


def _own(note: str) -> tuple[int, bytes]:
    """Give size and root of a checkpoint out of our own record."""
    _, size, root = Note.parse(note).text.split("\n")[:3]
    return int(size), from_base64(root)


def _conflict(seen: int) -> Reply:
    return Reply(409, f"{seen}\n", "text/x.tlog.size")


def _signed_by(note: str, log: VerifierKey) -> str:
    """Give the checkpoint with its log's own signature lines alone: evidence, if it is ever denied."""
    text, _, lines = note.rpartition("\n\n")
    kept = [line for line in lines.splitlines(keepends=True) if line.startswith(f"— {log.name} ")]
    return f"{text}\n\n{''.join(kept)}"

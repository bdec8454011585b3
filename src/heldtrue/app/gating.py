"""The gate over files, without an instance; and a pipeline's signing key as a file."""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from heldtrue.capabilities.evidence import advisories as osv
from heldtrue.capabilities.evidence import gate, policy
from heldtrue.capabilities.evidence.gate import Piece
from heldtrue.capabilities.evidence.model import MOST_BYTES, Kind, Reading, UnreadableEvidenceError
from heldtrue.capabilities.evidence.readers import READERS
from heldtrue.capabilities.evidence.readers.cyclonedx import components
from heldtrue.crypto.canonical import parse_strict
from heldtrue.crypto.signing import SigningKey
from heldtrue.http import wire
from heldtrue.kernel.errors import BadInputError, SettingsError
from heldtrue.kernel.ids import CryptoKeyId
from heldtrue.kernel.secret import Secret

HEADER = "heldtrue-pipeline-key v1"
_KEY = re.compile(re.escape(HEADER) + r"\nseed (?P<seed>[A-Za-z0-9+/]{43}=)\n*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|gitCommit:([0-9a-f]{40}|[0-9a-f]{64})")
CLOUD = frozenset({Kind.ASFF, Kind.SCC, Kind.DEFENDER})


def key_text(key: SigningKey) -> str:
    """Return *key* as the text of its file."""
    return f"{HEADER}\nseed {base64.b64encode(key.seed.reveal()).decode()}"


def read_key(path: Path) -> SigningKey:
    """Return the key in *path*; raise `SettingsError` unless it is one, and nobody else may read it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(1024).decode("ascii", "replace")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}", advice="Check --key-file.") from error
    if mode & 0o077:
        raise SettingsError(f"{path} has mode {mode:04o}; it must be 0600", advice=f"Run: chmod 600 {path}")
    found = _KEY.fullmatch(text)
    try:
        if found is None:
            raise ValueError("not of that form")
        seed = base64.b64decode(found["seed"], validate=True)
        return SigningKey(CryptoKeyId(UUID(int=0)), Secret(seed))
    except (binascii.Error, ValueError) as error:
        raise SettingsError(
            f"{path} is no pipeline key", advice="Make one with `heldtrue evidence keygen FILE`."
        ) from error


def digest_of(text: str) -> dict[str, str]:
    """Return the digest written as `sha256:…` or `gitCommit:…`."""
    if not _DIGEST.fullmatch(text):
        raise BadInputError(f"{text[:80]!r} is no digest", advice="Write sha256:… or gitCommit:….")
    name, _, value = text.partition(":")
    return {name: value}


def read_document(path: Path) -> object:
    """Return the JSON in *path*, or a CSV as `{"csv": text}`; raise `UnreadableEvidenceError` naming the file."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnreadableEvidenceError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise UnreadableEvidenceError(f"{path} is over {MOST_BYTES} bytes.")
    try:
        if path.suffix.lower() == ".csv":
            return {"csv": data.decode("utf-8-sig")}
        return parse_strict(data)
    except (BadInputError, UnicodeDecodeError) as error:
        raise UnreadableEvidenceError(f"{path}: {error}") from error


def named(
    sarif: Sequence[Path], sbom: Path | None, vex: Path | None, tests: Path | None, review: Path | None,
    cloud: Sequence[str],
) -> list[tuple[Kind, Path]]:  # fmt: skip
    """Return each file with its kind; raise `BadInputError` for a cloud export that is not `KIND=FILE`."""
    single = ((Kind.SBOM, sbom), (Kind.VEX, vex), (Kind.TESTS, tests), (Kind.REVIEW, review))
    found = [(Kind.SARIF, path) for path in sarif] + [(kind, path) for kind, path in single if path is not None]
    for one in cloud:
        name, _, path = one.partition("=")
        if name not in {kind.value for kind in CLOUD} or not path:
            raise BadInputError(f"{one[:80]!r} names no export", advice="Write --cloud asff=FILE.")
        found.append((Kind(name), Path(path)))
    return found


def offline(
    files: Sequence[tuple[Kind, Path]], rules: Path | None, advisories: Path | None, now: datetime
) -> dict[str, Any]:
    """Return what the gate says of *files* at *now*; a document that does not say when it was made is made now."""
    held = policy.GatePolicy() if rules is None else policy.parse(_text(rules), now)
    documents = [(kind, path, read_document(path)) for kind, path in files]
    readings = [_read(kind, path, document) for kind, path, document in documents]
    if advisories is not None:
        excused = frozenset(rule for one in readings for rule in one.excused)
        listed = [part for kind, _, document in documents if kind is Kind.SBOM for part in components(document)]
        if not listed:
            raise BadInputError("advisories are matched against a bill of materials", advice="Name --sbom.")
        readings.append(osv.match(listed, osv.load(advisories), excused))
    pieces = [Piece(one, _expiry(held, one, now)) for one in readings]
    return parse_strict(wire.encode(gate.judge(held, pieces, now)))  # pyright: ignore[reportReturnType]


def _read(kind: Kind, path: Path, document: object) -> Reading:
    try:
        return READERS[kind](document)
    except UnreadableEvidenceError as error:
        raise UnreadableEvidenceError(f"{path}: {error.message}") from error


def _expiry(held: policy.GatePolicy, reading: Reading, now: datetime) -> datetime:
    return (
        datetime.max.replace(tzinfo=now.tzinfo) if reading.kind is Kind.ADVISORIES else gate.expiry(held, reading, now)
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise policy.PolicyRefusedError(f"{path} cannot be read: {error}") from error

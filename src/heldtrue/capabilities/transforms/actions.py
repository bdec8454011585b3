"""What can be done with transforms: create, add a version, look at, roll back, delete."""

from __future__ import annotations

from uuid import UUID

import msgspec

from heldtrue.capabilities.egress import actions as egress
from heldtrue.capabilities.egress.model import EgressView, SetEgress, TheEgress
from heldtrue.capabilities.transforms import flow_store, store
from heldtrue.capabilities.transforms.model import (
    MAX_VERSIONS,
    PURPOSE,
    AddVersion,
    CreateTransform,
    Language,
    ListTransforms,
    ListVersions,
    NoSuchTransformError,
    NoSuchVersionError,
    TheTransform,
    TheVersion,
    TransformConfig,
    TransformDeleted,
    TransformInUseError,
    TransformView,
    VersionView,
    VersionWithCode,
    digest_of,
    encoded,
)
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, decode, encode
from heldtrue.kernel.errors import ConflictError
from heldtrue.kernel.ids import TransformId
from heldtrue.op import Operation


def create_transform(op: Operation, asked: CreateTransform) -> TransformView:
    """Create a transform with its first version."""
    transform = TransformId.new(op.now, op.entropy)
    config = TransformConfig(asked.name, asked.description)
    row = store.TransformRow(
        transform_id=transform.value,
        state="active",
        current=1,
        config_sealed=op.keys.seal(PURPOSE, "transforms", "config", str(transform.value), msgspec.json.encode(config)),
        created_at=op.now,
    )
    store.insert(op.tx, op.tenant.value, op.environment, row)
    _insert_version(op, transform, 1, asked.language, asked.code, asked.note)
    return _view(op, row)


def add_version(op: Operation, asked: AddVersion) -> Answer:
    """Add a version and make it the current one; code that the current one has already adds nothing."""
    transform, row = _locked(op, asked.transform_id)
    current = _version(op, transform, row.current)
    if current.digest != digest_of(asked.language, encoded(asked.code)):
        number = store.newest(op.tx, transform.value) + 1
        if number > MAX_VERSIONS:
            raise ConflictError(f"the transform has {MAX_VERSIONS} versions", advice="Create another transform.")
        _insert_version(op, transform, number, asked.language, asked.code, asked.note)
        store.set_current(op.tx, transform.value, number)
        row = store.TransformRow(row.transform_id, row.state, number, row.config_sealed, row.created_at)
        current = _version(op, transform, number)
    return Answer(
        body=_version_view(op, current, row.current),
        subject=str(transform),
        detail={"version": current.number, "digest": current.digest.hex()},
    )


def list_transforms(op: Operation, asked: ListTransforms) -> Listing[TransformView]:
    """List the environment's transforms, newest first."""
    rows = store.transforms(op.tx, asked.after(), asked.limit + 1)
    shown = rows[: asked.limit]
    more = encode(shown[-1].transform_id) if len(rows) > asked.limit else None
    return Listing(data=[_view(op, row) for row in shown], next_cursor=more)


def get_transform(op: Operation, asked: TheTransform) -> TransformView:
    """Tell what is known of a transform."""
    row = store.transform(op.tx, TransformId.parse(asked.transform_id).value)
    if row is None:
        raise NoSuchTransformError
    return _view(op, row)


def list_versions(op: Operation, asked: ListVersions) -> Listing[VersionView]:
    """List the versions of a transform, newest first."""
    transform = TransformId.parse(asked.transform_id)
    row = store.transform(op.tx, transform.value)
    if row is None:
        raise NoSuchTransformError
    below = None if asked.cursor is None else min(decode(asked.cursor).int, MAX_VERSIONS + 1)
    rows = store.versions(op.tx, transform.value, below, asked.limit + 1)
    shown = rows[: asked.limit]
    more = encode(_as_cursor(shown[-1].number)) if len(rows) > asked.limit else None
    return Listing(data=[_version_view(op, found, row.current) for found in shown], next_cursor=more)


def get_version(op: Operation, asked: TheVersion) -> VersionWithCode:
    """Return a version with its code."""
    transform = TransformId.parse(asked.transform_id)
    row = store.transform(op.tx, transform.value)
    if row is None:
        raise NoSuchTransformError
    found = _version(op, transform, asked.number)
    view = _version_view(op, found, row.current)
    return VersionWithCode(**msgspec.structs.asdict(view), code=code_of(op, found).decode("utf-8"))


def roll_back(op: Operation, asked: TheVersion) -> Answer:
    """Make an earlier version, or a later one, the current one; steps that name no version run it from now on."""
    transform, row = _locked(op, asked.transform_id)
    found = _version(op, transform, asked.number)
    store.set_current(op.tx, transform.value, found.number)
    return Answer(
        body=_version_view(op, found, found.number),
        subject=str(transform),
        detail={"version": found.number, "before": row.current, "digest": found.digest.hex()},
    )


def get_egress(op: Operation, asked: TheEgress) -> EgressView:
    """Tell what a transform may call."""
    transform = TransformId.parse(asked.transform_id)
    if store.transform(op.tx, transform.value) is None:
        raise NoSuchTransformError
    return egress.egress_of(op, transform)


def set_egress(op: Operation, asked: SetEgress) -> Answer:
    """Say what a transform may call, all its versions alike; steps that begin later heed it."""
    transform, _ = _locked(op, asked.transform_id)
    return egress.put_egress(op, transform, asked.rules)


def delete_transform(op: Operation, asked: TheTransform) -> TransformDeleted:
    """Forget a transform's code; refused while a flow has a step that runs it."""
    transform, _ = _locked(op, asked.transform_id)
    if flow_store.uses(op.tx, transform.value):
        raise TransformInUseError
    egress.put_egress(op, transform, [])
    store.delete(op.tx, transform.value)
    return TransformDeleted(id=str(transform), state="deleted")


def code_of(op: Operation, row: store.VersionRow) -> bytes:
    """Open a version's code."""
    if row.code_sealed is None:
        raise NoSuchVersionError
    return op.keys.open(PURPOSE, "transform_versions", "code", _place(row.transform_id, row.number), row.code_sealed)


def _insert_version(
    op: Operation, transform: TransformId, number: int, language: Language, code: str, note: str
) -> None:
    raw = encoded(code)
    place = _place(transform.value, number)
    row = store.VersionRow(
        transform_id=transform.value,
        number=number,
        language=language,
        digest=digest_of(language, raw),
        size=len(raw),
        code_sealed=op.keys.seal(PURPOSE, "transform_versions", "code", place, raw),
        note_sealed=op.keys.seal(PURPOSE, "transform_versions", "note", place, note.encode()) if note else None,
        created_at=op.now,
    )
    store.insert_version(op.tx, op.tenant.value, op.environment, row)


def _locked(op: Operation, text: str) -> tuple[TransformId, store.TransformRow]:
    transform = TransformId.parse(text)
    row = store.lock(op.tx, transform.value)
    if row is None:
        raise NoSuchTransformError
    return transform, row


def _version(op: Operation, transform: TransformId, number: int) -> store.VersionRow:
    found = store.version(op.tx, transform.value, number)
    if found is None:
        raise NoSuchVersionError
    return found


def _view(op: Operation, row: store.TransformRow) -> TransformView:
    place = str(row.transform_id)
    plain = op.keys.open(PURPOSE, "transforms", "config", place, row.config_sealed)
    config = msgspec.json.decode(plain, type=TransformConfig)
    transform = TransformId(row.transform_id)
    return TransformView(
        id=str(transform),
        name=config.name,
        description=config.description,
        current=_version_view(op, _version(op, transform, row.current), row.current),
        created_at=row.created_at,
    )


def _version_view(op: Operation, row: store.VersionRow, current: int) -> VersionView:
    note = ""
    if row.note_sealed is not None:
        place = _place(row.transform_id, row.number)
        note = op.keys.open(PURPOSE, "transform_versions", "note", place, row.note_sealed).decode("utf-8")
    return VersionView(
        number=row.number,
        language=row.language,
        digest=f"sha256:{row.digest.hex()}",
        size=row.size,
        note=note,
        created_at=row.created_at,
        current=row.number == current,
    )


def _place(transform: UUID, number: int) -> str:
    return f"{transform}/{number}"


def _as_cursor(number: int) -> UUID:
    return UUID(int=number)

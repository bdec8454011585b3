"""The log for everybody, as files; and an organisation's own part of it, as documents with proofs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from heldtrue.capabilities.ledger import actions, model, proofs, store
from heldtrue.capabilities.ledger.actions import DocumentErasedError
from heldtrue.capabilities.ledger.model import DocumentKind
from heldtrue.capabilities.ledger.tiles import NoSuchTileError, Tile, TileDirectory
from heldtrue.crypto.keyring import KeyDestroyedError
from heldtrue.http.exchange import Page
from heldtrue.http.pagination import Listing, PageQuery, listing
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import LeafId
from heldtrue.op import Operation
from heldtrue.policy.permissions import Permission

TAG = "audit"


class NothingPublishedError(NotFoundError):
    """The log has no checkpoint here yet, or no such generation; ask again in a second."""

    code = "nothing-published"


class AuditQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of the organisation's ledger is asked for; newest first."""

    event: Annotated[str, msgspec.Meta(max_length=64, description="Only this event, as `key.issued`.")] | None = None


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    leaf_id: str
    event: str
    at: str
    document: dict[str, Any] | None
    """What was recorded; null once it was erased."""


class LeafPath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of the log."""

    leaf_id: str


class AuditProof(msgspec.Struct, frozen=True, kw_only=True):
    """A document, and the proof that the log holds the commitment to it: a proof file of `heldtrue-verify proof`."""

    document: dict[str, Any]
    proof: str
    """`tlog-proof` text; its `extra` is the salt of the commitment."""


class TilePath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The name of a tile under `tile/`."""

    path: str


class OldTilePath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The name of a tile of an older generation."""

    generation: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    path: str


class GenerationPath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An older generation of the log."""

    generation: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


def list_audit(op: Operation, query: AuditQuery) -> Listing[AuditEntry]:
    """List what happened in the caller's organisation and environment, newest first."""
    rows = store.documents(op.tx, DocumentKind.AUDIT, query.event, query.after(), query.limit + 1)
    return listing(rows, query, lambda row: _entry(op, row), lambda row: row.leaf_id)


def prove_audit(op: Operation, asked: LeafPath) -> AuditProof:
    """Return one document with the proof that it is in the log; 503 until the sequencer has passed."""
    leaf = LeafId.parse(asked.leaf_id)
    document, salt = actions.read_document(op, leaf)
    return AuditProof(document=document, proof=proofs.proof_of(op.tx, leaf, salt))


def routes(log_dir: Path) -> list[Route]:
    """Return the routes of the ledger; *log_dir* is where the sequencer publishes."""
    directory = TileDirectory(log_dir)

    def show_checkpoint() -> Page:
        return _checkpoint(directory)

    def show_tile(asked: TilePath) -> Page:
        return _tile(directory, asked.path)

    def show_old_checkpoint(asked: GenerationPath) -> Page:
        return _checkpoint(TileDirectory(log_dir / str(asked.generation)))

    def show_old_tile(asked: OldTilePath) -> Page:
        return _tile(TileDirectory(log_dir / str(asked.generation)), asked.path)

    return [
        Route(
            at="GET /log/checkpoint", action=show_checkpoint, realm=Realm.PUBLIC, cache=CacheClass.PAGE,
            produces="text/plain; charset=utf-8", summary="The log's present checkpoint (C2SP tlog-checkpoint).",
            tags=("log",),
        ),
        Route(
            at="GET /log/tile/{path:path}", action=show_tile, takes=TilePath, realm=Realm.PUBLIC,
            cache=CacheClass.IMMUTABLE, produces="application/octet-stream",
            summary="A tile or an entry bundle of the log (C2SP tlog-tiles).", tags=("log",),
        ),
        Route(
            at="GET /log/{generation}/checkpoint", action=show_old_checkpoint, takes=GenerationPath,
            realm=Realm.PUBLIC, cache=CacheClass.PAGE, produces="text/plain; charset=utf-8",
            summary="The last checkpoint of a log that was succeeded.", tags=("log",),
        ),
        Route(
            at="GET /log/{generation}/tile/{path:path}", action=show_old_tile, takes=OldTilePath,
            realm=Realm.PUBLIC, cache=CacheClass.IMMUTABLE, produces="application/octet-stream",
            summary="A tile or an entry bundle of a log that was succeeded.", tags=("log",),
        ),
        Route(
            at="GET /v1/audit", action=list_audit, takes=AuditQuery, gives=Listing[AuditEntry],
            needs=Permission.AUDIT_READ, audits="audit.listed", summary="List what happened, newest first.",
            tags=(TAG,),
        ),
        Route(
            at="GET /v1/audit/{leaf_id}/proof", action=prove_audit, takes=LeafPath, gives=AuditProof,
            needs=Permission.AUDIT_READ, audits="audit.proven", summary="A document of the ledger with its proof.",
            tags=(TAG,),
        ),
    ]  # fmt: skip


def _entry(op: Operation, row: store.DocumentRow) -> AuditEntry:
    try:
        document = actions.open_document(op.keys, row)[0]
    except (DocumentErasedError, KeyDestroyedError):
        document = None
    return AuditEntry(
        leaf_id=str(LeafId(row.leaf_id)), event=row.event, at=model.instant(row.created_at), document=document
    )


def _checkpoint(directory: TileDirectory) -> Page:
    text = directory.checkpoint()
    if text is None:
        raise NothingPublishedError
    return Page(content=text.encode(), content_type="text/plain; charset=utf-8")


def _tile(directory: TileDirectory, path: str) -> Page:
    """Return a tile by its canonical name only, so that no name leads out of the directory."""
    tile = Tile.parse(f"tile/{path}")
    if directory.checkpoint() is None:
        raise NoSuchTileError("the log has no tiles yet")
    return Page(content=directory.read(tile), content_type="application/octet-stream")

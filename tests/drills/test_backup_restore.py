"""Back up, destroy, restore: everything is there; and nothing else than what was backed up is ever taken."""

from __future__ import annotations

import base64
import gzip
import json
import secrets
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from heldtrue.capabilities.backups import actions, dumps, files, model
from heldtrue.capabilities.backups.actions import Source, backup, verify
from heldtrue.capabilities.backups.dumps import PASSING
from heldtrue.capabilities.backups.model import (
    BackupBrokenError,
    BackupFailedError,
    ForeignBackupError,
    KeystoreMissingError,
    NewerBackupError,
    NotEmptyError,
    RestoreFailedError,
    Step,
)
from heldtrue.capabilities.backups.restore import instance_of, restore
from heldtrue.capabilities.intake.objects import LocalObjects
from heldtrue.crypto import platform
from heldtrue.crypto.keyring import KeyCache, TenantKeyring
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.sealing import Opener
from heldtrue.db import migrate
from heldtrue.db.embedded import EmbeddedServer
from heldtrue.db.keystore import TxKeyRecords
from heldtrue.db.roles import establish
from heldtrue.db.tx import Database, PoolSizes
from heldtrue.kernel.errors import IntegrityError
from heldtrue.kernel.ids import CryptoKeyId, TenantId
from heldtrue.kernel.secret import Secret

pytestmark = pytest.mark.drill
NOW = datetime.now(UTC)
SMALL = {"shared_buffers": "16MB", "max_connections": "30"}
BODY = b"what the customer sent " * 20_000


@dataclass
class Instance:
    """An instance with one payload, whose body is a sealed object, and a log of three entries."""

    root: Path
    server: EmbeddedServer
    source: Source
    platform: PlatformKey
    tenant: TenantId
    key: CryptoKeyId
    object_name: str
    canary: str
    instance_id: UUID
    rows: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)
    """Every table as it was when the backup that is kept was made."""

    @property
    def admin(self) -> Secret[str]:
        return self.source.admin


def keyring(tx, instance: Instance) -> TenantKeyring:
    return TenantKeyring(
        instance.platform, TxKeyRecords(tx), KeyCache(), instance.tenant, "live", secrets.token_bytes, NOW
    )


@pytest.fixture
def place() -> Generator[Path]:
    path = Path(tempfile.mkdtemp(prefix="heldtrue-backup-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def instance(server) -> Generator[Instance]:
    root = Path(tempfile.mkdtemp(prefix="heldtrue-origin-"))
    root.chmod(0o711)
    data = root / "data"
    data.mkdir(mode=0o711)
    instance_id = uuid4()
    key = platform.create(f"file:{root}/keys/{instance_id.hex}.key", instance_id, data, secrets.token_bytes, NOW)
    (data / "instance.json").write_text(
        json.dumps({"version": 1, "instance_id": instance_id.hex, "origin": "localhost/drill", "created": "2026"})
    )
    (data / "log").mkdir()
    (data / "log" / "checkpoint").write_text("localhost/drill\n2\nAAAA\n")
    embedded = EmbeddedServer(data, tuning=SMALL)
    admin = embedded.start()
    with Database(establish(admin, secrets.token_bytes), PoolSizes(2, 1, 2)) as database:
        migrate.migrate(admin)
        made = _fill(root, data, embedded, admin, database, key, instance_id)
        yield made
    embedded.stop()
    shutil.rmtree(root)


def _fill(root, data, embedded, admin, database, key, instance_id) -> Instance:
    canary = f"canary-{secrets.token_hex(12)}"
    tenant = TenantId.new(NOW, secrets.token_bytes)
    objects = LocalObjects(data / "objects")
    source = Source(
        admin=admin, programs=embedded.programs, read_object=objects.read, identity=data / "instance.json",
        log_dir=data / "log", platform=key, instance_id=instance_id, origin="localhost/drill", version="0.1.0",
    )  # fmt: skip
    made = Instance(root, embedded, source, key, tenant, CryptoKeyId(uuid4()), "", canary, instance_id)
    with database.system() as tx:
        tx.execute("INSERT INTO organisations VALUES (%s, 'customer', 'active', 'n', now())", [tenant.value])
        tx.execute("INSERT INTO environments VALUES (%s, 'live', now())", [tenant.value])
        for number in range(3):
            # A column in clear: the dump's own sealing must hide it.
            tx.execute("INSERT INTO log_pending VALUES (%s, %s, now())", [uuid4(), f"{canary} {number}".encode()])
    with database.tenant(tenant, "live") as tx:
        ring = keyring(tx, made)
        data_key = ring.new_object_key()
        payload = uuid4()
        sealed = ring.seal_object(data_key, "payloads", "body", str(payload), BODY + canary.encode())
        writer = objects.create(secrets.token_bytes)
        writer.write(sealed)
        writer.commit()
        tx.execute(
            """INSERT INTO payloads (tenant_id, environment, payload_id, object_key_id, source, state, size,
               body_object, received_at) VALUES (%s, 'live', %s, %s, 'http', 'accepted', %s, %s, now())""",
            [tenant.value, payload, data_key.id.value, len(BODY), writer.name],
        )
    made.key, made.object_name = data_key.id, writer.name
    return made


@pytest.fixture(scope="module")
def kept(instance) -> Path:
    """One good backup; tests that damage one copy it first."""
    path = instance.root / "kept"
    instance.rows = rows(instance.admin)
    backup(instance.source, path, now=NOW, entropy=secrets.token_bytes)
    return path


@pytest.fixture
def copy(kept, place) -> Path:
    return shutil.copytree(kept, place / "copy")


def rows(admin: Secret[str]) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(admin.reveal()) as conn:
        tables = conn.execute(
            """SELECT schemaname || '.' || tablename FROM pg_tables
               WHERE schemaname IN ('heldtrue', 'keystore') ORDER BY 1"""
        ).fetchall()
        kept = [name for (name,) in tables if name not in PASSING]
        return {name: conn.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in kept}


def test_everything_comes_back_and_opens(instance, kept, place):
    steps: list[Step] = []
    target = place / "data"
    restored = restore(kept, target, instance.platform, entropy=secrets.token_bytes, progress=steps.append)
    assert {step.name for step in steps} == {"verify", "database.sealed", "keystore.sealed", "objects"}
    assert json.loads((target / "instance.json").read_text())["instance_id"] == instance.instance_id.hex
    assert not (target / model.RESTORING).exists()
    assert json.loads((target / "log" / "RESTORED").read_text()) == {"recovered_size": restored.recovered_size}
    assert sorted(path.name for path in (target / "log").iterdir()) == ["RESTORED"], "no tile and no checkpoint"
    with EmbeddedServer(target, tuning=SMALL) as server:
        admin = server.start()
        assert rows(admin) == instance.rows
        with Database(establish(admin, secrets.token_bytes), PoolSizes(2, 1, 2)) as database:
            with database.tenant(instance.tenant, "live") as tx:
                ring = keyring(tx, instance)
                payload, name = (
                    tx.value("SELECT payload_id FROM payloads"),
                    tx.value("SELECT body_object FROM payloads"),
                )
                sealed = b"".join(LocalObjects(target / "objects").read(name))
                opened = ring.open_object(ring.object_key(instance.key), "payloads", "body", str(payload), sealed)
            assert opened == BODY + instance.canary.encode()


def test_the_manifest_says_what_is_in_it(instance, kept):
    manifest = verify(kept, instance.platform)
    assert instance_of(kept) == instance.instance_id
    assert manifest.rows["heldtrue.payloads"] == 1
    assert manifest.rows["heldtrue.log_pending"] == 3
    assert manifest.log.checkpoint == "localhost/drill\n2\nAAAA\n"
    assert {file.path for file in manifest.files} == {
        "database.sealed", "keystore.sealed", f"objects/{instance.object_name}",
    }  # fmt: skip
    assert {path.stat().st_mode & 0o777 for path in kept.rglob("*") if path.is_file()} == {0o600}


def _found(root: Path, canary: str) -> list[str]:
    """Search files for the canary: raw, hex, base64, and after decompression."""
    needles = [canary.encode(), canary.encode().hex().encode(), base64.b64encode(canary.encode())[:-4]]
    found: list[str] = []
    for path in (path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        inflated = [content]
        for start in range(len(content)):
            if content[start : start + 2] in {b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda"}:
                try:
                    inflated.append(zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(content[start:]))
                except zlib.error:
                    continue
        if any(needle in text for needle in needles for text in inflated):
            found.append(path.name)
    return found


def test_no_canary_is_in_clear_and_the_search_would_find_one(instance, kept, place):
    with dumps.snapshot(instance.admin) as moment:
        planted = b"".join(dumps.dump(instance.admin, instance.server.programs, "heldtrue", moment))
    (place / "planted.dump").write_bytes(planted)
    (place / "planted.gz").write_bytes(gzip.compress(instance.canary.encode()))
    (place / "planted.hex").write_text(instance.canary.encode().hex())
    assert set(_found(place, instance.canary)) == {"planted.dump", "planted.gz", "planted.hex"}
    assert _found(kept, instance.canary) == []


def test_the_main_part_holds_no_key(instance, kept):
    """Whoever has the platform key and an old main part, but not its keystore, opens nothing."""
    manifest = verify(kept, instance.platform)
    opener = Opener(
        model.unwrapped(manifest, "database", instance.platform),
        model.context(instance.instance_id, manifest.id, "database.sealed"),
    )
    plain = opener.update((kept / "database.sealed").read_bytes()) + opener.finish()
    assert b"payloads" in plain
    for table in (b"object_keys", b"tenant_keys", b"signing_keys"):
        assert table not in plain


def test_without_the_keystore_nothing_is_restored_and_with_it_from_elsewhere_it_is(instance, copy, place):
    apart = place / "apart"
    apart.mkdir()
    shutil.move(copy / "keystore.sealed", apart / "keystore.sealed")
    with pytest.raises(KeystoreMissingError):
        restore(copy, place / "data", instance.platform, entropy=secrets.token_bytes)
    assert not (place / "data").exists()
    verify(copy, instance.platform, keystore=apart / "keystore.sealed")


def test_the_keystore_of_another_backup_is_refused(instance, copy, place):
    other = place / "other"
    backup(instance.source, other, now=datetime.now(UTC), entropy=secrets.token_bytes)
    shutil.copy(other / "keystore.sealed", copy / "keystore.sealed")
    with pytest.raises(BackupBrokenError):
        verify(copy, instance.platform)


@pytest.mark.parametrize("what", ["database.sealed", "keystore.sealed", "objects"])
@pytest.mark.parametrize("damage", ["first byte", "middle byte", "last byte", "shorter", "longer", "missing"])
def test_a_damaged_file_is_refused_before_anything_is_restored(instance, copy, place, what, damage):
    path = copy / what
    if path.is_dir():
        path = next(path.iterdir())
    content = bytearray(path.read_bytes())
    at = {"first byte": 0, "middle byte": len(content) // 2, "last byte": -1}.get(damage)
    if at is not None:
        content[at] ^= 1
        path.write_bytes(content)
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if damage == "shorter" else content + b"x")
    with pytest.raises(KeystoreMissingError if (what, damage) == ("keystore.sealed", "missing") else BackupBrokenError):
        restore(copy, place / "data", instance.platform, entropy=secrets.token_bytes)
    assert not (place / "data").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("origin", "elsewhere"),
        ("rows", {}),
        ("files", []),
        ("migration", 0),
        ("log", {"generation": 0, "size": 0, "checkpoint": None}),
        ("mac", "00" * 32),
        ("identity", "{}"),
    ],
)
def test_an_altered_manifest_is_refused(instance, copy, field, value):
    path = copy / "manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest[field] != value
    path.write_text(json.dumps(manifest | {field: value}))
    with pytest.raises(BackupBrokenError):
        verify(copy, instance.platform)


def test_a_manifest_cut_short_or_missing_is_refused(instance, copy):
    path = copy / "manifest.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BackupBrokenError, match="cannot be read"):
        verify(copy, instance.platform)
    path.unlink()
    with pytest.raises(BackupBrokenError, match="no manifest"):
        verify(copy, instance.platform)


def test_a_backup_of_another_instance_is_refused(kept):
    stranger = PlatformKey(CryptoKeyId(uuid4()), Secret(secrets.token_bytes(32)))
    with pytest.raises(ForeignBackupError, match="does not open under platform key"):
        verify(kept, stranger)


def test_a_directory_that_holds_something_is_left_alone(instance, kept, place):
    (place / "mine").write_text("precious")
    for act in (
        lambda: restore(kept, place, instance.platform, entropy=secrets.token_bytes),
        lambda: backup(instance.source, place, now=NOW, entropy=secrets.token_bytes),
    ):
        with pytest.raises(NotEmptyError):
            act()
    assert [path.name for path in place.iterdir()] == ["mine"]


def test_a_backup_by_a_newer_version_is_refused(instance, copy, place, monkeypatch):
    monkeypatch.setattr(migrate, "shipped", list)
    with pytest.raises(NewerBackupError, match="this version knows 0"):
        restore(copy, place / "data", instance.platform, entropy=secrets.token_bytes)


def test_a_restore_that_fails_half_way_is_no_instance(instance, kept, place):
    def full(_name: str, _chunks: object) -> None:
        raise OSError(28, "No space left on device")

    target = place / "data"
    with pytest.raises(OSError, match="No space"):
        restore(kept, target, instance.platform, entropy=secrets.token_bytes, put_object=full)
    assert (target / model.RESTORING).exists()
    assert not (target / "instance.json").exists()
    with pytest.raises(NotEmptyError):
        restore(kept, target, instance.platform, entropy=secrets.token_bytes)


def test_rows_that_do_not_come_back_are_noticed(instance, kept, place, monkeypatch):
    monkeypatch.setattr(dumps, "load", lambda *_: None)
    with pytest.raises(RestoreFailedError, match=r"heldtrue\.payloads"):
        restore(kept, place / "data", instance.platform, entropy=secrets.token_bytes)


def test_a_dump_that_breaks_off_commits_nothing(instance, server, kept):
    name = server.create()
    admin = server.admin_of(name)
    manifest = verify(kept, instance.platform)
    opener = Opener(
        model.unwrapped(manifest, "keystore", instance.platform),
        model.context(instance.instance_id, manifest.id, "keystore.sealed"),
    )
    plain = opener.update((kept / "keystore.sealed").read_bytes()) + opener.finish()

    def cut():
        yield plain[: len(plain) // 2]
        raise BackupBrokenError("it ends here")

    try:
        with pytest.raises(IntegrityError):
            dumps.load(admin, instance.server.programs, cut())
        for end in (len(plain) // 2, len(plain) * 3 // 4, len(plain) - 60):  # the last: within the last table's rows
            with pytest.raises(RestoreFailedError):
                dumps.load(admin, instance.server.programs, [plain[:end]])
        assert dumps.counts(admin, ["keystore.tenant_keys"]) == {"keystore.tenant_keys": 0}
        dumps.load(admin, instance.server.programs, [plain])
        assert dumps.counts(admin, ["keystore.tenant_keys"])["keystore.tenant_keys"] > 0
    finally:
        server.drop(name)


def test_what_is_written_meanwhile_is_not_half_in_it(instance, place, monkeypatch):
    """Rows that appear after the snapshot are in neither dump nor count."""
    real = dumps.dump

    def late(admin, programs, schema, moment):
        with psycopg.connect(admin.reveal(), autocommit=True) as conn:
            conn.execute("INSERT INTO heldtrue.claim_schedules VALUES ('late', %s, '{}', now())", [uuid4()])
        return real(admin, programs, schema, moment)

    monkeypatch.setattr(dumps, "dump", late)
    manifest = backup(instance.source, place / "b", now=NOW, entropy=secrets.token_bytes)
    monkeypatch.undo()
    before = manifest.rows["heldtrue.claim_schedules"]
    restore(place / "b", place / "data", instance.platform, entropy=secrets.token_bytes)
    assert dumps.counts(instance.admin, ["heldtrue.claim_schedules"])["heldtrue.claim_schedules"] == before + 2


def test_an_object_that_is_lost_fails_the_backup_and_leaves_nothing(instance, place):
    empty = LocalObjects(place / "empty")
    with pytest.raises(BackupFailedError, match="cannot be read"):
        backup(replace(instance.source, read_object=empty.read), place / "b", now=NOW, entropy=secrets.token_bytes)
    assert list((place / "b").iterdir()) == []


def test_an_object_erased_meanwhile_is_left_out(instance, place, monkeypatch):
    monkeypatch.setattr(dumps, "still_named", lambda *_: False)
    gone = replace(instance.source, read_object=LocalObjects(place / "empty").read)
    manifest = backup(gone, place / "b", now=NOW, entropy=secrets.token_bytes)
    assert [file.path for file in manifest.files] == ["database.sealed", "keystore.sealed"]
    verify(place / "b", instance.platform)


def test_an_administrator_who_sees_some_tenants_only_makes_no_backup(instance, place):
    weak = establish(instance.admin, secrets.token_bytes).system
    with pytest.raises(BackupFailedError, match="does not see every row"):
        backup(replace(instance.source, admin=weak), place / "b", now=NOW, entropy=secrets.token_bytes)


def test_no_secret_is_in_the_arguments_or_environment_of_the_client_programs(instance, monkeypatch):
    started: list[tuple[list[str], dict[str, str]]] = []
    password = psycopg.conninfo.conninfo_to_dict(instance.admin.reveal())["password"]

    class Recorded(subprocess.Popen):
        def __init__(self, arguments, **options):
            started.append((arguments, options["env"]))
            super().__init__(arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    with dumps.snapshot(instance.admin) as moment:
        assert b"".join(dumps.dump(instance.admin, instance.server.programs, "heldtrue", moment))
    [(arguments, environment)] = started
    assert not any(password in text for text in [*arguments, *environment.values()])


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", ""])
def test_a_path_that_leads_out_is_refused(tmp_path, path):
    with pytest.raises(BackupBrokenError):
        files.inside(tmp_path, path)
    assert actions.place_of(tmp_path, model.File("database.sealed", 0, ""), None) == tmp_path

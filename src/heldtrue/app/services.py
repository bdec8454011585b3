"""What every process of an instance builds anew after its fork: pools, caches, stores; closed when it ends."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from heldtrue.app.boot import Ground
from heldtrue.app.settings import Objects
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.message import Urls
from heldtrue.capabilities.intake.objects import LocalObjects, ObjectStore
from heldtrue.capabilities.keystore.actions import Signers
from heldtrue.capabilities.registers.calls import HouseCalls
from heldtrue.crypto.keyring import KeyCache
from heldtrue.db.tx import Database, PoolSizes
from heldtrue.kernel.ids import Entropy


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that both web and worker stand on."""

    ground: Ground
    database: Database
    cache: KeyCache
    signers: Signers
    objects: ObjectStore
    allow: AllowList
    urls: Urls
    entropy: Entropy
    calls: HouseCalls
    """Where the hosts that the house itself calls are written down."""


@contextmanager
def services(ground: Ground, sizes: PoolSizes | None = None) -> Generator[Services]:
    """Open everything, and close it when the block ends."""
    home = ground.home
    with Database(ground.dsns, sizes) as database:
        calls = HouseCalls(database, home.clock)
        yield Services(
            ground=ground,
            database=database,
            cache=KeyCache(),
            signers=Signers(home.platform),
            objects=object_store(home.settings.objects, home.data.objects, calls),
            calls=calls,
            allow=AllowList.parse(home.settings.destinations.allow),
            urls=Urls(home.settings.public_url),
            entropy=secrets.token_bytes,
        )


def object_store(asked: Objects, directory: Path, calls: HouseCalls | None = None) -> ObjectStore:
    """Return where large bodies go."""
    if asked.store == "local":
        return LocalObjects(directory)
    from heldtrue.capabilities.intake.s3 import S3Objects

    parts = urlsplit(asked.store)
    client = s3_client(asked.endpoint, asked.region)
    if calls is not None:
        client.meta.events.register("before-send.s3", partial(_note, calls), unique_id="heldtrue-house-calls")
    return S3Objects(parts.netloc, client, parts.path)


def _note(calls: HouseCalls, request: Any, **_: object) -> None:
    """Write down the host before a request leaves for it (botocore's event `before-send`)."""
    host = urlsplit(request.url).hostname
    if host is not None:
        calls.note(host, "objects")


@functools.cache
def s3_client(endpoint: str | None, region: str | None) -> Any:
    """Return the client of a bucket's service; made before the fork, because it reads its own data files."""
    import boto3  # 60 MB, for those who have a bucket

    return boto3.client("s3", endpoint_url=endpoint, region_name=region)  # pyright: ignore[reportUnknownMemberType]

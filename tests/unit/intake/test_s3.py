"""The same promises over a real S3 server on loopback."""

from __future__ import annotations

import logging
import secrets
import socket
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from heldtrue.capabilities.intake.objects import ObjectMissingError
from heldtrue.capabilities.intake.s3 import PART_SIZE, S3Objects
from heldtrue.kernel.errors import UnavailableError

SOON = datetime.now(UTC) + timedelta(days=1)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # the server dates unfinished uploads to 2010


def client_for(port: int) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="eu-central-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=20),
    )


@pytest.fixture(scope="module")
def client() -> Generator[Any]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    port = server.get_host_and_port()[1]
    made = client_for(port)
    made.create_bucket(Bucket="bodies", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield made
    server.stop()


@pytest.fixture
def store(client: Any) -> S3Objects:
    return S3Objects("bodies", client, prefix=f"{secrets.token_hex(4)}/objects")


@pytest.mark.parametrize("size", [0, 10, PART_SIZE, 2 * PART_SIZE + 5])
def test_an_object_is_there_after_its_commit_and_not_before(store: S3Objects, size: int) -> None:
    writer = store.create(secrets.token_bytes)
    content = secrets.token_bytes(size)
    for at in range(0, size, 1_000_000):
        writer.write(content[at : at + 1_000_000])
    with pytest.raises(ObjectMissingError):
        list(store.read(writer.name))
    writer.commit()
    assert b"".join(store.read(writer.name)) == content
    assert list(store.older_than(SOON)) == [writer.name]
    assert list(store.older_than(LONG_AGO)) == []
    store.delete(writer.name)
    store.delete(writer.name)
    assert list(store.older_than(SOON)) == []


def test_an_aborted_upload_leaves_nothing(store: S3Objects) -> None:
    writer = store.create(secrets.token_bytes)
    writer.write(bytes(PART_SIZE + 1))
    writer.abort()
    writer.abort()
    assert list(store.older_than(SOON)) == []
    assert store.remove_unfinished(SOON) == 0


def test_an_upload_that_nobody_finished_is_swept(store: S3Objects) -> None:
    store.create(secrets.token_bytes).write(bytes(PART_SIZE + 1))
    assert store.remove_unfinished(LONG_AGO) == 0
    assert store.remove_unfinished(SOON) == 1
    assert store.remove_unfinished(SOON) == 0


def test_a_service_that_is_away_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    store = S3Objects("bodies", client_for(port))
    writer = store.create(secrets.token_bytes)
    with pytest.raises(UnavailableError):
        writer.write(bytes(PART_SIZE))
    writer.abort()
    with pytest.raises(UnavailableError):
        list(store.read("0" * 32))


def test_a_bucket_that_is_not_ours_is_unavailable(client: Any) -> None:
    writer = S3Objects("another", client).create(secrets.token_bytes)
    writer.write(b"x")
    with pytest.raises(UnavailableError):
        writer.commit()

"""Keep large sealed bodies in a bucket of an S3-compatible service."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from heldtrue.capabilities.intake.objects import READ_SIZE, ObjectMissingError, check_name, new_name
from heldtrue.kernel.errors import StorageFullError, UnavailableError
from heldtrue.kernel.ids import Entropy

PART_SIZE = 8 * 1024 * 1024
"""Parts but the last must be 5 MiB at least (S3 `UploadPart`)."""

_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"})

S3Client = Any
"""What `boto3.client("s3")` returns; it carries no types of its own."""


class S3Objects:
    """A bucket and a prefix; an object is durable when the service has answered."""

    def __init__(self, bucket: str, client: S3Client, prefix: str = "") -> None:
        self._bucket = bucket
        self._client = client
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def create(self, entropy: Entropy) -> S3Writer:
        """Return a writer that uploads in parts of 8 MiB."""
        name = new_name(entropy)
        return S3Writer(self._client, self._bucket, self._key(name), name)

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the object's bytes as they arrive."""
        with _service():
            body = self._client.get_object(Bucket=self._bucket, Key=self._key(check_name(name)))["Body"]
        try:
            with _service():
                yield from body.iter_chunks(READ_SIZE)
        finally:
            body.close()

    def delete(self, name: str) -> None:
        """Delete the object; the service does not mind when it is gone."""
        with _service():
            self._client.delete_object(Bucket=self._bucket, Key=self._key(check_name(name)))

    def older_than(self, moment: datetime) -> Iterator[str]:
        """Yield names by the service's time of modification."""
        with _service():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            for page in pages:
                for entry in page.get("Contents", ()):
                    if entry["LastModified"] < moment:
                        yield entry["Key"].removeprefix(self._prefix)

    def remove_unfinished(self, moment: datetime) -> int:
        """Abort uploads that were begun before *moment*."""
        removed = 0
        with _service():
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            for page in pages:
                for upload in page.get("Uploads", ()):
                    if upload["Initiated"] < moment:
                        self._client.abort_multipart_upload(
                            Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                        )
                        removed += 1
        return removed

    def _key(self, name: str) -> str:
        return self._prefix + name


class S3Writer:
    """One object on its way: a single PUT when it is small, a multi-part upload otherwise."""

    def __init__(self, client: S3Client, bucket: str, key: str, name: str) -> None:
        self._client = client
        self._place = {"Bucket": bucket, "Key": key}
        self._name = name
        self._buffer = bytearray()
        self._upload: str | None = None
        self._parts: list[dict[str, Any]] = []

    @property
    def name(self) -> str:
        """The object's name."""
        return self._name

    def write(self, data: bytes) -> None:
        """Append *data*; whole parts leave at once, so that memory holds one part at most."""
        self._buffer += data
        while len(self._buffer) >= PART_SIZE:
            part = bytes(self._buffer[:PART_SIZE])
            del self._buffer[:PART_SIZE]
            self._send(part)

    def commit(self) -> None:
        """Finish the upload; the service makes all of it visible or nothing."""
        if self._upload is None:
            with self._storage():
                self._client.put_object(**self._place, Body=bytes(self._buffer))
            return
        if self._buffer:
            self._send(bytes(self._buffer))
        with self._storage():
            self._client.complete_multipart_upload(
                **self._place, UploadId=self._upload, MultipartUpload={"Parts": self._parts}
            )
        self._upload = None

    def abort(self) -> None:
        """Give up the upload; where the service cannot be reached, `remove_unfinished` does it later."""
        self._buffer.clear()
        upload, self._upload = self._upload, None
        if upload is not None:
            with _service():
                self._client.abort_multipart_upload(**self._place, UploadId=upload)

    def _send(self, part: bytes) -> None:
        with self._storage():
            if self._upload is None:
                self._upload = self._client.create_multipart_upload(**self._place)["UploadId"]
            number = len(self._parts) + 1
            answer = self._client.upload_part(**self._place, UploadId=self._upload, PartNumber=number, Body=part)
            self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    @contextmanager
    def _storage(self) -> Generator[None]:
        try:
            with _service():
                yield
        except UnavailableError:
            try:
                self.abort()
            except UnavailableError:
                self._upload = None  # the service is away; its unfinished upload is removed by the sweep
            raise


@contextmanager
def _service() -> Generator[None]:
    """Translate the service's errors once."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            raise ObjectMissingError from error
        if code in _FULL:
            raise StorageFullError from error
        raise UnavailableError(f"the object store refused: {code or 'no code'}") from error
    except (BotoCoreError, OSError) as error:
        raise UnavailableError("the object store cannot be reached") from error

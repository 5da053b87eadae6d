"""Pictures in S3, or in what speaks its language (R2, MinIO, Ceph …)."""

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage

from imaging.storages.base import (
    ANSWER_SECONDS,
    CHUNK,
    CONNECT_SECONDS,
    PictureStorage,
    http_range,
)

#: A week is the longest that S3 takes.
LONGEST_SECONDS = 7 * 24 * 3600
GONE = ("NoSuchKey", "404", "NotFound")


class S3Pictures(PictureStorage):
    """django-storages knows the bucket; its client is shared by our threads."""

    kind = "s3"

    def __init__(
        self,
        *,
        bucket: str,
        access_key: str,
        secret_key: str,
        endpoint_url: str = "",
        region: str = "",
        prefix: str = "",
        public_url: str = "",
        hands_out_timed_urls: bool = False,
    ) -> None:
        self._public = public_url.rstrip("/")
        self._timed = hands_out_timed_urls
        self._lock = threading.Lock()
        self._storage = S3Storage(
            bucket_name=bucket,
            access_key=access_key,
            secret_key=secret_key,
            endpoint_url=endpoint_url or None,
            region_name=region or None,
            location=prefix.strip("/"),
            client_config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=ANSWER_SECONDS,
                retries={"max_attempts": 2, "mode": "standard"},
                signature_version="s3v4",
                # R2 and older servers know none of the newer checksums.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path" if endpoint_url else "auto"},
            ),
        )

    @functools.cached_property
    def _client(self) -> Any:
        """A client may be used by all threads; the resource behind it may not."""
        with self._lock:
            return self._storage.connection.meta.client

    def put(self, name: str, data: bytes, media_type: str) -> None:
        try:
            self._client.put_object(
                **self._object(name),
                Body=data,
                ContentType=media_type,
                CacheControl="max-age=3600",
            )
        except (BotoCoreError, ClientError) as error:
            raise self.trouble("writing", _reason(error)) from error

    def chunks(
        self, name: str, start: int = 0, stop: int | None = None
    ) -> Iterator[bytes]:
        try:
            found = self._client.get_object(
                **self._object(name), Range=http_range(start, stop)
            )
            with contextlib.closing(found["Body"]) as body:
                yield from body.iter_chunks(CHUNK)
        except ClientError as error:
            if error.response["Error"].get("Code") in GONE:
                raise self.missing() from None
            raise self.trouble("reading", _reason(error)) from error
        except BotoCoreError as error:
            raise self.trouble("reading", _reason(error)) from error

    def remove(self, name: str) -> None:
        try:
            self._client.delete_object(**self._object(name))
        except (BotoCoreError, ClientError) as error:
            raise self.trouble("deleting", _reason(error)) from error

    def public_url(self, name: str) -> str:
        if not self._public:
            return ""
        return f"{self._public}/{self._object(name)['Key']}"

    def timed_url(self, name: str, seconds: int) -> str:
        if not self._timed:
            return ""
        return self._client.generate_presigned_url(
            "get_object",
            Params=self._object(name),
            ExpiresIn=max(1, min(seconds, LONGEST_SECONDS)),
        )

    def _object(self, name: str) -> dict[str, str]:
        prefix = self._storage.location
        key = f"{prefix}/{self.checked(name)}" if prefix else self.checked(name)
        return {"Bucket": self._storage.bucket_name, "Key": key}


def _reason(error: BotoCoreError | ClientError) -> str:
    """Return what S3 calls it: the whole text may name keys and addresses."""
    if isinstance(error, ClientError):
        told = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
        return f"{told.get('Code', 'unknown')} ({status})"
    return type(error).__name__

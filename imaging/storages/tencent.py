"""Pictures in Tencent COS."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from imaging.storages.base import (
    ANSWER_SECONDS,
    CHUNK,
    PictureStorage,
    http_range,
)
from imaging.storages.domains import address


class TencentStorage(PictureStorage):
    """A bucket, through the vendor's SDK."""

    kind = "tencent"

    def __init__(
        self,
        *,
        secret_id: str,
        secret_key: str,
        region: str,
        bucket: str,
        domain: str = "",
        server: str = "",
        scheme: str = "https",
    ) -> None:
        """``server`` (host:port) stands for the vendor's, and is meant for tests."""
        self._secret_id, self._secret_key = secret_id, secret_key
        self._region, self._bucket = region, bucket
        self._domain = address(domain)
        self._server, self._scheme = server, scheme

    @functools.cached_property
    def _client(self) -> Any:
        # The SDK takes some tenths of a second to load: only who stores here pays.
        from qcloud_cos import CosConfig, CosS3Client

        host, _, port = self._server.partition(":")
        config = CosConfig(
            Region=self._region,
            SecretId=self._secret_id,
            SecretKey=self._secret_key,
            Scheme=self._scheme,
            Timeout=ANSWER_SECONDS,
            IP=host or None,
            Port=port or None,
        )
        return CosS3Client(config, retry=1)

    def put(self, name: str, data: bytes, media_type: str) -> None:
        with _told(self, "writing"):
            self._client.put_object(
                Bucket=self._bucket,
                Key=self.checked(name),
                Body=data,
                ContentType=media_type,
                CacheControl="max-age=3600",
            )

    def chunks(
        self, name: str, start: int = 0, stop: int | None = None
    ) -> Iterator[bytes]:
        with _told(self, "reading"):
            found = self._client.get_object(
                Bucket=self._bucket,
                Key=self.checked(name),
                Range=http_range(start, stop),
            )
            yield from found["Body"].get_stream(chunk_size=CHUNK)

    def remove(self, name: str) -> None:
        with _told(self, "deleting"):
            self._client.delete_object(Bucket=self._bucket, Key=self.checked(name))

    def public_url(self, name: str) -> str:
        return f"{self._domain}/{self.checked(name)}" if self._domain else ""


@contextlib.contextmanager
def _told(storage: TencentStorage, doing: str) -> Iterator[None]:
    """Turn the SDK's exceptions into ours, without its texts: they hold addresses."""
    from qcloud_cos import CosClientError, CosServiceError

    # What requests raises is an OSError.
    try:
        yield
    except CosServiceError as error:
        status = error.get_status_code()
        # A HEAD or GET of what is not there comes without a code of its own.
        if status == 404 and error.get_error_code() != "NoSuchBucket":
            raise storage.missing() from None
        raise storage.trouble(doing, f"{error.get_error_code()} ({status})") from None
    except (CosClientError, OSError) as error:
        raise storage.trouble(doing, type(error).__name__) from None
